/*
 * recover: see recover.h. The manager's part is played in its simplest form: every message is
 * loaded, read, decoded, its content hashed, one after the other; what is EBADMSG or missing is set
 * aside as corrupt.
 */
#include "tests/crash/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "common/os/loop.h"
#include "queue/store/content.h"
#include "queue/store/digest.h"
#include "queue/store/recover.h"

enum { LOOK_US = 500, STANDS_STILL_US = 4 * RECOVER_POLL_US };

struct run {
	struct recovered *r;
	struct spool *spool;
	struct helper *helper;
	struct loop_timer look, limit;
	size_t room;
	bool waits; /* for a load, a read, a file */
	int err, fd;
	bool timed_out;
	size_t unscanned;
	uint64_t same_since;
};

static struct recovered *heard; /* the sink has no argument */

static void sink(enum log_level level, struct slice line)
{
	heard->complaints += level == LOG_LEVEL_ERROR;
	heard->torn += memmem(line.ptr, line.len, " is not whole;", 14) != NULL;
	buffer_append(&heard->log, line);
	buffer_append(&heard->log, SLICE("\n"));
}

static void arrived(void *arg, struct entry *e)
{
	struct run *run = arg;
	if (e->state)
		spool_rest(run->spool, e, (enum disposition)e->disposition, e->next);
}

static void out_of_time(void *arg)
{
	((struct run *)arg)->timed_out = true;
	loop_stop();
}

static void look(void *arg)
{
	struct run *run = arg;
	struct spool_status s;
	spool_status(run->spool, &s);
	bool idle = s.safe && helper_pending(run->helper) == 0;
	if (s.unscanned != run->unscanned || !idle)
		run->same_since = loop_now();
	run->unscanned = s.unscanned;
	/* What can't be read is tried again much later. */
	if (idle && (s.unscanned == 0 || loop_now() - run->same_since > STANDS_STILL_US))
		loop_stop();
	else
		loop_timer_start(&run->look, LOOK_US, look, run);
}

static void note(void *arg, struct entry *e)
{
	struct run *run = arg;
	struct recovered *r = run->r;
	if (r->count == run->room) {
		run->room = run->room ? run->room * 2 : 64;
		r->messages = memory_resize(r->messages, run->room, sizeof(*r->messages));
	}
	r->messages[r->count++] = (struct recovered_message){.id = e->id, .alive = e->alive};
}

static int by_id(const void *a, const void *b)
{
	const struct recovered_message *x = a, *y = b;
	return x->id < y->id ? -1 : x->id > y->id;
}

static void came(struct run *run, int err)
{
	run->err = err;
	if (run->waits)
		loop_stop();
	run->waits = false;
}

static void loaded(void *arg, struct entry *e, int err)
{
	(void)e;
	came(arg, err);
}

static void was_read(void *arg, int err)
{
	came(arg, err);
}

static void opened(void *arg, int fd, int err)
{
	((struct run *)arg)->fd = fd;
	came(arg, err);
}

/* The errno of what was begun with that result. */
static int await(struct run *run, int result)
{
	if (result != 0)
		return result == 1 ? 0 : errno;
	if (run->waits)
		loop_run();
	return run->timed_out ? ETIMEDOUT : run->err;
}

static bool hash(void *arg, struct slice piece)
{
	digest_add(arg, piece);
	return true;
}

static void hash_words(struct digest *sum, struct slice words)
{
	digest_add(sum, words);
	digest_add(sum, slice_make("", 1));
}

static int hash_message(struct run *run, struct entry *e, const struct stored_message *m,
			uint8_t to[DIGEST_SIZE])
{
	struct digest sum;
	struct content c = {
	    .trace = m->trace, .header = m->header, .body = m->body, .file = m->file, .fd = -1};
	digest_init(&sum);
	hash_words(&sum, m->reverse_path);
	for (uint32_t i = 0; i < m->recipient_count; i++)
		hash_words(&sum, m->recipients[i].address);
	int err = 0;
	if (m->file.number) {
		run->waits = true;
		spool_file_open(run->spool, e, opened, run);
		err = await(run, 0);
		c.fd = run->fd;
	}
	if (!err && content_read(&c, hash, &sum) < 0)
		err = errno;
	if (c.fd >= 0)
		disk_close(c.fd);
	digest_end(&sum, to);
	digest_free(&sum);
	return err;
}

static void list_addresses(const struct entry *e, const struct stored_message *m, char *to)
{
	size_t at = 0;
	for (uint32_t i = 0; i < e->state->count; i++) {
		const struct recipient_state *s = &e->state->recipients[i];
		struct slice a = i < e->state->received ? m->recipients[i].address : s->address;
		if (!recipient_ended(s->status) && at + a.len + 2 < RECOVERED_ADDRESSES) {
			memcpy(to + at, a.ptr, a.len);
			at += a.len;
			to[at++] = ' ';
		}
	}
}

/* 0, or why it is not to be delivered. */
static int read_message(struct run *run, struct entry *e, struct recovered_message *to)
{
	struct buffer record;
	struct arena arena;
	struct stored_message m;
	struct error error;
	int err = 0;
	buffer_init(&record, RECORD_LENGTH_MAX);
	arena_init(&arena, RECORD_LENGTH_MAX);
	run->waits = true;
	if (!e->state)
		err = await(run, spool_load(run->spool, e, loaded, run));
	run->waits = true;
	if (!err)
		err = await(run, spool_read(run->spool, e, &record, was_read, run));
	if (!err && !record_decode_checked(buffer_slice(&record), &arena, &m, &error))
		err = error.code;
	if (!err && m.recipient_count != e->state->received)
		err = EBADMSG;
	if (!err)
		err = hash_message(run, e, &m, to->sum);
	if (!err)
		list_addresses(e, &m, to->addresses);
	arena_free(&arena);
	buffer_free(&record);
	return err;
}

static void read_all(struct run *run)
{
	struct recovered *r = run->r;
	size_t cursor = 0;
	while (spool_walk(run->spool, &cursor, note, run))
		;
	if (r->count > 0)
		qsort(r->messages, r->count, sizeof(*r->messages), by_id);
	for (size_t i = 0; i < r->count && !run->timed_out; i++) {
		struct recovered_message *m = &r->messages[i];
		struct entry *e = spool_get(run->spool, m->id);
		int err = read_message(run, e, m);
		m->whole = err == 0;
		if ((err == EBADMSG || err == ENOENT) && e->disposition != MESSAGE_CORRUPT)
			spool_rest(run->spool, e, MESSAGE_CORRUPT, 0);
		else if (e->state)
			spool_rest(run->spool, e, (enum disposition)e->disposition, e->next);
		m->disposition = e->disposition;
	}
}

static bool count_file(void *arg, const char *name, unsigned char type)
{
	(void)name;
	(void)type;
	++*(size_t *)arg;
	return true;
}

static void count_set_aside(int dirfd, struct recovered *r)
{
	int fd = disk_open(dirfd, "corrupt", O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd < 0)
		return;
	disk_list(fd, count_file, &r->set_aside);
	disk_close(fd);
}

void recover_run(int dirfd, const struct recover_limits *limits, struct recovered *r)
{
	struct run run = {.r = r, .helper = helper_new(), .fd = -1};
	struct spool_setup setup = {.dirfd = dirfd,
				    .helper = run.helper,
				    .boot_id = "11111111-2222-3333-4444-555555555555",
				    .lock_wait_us = 1,
				    .segment_size = limits->segment_size,
				    .ledger_size = limits->ledger_size,
				    .arrived = arrived,
				    .arg = &run};
	memset(r, 0, sizeof(*r));
	buffer_init(&r->log, RECOVER_LOG_MAX);
	heard = r;
	log_set_sink(sink, LOG_LEVEL_WARNING);
	run.spool = spool_open(&setup, &r->refusal);
	if (run.spool) {
		r->refusal.code = 0;
		loop_timer_start(&run.look, 0, look, &run);
		loop_timer_start(&run.limit, limits->time_us, out_of_time, &run);
		loop_run();
		if (!run.timed_out)
			read_all(&run);
		loop_timer_stop(&run.look);
		loop_timer_stop(&run.limit);
		r->done = !run.timed_out;
		r->unscanned = run.unscanned;
		spool_close(&run.spool);
	}
	helper_free(&run.helper);
	count_set_aside(dirfd, r);
	log_set_sink(NULL, LOG_LEVEL_ERROR);
}

void recovered_free(struct recovered *r)
{
	memory_free(r->messages);
	buffer_free(&r->log);
}

const struct recovered_message *recovered_find(const struct recovered *r, uint64_t id)
{
	struct recovered_message key = {.id = id};
	return r->count > 0 ? bsearch(&key, r->messages, r->count, sizeof(key), by_id) : NULL;
}
