/* The manager's face: mail goes in, is found after a crash, moves, ends; a segment is not free a
 * moment too early; memory and disk agree. */
#include <dirent.h>
#include <sys/stat.h>

#include "common/base/arena.h"
#include "common/base/queue_id.h"
#include "common/os/clock.h"
#include "queue/store/spool_parts.h"
#include "common/os/lock.h"
#include "tests/unit/store/spool_world.h"

static struct verify_result verdict;
static bool verdict_there;

static void take_verdict(void *arg, const struct verify_result *result)
{
	(void)arg;
	verdict = *result;
	verdict_there = true;
}

static bool has_verdict(struct spool_world *w)
{
	(void)w;
	return verdict_there;
}

static void verify(struct spool_world *w, size_t problems)
{
	verdict_there = false;
	ck_assert(spool_verify(w->spool, take_verdict, NULL));
	ck_assert(!spool_verify(w->spool, take_verdict, NULL));
	world_run(w, has_verdict);
	ck_assert_msg(verdict.complete && verdict.problems == problems, "%zu problems: %s",
		      verdict.problems, verdict.problem[0]);
}

static struct spool_status status_of(struct spool_world *w)
{
	struct spool_status s;
	spool_status(w->spool, &s);
	return s;
}

static void send(struct spool_world *w, size_t messages, size_t size, uint32_t recipients)
{
	size_t want = w->committed + messages;
	while (w->committed < want) {
		while (messages > 0 && world_send(w, size, recipients)) {
			messages--;
			if (messages % 16 == 0)
				break;
		}
		world_run(w, world_idle);
		ck_assert_uint_eq(w->failed, 0);
	}
}

START_TEST(mail_goes_in_and_ends_and_its_segments_are_used_again)
{
	struct spool_world w;
	world_make(&w);
	world_writer(&w);
	for (int round = 0; round < 20; round++) {
		size_t from = w.arrived;
		send(&w, 64, 4000, 2);
		ck_assert_uint_eq(w.arrived, from + 64);
		verify(&w, 0);
		ck_assert_uint_eq(verdict.records, 64);
		for (size_t i = from; i < w.arrived; i++)
			world_deliver(&w, w.ids[i % WORLD_IDS]);
		ck_assert(spool_flush(w.spool));
		ck_assert_uint_eq(w.ended, w.arrived);
		ck_assert_uint_eq(spool_counts(w.spool)->messages, 0);
	}
	world_run(&w, world_idle);
	/* 20 * 64 * 4 KiB went through. */
	ck_assert_uint_le(status_of(&w).segment_octets, (uint64_t)14 * WORLD_SEGMENT);
	verify(&w, 0);
	world_stop(&w);
}
END_TEST

START_TEST(what_was_never_noticed_is_found_after_a_crash)
{
	struct spool_world w, after;
	world_make(&w);
	world_writer(&w);
	send(&w, 30, 3000, 1);
	for (size_t i = 0; i < 10; i++)
		world_deliver(&w, w.ids[i]);
	w.deaf = true;
	send(&w, 25, 3000, 1);
	ck_assert_uint_eq(w.arrived, 30);
	world_crash_copy(&w, &after);
	ck_assert_uint_eq(spool_counts(after.spool)->messages, 20);
	world_run(&after, world_synced);
	struct spool_status s = status_of(&after);
	while (s.unscanned > 0) {
		world_run(&after, world_synced);
		s = status_of(&after);
	}
	ck_assert_uint_eq(after.arrived, 25);
	ck_assert_uint_eq(spool_counts(after.spool)->messages, 45);
	verify(&after, 0);
	ck_assert_uint_eq(verdict.records, 45);
	for (size_t i = 0; i < after.arrived; i++)
		world_deliver(&after, after.ids[i]);
	world_run(&after, world_synced);
	world_stop(&after);
	world_stop(&w);
}
END_TEST

/* A hand-made writer, for what no honest one does. */
static struct writer_lease lent;
static int lent_fd;

static void take_lent(void *arg, const struct writer_lease *lease, int fd)
{
	(void)arg;
	ck_assert_ptr_nonnull(lease);
	lent = *lease;
	lent_fd = fd;
}

static bool is_lent(struct spool_world *w)
{
	(void)w;
	return lent.number != 0;
}

static void borrow(struct spool_world *w, uint32_t writer, uint32_t *incarnation)
{
	memset(&lent, 0, sizeof(lent));
	spool_lease(w->spool, writer, incarnation, take_lent, w);
	world_run(w, is_lent);
}

static struct writer_entry entry_at(uint32_t ordinal)
{
	return (struct writer_entry){.id = queue_id_make(lent.spool, lent.incarnation, ordinal + 1),
				     .offset = 4096 * ordinal + 64,
				     .length = 512,
				     .ordinal = ordinal,
				     .recipients = 1};
}

START_TEST(a_writer_that_lies_is_found_out)
{
	struct spool_world w;
	uint32_t incarnation = 0;
	world_make(&w);
	borrow(&w, 1, &incarnation);
	ck_assert_uint_ne(incarnation, 0);
	const struct writer_entry good = entry_at(0);
	struct writer_entry e = good;
	ck_assert(!spool_notice(w.spool, 2, lent.number, &e, 1)); /* another's lease */
	ck_assert(!spool_notice(w.spool, 1, lent.number + 1, &e, 1));
	e.ordinal = 1;
	ck_assert(!spool_notice(w.spool, 1, lent.number, &e, 1));
	e = good;
	e.offset = WORLD_SEGMENT - 256;
	ck_assert(!spool_notice(w.spool, 1, lent.number, &e, 1));
	e = good;
	e.offset = UINT64_MAX - 255; /* its end is within the segment, by 64 bits */
	ck_assert(!spool_notice(w.spool, 1, lent.number, &e, 1));
	e = good;
	e.length = 7;
	ck_assert(!spool_notice(w.spool, 1, lent.number, &e, 1));
	e = good;
	e.recipients = RECIPIENTS_RECEIVED_MAX + 1;
	ck_assert(!spool_notice(w.spool, 1, lent.number, &e, 1));
	e = good;
	e.id = queue_id_make(lent.spool, lent.incarnation + 1, 1); /* another writer's id */
	ck_assert(!spool_notice(w.spool, 1, lent.number, &e, 1));
	e = good;
	e.file = 3; /* never lent */
	ck_assert(!spool_notice(w.spool, 1, lent.number, &e, 1));
	ck_assert(!spool_sealed(w.spool, 1, lent.number, 1, 8192, false));
	e = good;
	e.parent = UINT64_MAX; /* no queue id */
	ck_assert(!spool_notice(w.spool, 1, lent.number, &e, 1));
	ck_assert(spool_notice(w.spool, 1, lent.number, &good, 1));
	e = entry_at(1);
	e.offset = good.offset + 8; /* within the record before it */
	ck_assert(!spool_notice(w.spool, 1, lent.number, &e, 1));
	e = entry_at(1);
	e.id = good.id;
	ck_assert(!spool_notice(w.spool, 1, lent.number, &e, 1));
	close(lent_fd);
	world_stop(&w);
}
END_TEST

static bool segment_is_free(struct spool_world *w)
{
	return !index_segment(ledger_index(spool_ledger(w->spool)), lent.segment);
}

START_TEST(a_segment_is_not_free_a_moment_too_early)
{
	struct spool_world w;
	uint32_t incarnation = 0;
	world_make(&w);
	borrow(&w, 1, &incarnation);
	struct writer_entry e[3] = {entry_at(0), entry_at(1), entry_at(2)};
	/* Sealed before its last notices came (the pitfall): refused. */
	ck_assert(spool_notice(w.spool, 1, lent.number, e, 2));
	world_deliver(&w, e[0].id);
	world_deliver(&w, e[1].id);
	ck_assert(!spool_sealed(w.spool, 1, lent.number, 3, 16384, false));
	/* All that is known has ended, but it is not sealed. */
	world_run_limit(&w, segment_is_free, 300000);
	ck_assert(w.timed_out);
	ck_assert(spool_notice(w.spool, 1, lent.number, e + 2, 1));
	ck_assert(spool_sealed(w.spool, 1, lent.number, 3, 16384, false));
	world_run_limit(&w, segment_is_free, 300000);
	ck_assert(w.timed_out); /* one is alive */
	segments_pin(spool_segments(w.spool), lent.segment);
	world_deliver(&w, e[2].id);
	ck_assert(!segment_is_free(&w)); /* its end is not synced */
	world_run_limit(&w, segment_is_free, 300000);
	ck_assert(w.timed_out); /* a job is out */
	segments_unpin(spool_segments(w.spool), lent.segment);
	world_run(&w, segment_is_free);
	close(lent_fd);
	world_stop(&w);
}
END_TEST

START_TEST(a_dead_writers_segment_waits_for_its_lock)
{
	struct spool_world w;
	uint32_t incarnation = 0;
	world_make(&w);
	borrow(&w, 1, &incarnation);
	spool_writer_lost(w.spool, 1);
	ck_assert_uint_eq(status_of(&w).unscanned, 1);
	world_run_limit(&w, segment_is_free, 200000);
	ck_assert(w.timed_out);
	close(lent_fd); /* nobody holds it any more */
	world_run(&w, segment_is_free);
	ck_assert_uint_eq(status_of(&w).unscanned, 0);
	world_stop(&w);
}
END_TEST

static bool all_moved(struct spool_world *w)
{
	for (size_t i = 0; i < w->arrived; i++) {
		struct entry *e = spool_get(w->spool, w->ids[i]);
		if (e && !index_segment(ledger_index(spool_ledger(w->spool)), e->segment)->line.own)
			return false;
	}
	return true;
}

static int read_err;

static void read_done(void *arg, int err)
{
	(void)arg;
	read_err = err;
	loop_stop();
}

static void load_done(void *arg, struct entry *e, int err)
{
	(void)arg;
	(void)e;
	ck_assert_int_eq(err, 0);
	loop_stop();
}

static void load(struct spool_world *w, struct entry *e)
{
	int now = spool_load(w->spool, e, load_done, NULL);
	ck_assert_int_ge(now, 0);
	if (now == 0)
		loop_run();
	ck_assert_ptr_nonnull(e->state);
}

static int read_record(struct spool_world *w, struct entry *e, struct buffer *b)
{
	read_err = -1;
	int now = spool_read(w->spool, e, b, read_done, NULL);
	if (now == 0)
		loop_run();
	return now > 0 ? 0 : now < 0 ? errno : read_err;
}

static bool first_segment_is_made(struct spool_world *w)
{
	return faccessat(w->dirfd, "segments/00000001", F_OK, 0) == 0 && world_synced(w);
}

START_TEST(a_free_segment_that_somebody_holds_is_not_lent)
{
	struct spool_world w;
	world_make(&w);
	world_run(&w, first_segment_is_made);
	int held = openat(w.dirfd, "segments/00000001", O_WRONLY);
	ck_assert_int_ge(held, 0);
	ck_assert_int_eq(lock_take(held, true), 0);
	world_writer(&w);
	send(&w, 4, 1000, 1);
	ck_assert_uint_eq(w.arrived, 4);
	world_run(&w, world_idle);
	struct stat st;
	ck_assert_int_eq(fstat(held, &st), 0);
	ck_assert_uint_eq(st.st_nlink, 0); /* what stands there now is another file */
	close(held);
	world_stop(&w);
}
END_TEST

/* It would have kept the helper, or all new mail from getting a segment. */
START_TEST(what_has_a_free_segments_name_and_is_no_file_is_left_alone)
{
	struct spool_world w;
	world_make(&w);
	spool_close(&w.spool);
	world_shell(
	    "cd %s/segments && rm -f *; mkfifo 00000001; mkdir 00000002; ln -s /%s 00000003",
	    w.path, "etc/passwd");
	world_open(&w);
	world_writer(&w);
	send(&w, 4, 1000, 1);
	ck_assert_uint_eq(w.arrived, 4);
	ck_assert_uint_gt(spool_get(w.spool, w.ids[0])->segment, 3);
	struct stat st;
	ck_assert_int_eq(fstatat(w.dirfd, "segments/00000001", &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert(S_ISFIFO(st.st_mode));
	world_stop(&w);
}
END_TEST

START_TEST(mail_that_stays_moves_and_is_the_same)
{
	struct spool_world w, after;
	struct buffer record;
	world_make(&w);
	world_writer(&w);
	buffer_init(&record, RECORD_LENGTH_MAX);
	send(&w, 40, 9000, 2);
	for (size_t i = 0; i < w.arrived; i++) {
		struct entry *e = spool_get(w.spool, w.ids[i]);
		struct reply reply = {.code = 450, .text = SLICE("try again")};
		spool_attempt(w.spool, e, 1);
		ck_assert(!spool_result(w.spool, e, 1, RECIPIENT_DEFERRED, 999, &reply));
		spool_rest(w.spool, e, MESSAGE_QUEUED, 999);
		ck_assert_ptr_null(e->state);
		spool_stays(w.spool, e);
	}
	move_now(spool_move(w.spool));
	world_run(&w, all_moved);
	world_run(&w, world_idle);
	/* All in one batch, though one alone was due. */
	const struct segment_entry *own = index_segment(ledger_index(spool_ledger(w.spool)),
							spool_get(w.spool, w.ids[0])->segment);
	ck_assert_uint_eq(own->live, 40);
	ck_assert_uint_lt(spool_get(w.spool, w.ids[39])->offset, 40 * 9500);
	verify(&w, 0);
	ck_assert_uint_eq(verdict.records, 40);
	for (size_t i = 0; i < w.arrived; i++) {
		struct entry *e = spool_get(w.spool, w.ids[i]);
		load(&w, e);
		ck_assert_int_eq(read_record(&w, e, &record), 0);
		const struct recipient_state *r = &e->state->recipients[1];
		ck_assert_int_eq(r->status, RECIPIENT_DEFERRED);
		ck_assert_uint_eq(r->next, 999);
		ck_assert_uint_eq(r->attempts, 1);
		ck_assert(slice_equal(r->reply.text, SLICE("try again")));
		struct arena arena;
		struct stored_message m;
		struct error error;
		arena_init(&arena, 1 << 20);
		ck_assert(record_decode(buffer_slice(&record), &arena, &m, &error));
		ck_assert_uint_eq(m.id, e->id);
		ck_assert_uint_eq(m.recipient_count, 2);
		arena_free(&arena);
	}
	world_crash_copy(&w, &after);
	world_run(&after, world_synced);
	ck_assert_uint_eq(spool_counts(after.spool)->messages, 40);
	verify(&after, 0);
	world_stop(&after);
	buffer_free(&record);
	world_stop(&w);
}
END_TEST

static void spoil(struct spool_world *w, const struct entry *e)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/segments/%08u", w->path, e->segment);
	int fd = open(path, O_WRONLY);
	ck_assert_int_eq(pwrite(fd, "X", 1, e->offset + 100), 1);
	close(fd);
}

START_TEST(spoilt_records_are_found_out)
{
	struct spool_world w;
	struct buffer record;
	world_make(&w);
	world_writer(&w);
	buffer_init(&record, RECORD_LENGTH_MAX);
	send(&w, 3, 500, 1);
	struct entry *e = spool_get(w.spool, w.ids[1]);
	spoil(&w, e);
	ck_assert_int_eq(read_record(&w, e, &record), EBADMSG);
	verify(&w, 1);
	buffer_free(&record);
	world_stop(&w);
}
END_TEST

/* The first read opens the segment, the second brings those behind it. */
START_TEST(records_that_lie_behind_one_come_with_it)
{
	struct spool_world w;
	struct buffer record;
	world_make(&w);
	world_writer(&w);
	buffer_init(&record, RECORD_LENGTH_MAX);
	send(&w, 8, 500, 1);
	for (size_t i = 0; i < 2; i++)
		ck_assert_int_eq(read_record(&w, spool_get(w.spool, w.ids[i]), &record), 0);
	spoil(&w, spool_get(w.spool, w.ids[5]));
	for (size_t i = 2; i < 8; i++)
		ck_assert_int_eq(read_record(&w, spool_get(w.spool, w.ids[i]), &record), 0);
	/* Who is tried again is read from the disk. */
	ck_assert_int_eq(read_record(&w, spool_get(w.spool, w.ids[5]), &record), EBADMSG);
	buffer_free(&record);
	world_stop(&w);
}
END_TEST

START_TEST(a_segment_that_is_used_again_is_read_anew)
{
	struct spool_world w;
	struct buffer record;
	uint32_t segment = 0, offset = 0, again = 0;
	world_make(&w);
	world_writer(&w);
	buffer_init(&record, RECORD_LENGTH_MAX);
	for (int round = 0; round < 20; round++) {
		size_t from = w.arrived;
		send(&w, 64, 4000, 2);
		for (size_t i = from; i < w.arrived; i++) {
			struct entry *e = spool_get(w.spool, w.ids[i % WORLD_IDS]);
			bool first = i < 2, same = e->segment == segment && e->offset > offset &&
						   e->offset < offset + 32 * 1024;
			if (first || (round > 0 && same))
				ck_assert_int_eq(read_record(&w, e, &record), 0);
			if (first) {
				segment = e->segment;
				offset = e->offset;
			}
			again += round > 0 && same;
			world_deliver(&w, e->id);
		}
		ck_assert(spool_flush(w.spool));
	}
	ck_assert_uint_gt(again, 0);
	buffer_free(&record);
	world_stop(&w);
}
END_TEST

static size_t large_files(struct spool_world *w)
{
	char command[128];
	snprintf(command, sizeof(command),
		 "ls -s %s/large | grep -v free | grep -c ' *[1-9][0-9]* 0'", w->path);
	FILE *f = popen(command, "r");
	unsigned n = 99;
	ck_assert_int_eq(fscanf(f, "%u", &n), 1);
	pclose(f);
	return n;
}

static bool no_large(struct spool_world *w)
{
	return world_idle(w) && large_files(w) == 0;
}

START_TEST(large_files_live_as_long_as_their_message)
{
	struct spool_world w, after;
	world_make(&w);
	world_writer(&w);
	send(&w, 4, 200000, 1);
	ck_assert_uint_eq(w.arrived, 4);
	ck_assert_uint_eq(large_files(&w), 4);
	verify(&w, 0);
	ck_assert_uint_eq(verdict.files, 4);
	world_deliver(&w, w.ids[0]);
	ck_assert(spool_flush(w.spool));
	/* One that no message names, left by a crash. */
	world_shell("head -c 8192 /dev/zero > %s/large/0000000000000900%s", w.path, "");
	world_crash_copy(&w, &after);
	while (status_of(&after).unscanned > 0 || large_files(&after) > 3)
		world_run(&after, world_synced);
	ck_assert_uint_eq(large_files(&after), 3);
	verify(&after, 0);
	world_stop(&after);
	for (size_t i = 1; i < 4; i++)
		world_deliver(&w, w.ids[i]);
	world_shell("rm -f %s/large/0000000000000900%s", w.path, "");
	world_run(&w, no_large);
	world_stop(&w);
}
END_TEST

static size_t old_files(struct spool_world *w, const char *but)
{
	char command[160];
	snprintf(command, sizeof(command), "ls %s/large | grep -v '%s' | grep -c free", w->path,
		 but);
	FILE *f = popen(command, "r");
	unsigned n = 99;
	ck_assert_int_eq(fscanf(f, "%u", &n), 1);
	pclose(f);
	return n;
}

static bool four_old(struct spool_world *w)
{
	return world_idle(w) && old_files(w, "-") == 4;
}

static bool none_old(struct spool_world *w)
{
	return world_idle(w) && old_files(w, "-") == 0;
}

/* Its octets may still be sent to somebody: they must not become others' mail. */
START_TEST(a_file_is_used_again_when_its_message_has_ended_and_nobody_has_it_open)
{
	struct spool_world w, after;
	char before[4096], now[4096], path[128];
	world_make(&w);
	world_writer(&w);
	send(&w, 4, 200000, 1);
	for (size_t i = 0; i < 4; i++)
		world_deliver(&w, w.ids[i]);
	world_run(&w, four_old);
	snprintf(path, sizeof(path), "%s/first", w.path);
	world_shell("ln \"$(ls %s/large/*.free | tail -1)\" %s/first", w.path, w.path);
	int fd = open(path, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	unlink(path);
	ck_assert_int_eq(pread(fd, before, sizeof(before), 0), (ssize_t)sizeof(before));
	for (unsigned k = 0; k < 3; k++) { /* more than were made in advance */
		send(&w, 4, 200000 - 50000 * k, 1);
		world_run(&w, world_idle);
	}
	verify(&w, 0);
	ck_assert_uint_eq(verdict.files, 12);
	world_run(&w, none_old); /* three were taken, the open one is gone */
	ck_assert_int_eq(pread(fd, now, sizeof(now), 0), (ssize_t)sizeof(now));
	ck_assert_mem_eq(now, before, sizeof(now));
	close(fd);
	for (size_t i = 4; i < 8; i++)
		world_deliver(&w, w.ids[i]);
	world_run(&w, four_old);
	world_crash_copy(&w, &after);
	while (status_of(&after).unscanned > 0 || old_files(&after, "-") > 0)
		world_run(&after, world_synced);
	verify(&after, 0);
	ck_assert_uint_eq(verdict.files, 8);
	world_stop(&after);
	world_stop(&w);
}
END_TEST

/* Of the longest file there. */
static off_t longest(struct spool_world *w)
{
	struct dirent *d;
	struct stat st;
	off_t most = 0;
	int fd = openat(w->dirfd, "large", O_RDONLY | O_DIRECTORY);
	DIR *dir = fdopendir(fd);
	ck_assert_ptr_nonnull(dir);
	while ((d = readdir(dir)))
		if (d->d_name[0] != '.' && fstatat(fd, d->d_name, &st, 0) == 0 && st.st_size > most)
			most = st.st_size;
	closedir(dir);
	return most;
}

static void defer(struct spool_world *w, uint64_t id)
{
	struct entry *e = spool_get(w->spool, id);
	struct reply reply = {.code = 450, .text = SLICE("try again")};
	spool_attempt(w->spool, e, 0);
	ck_assert(!spool_result(w->spool, e, 0, RECIPIENT_DEFERRED, 999, &reply));
	spool_rest(w->spool, e, MESSAGE_QUEUED, 999);
	spool_stays(w->spool, e);
}

START_TEST(a_message_that_stays_gives_back_what_it_does_not_need_of_a_file_used_again)
{
	struct spool_world w, after;
	world_make(&w);
	world_writer(&w);
	send(&w, 4, 1000000, 1);
	for (size_t i = 0; i < 4; i++)
		world_deliver(&w, w.ids[i]);
	world_run(&w, four_old);
	for (unsigned k = 0; k < 3; k++) /* more than were made in advance */
		send(&w, 4, 140000, 1);
	world_run(&w, none_old);
	ck_assert_int_gt(longest(&w), 1000000);
	for (size_t i = 4; i < w.arrived; i++)
		defer(&w, w.ids[i]);
	move_now(spool_move(w.spool));
	world_run(&w, all_moved);
	world_run(&w, world_idle);
	ck_assert_int_ge(longest(&w), 140000);
	ck_assert_int_le(longest(&w), 140000 + 3 * 4096);
	verify(&w, 0);
	ck_assert_uint_eq(verdict.files, 12);
	world_crash_copy(&w, &after);
	world_run(&after, world_synced);
	verify(&after, 0);
	ck_assert_uint_eq(verdict.files, 12);
	world_stop(&after);
	world_stop(&w);
}
END_TEST

START_TEST(a_file_of_more_than_a_mebibyte_and_a_half_is_not_used_again)
{
	struct spool_world w;
	world_make(&w);
	world_writer(&w);
	send(&w, 1, 1024 * 1024, 1);
	send(&w, 1, 1700000, 1);
	for (size_t i = 0; i < 2; i++)
		world_deliver(&w, w.ids[i]);
	world_run(&w, no_large);
	ck_assert_uint_eq(old_files(&w, "-"), 1);
	ck_assert_int_lt(longest(&w), 1200000);
	world_stop(&w);
}
END_TEST

START_TEST(an_expansion_replaces_a_recipient)
{
	struct spool_world w, after;
	world_make(&w);
	world_writer(&w);
	send(&w, 2, 100, 1);
	struct entry *e = spool_get(w.spool, w.ids[0]);
	struct spool_address to[RECIPIENTS_ADDED_MAX + 1] = {{SLICE("x@y"), SLICE("list@y")},
							     {SLICE("z@y"), SLICE("list@y")}};
	bool ended;
	ck_assert(!spool_expand(w.spool, e, 0, to, RECIPIENTS_ADDED_MAX + 1, &ended));
	ck_assert(spool_expand(w.spool, e, 0, to, 2, &ended));
	ck_assert(!ended);
	ck_assert_uint_eq(e->alive, 2);
	ck_assert_uint_eq(e->count, 3);
	ck_assert(slice_equal(e->state->recipients[2].address, SLICE("z@y")));
	ck_assert(slice_equal(e->state->recipients[1].original, SLICE("list@y")));
	/* An empty list ends the recipient, here the message. */
	struct entry *other = spool_get(w.spool, w.ids[1]);
	ck_assert(spool_expand(w.spool, other, 0, NULL, 0, &ended));
	ck_assert(ended);
	world_run(&w, world_idle);
	world_crash_copy(&w, &after);
	e = spool_get(after.spool, w.ids[0]);
	load(&after, e);
	ck_assert_int_eq(e->state->recipients[0].status, RECIPIENT_EXPANDED);
	ck_assert(slice_equal(e->state->recipients[2].address, SLICE("z@y")));
	ck_assert_uint_eq(spool_counts(after.spool)->messages, 1);
	world_stop(&after);
	world_stop(&w);
}
END_TEST

START_TEST(held_released_and_deleted_without_being_read)
{
	struct spool_world w, after;
	world_make(&w);
	world_writer(&w);
	send(&w, 3, 100, 1);
	for (size_t i = 0; i < 3; i++)
		spool_rest(w.spool, spool_get(w.spool, w.ids[i]), MESSAGE_QUEUED, 5);
	ck_assert_uint_eq(spool_counts(w.spool)->states, 0);
	spool_dispose(w.spool, spool_get(w.spool, w.ids[0]), MESSAGE_HELD, 0);
	spool_suspect(w.spool, spool_get(w.spool, w.ids[1]));
	spool_delete(w.spool, spool_get(w.spool, w.ids[2]));
	ck_assert_uint_eq(spool_counts(w.spool)->states, 0);
	world_run(&w, world_idle);
	world_crash_copy(&w, &after);
	ck_assert_uint_eq(spool_counts(after.spool)->by_disposition[MESSAGE_HELD], 1);
	ck_assert_int_eq(spool_get(after.spool, w.ids[1])->deaths, 1);
	ck_assert_ptr_null(spool_get(after.spool, w.ids[2]));
	verify(&after, 0);
	world_stop(&after);
	world_stop(&w);
}
END_TEST

/* Held by its writer: noticed or found by a scan, it is never anything else before its release. */
START_TEST(what_arrives_held_is_held_after_a_crash_too)
{
	struct spool_world w, after;
	world_make(&w);
	world_writer(&w);
	w.hold = "over a limit";
	send(&w, 2, 100, 1);
	ck_assert_uint_eq(spool_counts(w.spool)->by_disposition[MESSAGE_HELD], 2);
	ck_assert_uint_eq(spool_get(w.spool, w.ids[0])->next, 0);
	spool_dispose(w.spool, spool_get(w.spool, w.ids[1]), MESSAGE_QUEUED, 7);
	w.deaf = true;
	send(&w, 3, 70 * 1024, 1);
	w.hold = NULL;
	send(&w, 1, 100, 1);
	world_run(&w, world_idle);
	world_crash_copy(&w, &after);
	while (status_of(&after).unscanned > 0)
		world_run(&after, world_synced);
	ck_assert_uint_eq(after.arrived, 4);
	ck_assert_uint_eq(spool_counts(after.spool)->by_disposition[MESSAGE_HELD], 4);
	ck_assert_uint_eq(spool_counts(after.spool)->by_disposition[MESSAGE_QUEUED], 2);
	ck_assert_int_eq(spool_get(after.spool, w.ids[1])->disposition, MESSAGE_QUEUED);
	verify(&after, 0);
	world_stop(&after);
	world_stop(&w);
}
END_TEST

/* A message with `recipients`, of which those that `failed` says are failed, the others reached. */
static struct entry *told_parent(struct spool_world *w, uint32_t recipients, uint32_t failed)
{
	size_t at = w->arrived;
	send(w, 1, 500, recipients);
	struct entry *e = spool_get(w->spool, w->ids[at]);
	for (uint32_t i = 0; i < recipients; i++) {
		spool_attempt(w->spool, e, i);
		ck_assert(!spool_result(
		    w->spool, e, i, i < failed ? RECIPIENT_FAILED : RECIPIENT_REACHED, 0, NULL));
	}
	return e;
}

static void report_on(struct spool_world *w, const struct entry *e)
{
	w->parent = w->welcome_parent = e->id;
	w->parent_mark = w->welcome_mark = spool_told_mark(e);
}

START_TEST(a_notification_ends_what_it_tells)
{
	struct spool_world w;
	world_make(&w);
	world_writer(&w);
	send(&w, 1, 500, 1);
	ck_assert_uint_eq(spool_told_mark(spool_get(w.spool, w.ids[0])), 0);
	ck_assert(!spool_told(w.spool, spool_get(w.spool, w.ids[0])));
	struct entry *e = told_parent(&w, 3, 2);
	report_on(&w, e);
	ck_assert_uint_ne(w.parent_mark, 0);
	send(&w, 1, 500, 1);
	ck_assert_uint_eq(w.refused, 0);
	ck_assert_uint_eq(w.arrived, 3);
	ck_assert_uint_eq(w.ended, 1);
	ck_assert_ptr_null(spool_get(w.spool, w.parent));
	/* The same once more is refused: it is not seen, and keeps no segment. */
	send(&w, 1, 500, 1);
	ck_assert_uint_eq(w.refused, 1);
	ck_assert_uint_eq(w.arrived, 3);
	ck_assert_uint_eq(w.ended, 1);
	ck_assert_uint_eq(spool_counts(w.spool)->messages, 2);
	verify(&w, 0);
	/* Others of its recipients are alive: it goes on. */
	w.parent = 0;
	e = told_parent(&w, 2, 1);
	ck_assert(!spool_result(w.spool, e, 1, RECIPIENT_DEFERRED, 5, NULL));
	uint32_t mark = spool_told_mark(e);
	report_on(&w, e);
	send(&w, 1, 500, 1);
	ck_assert_ptr_eq(spool_get(w.spool, w.parent), e);
	ck_assert_uint_eq(e->state->recipients[0].status, RECIPIENT_BOUNCED);
	ck_assert_uint_eq(e->alive, 1);
	ck_assert_uint_eq(spool_told_mark(e), 0);
	ck_assert(!spool_result(w.spool, e, 1, RECIPIENT_FAILED, 0, NULL));
	ck_assert_uint_ne(spool_told_mark(e), mark); /* another recipient, another mark */
	verify(&w, 0);
	world_stop(&w);
}
END_TEST

START_TEST(a_large_notification_that_is_refused_leaves_nothing)
{
	struct spool_world w;
	world_make(&w);
	world_writer(&w);
	struct entry *e = told_parent(&w, 1, 1);
	report_on(&w, e);
	w.welcome_mark++;
	send(&w, 1, 200000, 1);
	ck_assert_uint_eq(w.refused, 1);
	ck_assert_ptr_eq(spool_get(w.spool, w.parent), e);
	ck_assert_uint_eq(e->state->recipients[0].status, RECIPIENT_FAILED);
	ck_assert_uint_eq(spool_counts(w.spool)->messages, 1);
	verify(&w, 0);
	world_stop(&w);
}
END_TEST

START_TEST(a_crash_makes_no_second_notification)
{
	for (int known = 0; known < 2; known++) {
		struct spool_world w, after;
		world_make(&w);
		world_writer(&w);
		uint64_t parent = told_parent(&w, 2, 2)->id;
		report_on(&w, spool_get(w.spool, parent));
		w.deaf = known == 0;
		send(&w, 1, 500, 1);
		world_crash_copy(&w, &after);
		world_run(&after, world_synced);
		while (status_of(&after).unscanned > 0)
			world_run(&after, world_synced);
		/* Noticed: it is there, and the parent has ended. Not noticed: the scan finds and
		 * refuses it, and the parent is still to be told. */
		ck_assert_uint_eq(after.arrived, 0);
		ck_assert_uint_eq(spool_counts(after.spool)->messages, 1);
		ck_assert_int_eq(spool_get(after.spool, parent) != NULL, known == 0);
		ck_assert_uint_eq(after.ended, 0);
		verify(&after, 0);
		world_stop(&after);
		world_stop(&w);
	}
}
END_TEST

/* A writer that was taken over has written a parent that is no queue id. */
START_TEST(a_record_with_an_impossible_parent_kills_nobody)
{
	struct spool_world w, after;
	world_make(&w);
	world_writer(&w);
	w.parent = UINT64_MAX;
	w.deaf = true;
	send(&w, 1, 500, 1);
	world_crash_copy(&w, &after);
	world_run(&after, world_synced);
	while (status_of(&after).unscanned > 0)
		world_run(&after, world_synced);
	ck_assert_uint_eq(after.arrived, 1); /* reading it will fail, and set it aside */
	verify(&after, 0);
	world_stop(&after);
	world_stop(&w);
}
END_TEST

START_TEST(a_second_manager_does_not_get_the_spool)
{
	struct spool_world w;
	struct error e;
	world_make(&w);
	pid_t child = fork();
	if (child == 0) {
		loop_forget();
		struct spool_setup setup = {
		    .dirfd = w.dirfd, .boot_id = "x", .lock_wait_us = 50000};
		bool refused = !spool_open(&setup, &e) && e.code == EAGAIN;
		_exit(refused ? 0 : 1);
	}
	int state;
	ck_assert_int_eq(waitpid(child, &state, 0), child);
	ck_assert_int_eq(state, 0);
	world_stop(&w);
}
END_TEST

START_TEST(queue_time_goes_on_and_does_not_jump)
{
	const uint64_t hour = 3600 * CLOCK_SECOND;
	struct line_time last = {.queue = 50 * hour, .boot = 7 * hour, .wall = 1000 * hour};
	slice_copy(SLICE("boot-1"), last.boot_id, BOOT_ID_SIZE);
	struct line_time none = {0};
	ck_assert_uint_gt(spool_time_after(&none, "boot-1", 9, 9), 0);
	ck_assert_uint_eq(spool_time_after(&last, "boot-1", 9 * hour, 1), 52 * hour);
	ck_assert_uint_eq(spool_time_after(&last, "boot-2", 9, 1003 * hour), 53 * hour);
	ck_assert_uint_eq(spool_time_after(&last, "boot-2", 9, 999 * hour), 50 * hour);
	ck_assert_uint_eq(spool_time_after(&last, "boot-2", 9, 9999 * hour), 74 * hour);
}
END_TEST

START_TEST(a_spool_is_sparse_above_a_size)
{
	ck_assert(!move_sparse(0, MOVE_SPARSE_MIN));
	ck_assert(move_sparse(0, MOVE_SPARSE_MIN + 1));
	ck_assert(!move_sparse(100 << 20, 200 << 20));
	ck_assert(move_sparse((100 << 20) - 1, 200 << 20));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("spool");
	TCase *t = tcase_create("spool");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, mail_goes_in_and_ends_and_its_segments_are_used_again);
	tcase_add_test(t, what_was_never_noticed_is_found_after_a_crash);
	tcase_add_test(t, a_writer_that_lies_is_found_out);
	tcase_add_test(t, a_record_with_an_impossible_parent_kills_nobody);
	tcase_add_test(t, a_segment_is_not_free_a_moment_too_early);
	tcase_add_test(t, a_dead_writers_segment_waits_for_its_lock);
	tcase_add_test(t, a_free_segment_that_somebody_holds_is_not_lent);
	tcase_add_test(t, what_has_a_free_segments_name_and_is_no_file_is_left_alone);
	tcase_add_test(t, mail_that_stays_moves_and_is_the_same);
	tcase_add_test(t, spoilt_records_are_found_out);
	tcase_add_test(t, records_that_lie_behind_one_come_with_it);
	tcase_add_test(t, a_segment_that_is_used_again_is_read_anew);
	tcase_add_test(t, large_files_live_as_long_as_their_message);
	tcase_add_test(t, a_file_is_used_again_when_its_message_has_ended_and_nobody_has_it_open);
	tcase_add_test(t,
		       a_message_that_stays_gives_back_what_it_does_not_need_of_a_file_used_again);
	tcase_add_test(t, a_file_of_more_than_a_mebibyte_and_a_half_is_not_used_again);
	tcase_add_test(t, an_expansion_replaces_a_recipient);
	tcase_add_test(t, held_released_and_deleted_without_being_read);
	tcase_add_test(t, what_arrives_held_is_held_after_a_crash_too);
	tcase_add_test(t, a_notification_ends_what_it_tells);
	tcase_add_test(t, a_large_notification_that_is_refused_leaves_nothing);
	tcase_add_test(t, a_crash_makes_no_second_notification);
	tcase_add_test(t, a_second_manager_does_not_get_the_spool);
	tcase_add_test(t, queue_time_goes_on_and_does_not_jump);
	tcase_add_test(t, a_spool_is_sparse_above_a_size);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
