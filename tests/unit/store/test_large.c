/* large messages: their files, what waits for what, and content read back with its digest. */
#include "tests/unit/store/writer_world.h"

#include "common/base/buffer.h"
#include "common/base/bytes.h"
#include "queue/store/writer_private.h"

enum { BIG = 3 * 1024 * 1024, PIECE = 50000 };

static char text[BIG];
static struct buffer read_back;
static unsigned resumed;

static void begin(void)
{
	world_begin();
	srandom(4);
	arc4random_buf(text, sizeof(text));
	buffer_init(&read_back, SIZE_MAX / 2);
	resumed = 0;
	writer_found(world.w);
}

static void end(void)
{
	world_end();
	buffer_free(&read_back);
}

static void on_resume(void *arg)
{
	(void)arg;
	resumed++;
	loop_stop();
}

/* Gives the body piece by piece and waits when told to; what the last piece came to. */
static enum draft_result give_body(struct draft *d, size_t from, size_t to)
{
	enum draft_result result = DRAFT_OK;
	for (size_t at = from; at < to; at += PIECE) {
		size_t len = to - at < PIECE ? to - at : PIECE;
		result = draft_body(d, slice_make(text + at, len), on_resume, NULL);
		if (result == DRAFT_WAIT) {
			loop_run();
			result = DRAFT_OK;
		}
		if (result != DRAFT_OK)
			break;
	}
	return result;
}

static struct draft *draft(void)
{
	return draft_new(world.w, writer_draw_id(world.w));
}

static struct stored_message last_message;

static void keep_file(const struct stored_message *m)
{
	last_message = (struct stored_message){.file = m->file, .id = m->id};
}

static struct content last_content(unsigned file)
{
	return (struct content){.trace = SLICE("Received: x\r\n"),
				.file = last_message.file,
				.fd = world.files[file].fd};
}

static bool take(void *arg, struct slice piece)
{
	(void)arg;
	ck_assert_uint_gt(piece.len, 0);
	ck_assert_uint_le(piece.len, CONTENT_CHUNK);
	return buffer_append(&read_back, piece);
}

static void assert_reads_back(const struct content *c, struct slice header, size_t body)
{
	buffer_reset(&read_back);
	ck_assert_int_eq(content_read(c, take, NULL), 0);
	struct slice all = buffer_slice(&read_back);
	ck_assert_uint_eq(all.len, content_size(c));
	ck_assert_uint_eq(all.len, c->trace.len + header.len + body);
	ck_assert(slice_equal(slice_sub(all, 0, c->trace.len), c->trace));
	ck_assert(slice_equal(slice_sub(all, c->trace.len, header.len), header));
	ck_assert(slice_equal(slice_from(all, c->trace.len + header.len), slice_make(text, body)));
}

START_TEST(a_large_message_lies_in_a_file_and_reads_back)
{
	struct draft *d = draft();
	ck_assert_int_eq(give_body(d, 0, BIG), DRAFT_OK);
	ck_assert_uint_eq(draft_body_size(d), BIG);
	ck_assert_uint_gt(resumed, 0);
	hand_in(&d, 1, SLICE("Subject: large\r\n"));
	run_until_done(1);
	ck_assert_uint_eq(world.done_well, 1);
	ck_assert_uint_eq(scan_lease(0, keep_file).count, 1);
	ck_assert_uint_eq(last_message.file.number, world.files[0].number);
	struct content c = last_content(0);
	assert_reads_back(&c, SLICE("Subject: large\r\n"), BIG);
	ck_assert_uint_eq(world.files_wanted, 1);
	for (unsigned i = 0; i < world.event_count; i++)
		ck_assert_int_ne(world.events[i].kind, ABANDONED);
}
END_TEST

START_TEST(sizes_around_the_limit_read_back)
{
	static const size_t sizes[] = {0,
				       1,
				       CONTENT_INLINE_MAX - 9,
				       CONTENT_INLINE_MAX - 8,
				       CONTENT_INLINE_MAX,
				       CONTENT_INLINE_MAX + 1,
				       2 * CONTENT_CHUNK,
				       2 * CONTENT_CHUNK + 1,
				       DRAFT_MEMORY_MAX};
	struct slice header = SLICE("A: b\r\n\r\n");
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		unsigned files = world.file_count;
		struct draft *d = draft();
		ck_assert_int_eq(give_body(d, 0, sizes[i]), DRAFT_OK);
		hand_in(&d, i, header);
		run_until_done(i + 1);
		ck_assert_uint_eq(world.done_well, i + 1);
		bool in_file = sizes[i] + header.len > CONTENT_INLINE_MAX;
		ck_assert_uint_eq(world.file_count, files + in_file);
		scan_lease(0, keep_file);
		if (in_file) {
			struct content c = last_content(files);
			assert_reads_back(&c, header, sizes[i]);
		}
	}
}
END_TEST

START_TEST(a_header_block_alone_can_make_a_message_large)
{
	struct slice header = slice_make(text, HEADER_BLOCK_MAX);
	struct draft *d = draft();
	ck_assert_int_eq(draft_body(d, slice_make(text, 10), NULL, NULL), DRAFT_OK);
	hand_in(&d, 1, header);
	d = draft();
	hand_in(&d, 2, slice_make(text, HEADER_BLOCK_MAX + 1));
	run_until_done(2);
	ck_assert_uint_eq(world.done_well, 1);
	scan_lease(0, keep_file);
	struct content c = last_content(0);
	assert_reads_back(&c, header, 10);
}
END_TEST

START_TEST(a_changed_file_is_not_what_was_committed)
{
	static const off_t places[] = {0, 5, 9, 20, 33, 4096, 5000, 4096 + 99999, 4096 + 100001};
	struct draft *d = draft();
	ck_assert_int_eq(give_body(d, 0, 100000), DRAFT_OK);
	hand_in(&d, 1, SLICE("Subject: large\r\n"));
	run_until_done(1);
	scan_lease(0, keep_file);
	struct content c = last_content(0);
	int fd = world.files[0].fd;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char octet;
		ck_assert_int_eq(pread(fd, &octet, 1, places[i]), 1);
		octet ^= 1;
		ck_assert_int_eq(pwrite(fd, &octet, 1, places[i]), 1);
		buffer_reset(&read_back);
		errno = 0;
		ck_assert_int_eq(content_read(&c, take, NULL), -1);
		ck_assert_int_eq(errno, EBADMSG);
		octet ^= 1;
		ck_assert_int_eq(pwrite(fd, &octet, 1, places[i]), 1);
	}
	assert_reads_back(&c, SLICE("Subject: large\r\n"), 100000);
	ck_assert_int_eq(ftruncate(fd, (off_t)c.file.length - 1), 0);
	ck_assert_int_eq(content_read(&c, take, NULL), -1);
	ck_assert_int_eq(errno, EBADMSG);
}
END_TEST

/* From before there were twins: the head's version says how it is hashed. */
START_TEST(a_file_of_the_first_version_reads_back)
{
	struct draft *d = draft();
	struct slice header = SLICE("Subject: large\r\n");
	uint8_t head[LARGE_HEAD_SIZE];
	struct digest hash;
	ck_assert_int_eq(give_body(d, 0, 100000), DRAFT_OK);
	hand_in(&d, 1, header);
	run_until_done(1);
	scan_lease(0, keep_file);
	int fd = world.files[0].fd;
	ck_assert_int_eq(pread(fd, head, sizeof(head), 0), (ssize_t)sizeof(head));
	put_u16(head + 4, LARGE_VERSION_PLAIN);
	put_u32(head + 32, crc32c(0, head, 32));
	ck_assert_int_eq(pwrite(fd, head, sizeof(head), 0), (ssize_t)sizeof(head));
	struct content c = last_content(0);
	ck_assert_int_eq(content_read(&c, take, NULL), -1); /* this is no way to change a file */
	ck_assert_int_eq(errno, EBADMSG);
	digest_init(&hash);
	digest_add(&hash, slice_make(text, 100000));
	digest_add(&hash, header);
	digest_end(&hash, c.file.digest);
	digest_free(&hash);
	buffer_reset(&read_back);
	assert_reads_back(&c, header, 100000);
}
END_TEST

START_TEST(a_record_that_lies_about_its_file_is_refused)
{
	struct draft *d = draft();
	ck_assert_int_eq(give_body(d, 0, 100000), DRAFT_OK);
	hand_in(&d, 1, SLICE("Subject: large\r\n"));
	run_until_done(1);
	scan_lease(0, keep_file);
	struct content right = last_content(0), wrong[7];
	for (unsigned i = 0; i < 7; i++)
		wrong[i] = right;
	wrong[0].file.number++;
	wrong[1].file.nonce[3] ^= 1;
	wrong[2].file.length += 1;
	wrong[3].file.body_offset = 0;
	wrong[4].file.body_length = UINT64_MAX;
	wrong[5].file.header_length = UINT64_MAX;
	wrong[6].file.header_offset = 4096;
	for (unsigned i = 0; i < 7; i++) {
		errno = 0;
		ck_assert_int_eq(content_read(&wrong[i], take, NULL), -1);
		ck_assert_int_eq(errno, EBADMSG);
	}
}
END_TEST

static bool take_nothing(void *arg, struct slice piece)
{
	(void)arg, (void)piece;
	errno = EPIPE;
	return false;
}

START_TEST(content_in_memory_is_given_in_order_and_ends_when_not_taken)
{
	struct content c = {
	    .trace = SLICE("t"), .header = SLICE("h"), .body = SLICE("b"), .fd = -1};
	ck_assert_int_eq(content_read(&c, take, NULL), 0);
	ck_assert(slice_equal(buffer_slice(&read_back), SLICE("thb")));
	ck_assert_uint_eq(content_size(&c), 3);
	ck_assert_int_eq(content_read(&c, take_nothing, NULL), -1);
	ck_assert_int_eq(errno, EPIPE);
}
END_TEST

static bool happened(enum event_kind kind)
{
	for (unsigned i = 0; i < world.event_count; i++)
		if (world.events[i].kind == kind)
			return true;
	return false;
}

static void run_until_event(enum event_kind kind)
{
	while (!happened(kind)) {
		struct loop_timer look = {0};
		loop_timer_start(&look, 1000, on_resume, NULL);
		loop_run();
		loop_timer_stop(&look);
	}
}

START_TEST(a_draft_that_is_freed_gives_its_file_back)
{
	struct draft *d = draft();
	ck_assert_int_eq(give_body(d, 0, BIG / 2), DRAFT_OK);
	draft_free(&d);
	run_until_event(ABANDONED);
	ck_assert_uint_eq(world.event_count, 1);
	ck_assert_uint_eq(world.events[0].number, world.files[0].number);
	ck_assert_int_eq(writer_state(world.w), WRITER_READY);
}
END_TEST

START_TEST(a_file_that_cannot_be_written_refuses_the_message)
{
	static const struct {
		const char *name;
		enum draft_result result;
	} cases[] = {{"/dev/full", DRAFT_FULL}, {"/", DRAFT_FAILED}};
	for (unsigned i = 0; i < 2; i++) {
		world.event_count = 0;
		world.next_file_fd = disk_open(AT_FDCWD, cases[i].name,
					       i == 0 ? O_WRONLY : O_RDONLY | O_DIRECTORY, 0);
		struct draft *d = draft();
		ck_assert_int_eq(give_body(d, 0, BIG), cases[i].result);
		run_until_event(ABANDONED);
		hand_in(&d, i, SLICE("Subject: late\r\n"));
		run_until_done(i + 1);
		ck_assert_uint_eq(world.done_well, 0);
	}
}
END_TEST

START_TEST(a_file_whose_sync_fails_never_joins_a_batch)
{
	/* takes every write, but can't be synced */
	world.next_file_fd = disk_open(AT_FDCWD, "/dev/null", O_WRONLY, 0);
	struct draft *d = draft();
	ck_assert_int_eq(give_body(d, 0, 100000), DRAFT_OK);
	hand_in(&d, 1, SLICE("Subject: large\r\n"));
	run_until_done(1);
	run_until_event(ABANDONED);
	ck_assert_int_eq(world.events[0].kind, ABANDONED);
	ck_assert_int_eq(world.events[1].kind, DONE);
	ck_assert_int_eq(world.events[1].err, EINVAL);
	ck_assert_uint_eq(scan_lease(0, NULL).count, 0);
}
END_TEST

START_TEST(a_batch_that_fails_gives_its_files_back)
{
	lose_manager();
	world.next_lease_fd = disk_open(AT_FDCWD, "/dev/full", O_WRONLY, 0);
	writer_found(world.w);
	struct draft *d = draft();
	ck_assert_int_eq(give_body(d, 0, 100000), DRAFT_OK);
	hand_in(&d, 1, SLICE("Subject: large\r\n"));
	run_until_done(1);
	ck_assert_uint_eq(world.event_count, 3);
	ck_assert_int_eq(world.events[0].kind, FAILED);
	ck_assert_int_eq(world.events[1].kind + world.events[2].kind, DONE + ABANDONED);
}
END_TEST

START_TEST(a_message_waits_for_its_file_and_small_ones_go_on)
{
	world.give_files = false;
	struct draft *d = draft();
	ck_assert_int_eq(draft_body(d, slice_make(text, DRAFT_MEMORY_MAX), on_resume, NULL),
			 DRAFT_OK);
	ck_assert_uint_eq(world.files_wanted, 1);
	ck_assert_int_eq(draft_body(d, slice_make(text + DRAFT_MEMORY_MAX, 10), on_resume, NULL),
			 DRAFT_WAIT);
	ck_assert_int_eq(draft_body(d, SLICE_EMPTY, NULL, NULL), DRAFT_OK);
	commit_message(1, SLICE("small"));
	run_until_done(1);
	ck_assert_uint_eq(resumed, 0);
	give_file();
	loop_run();
	ck_assert_uint_eq(resumed, 1);
	hand_in(&d, 2, SLICE("Subject: large\r\n"));
	run_until_done(2);
	ck_assert_uint_eq(world.done_well, 2);
	scan_lease(0, keep_file);
	struct content c = last_content(0);
	assert_reads_back(&c, SLICE("Subject: large\r\n"), DRAFT_MEMORY_MAX + 10);
}
END_TEST

START_TEST(a_message_does_not_wait_for_ever_for_its_file)
{
	world.w->patience_us = 20000;
	world.give_files = false;
	struct draft *d = draft(), *other = draft();
	ck_assert_int_eq(draft_body(other, slice_make(text, 100000), on_resume, NULL), DRAFT_OK);
	hand_in(&other, 1, SLICE("Subject: one\r\n"));
	ck_assert_int_eq(give_body(d, 0, DRAFT_MEMORY_MAX + 2 * PIECE), DRAFT_FAILED);
	ck_assert_uint_eq(resumed, 1);
	draft_free(&d);
	run_until_done(1);
	ck_assert_int_eq(world.events[0].err, ETIMEDOUT);
	for (unsigned i = 0; i < world.files_wanted; i++)
		give_file(); /* late: for whoever comes next */
	d = draft();
	ck_assert_int_eq(give_body(d, 0, 4 * PIECE), DRAFT_OK);
	hand_in(&d, 2, SLICE("Subject: two\r\n"));
	run_until_done(2);
	ck_assert_uint_eq(world.done_well, 1);
}
END_TEST

START_TEST(a_file_may_come_after_the_commit_or_when_nobody_wants_it)
{
	world.give_files = false;
	struct draft *d = draft(), *gone = draft();
	ck_assert_int_eq(give_body(d, 0, DRAFT_MEMORY_MAX), DRAFT_OK);
	ck_assert_int_eq(give_body(gone, 0, DRAFT_MEMORY_MAX), DRAFT_OK);
	draft_free(&gone);
	hand_in(&d, 1, SLICE("Subject: large\r\n"));
	ck_assert_uint_eq(world.files_wanted, 2);
	give_file();
	run_until_done(1);
	ck_assert_uint_eq(world.done_well, 1);
	give_file(); /* kept for the next */
	d = draft();
	ck_assert_int_eq(give_body(d, 0, DRAFT_MEMORY_MAX), DRAFT_OK);
	hand_in(&d, 2, SLICE("Subject: large\r\n"));
	run_until_done(2);
	ck_assert_uint_eq(world.files_wanted, 2);
	ck_assert_uint_eq(world.done_well, 2);
}
END_TEST

START_TEST(pressure_fails_what_would_wait_for_a_file)
{
	world.give_files = false;
	struct draft *d = draft(), *committed = draft();
	ck_assert_int_eq(draft_body(d, slice_make(text, BIG), on_resume, NULL), DRAFT_WAIT);
	ck_assert_int_eq(give_body(committed, 0, DRAFT_MEMORY_MAX), DRAFT_OK);
	hand_in(&committed, 1, SLICE_EMPTY);
	writer_pressure(world.w, true);
	ck_assert_uint_eq(resumed, 1);
	ck_assert_int_eq(draft_body(d, SLICE("x"), on_resume, NULL), DRAFT_FULL);
	draft_free(&d);
	d = draft();
	ck_assert_int_eq(draft_body(d, slice_make(text, BIG), on_resume, NULL), DRAFT_FULL);
	draft_free(&d);
	run_until_done(1);
	ck_assert_int_eq(world.events[0].err, ENOSPC);
}
END_TEST

START_TEST(a_lost_manager_takes_the_files_along)
{
	struct draft *written = draft(), *committed = draft(), *small = draft();
	ck_assert_int_eq(give_body(written, 0, BIG), DRAFT_OK);
	ck_assert_int_eq(give_body(committed, 0, BIG), DRAFT_OK);
	ck_assert_int_eq(give_body(small, 0, 100), DRAFT_OK);
	hand_in(&committed, 1, SLICE_EMPTY);
	lose_manager();
	writer_found(world.w);
	ck_assert_int_eq(draft_body(written, SLICE("x"), on_resume, NULL), DRAFT_FAILED);
	hand_in(&written, 2, SLICE_EMPTY);
	hand_in(&small, 3, SLICE_EMPTY); /* lay in memory, but its id is the dead manager's */
	run_until_done(3);
	ck_assert_uint_eq(world.done_well, 0);
	for (unsigned i = 0; i < world.event_count; i++) {
		const struct event *e = &world.events[i];
		ck_assert_int_ne(e->kind, ABANDONED);
		if (e->kind == DONE)
			ck_assert_int_eq(e->err, ECONNRESET);
	}
}
END_TEST

START_TEST(files_and_memory_are_bounded)
{
	world.give_files = false;
	static struct draft *d[WRITER_FILES_MAX + 1];
	for (unsigned i = 0; i <= WRITER_FILES_MAX; i++) {
		d[i] = draft();
		ck_assert_int_eq(draft_body(d[i], slice_make(text, 70000), on_resume, NULL),
				 i < WRITER_FILES_MAX ? DRAFT_OK : DRAFT_FULL);
	}
	for (unsigned i = 0; i <= WRITER_FILES_MAX; i++)
		draft_free(&d[i]);
	static struct draft *small[2000];
	unsigned n = 0;
	while (writer_state(world.w) == WRITER_READY) {
		ck_assert_uint_lt(n, 2000);
		small[n] = draft();
		draft_body(small[n++], slice_make(text, CONTENT_INLINE_MAX), on_resume, NULL);
	}
	ck_assert_uint_eq(n, WRITER_MEMORY_MAX / CONTENT_INLINE_MAX);
	ck_assert_int_eq(writer_state(world.w), WRITER_FULL);
	/* beyond, even a small one goes to a file, which makes room */
	ck_assert_int_eq(draft_body(small[0], SLICE("x"), on_resume, NULL), DRAFT_WAIT);
	give_file();
	loop_run();
	ck_assert_uint_eq(resumed, 1);
	ck_assert_int_eq(writer_state(world.w), WRITER_READY);
	while (n > 0)
		draft_free(&small[--n]);
	ck_assert_int_eq(writer_state(world.w), WRITER_READY);
}
END_TEST

/* Many at once, of random sizes, in pieces; some given up, some without waiting. */
START_TEST(many_large_messages_at_once_read_back)
{
	enum { MANY = 60 };
	static struct draft *d[MANY];
	static size_t size[MANY];
	unsigned handed = 0;
	world.segment_size = 1 << 20;
	for (unsigned i = 0; i < MANY; i++) {
		d[i] = draft();
		size[i] = (size_t)random() % (BIG / 4);
	}
	for (size_t at = 0; at < BIG / 4; at += PIECE)
		for (unsigned i = 0; i < MANY; i++)
			if (d[i] && at < size[i])
				give_body(d[i], at, at + PIECE < size[i] ? at + PIECE : size[i]);
			else if (d[i] && i % 7 == 0)
				draft_free(&d[i]);
			else if (d[i])
				hand_in(&d[i], handed++, slice_make(text, i * 100));
	for (unsigned i = 0; i < MANY; i++)
		if (d[i])
			hand_in(&d[i], handed++, slice_make(text, i * 100));
	run_until_done(handed);
	ck_assert_uint_eq(world.done_well, handed);
	ck_assert_uint_eq(world.told, handed);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("large");
	TCase *c = tcase_create("large");
	tcase_add_checked_fixture(c, begin, end);
	tcase_set_timeout(c, 120);
	tcase_add_test(c, a_large_message_lies_in_a_file_and_reads_back);
	tcase_add_test(c, sizes_around_the_limit_read_back);
	tcase_add_test(c, a_header_block_alone_can_make_a_message_large);
	tcase_add_test(c, a_changed_file_is_not_what_was_committed);
	tcase_add_test(c, a_file_of_the_first_version_reads_back);
	tcase_add_test(c, a_record_that_lies_about_its_file_is_refused);
	tcase_add_test(c, content_in_memory_is_given_in_order_and_ends_when_not_taken);
	tcase_add_test(c, a_draft_that_is_freed_gives_its_file_back);
	tcase_add_test(c, a_file_that_cannot_be_written_refuses_the_message);
	tcase_add_test(c, a_file_whose_sync_fails_never_joins_a_batch);
	tcase_add_test(c, a_batch_that_fails_gives_its_files_back);
	tcase_add_test(c, a_message_waits_for_its_file_and_small_ones_go_on);
	tcase_add_test(c, a_file_may_come_after_the_commit_or_when_nobody_wants_it);
	tcase_add_test(c, a_message_does_not_wait_for_ever_for_its_file);
	tcase_add_test(c, pressure_fails_what_would_wait_for_a_file);
	tcase_add_test(c, a_lost_manager_takes_the_files_along);
	tcase_add_test(c, files_and_memory_are_bounded);
	tcase_add_test(c, many_large_messages_at_once_read_back);
	suite_add_tcase(s, c);
	return run_suite(s);
}
