/*
 * recover: one segment at a time goes to the helper, which looks whether any process still holds
 * it, syncs it, scans it, and copies what is damaged. What it found is applied here, some hundreds
 * a turn; then the segment is sealed.
 */
#include "queue/store/recover.h"

#include <errno.h>
#include <stdio.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "common/os/lock.h"
#include "queue/store/format.h"
#include "queue/store/scan.h"
#include "queue/store/segments_parts.h"

enum {
	RECOVER_STEP = 500,	     /* messages in a turn */
	RECOVER_RETRY_US = 10000000, /* after a read error, doubled each time ... */
	RECOVER_DOUBLINGS = 8,	     /* ... so often */
	COPY_CHUNK = 64 * 1024,
};

#define NO_WRITER UINT32_MAX /* a segment of an earlier life */

struct item {
	TAILQ_ENTRY(item) link;
	struct line_segment line;
	uint32_t writer;
	uint64_t not_before; /* clock of the loop */
	unsigned failures;
};

struct scan_job {
	struct helper_job job;
	struct recover *r;
	bool out, held;
	struct item *item;
	struct line_segment line;
	struct writer_entry *found;
	size_t count, size, applied;
	struct scan_result result;
	struct error error;
	bool ok;
	int fd;
};

/* Numbers of large files that no message names. */
struct sweep {
	struct helper_job job;
	struct recover *r;
	bool wanted, out, copied;
	bool unread; /* there is a message whose file is not known: all stay */
	uint64_t *numbers;
	size_t count, size, cursor;
	struct idmap *named;
	int err;
};

struct recover {
	struct recover_setup setup;
	TAILQ_HEAD(, item) items;
	size_t item_count;
	struct scan_job scan;
	struct sweep sweep;
	struct loop_timer poll_timer, step_timer, sweep_timer;
	bool damaged; /* a record that named a large file may be among what was set aside */
	bool closing;
};

static void poll(void *arg);
static void sweep_step(struct recover *r);

static void scan_record(void *arg, const struct writer_entry *entry)
{
	struct scan_job *j = arg;
	lookout_end(j->r->setup.lookout);
	if (entry->ordinal < j->line.known)
		return;
	if (j->count == j->size) {
		j->size = j->size ? j->size * 2 : 256;
		j->found = memory_resize(j->found, j->size, sizeof(*j->found));
	}
	j->found[j->count++] = *entry;
}

static bool scan_look(void *arg, uint64_t id)
{
	struct scan_job *j = arg;
	return lookout_begin(j->r->setup.lookout, id);
}

/* For a person to look at; that it can't be copied is only logged. */
static void scan_damage(void *arg, uint64_t offset, uint64_t length)
{
	struct scan_job *j = arg;
	char name[64];
	snprintf(name, sizeof(name), "segment-%08u-%llu-%llu", j->line.segment,
		 (unsigned long long)j->line.lease, (unsigned long long)offset);
	log_error("segments/%08u is damaged at octet %llu, %llu octets: copied to corrupt/%s",
		  j->line.segment, (unsigned long long)offset, (unsigned long long)length, name);
	int to = disk_create(j->r->setup.corrupt_dirfd, name, O_WRONLY, 0600);
	if (to < 0 && errno == EEXIST) /* of a scan that may not have come to its end */
		to = disk_open_file(j->r->setup.corrupt_dirfd, name, O_WRONLY);
	char *chunk = memory_get(COPY_CHUNK);
	int err = to < 0 ? errno : 0;
	for (uint64_t at = 0; at < length && !err; at += COPY_CHUNK) {
		size_t len = length - at < COPY_CHUNK ? (size_t)(length - at) : COPY_CHUNK;
		ssize_t n = disk_pread(j->fd, chunk, len, offset + at);
		if (n < 0 || disk_pwrite(to, chunk, (size_t)n, at) < 0)
			err = errno;
	}
	if (to >= 0 && (disk_fsync(to) < 0 || disk_fsync_dir(j->r->setup.corrupt_dirfd) < 0) &&
	    !err)
		err = errno;
	if (err)
		log_error("corrupt/%s: %s", name, strerror(err));
	if (to >= 0)
		disk_close(to);
	memory_free(chunk);
}

/* A record that is taken must not vanish again. Whoever wrote it may have died when its sync had
 * failed: then the kernel has it in memory, calls it clean, and would let a second sync succeed
 * without it. So what nobody has told of yet is written once more; none is taken before that has
 * succeeded. */
static int make_durable(const struct scan_job *j)
{
	uint64_t from = j->found[0].offset & ~(uint64_t)(BATCH_ALIGN - 1);
	size_t len = j->result.end > from ? (size_t)(j->result.end - from) : 0;
	char *octets = memory_zero(1, len + 1);
	int err = 0;
	ssize_t n = disk_pread(j->fd, octets, len, from);
	if (n < 0 || disk_pwrite(j->fd, octets, (size_t)n, from) < 0 || disk_fdatasync(j->fd) < 0)
		err = errno;
	memory_free(octets);
	return err;
}

static void scan_run(struct helper_job *job)
{
	struct scan_job *j = (struct scan_job *)(void *)job;
	char name[16];
	segment_name(j->line.segment, name);
	j->fd = disk_open_file(j->r->setup.segments_dirfd, name, O_RDWR);
	if (j->fd < 0) {
		j->ok = error_set(&j->error, errno, "%s", strerror(errno));
		return;
	}
	j->held = lock_held_by_other(j->fd) != 0;
	if (!j->held) {
		struct scan_request request = {.fd = j->fd,
					       .lease = j->line.lease,
					       .size = j->r->setup.segment_size,
					       .known = j->line.known};
		memcpy(request.nonce, j->line.nonce, NONCE_SIZE);
		struct scan_calls calls = {
		    .record = scan_record, .damage = scan_damage, .look = scan_look, .arg = j};
		j->ok = scan_segment(&request, &calls, &j->result, &j->error);
		int err = j->ok && j->count > 0 ? make_durable(j) : 0;
		if (err)
			j->ok = error_set(&j->error, err, "sync: %s", strerror(err));
	}
	disk_close(j->fd);
}

/* A record becomes a message; one that is there already is the copy that a move left behind. */
static void take(struct recover *r, const struct line_segment *seg, const struct writer_entry *w)
{
	struct index *ix = ledger_index(r->setup.ledger);
	struct log_line log;
	bool whole = w->recipients > 0 && w->recipients <= RECIPIENTS_RECEIVED_MAX;
	if (index_get(ix, w->id))
		return;
	struct line line = segments_arrival_line(seg, w, r->setup.now(r->setup.arg));
	if (!whole) {
		line.state.received = line.state.count = 1;
		line.state.disposition = MESSAGE_CORRUPT;
	}
	if (w->unread)
		line.state.deaths = DEATHS_UNREAD;
	if (w->file)
		large_named(r->setup.segments, w->file);
	if (w->parent) { /* its parent's recipients were not told: it is made again */
		segments_refuse(r->setup.segments, &line, w->parent);
		return;
	}
	ledger_write(r->setup.ledger, &line);
	log_start(&log, w->unread ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, w->id,
		  w->unread ? "corrupt" : "recovered");
	log_number(&log, "segment", seg->segment);
	if (w->unread)
		log_pair(&log, "why", SLICE("the queue manager dies of its record"));
	log_end(&log);
	struct entry *e = index_get(ix, w->id);
	index_load_fresh(ix, e, w->digest);
	r->setup.arrived(r->setup.arg, e);
}

static bool writer_has_items(const struct recover *r, uint32_t writer)
{
	const struct item *i;
	TAILQ_FOREACH (i, &r->items, link)
		if (i->writer == writer)
			return true;
	return false;
}

static void item_remove(struct recover *r, struct item *i)
{
	uint32_t writer = i->writer;
	TAILQ_REMOVE(&r->items, i, link);
	r->item_count--;
	memory_free(i);
	if (writer != NO_WRITER && !writer_has_items(r, writer))
		segments_files_lost(r->setup.segments, writer);
	if (r->sweep.wanted && !writer_has_items(r, NO_WRITER))
		sweep_step(r);
}

static void next_item(struct recover *r, struct item *i);

static void apply_step(void *arg)
{
	struct recover *r = arg;
	struct scan_job *j = &r->scan;
	for (size_t n = 0; n < RECOVER_STEP && j->applied < j->count; n++)
		take(r, &j->line, &j->found[j->applied++]);
	if (j->applied < j->count) {
		loop_timer_start(&r->step_timer, 0, apply_step, r);
		return;
	}
	struct segment_entry *e = index_segment(ledger_index(r->setup.ledger), j->line.segment);
	r->damaged |= j->result.damaged > 0;
	if (j->result.torn)
		log_warning("segments/%08u: the batch at octet %llu is not whole; it is taken for "
			    "the write that was under way when its writer ended",
			    j->line.segment, (unsigned long long)j->result.end);
	for (uint32_t n = 0; n < j->result.damaged; n++) {
		struct line line = {.kind = LINE_DAMAGE,
				    .damage = {.segment = j->line.segment, .lease = j->line.lease}};
		ledger_write(r->setup.ledger, &line);
	}
	segments_seal(r->setup.segments, e, j->result.records, j->result.end,
		      j->result.damaged > 0);
	memory_free(j->found);
	j->found = NULL;
	struct item *i = j->item, *next = TAILQ_NEXT(i, link);
	j->out = false;
	item_remove(r, i);
	next_item(r, next);
}

static void scan_done(struct helper_job *job)
{
	struct scan_job *j = (struct scan_job *)(void *)job;
	struct recover *r = j->r;
	if (r->closing) {
		memory_free(j->found);
		j->out = false;
		return;
	}
	if (j->ok && !j->held) {
		apply_step(r);
		return;
	}
	if (!j->held) {
		log_error("segments/%08u can't be scanned: %s", j->line.segment, j->error.text);
		j->item->not_before =
		    loop_now() + ((uint64_t)RECOVER_RETRY_US << j->item->failures);
		if (j->item->failures < RECOVER_DOUBLINGS)
			j->item->failures++;
		memory_free(j->found);
	}
	j->out = false;
	next_item(r, TAILQ_NEXT(j->item, link));
}

/* Begins with i; at the list's end a timer does. */
static void next_item(struct recover *r, struct item *i)
{
	struct scan_job *j = &r->scan;
	if (j->out || r->closing)
		return;
	while (i && i->not_before > loop_now())
		i = TAILQ_NEXT(i, link);
	if (!i) {
		if (r->item_count > 0 && !loop_timer_active(&r->poll_timer))
			loop_timer_start(&r->poll_timer, RECOVER_POLL_US, poll, r);
		return;
	}
	const struct segment_entry *e =
	    index_segment(ledger_index(r->setup.ledger), i->line.segment);
	i->line.known = e->line.known;
	*j = (struct scan_job){
	    .job = {.run = scan_run, .done = scan_done}, .r = r, .item = i, .line = i->line};
	j->out = helper_submit(r->setup.helper, &j->job);
	if (!j->out)
		loop_timer_start(&r->poll_timer, RECOVER_POLL_US, poll, r);
}

static void poll(void *arg)
{
	struct recover *r = arg;
	next_item(r, TAILQ_FIRST(&r->items));
}

static void item_add(struct recover *r, const struct line_segment *line, uint32_t writer)
{
	struct item *i = memory_zero(1, sizeof(*i));
	i->line = *line;
	i->writer = writer;
	TAILQ_INSERT_TAIL(&r->items, i, link);
	r->item_count++;
	if (!r->scan.out)
		loop_timer_start(&r->poll_timer, 0, poll, r);
}

void recover_writer(struct recover *r, uint32_t writer)
{
	struct segments *s = r->setup.segments;
	for (uint32_t n = 1; n < s->file_size; n++) {
		const struct segment_entry *e = index_segment(s->ix, n);
		struct pool_file *f = pool_file(s, n);
		if (!e || e->line.state != SEGMENT_LEASED || !f || f->writer != writer ||
		    idmap_get(s->leases, e->line.lease) != f)
			continue;
		idmap_remove(s->leases, e->line.lease);
		item_add(r, &e->line, writer);
	}
	if (!writer_has_items(r, writer))
		segments_files_lost(s, writer);
}

static bool sweep_list(void *arg, const char *name, unsigned char type)
{
	struct sweep *w = arg;
	uint64_t number;
	(void)type;
	if (slice_ends_fold(slice_str(name), SLICE(LARGE_OLD_SUFFIX))) {
		if (disk_unlink(w->r->setup.large_dirfd, name) < 0)
			log_warning("large/%s can't be removed: %s", name, strerror(errno));
		return true;
	}
	if (strlen(name) != 16 || !slice_number(slice_str(name), UINT64_MAX, &number) ||
	    number == 0 || number >= w->r->setup.first_number)
		return true;
	if (w->count == w->size) {
		w->size = w->size ? w->size * 2 : 256;
		w->numbers = memory_resize(w->numbers, w->size, sizeof(*w->numbers));
	}
	w->numbers[w->count++] = number;
	return true;
}

static bool find_copy(void *arg, const char *name, unsigned char type)
{
	bool *found = arg;
	(void)type;
	*found = slice_starts(slice_str(name), SLICE("segment-"));
	return !*found;
}

/* As long as a copy of damage waits for a person, what it may have named does so too: the start
 * that made it may have ended before it came to the large files. */
static void sweep_run(struct helper_job *job)
{
	struct sweep *w = (struct sweep *)(void *)job;
	w->err = disk_list(w->r->setup.large_dirfd, sweep_list, w) < 0 ? errno : 0;
	if (disk_list(w->r->setup.corrupt_dirfd, find_copy, &w->copied) < 0)
		w->copied = true; /* there may be one */
}

static void note_named(void *arg, struct entry *e)
{
	struct sweep *w = arg;
	if (e->file)
		idmap_put(w->named, e->file, e);
	w->unread |= e->deaths == DEATHS_UNREAD;
}

/* Named by no message, perhaps because the record that named it is damaged: for a person too. */
static void set_aside(struct recover *r, uint64_t number)
{
	char name[24], to[32];
	large_name(number, name);
	snprintf(to, sizeof(to), "large-%s", name);
	if (disk_rename(r->setup.large_dirfd, name, r->setup.corrupt_dirfd, to) == 0)
		log_error("large/%s belongs to no message that is whole: it is now corrupt/%s",
			  name, to);
	else if (errno != ENOENT)
		log_error("large/%s: %s", name, strerror(errno));
}

static void sweep_walk(void *arg)
{
	struct recover *r = arg;
	struct sweep *w = &r->sweep;
	if (index_walk(ledger_index(r->setup.ledger), &w->cursor, RECOVER_STEP, note_named, w)) {
		loop_timer_start(&r->sweep_timer, 0, sweep_walk, r);
		return;
	}
	for (size_t i = 0; i < w->count; i++) {
		if (w->unread || idmap_get(w->named, w->numbers[i]))
			continue;
		if (r->damaged || w->copied)
			set_aside(r, w->numbers[i]);
		else
			large_unlink(r->setup.segments, w->numbers[i], 0);
	}
	memory_free(w->numbers);
	w->numbers = NULL;
	idmap_free(&w->named);
}

static void sweep_done(struct helper_job *job)
{
	struct sweep *w = (struct sweep *)(void *)job;
	w->out = false;
	if (w->err)
		log_error("large: %s", strerror(w->err));
	if (w->count > 0 && !w->r->closing) {
		w->named = idmap_new();
		loop_timer_start(&w->r->sweep_timer, 0, sweep_walk, w->r);
	}
}

/* Every segment of the start is scanned: what no message names now, none ever will. */
static void sweep_step(struct recover *r)
{
	struct sweep *w = &r->sweep;
	w->wanted = false;
	w->job = (struct helper_job){.run = sweep_run, .done = sweep_done};
	w->r = r;
	w->out = helper_submit(r->setup.helper, &w->job);
}

struct recover *recover_open(const struct recover_setup *setup)
{
	struct recover *r = memory_zero(1, sizeof(*r));
	struct index *ix = ledger_index(setup->ledger);
	r->setup = *setup;
	TAILQ_INIT(&r->items);
	r->sweep.wanted = true;
	uint32_t cursor = 0;
	struct segment_entry *e;
	while ((e = index_segment_next(ix, &cursor))) {
		if (e->line.state != SEGMENT_LEASED)
			continue;
		/* In the manager's own segments lie only copies: what their STATE lines do not
		 * name still counts in its old place. */
		if (e->line.own)
			segments_seal(setup->segments, e, e->line.known, 0, false);
		else
			item_add(r, &e->line, NO_WRITER);
	}
	if (r->item_count == 0)
		sweep_step(r);
	return r;
}

void recover_free(struct recover **rp)
{
	struct recover *r = *rp;
	if (!r)
		return;
	r->closing = true;
	helper_drain(r->setup.helper);
	loop_timer_stop(&r->poll_timer);
	loop_timer_stop(&r->step_timer);
	loop_timer_stop(&r->sweep_timer);
	struct item *i;
	while ((i = TAILQ_FIRST(&r->items))) {
		TAILQ_REMOVE(&r->items, i, link);
		memory_free(i);
	}
	if (r->scan.out)
		memory_free(r->scan.found);
	memory_free(r->sweep.numbers);
	idmap_free(&r->sweep.named);
	memory_free(r);
	*rp = NULL;
}

size_t recover_pending(const struct recover *r)
{
	return r->item_count;
}
