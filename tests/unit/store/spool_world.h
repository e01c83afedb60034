/*
 * spool_world: a spool in a directory of its own, with a real writer beside it in the same loop.
 * For the tests of the manager's face.
 */
#ifndef TESTS_UNIT_STORE_SPOOL_WORLD_H
#define TESTS_UNIT_STORE_SPOOL_WORLD_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/os/disk.h"
#include "common/os/loop.h"
#include "queue/store/spool.h"
#include "queue/store/writer.h"

#ifndef SPOOL_WORLD_SIZES /* who wants others says so, and which */
enum { WORLD_SEGMENT = 512 * 1024, WORLD_LEDGER = 256 * 1024 };
#endif
enum { WORLD_IDS = 4096, WRITER = 7 };

struct spool_world {
	char path[64];
	int dirfd;
	struct helper *helper;
	struct spool *spool;
	struct writer *writer;
	uint32_t incarnation;
	bool deaf;		 /* notices are lost on the way */
	uint64_t ids[WORLD_IDS]; /* that arrived */
	size_t arrived, ended, committed, failed;
	/* Notifications: what the next ones that are sent report on, and what is welcome. */
	const char *hold; /* of mail; NULL: none */
	uint64_t parent, welcome_parent;
	uint32_t parent_mark, welcome_mark;
	size_t refused;
	bool (*until)(struct spool_world *w);
	struct loop_timer look;
	bool timed_out;
	struct loop_timer limit;
};

static inline void world_arrived(void *arg, struct entry *e)
{
	struct spool_world *w = arg;
	ck_assert_ptr_nonnull(e->state);
	w->ids[w->arrived++ % WORLD_IDS] = e->id;
}

static inline void world_ended(void *arg, struct entry *e)
{
	(void)e;
	((struct spool_world *)arg)->ended++;
}

/* As the manager does: the parent is told with it. */
static inline bool world_welcome(void *arg, uint64_t parent, uint32_t mark)
{
	struct spool_world *w = arg;
	struct entry *e = spool_get(w->spool, parent);
	if (!e || parent != w->welcome_parent || mark != w->welcome_mark ||
	    spool_told_mark(e) != mark) {
		w->refused++;
		return false;
	}
	spool_told(w->spool, e);
	return true;
}

static inline void world_open(struct spool_world *w)
{
	struct error e = {0};
	struct spool_setup setup = {.dirfd = w->dirfd,
				    .helper = w->helper,
				    .boot_id = "11111111-2222-3333-4444-555555555555",
				    .extra = 48,
				    .segment_size = WORLD_SEGMENT,
				    .ledger_size = WORLD_LEDGER,
				    .arrived = world_arrived,
				    .welcome = world_welcome,
				    .ended = world_ended,
				    .arg = w};
	w->spool = spool_open(&setup, &e);
	ck_assert_msg(w->spool != NULL, "%s", e.text);
}

static inline void world_make(struct spool_world *w)
{
	memset(w, 0, sizeof(*w));
	snprintf(w->path, sizeof(w->path), "/tmp/stagepost-spool-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(w->path));
	w->dirfd = open(w->path, O_RDONLY | O_DIRECTORY);
	w->helper = helper_new();
	world_open(w);
}

static inline void world_shell(const char *format, const char *a, const char *b)
{
	char command[512];
	snprintf(command, sizeof(command), format, a, b);
	ck_assert_int_eq(system(command), 0);
}

static inline void world_stop(struct spool_world *w)
{
	writer_free(&w->writer);
	spool_close(&w->spool);
	helper_free(&w->helper);
	close(w->dirfd);
	world_shell("rm -rf %s%s", w->path, "");
}

/* What a crash at this moment would leave: no lock is held there. */
static inline void world_crash_copy(const struct spool_world *from, struct spool_world *to)
{
	memset(to, 0, sizeof(*to));
	snprintf(to->path, sizeof(to->path), "/tmp/stagepost-spool-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(to->path));
	world_shell("cp -r %s/. %s/", from->path, to->path);
	to->dirfd = open(to->path, O_RDONLY | O_DIRECTORY);
	to->helper = helper_new();
	world_open(to);
}

static inline void world_timeout(void *arg)
{
	((struct spool_world *)arg)->timed_out = true;
	loop_stop();
}

static inline void world_look(void *arg)
{
	struct spool_world *w = arg;
	if (w->until(w))
		loop_stop();
	else
		loop_timer_start(&w->look, 1000, world_look, w);
}

static inline void world_run_limit(struct spool_world *w, bool (*until)(struct spool_world *w),
				   uint64_t us)
{
	w->until = until;
	w->timed_out = false;
	loop_timer_start(&w->look, 0, world_look, w);
	loop_timer_start(&w->limit, us, world_timeout, w);
	loop_run();
	loop_timer_stop(&w->look);
	loop_timer_stop(&w->limit);
}

static inline void world_run(struct spool_world *w, bool (*until)(struct spool_world *w))
{
	world_run_limit(w, until, 10000000);
	ck_assert(!w->timed_out);
}

static inline bool world_synced(struct spool_world *w)
{
	return helper_pending(w->helper) == 0 && spool_safe(w->spool);
}

static inline void world_leased(void *arg, const struct writer_lease *lease, int fd)
{
	struct spool_world *w = arg;
	ck_assert_ptr_nonnull(lease);
	writer_take_lease(w->writer, lease, fd);
}

static inline void world_want_lease(void *arg, bool fresh)
{
	struct spool_world *w = arg;
	if (fresh)
		w->incarnation = 0;
	spool_lease(w->spool, WRITER, &w->incarnation, world_leased, w);
}

static inline void world_filed(void *arg, uint64_t number, const uint8_t nonce[NONCE_SIZE], int fd)
{
	struct spool_world *w = arg;
	ck_assert_uint_ne(number, 0);
	writer_take_file(w->writer, number, nonce, fd);
}

static inline void world_want_file(void *arg)
{
	struct spool_world *w = arg;
	spool_file(w->spool, WRITER, world_filed, w);
}

static inline void world_notice(void *arg, uint64_t lease, const struct writer_entry *entries,
				size_t count)
{
	struct spool_world *w = arg;
	if (!w->deaf)
		ck_assert(spool_notice(w->spool, WRITER, lease, entries, count));
}

static inline void world_sealed(void *arg, uint64_t lease, uint32_t records, uint64_t end)
{
	struct spool_world *w = arg;
	if (!w->deaf)
		ck_assert(spool_sealed(w->spool, WRITER, lease, records, end, false));
}

static inline void world_failed(void *arg, uint64_t lease, uint32_t records, uint64_t end, int err)
{
	struct spool_world *w = arg;
	(void)err;
	ck_assert(spool_sealed(w->spool, WRITER, lease, records, end, true));
}

static inline void world_abandoned(void *arg, uint64_t file)
{
	struct spool_world *w = arg;
	ck_assert(spool_file_abandoned(w->spool, WRITER, file));
}

static inline bool world_writer_ready(struct spool_world *w)
{
	return writer_state(w->writer) == WRITER_READY;
}

static inline void world_writer(struct spool_world *w)
{
	struct writer_hooks hooks = {.want_lease = world_want_lease,
				     .want_file = world_want_file,
				     .notice = world_notice,
				     .sealed = world_sealed,
				     .failed = world_failed,
				     .abandoned = world_abandoned,
				     .arg = w};
	w->writer = writer_new(&hooks);
	writer_found(w->writer);
	world_run(w, world_writer_ready);
}

static inline void world_committed(void *arg, int err)
{
	struct spool_world *w = arg;
	w->committed += err == 0;
	w->failed += err != 0;
}

/* Hands a message with a body of so many octets in; false: it could not begin. */
static inline bool world_send(struct spool_world *w, size_t size, uint32_t recipients)
{
	static char body[1024 * 1024];
	struct stored_recipient to[8] = {{.address = SLICE("bob@trial.example")}};
	for (uint32_t i = 1; i < recipients; i++)
		to[i].address = SLICE("alice@trial.example");
	memset(body, 'b', sizeof(body));
	uint64_t id = writer_draw_id(w->writer);
	if (!id)
		return false;
	struct draft *d = draft_new(w->writer, id);
	for (size_t done = 0; done < size;) {
		size_t n = size - done < 65536 ? size - done : 65536;
		enum draft_result r = draft_body(d, slice_make(body, n), NULL, NULL);
		ck_assert(r == DRAFT_OK || r == DRAFT_WAIT);
		done += n;
	}
	struct stored_message m = {.id = id,
				   .arrived = 1,
				   .content_size = size,
				   .reverse_path = SLICE("a@b.example"),
				   .client = SLICE("192.0.2.1"),
				   .trace = SLICE("Received: x\r\n"),
				   .header = SLICE("Subject: y\r\n"),
				   .recipients = to,
				   .recipient_count = recipients,
				   .hold = slice_str(w->hold ? w->hold : ""),
				   .parent = w->parent,
				   .parent_mark = w->parent_mark,
				   .parent_kind = w->parent ? 1 : 0};
	draft_commit(&d, &m, world_committed, w);
	return true;
}

static inline bool world_idle(struct spool_world *w)
{
	return writer_pending(w->writer) == 0 && world_synced(w);
}

static inline void world_deliver(struct spool_world *w, uint64_t id)
{
	struct entry *e = spool_get(w->spool, id);
	struct reply reply = {.code = 250, .enhanced = {2, 0, 0}, .text = SLICE("ok")};
	bool over = false;
	for (uint32_t i = 0; !over; i++) {
		spool_attempt(w->spool, e, i);
		over = spool_result(w->spool, e, i, RECIPIENT_DELIVERED, 0, &reply);
	}
}

#endif
