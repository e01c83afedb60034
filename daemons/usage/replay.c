/*
 * replay: the journal read again. It is our own file, but a disk may spoil it: nothing is believed
 * beyond what is there, and the first frame that is wrong ends the file.
 */
#include <errno.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "daemons/usage/usage.h"

#define JOURNAL_MAGIC UINT32_C(0x31555053) /* SPU1 */

enum { SLOT_SIZE = 16, REPLAY_CHUNK = 4 * 1024 * 1024 };

_Static_assert((int)KNOWN_MAX <= (int)USAGE_RECIPIENTS_MAX, "a payload holds a state");
_Static_assert(REPLAY_CHUNK > JOURNAL_FRAME + JOURNAL_PAYLOAD_MAX, "a chunk holds a frame");

uint32_t journal_crc(uint64_t sequence, struct slice payload)
{
	uint8_t number[8];
	put_u64(number, sequence);
	return crc32c(crc32c(0, number, sizeof(number)), payload.ptr, payload.len);
}

uint64_t journal_head(struct slice head)
{
	if (head.len < JOURNAL_HEAD || get_u32(head.ptr) != JOURNAL_MAGIC ||
	    get_u32(head.ptr + 4) != JOURNAL_VERSION)
		return 0;
	return get_u64(head.ptr + 8);
}

/* A payload's fixed part, and what follows it. */
struct payload {
	uint8_t kind;
	uint32_t told, fresh, entry_count;
	uint64_t seconds;
	uint32_t first, second; /* SENT: messages, recipients; STATE: slots */
	struct slice name, slots, entries;
};

static bool take_apart(struct slice s, struct payload *p)
{
	if (s.len < JOURNAL_FIXED)
		return false;
	size_t name = get_u16(s.ptr + 2);
	*p = (struct payload){.kind = (uint8_t)s.ptr[0],
			      .told = get_u32(s.ptr + 4),
			      .seconds = get_u64(s.ptr + 8),
			      .first = get_u32(s.ptr + 16),
			      .second = get_u32(s.ptr + 20),
			      .fresh = get_u32(s.ptr + 24),
			      .entry_count = get_u32(s.ptr + 28)};
	size_t slots = p->kind == JOURNAL_STATE ? p->first : 0;
	if (name == 0 || name > USAGE_USER_MAX || slots > SLOTS_MAX ||
	    p->entry_count > JOURNAL_PAYLOAD_MAX / 8 ||
	    s.len != JOURNAL_FIXED + name + slots * SLOT_SIZE + (size_t)p->entry_count * 8)
		return false;
	p->name = slice_sub(s, JOURNAL_FIXED, name);
	p->slots = slice_sub(s, JOURNAL_FIXED + name, slots * SLOT_SIZE);
	p->entries = slice_from(s, JOURNAL_FIXED + name + slots * SLOT_SIZE);
	return true;
}

/* They are merged as a whole, so they must rise. False: they do not. */
static bool put_entries(struct user *u, const struct payload *p, uint64_t now)
{
	uint64_t *entries = memory_get((size_t)p->entry_count * 8 + 1);
	uint32_t before = u->known.count;
	bool rise = true;
	for (uint32_t i = 0; i < p->entry_count; i++) {
		entries[i] = get_u64(p->entries.ptr + (size_t)i * 8);
		rise = rise && (i == 0 || KNOWN_HASH(entries[i]) > KNOWN_HASH(entries[i - 1]));
	}
	if (rise) {
		known_put(&u->known, entries, p->entry_count);
		book_known_changed(u, before, now);
	}
	memory_free(entries);
	return rise;
}

static void put_slots(struct user *u, const struct payload *p)
{
	windows_free(&u->windows);
	for (size_t at = 0; at < p->slots.len; at += SLOT_SIZE) {
		const char *s = p->slots.ptr + at;
		windows_add(&u->windows, (uint64_t)get_u32(s) * SLOT_SECONDS, get_u32(s + 4),
			    get_u32(s + 8), get_u32(s + 12));
	}
}

bool replay_payload(struct slice payload, uint64_t now)
{
	struct payload p;
	if (!take_apart(payload, &p))
		return false;
	struct user *u = book_want(p.name);
	if (!u)
		return true;
	u->told = p.told;
	if (p.kind == JOURNAL_STATE) {
		uint32_t before = u->known.count;
		known_free(&u->known);
		book_known_changed(u, before, now);
		put_slots(u, &p);
	} else if (p.kind == JOURNAL_SENT && p.first > 0) {
		windows_add(&u->windows, p.seconds, p.first, p.second, p.fresh);
	}
	return put_entries(u, &p, now);
}

/* The frames that are whole in the buffer; *used: octets of them. False: one is wrong. */
static bool take_frames(struct slice all, uint64_t sequence, uint64_t now, size_t *used)
{
	*used = 0;
	while (all.len - *used >= JOURNAL_FRAME) {
		const char *at = all.ptr + *used;
		uint32_t len = get_u32(at);
		if (len > JOURNAL_PAYLOAD_MAX)
			return false;
		if (len > all.len - *used - JOURNAL_FRAME)
			return true;
		struct slice payload = slice_make(at + JOURNAL_FRAME, len);
		if (journal_crc(sequence, payload) != get_u32(at + 4) ||
		    !replay_payload(payload, now))
			return false;
		*used += JOURNAL_FRAME + len;
	}
	return true;
}

bool replay_file(int fd, uint64_t now, uint64_t *end, struct error *e)
{
	char *chunk = memory_get(REPLAY_CHUNK);
	ssize_t n = disk_pread(fd, chunk, JOURNAL_HEAD, 0);
	uint64_t sequence = n < 0 ? 0 : journal_head(slice_make(chunk, (size_t)n));
	*end = sequence > 0 ? JOURNAL_HEAD : 0;
	while (sequence > 0 && (n = disk_pread(fd, chunk, REPLAY_CHUNK, *end)) > 0) {
		size_t used;
		bool good = take_frames(slice_make(chunk, (size_t)n), sequence, now, &used);
		*end += used;
		if (!good || used == 0)
			break;
	}
	memory_free(chunk);
	return n >= 0 || error_set(e, errno, "%s", strerror(errno));
}
