/*
 * verify: first the replay, a piece a job; then the live messages, some a job, each pinned while it
 * is read. What has changed meanwhile is no difference.
 */
#include "queue/store/verify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/base/arena.h"
#include "common/base/memory.h"
#include "common/base/queue_id.h"
#include "common/os/disk.h"
#include "queue/store/format.h"
#include "queue/store/ledger_parts.h"
#include "queue/store/replay.h"
#include "queue/store/segments_parts.h"

enum { VERIFY_PIECE = 512 * 1024, VERIFY_BATCH = 64, VERIFY_WALK = 1000 };

struct check {
	struct entry was;
	bool digest_known;
	uint8_t digest[DIGEST_SIZE];
	int ledger_fd;
	int record_err, file_err; /* file_err: of its large file; -1: has none */
};

struct verify {
	struct helper_job job;
	struct ledger *l;
	struct segments *s;
	struct helper *h;
	verify_done *done;
	void *arg;
	bool out, closing, held;
	struct loop_timer timer;
	uint64_t digest;
	struct replay replay;
	int err;
	bool replayed;
	size_t cursor;
	bool walked;
	struct check *checks;
	size_t count;
	struct buffer record, line;
	struct verify_result result;
};

__attribute__((format(printf, 2, 3))) static void problem(struct verify *v, const char *format, ...)
{
	va_list ap;
	v->result.problems++;
	if (v->result.named == VERIFY_NAMED)
		return;
	va_start(ap, format);
	vsnprintf(v->result.problem[v->result.named++], VERIFY_TEXT, format, ap);
	va_end(ap);
}

static void step(void *arg);

static void next_step(struct verify *v)
{
	if (!v->closing)
		loop_timer_start(&v->timer, 0, step, v);
}

static void replay_run(struct helper_job *job)
{
	struct verify *v = (struct verify *)(void *)job;
	struct replay *r = &v->replay;
	if (!r->data && !replay_open(r, 0)) {
		v->err = errno;
		return;
	}
	if (replay_some(r, VERIFY_PIECE))
		return;
	if (r->at != r->parts[r->current].end)
		v->err = EBADMSG;
	else if (r->current + 1 == r->part_count)
		v->replayed = true;
	else if (!replay_open(r, r->current + 1))
		v->err = errno;
}

static void compare(struct verify *v)
{
	const struct index_counts *disk = index_counts(v->replay.base);
	v->result.disk_messages = disk->messages;
	v->result.disk_recipients = disk->recipients;
	v->result.digest_equal = index_digest(v->replay.base) == v->digest;
	if (v->replay.contradictions > 0)
		problem(v, "ledger: %zu lines contradict the others", v->replay.contradictions);
	if (disk->messages != v->result.messages)
		problem(v, "messages: %zu in memory, %zu on disk", v->result.messages,
			disk->messages);
	if (disk->recipients != v->result.recipients)
		problem(v, "recipients: %zu in memory, %zu on disk", v->result.recipients,
			disk->recipients);
	if (!v->result.digest_equal)
		problem(v, "digest: memory and disk differ");
	replay_end(&v->replay);
}

static void finish(struct verify *v)
{
	if (v->held)
		ledger_unhold(v->l);
	v->held = false;
	v->done(v->arg, &v->result);
}

static void job_done(struct helper_job *job)
{
	struct verify *v = (struct verify *)(void *)job;
	v->out = false;
	if (v->err) {
		const struct ledger_header *h = &v->replay.parts[v->replay.current].header;
		problem(v, "ledger: file %u at octet %u: %s", h->sequence, v->replay.at,
			v->err == EBADMSG ? "is not what was written" : strerror(v->err));
		if (!v->closing)
			finish(v);
		return;
	}
	if (v->replayed && v->replay.base)
		compare(v);
	next_step(v);
}

static void check_file(struct verify *v, struct check *c)
{
	char name[24];
	uint8_t head[LARGE_HEAD_SIZE];
	struct stored_message m;
	struct error error;
	struct arena arena;
	struct stat st;
	arena_init(&arena, RECORD_LENGTH_MAX);
	c->file_err = EBADMSG;
	if (record_decode(buffer_slice(&v->record), &arena, &m, &error) &&
	    m.file.number == c->was.file) {
		large_name(c->was.file, name);
		int fd = disk_open_file(v->s->setup.large_dirfd, name, O_RDONLY);
		if (fd < 0 || disk_stat(fd, &st) < 0)
			c->file_err = errno;
		else if (disk_pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
			 large_head_version(head, m.file.number, m.file.nonce) != 0 &&
			 (uint64_t)st.st_size >= m.file.length)
			c->file_err = 0;
		if (fd >= 0)
			disk_close(fd);
	}
	arena_free(&arena);
}

static void check_one(struct verify *v, struct check *c)
{
	struct line l;
	char name[16];
	size_t room;
	c->file_err = -1;
	if (!c->digest_known) {
		struct slice raw = SLICE_EMPTY;
		if (ledger_line_read(c->ledger_fd, c->was.place.offset, true, &v->line) == 0)
			raw = buffer_slice(&v->line);
		c->record_err = EILSEQ; /* its line */
		if (!line_decode(&raw, &l) || l.kind != LINE_STATE || l.state.id != c->was.id)
			return;
		memcpy(c->digest, l.state.digest, DIGEST_SIZE);
	}
	static const uint8_t none[DIGEST_SIZE];
	segment_name(c->was.segment, name);
	int fd = disk_open_file(v->s->setup.segments_dirfd, name, O_RDONLY);
	buffer_reset(&v->record);
	char *to = buffer_reserve(&v->record, c->was.length, &room);
	c->record_err = fd < 0 ? errno : !to || room < c->was.length ? EBADMSG : 0;
	if (!c->record_err) {
		ssize_t n = disk_pread(fd, to, c->was.length, c->was.offset);
		c->record_err = n < 0 ? errno : 0;
		if (n > 0)
			buffer_grew(&v->record, (size_t)n);
	}
	if (fd >= 0)
		disk_close(fd);
	if (!c->record_err)
		c->record_err =
		    record_check(buffer_slice(&v->record), &c->was,
				 memcmp(c->digest, none, DIGEST_SIZE) ? c->digest : NULL);
	if (!c->record_err && c->was.file)
		check_file(v, c);
}

static void check_run(struct helper_job *job)
{
	struct verify *v = (struct verify *)(void *)job;
	for (size_t i = 0; i < v->count; i++)
		check_one(v, &v->checks[i]);
}

static void check_done(struct helper_job *job)
{
	struct verify *v = (struct verify *)(void *)job;
	v->out = false;
	for (size_t i = 0; i < v->count; i++) {
		const struct check *c = &v->checks[i];
		const struct entry *e = index_get(ledger_index(v->l), c->was.id);
		char id[QUEUE_ID_LEN + 1];
		bool same = e && e->segment == c->was.segment && e->offset == c->was.offset;
		queue_id_text(c->was.id, id);
		v->result.records += same;
		v->result.files += same && c->file_err >= 0;
		if (same && c->record_err == EILSEQ)
			problem(v, "%s: its line in the ledger can't be read", id);
		else if (same && c->record_err && c->was.disposition != MESSAGE_CORRUPT)
			problem(v, "%s: segment %u: %s", id, c->was.segment,
				strerror(c->record_err));
		if (same && c->file_err > 0)
			problem(v, "%s: large file %llu: %s", id, (unsigned long long)c->was.file,
				strerror(c->file_err));
		segments_unpin(v->s, c->was.segment);
	}
	v->count = 0;
	next_step(v);
}

static void want(void *arg, struct entry *e)
{
	struct verify *v = arg;
	struct ledger_file *f = ledger_file_of(v->l, e->place.file);
	if (!pool_file(v->s, e->segment) || (!e->state && !f))
		return;
	struct check *c = &v->checks[v->count++];
	*c = (struct check){.was = *e, .ledger_fd = f ? f->fd : -1};
	if (e->state) {
		c->digest_known = true;
		memcpy(c->digest, e->state->digest, DIGEST_SIZE);
	}
	segments_pin(v->s, e->segment);
}

static void step(void *arg)
{
	struct verify *v = arg;
	if (v->replay.base) {
		v->job.run = replay_run;
		v->job.done = job_done;
		v->out = helper_submit(v->h, &v->job);
		if (!v->out)
			next_step(v);
		return;
	}
	for (size_t left = VERIFY_WALK; left > 0 && !v->walked && v->count < VERIFY_BATCH;) {
		size_t n = VERIFY_BATCH - v->count < left ? VERIFY_BATCH - v->count : left;
		v->walked = !index_walk(ledger_index(v->l), &v->cursor, n, want, v);
		left -= n;
	}
	if (v->count > 0) {
		ledger_flush(v->l);
		v->job.run = check_run;
		v->job.done = check_done;
		v->out = true;
		helper_submit_urgent(v->h, &v->job);
	} else if (!v->walked) {
		next_step(v);
	} else {
		v->result.complete = true;
		finish(v);
	}
}

static void unsafe(void *arg)
{
	struct verify *v = arg;
	problem(v, "the ledger is being stated anew; ask again later");
	finish(v);
}

struct verify *verify_start(struct ledger *l, struct segments *s, struct helper *h,
			    verify_done *done, void *arg)
{
	struct verify *v = memory_zero(1, sizeof(*v));
	v->l = l;
	v->s = s;
	v->h = h;
	v->done = done;
	v->arg = arg;
	buffer_init(&v->record, RECORD_LENGTH_MAX);
	buffer_init(&v->line, LEDGER_LINE_MAX);
	v->checks = memory_zero(VERIFY_BATCH, sizeof(*v->checks));
	if (!ledger_flush(l)) {
		loop_timer_start(&v->timer, 0, unsafe, v);
		return v;
	}
	ledger_hold(l);
	v->held = true;
	v->digest = index_digest(ledger_index(l));
	v->result.messages = index_counts(ledger_index(l))->messages;
	v->result.recipients = index_counts(ledger_index(l))->recipients;
	replay_begin(&v->replay, 0);
	v->replay.part_count = ledger_parts(l, &v->replay.parts);
	next_step(v);
	return v;
}

void verify_free(struct verify **vp)
{
	struct verify *v = *vp;
	if (!v)
		return;
	v->closing = true;
	while (v->out)
		helper_drain(v->h);
	loop_timer_stop(&v->timer);
	if (v->held)
		ledger_unhold(v->l);
	if (v->replay.base)
		replay_end(&v->replay);
	buffer_free(&v->record);
	buffer_free(&v->line);
	memory_free(v->checks);
	memory_free(v);
	*vp = NULL;
}
