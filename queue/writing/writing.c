/*
 * writing: turns what the writer wants to say into messages to the queue manager, and its messages
 * into calls of the writer. When the manager is gone the writer gives up what it was lent; what
 * could not be told is found by the next manager's scan.
 */
#include "queue/writing/writing.h"

#include <string.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/log.h"

static struct writing_calls calls;
static struct writer *writer;
static struct channel *manager;
static bool full;

struct writer *writing_writer(void)
{
	return writer;
}

bool writing_full(void)
{
	return full;
}

bool writing_tell(uint16_t number, const void *record)
{
	return manager && channel_send(manager, number, record);
}

static void want_lease(void *arg, bool fresh)
{
	struct writer_want_lease m = {.fresh = fresh};
	(void)arg;
	writing_tell(WRITER_WANT_LEASE, &m);
}

static void want_file(void *arg)
{
	struct writer_want_file m = {.count = 1};
	(void)arg;
	writing_tell(WRITER_WANT_FILE, &m);
}

static void entry_put(char *p, const struct writer_entry *e)
{
	put_u64(p, e->id);
	put_u64(p + 8, e->offset);
	put_u32(p + 16, e->length);
	put_u32(p + 20, e->ordinal);
	put_u64(p + 24, e->file);
	put_u32(p + 32, e->recipients);
	put_u32(p + 36, e->origin);
	memcpy(p + 40, e->digest, DIGEST_SIZE);
	put_u64(p + 72, e->parent);
	put_u32(p + 80, e->parent_mark);
	put_u32(p + 84, e->held ? WRITER_ENTRY_HELD : 0);
}

static void notice(void *arg, uint64_t lease, const struct writer_entry *entries, size_t count)
{
	static char octets[WRITER_NOTICE_ENTRIES * WRITER_ENTRY_SIZE];
	(void)arg;
	while (manager && count > 0) {
		size_t n = count < WRITER_NOTICE_ENTRIES ? count : WRITER_NOTICE_ENTRIES;
		struct writer_notice m = {.lease = lease,
					  .entries = slice_make(octets, n * WRITER_ENTRY_SIZE)};
		for (size_t i = 0; i < n; i++)
			entry_put(octets + i * WRITER_ENTRY_SIZE, &entries[i]);
		channel_send(manager, WRITER_NOTICE, &m);
		entries += n;
		count -= n;
	}
	if (calls.noticed)
		calls.noticed();
}

static void sealed(void *arg, uint64_t lease, uint32_t records, uint64_t end)
{
	struct writer_sealed m = {.lease = lease, .records = records, .end = end};
	(void)arg;
	writing_tell(WRITER_SEALED, &m);
}

static void failed(void *arg, uint64_t lease, uint32_t records, uint64_t end, int err)
{
	struct writer_failed m = {
	    .lease = lease, .records = records, .end = end, .error = (uint32_t)err};
	(void)arg;
	log_error("a commit to the queue failed: %s; its senders are told to try later, and that "
		  "segment is closed: look at the disk of the spool",
		  strerror(err));
	writing_tell(WRITER_FAILED, &m);
}

static void abandoned(void *arg, uint64_t file)
{
	struct writer_abandoned m = {.file = file};
	(void)arg;
	writing_tell(WRITER_ABANDONED, &m);
}

void writing_leased(struct channel *c, const void *record)
{
	const struct writer_leased *m = record;
	struct writer_lease lease = {.number = m->number,
				     .segment = m->segment,
				     .size = m->size,
				     .spool = m->spool,
				     .incarnation = m->incarnation};
	if (m->nonce.len != NONCE_SIZE || m->fd < 0) {
		if (m->fd >= 0)
			close(m->fd);
		channel_break(c, "a lease without nonce or descriptor");
		return;
	}
	memcpy(lease.nonce, m->nonce.ptr, NONCE_SIZE);
	writer_take_lease(writer, &lease, m->fd);
	if (calls.lent)
		calls.lent();
}

void writing_filed(struct channel *c, const void *record)
{
	const struct writer_filed *m = record;
	if (m->nonce.len != NONCE_SIZE || m->fd < 0) {
		if (m->fd >= 0)
			close(m->fd);
		channel_break(c, "a file without nonce or descriptor");
		return;
	}
	writer_take_file(writer, m->number, (const uint8_t *)m->nonce.ptr, m->fd);
}

void writing_pressed(struct channel *c, const void *record)
{
	const struct writer_pressure *m = record;
	(void)c;
	if (m->full != full)
		log_warning(m->full ? "new mail gets 452: %.*s" : "new mail is welcome again%.*s",
			    SLICE_FMT(m->reason));
	full = m->full;
	if (writer)
		writer_pressure(writer, full);
}

void writing_up(struct channel *c, unsigned instance)
{
	(void)instance;
	manager = c;
	if (writer)
		writer_found(writer);
}

void writing_down(struct channel *c)
{
	(void)c;
	manager = NULL;
	full = false;
	if (writer)
		writer_lost(writer);
}

void writing_start(const struct writing_calls *given)
{
	static const struct writer_hooks hooks = {
	    want_lease, want_file, notice, sealed, failed, abandoned, NULL,
	};
	calls = *given;
	writer = writer_new(&hooks);
	if (manager)
		writer_found(writer);
}
