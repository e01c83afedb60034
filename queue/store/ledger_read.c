/*
 * ledger_read: the chain as it is found at a start (queue/README.md, section 4). It runs before the
 * loop, so it may wait for the disk. What a torn end may have left behind the last good frame is
 * wiped before anything is written there again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "queue/store/ledger_parts.h"
#include "queue/store/replay.h"

struct reader {
	struct ledger *l;
	struct error *error;
	struct ledger_file **found; /* files with a good header */
	size_t count;
	struct ledger_file **links; /* the chain by its headers, oldest first */
	size_t link_count;
	struct replay replay;
};

void ledger_file_name(uint32_t slot, char name[16])
{
	snprintf(name, 16, "%08u", slot);
}

static bool list_call(void *arg, const char *name, unsigned char type)
{
	struct reader *r = arg;
	uint64_t slot;
	(void)type;
	if (!slice_number(slice_str(name), 99999999, &slot) || slot == 0 || strlen(name) != 8)
		return true;
	if (slot >= r->l->next_slot)
		r->l->next_slot = (uint32_t)slot + 1;
	if (r->l->free_count >= LEDGER_FILES_MAX)
		return false;
	ledger_slot_add(r->l, (uint32_t)slot);
	return true;
}

static bool is_zero(const char *header, ssize_t n)
{
	for (ssize_t i = 0; i < n; i++)
		if (header[i] != '\0')
			return false;
	return true;
}

/* Opens one file; those with a good header are found, those that were never written stay free
 * slots. A header fits a sector, so no crash leaves a half of it. */
static bool look_at(struct reader *r, uint32_t slot, bool *good)
{
	char name[16], header[LEDGER_HEADER_SIZE];
	ledger_file_name(slot, name);
	*good = false;
	int fd = disk_open_file(r->l->setup.dirfd, name, O_RDWR);
	if (fd < 0)
		return error_set(r->error, errno, "ledger/%s: %s", name, strerror(errno));
	struct ledger_header h;
	ssize_t n = disk_pread(fd, header, sizeof(header), 0);
	if (n < 0) {
		int err = errno;
		disk_close(fd);
		return error_set(r->error, err, "ledger/%s: %s", name, strerror(err));
	}
	if (n < (ssize_t)sizeof(header) || !ledger_header_decode(header, &h)) {
		bool unused = is_zero(header, n);
		disk_close(fd);
		return unused ||
		       error_set(r->error, EBADMSG, "ledger/%s: its header is damaged", name);
	}
	struct ledger_file *f = memory_zero(1, sizeof(*f));
	*f = (struct ledger_file){.slot = slot, .fd = fd, .header = h};
	r->found[r->count++] = f;
	*good = true;
	return true;
}

static bool find_files(struct reader *r)
{
	struct ledger *l = r->l;
	l->next_slot = 1;
	if (disk_list(l->setup.dirfd, list_call, r) < 0)
		return error_set(r->error, errno, "the ledger's directory: %s", strerror(errno));
	r->found = memory_zero(l->free_count + 1, sizeof(struct ledger_file *));
	r->links = memory_zero(l->free_count + 1, sizeof(struct ledger_file *));
	size_t kept = 0;
	for (size_t i = 0; i < l->free_count; i++) {
		bool good;
		if (!look_at(r, l->free_slots[i], &good))
			return false;
		if (!good)
			l->free_slots[kept++] = l->free_slots[i];
	}
	l->free_count = kept;
	return true;
}

static struct ledger_file *found_of(const struct reader *r, uint32_t sequence)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->found[i]->header.sequence == sequence)
			return r->found[i];
	return NULL;
}

/* Follows the links from f back to the oldest file that its header needs; false: one is missing. */
static bool follow(struct reader *r, struct ledger_file *f)
{
	uint32_t oldest = f->header.oldest;
	r->link_count = 0;
	while (f) {
		r->links[r->link_count++] = f;
		if (f->header.sequence == oldest)
			return true;
		f = f->header.previous >= oldest ? found_of(r, f->header.previous) : NULL;
	}
	return false;
}

static int by_sequence_down(const void *a, const void *b)
{
	const struct ledger_file *const *x = a, *const *y = b;
	uint32_t p = (*x)->header.sequence, q = (*y)->header.sequence;
	return p < q ? 1 : p > q ? -1 : 0;
}

/* The newest header names the oldest file that is needed; the links lead back to it. A newest file
 * hangs in the air only when the power went before the one before it was synced. */
static bool link_chain(struct reader *r)
{
	qsort(r->found, r->count, sizeof(struct ledger_file *), by_sequence_down);
	for (size_t i = 0; i < r->count; i++) {
		struct ledger_file *f = r->found[i];
		if (f->header.spool != r->found[0]->header.spool)
			return error_set(r->error, EBADMSG, "ledger: files of two spools");
		if (follow(r, f)) {
			r->l->oldest = f->header.oldest;
			break;
		}
		const struct ledger_file *end = r->links[r->link_count - 1];
		if (end->header.previous_synced > 0 || i + 1 == r->count)
			return error_set(
			    r->error, EBADMSG,
			    "ledger: file %u, before ledger/%08u, is missing or damaged",
			    end->header.previous, end->slot);
	}
	if (r->count > 0) {
		r->l->spool = r->found[0]->header.spool;
		r->l->highest = r->found[0]->header.sequence;
	}
	for (size_t i = 0; i < r->link_count / 2; i++) {
		struct ledger_file *other = r->links[r->link_count - 1 - i];
		r->links[r->link_count - 1 - i] = r->links[i];
		r->links[i] = other;
	}
	return true;
}

static bool replay_file(struct reader *r, struct ledger_file *f)
{
	struct replay *p = &r->replay;
	p->parts[p->part_count++] = (struct ledger_part){f->fd, f->header, f->header.size};
	if (!replay_open(p, p->part_count - 1))
		return error_set(r->error, errno, "ledger/%08u: %s", f->slot, strerror(errno));
	while (replay_some(p, UINT32_MAX))
		;
	f->end = p->at;
	f->synced_end = p->synced;
	if (replay_is_damaged(p))
		return error_set(r->error, EBADMSG, "ledger/%08u is damaged at octet %u", f->slot,
				 f->end);
	return true;
}

/* Reads along the chain as far as each file goes on where the one before it ends. *last: the number
 * of files that count; *whole: the last of them can be written on. */
static bool replay_chain(struct reader *r, size_t *last, bool *whole)
{
	bool joined = true;
	*last = 0;
	for (size_t i = 0; i < r->link_count; i++) {
		struct ledger_file *f = r->links[i], *before = i > 0 ? r->links[i - 1] : NULL;
		if (f->header.snapshot) {
			joined = true;
			index_free(&r->replay.snapshot);
		} else if (before && joined) {
			joined = f->header.previous_end == before->end;
			if (f->header.previous_synced > before->end)
				return error_set(r->error, EBADMSG,
						 "ledger/%08u is damaged at octet %u", before->slot,
						 before->end);
		}
		if (!joined) {
			log_warning("ledger: file %u does not follow on the one before it, which "
				    "was never synced",
				    f->header.sequence);
			index_free(&r->replay.snapshot);
			continue;
		}
		if (!replay_file(r, f))
			return false;
		*last = i + 1;
	}
	*whole = !r->replay.snapshot;
	index_free(&r->replay.snapshot);
	return true;
}

/* Zeros behind the last good frame, where frames that were never synced may lie. */
static bool wipe_end(const struct ledger_file *f)
{
	size_t len = f->header.size - f->end;
	char *zeros = memory_zero(1, len + 1);
	bool ok = len == 0 || disk_pwrite(f->fd, zeros, len, f->end) == 0;
	memory_free(zeros);
	return ok && disk_fdatasync(f->fd) == 0;
}

/* Writes what was read once more: behind a sync that failed the kernel has it in memory, calls it
 * clean, and lets a second sync succeed without it. */
static bool write_again(const struct ledger_file *f, uint32_t from)
{
	size_t len = f->end > from ? f->end - from : 0;
	char *octets = memory_zero(1, len + 1);
	bool ok = disk_pread(f->fd, octets, len, from) == (ssize_t)len &&
		  (len == 0 || disk_pwrite(f->fd, octets, len, from) == 0);
	memory_free(octets);
	return ok;
}

/* What was read may be in the kernel's memory alone, and whoever wrote it may have died just when a
 * sync had failed. What a frame or the next header calls durable is. */
static bool sync_chain(struct reader *r)
{
	for (size_t i = 0; i < r->link_count; i++) {
		struct ledger_file *f = r->links[i];
		uint32_t from = f->synced_end;
		if (i + 1 < r->link_count && r->links[i + 1]->header.previous_synced > from)
			from = r->links[i + 1]->header.previous_synced;
		if (!write_again(f, from) || disk_fdatasync(f->fd) < 0)
			return false;
		f->synced_end = f->end;
	}
	return true;
}

/* The links become the chain, all other files free slots. Files that do not count stay in the
 * chain, because headers lead over them, until a snapshot makes them superfluous. */
static void settle(struct reader *r, size_t last, bool whole)
{
	struct ledger *l = r->l;
	for (size_t i = 0; i < r->link_count; i++) {
		TAILQ_INSERT_TAIL(&l->chain, r->links[i], link);
		l->chain_count++;
	}
	for (size_t i = 0; i < r->count; i++) {
		struct ledger_file *f = r->found[i];
		size_t at = 0;
		while (at < r->link_count && r->links[at] != f)
			at++;
		if (at < r->link_count)
			continue;
		ledger_slot_add(l, f->slot);
		disk_close(f->fd);
		memory_free(f);
	}
	r->count = 0;
	if (r->link_count == 0)
		return;
	struct ledger_file *f = r->links[r->link_count - 1];
	l->mode = LEDGER_NORMAL;
	l->pending_at = f->end;
	if (!whole || last < r->link_count || f->header.size != l->file_size || !sync_chain(r) ||
	    !wipe_end(f)) {
		l->mode = LEDGER_WAITING;
		log_warning("ledger: the last file can't be written on: all is stated anew");
	}
	for (size_t i = 0; i < r->link_count; i++) /* a header that was read hangs on none */
		if (r->links[i]->synced_end < LEDGER_HEADER_SIZE)
			r->links[i]->synced_end = LEDGER_HEADER_SIZE;
}

static void reader_free(struct reader *r)
{
	for (size_t i = 0; i < r->count; i++) {
		disk_close(r->found[i]->fd);
		memory_free(r->found[i]);
	}
	memory_free(r->found);
	memory_free(r->links);
	replay_end(&r->replay);
}

/* The first file of a new spool. */
static bool create(struct ledger *l, struct error *error)
{
	l->spool = l->setup.spool;
	l->mode = LEDGER_NORMAL;
	l->oldest = 1;
	struct spare_job s = {.l = l, .slot = l->next_slot++};
	ledger_spare_make(&s);
	if (s.err)
		return error_set(error, s.err, "a new ledger: %s", strerror(s.err));
	struct ledger_file *f = memory_zero(1, sizeof(*f));
	f->slot = s.slot;
	f->fd = s.fd;
	TAILQ_INSERT_TAIL(&l->spares, f, link);
	l->spare_count++;
	return true;
}

bool ledger_read(struct ledger *l, bool may_create, struct error *error)
{
	struct reader r = {.l = l, .error = error};
	replay_begin(&r.replay, l->setup.extra);
	size_t last = 0;
	bool whole = true;
	bool ok = find_files(&r) && link_chain(&r);
	if (ok) {
		r.replay.parts = memory_zero(r.link_count + 1, sizeof(struct ledger_part));
		ok = replay_chain(&r, &last, &whole);
	}
	if (ok) {
		settle(&r, last, whole);
		l->ix = replay_take(&r.replay);
		if (l->chain_count == 0 && !may_create)
			ok = error_set(error, ENOENT,
				       "the ledger is missing, but there is mail in the spool");
		else if (l->chain_count == 0)
			ok = create(l, error);
	}
	reader_free(&r);
	return ok;
}
