/* lookout: what the next manager knows of the death of the one before it; and the spool with it. */
#include "tests/unit/store/spool_world.h"

#include "common/os/lookout.h"

static int directory;
static char path[64];

static void begin(void)
{
	snprintf(path, sizeof(path), "/tmp/stagepost-lookout-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(path));
	directory = open(path, O_RDONLY | O_DIRECTORY);
}

static void end(void)
{
	close(directory);
	world_shell("rm -rf %s%s", path, "");
}

/* A manager that dies while it looks at that, if it looks at it. */
static bool dies_at(uint64_t id)
{
	struct lookout *l = lookout_open(directory, "looking");
	bool looks = lookout_begin(l, id);
	static struct lookout *left; /* as a death leaves it: never closed */
	left = l;
	return left != NULL && looks;
}

static bool survives(uint64_t id)
{
	struct lookout *l = lookout_open(directory, "looking");
	bool looks = lookout_begin(l, id);
	lookout_end(l);
	lookout_close(&l);
	return looks;
}

START_TEST(after_three_deaths_at_it_a_record_is_not_looked_at_and_then_has_three_tries_again)
{
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < LOOKOUT_DEATHS; i++)
			ck_assert(dies_at(7));
		ck_assert(survives(8));
		ck_assert(!dies_at(7));
	}
}
END_TEST

START_TEST(who_survives_a_look_is_no_suspect_any_more)
{
	for (int i = 0; i < 20; i++) {
		ck_assert(dies_at(7));
		ck_assert(dies_at(7));
		ck_assert(survives(7));
	}
}
END_TEST

START_TEST(a_death_elsewhere_is_nobodys)
{
	for (int i = 0; i < 20; i++) {
		struct lookout *l = lookout_open(directory, "looking");
		ck_assert(lookout_begin(l, 7));
		lookout_end(l);
	}
	ck_assert(dies_at(7));
}
END_TEST

START_TEST(the_next_look_says_that_the_one_before_was_survived)
{
	for (int i = 0; i < 20; i++) {
		struct lookout *l = lookout_open(directory, "looking");
		ck_assert(lookout_begin(l, 7));
		ck_assert(lookout_begin(l, 100 + (uint64_t)i));
	}
	ck_assert(dies_at(7));
}
END_TEST

START_TEST(deadly_records_do_not_hide_behind_each_other)
{
	for (int i = 0; i < LOOKOUT_DEATHS; i++)
		for (uint64_t id = 1; id <= LOOKOUT_SUSPECTS; id++)
			ck_assert(dies_at(id));
	for (uint64_t id = 1; id <= LOOKOUT_SUSPECTS; id++)
		ck_assert(!survives(id));
}
END_TEST

START_TEST(where_nothing_can_be_kept_all_is_looked_at)
{
	world_shell("mkdir %s/%s", path, "looking");
	for (int i = 0; i < 10; i++)
		ck_assert(dies_at(7));
	world_shell("rmdir %s/looking; echo rubbish > %s/looking", path, path);
	ck_assert(survives(7));
}
END_TEST

static int read_error;

static void on_read(void *arg, int err)
{
	(void)arg;
	read_error = err;
}

static void read_now(struct spool_world *w, struct entry *e, struct buffer *b)
{
	buffer_init(b, RECORD_LENGTH_MAX);
	int now = spool_read(w->spool, e, b, on_read, NULL);
	read_error = now == 1 ? 0 : -1;
	while (now == 0 && read_error == -1)
		world_run(w, world_synced);
	ck_assert_int_eq(read_error, 0);
}

/* A spool whose unscanned message of three recipients in a large file has ended three managers. */
static void make_deadly(struct spool_world *w, struct spool_world *after)
{
	uint64_t row[4] = {0x314c5053, 0, 0, LOOKOUT_DEATHS}, zeros[60] = {0};
	world_make(w);
	world_writer(w);
	w->deaf = true;
	ck_assert(world_send(w, 200000, 3));
	ck_assert(world_send(w, 500, 1));
	while (w->committed < 2)
		world_run(w, world_synced);
	row[2] = writer_draw_id(w->writer) - 2;
	char name[128];
	snprintf(name, sizeof(name), "%s/looking.scan", w->path);
	FILE *f = fopen(name, "w");
	ck_assert_ptr_nonnull(f);
	fwrite(row, sizeof(row), 1, f);
	fwrite(zeros, sizeof(zeros), 1, f);
	fclose(f);
	world_crash_copy(w, after);
	struct spool_status s;
	do {
		world_run(after, world_synced);
		spool_status(after->spool, &s);
	} while (s.unscanned > 0);
	after->ids[0] = row[2];
}

START_TEST(a_record_that_no_scan_survives_is_set_aside_and_is_itself_when_released)
{
	struct spool_world w, after;
	struct buffer b;
	struct arena arena;
	struct stored_message m;
	struct error error;
	make_deadly(&w, &after);
	ck_assert_uint_eq(after.arrived, 2);
	struct entry *e = spool_get(after.spool, after.ids[0]);
	ck_assert_ptr_nonnull(e);
	ck_assert_int_eq(e->disposition, MESSAGE_CORRUPT);
	ck_assert_uint_eq(e->deaths, DEATHS_UNREAD);
	ck_assert_uint_eq(spool_counts(after.spool)->by_disposition[MESSAGE_QUEUED], 1);
	spool_dispose(after.spool, e, MESSAGE_QUEUED, 1);
	read_now(&after, e, &b);
	arena_init(&arena, SIZE_MAX);
	ck_assert(record_decode(buffer_slice(&b), &arena, &m, &error));
	ck_assert(spool_known(after.spool, e, buffer_slice(&b), &m));
	ck_assert_uint_eq(e->alive, 3);
	ck_assert_uint_eq(e->state->received, 3);
	ck_assert_uint_eq(e->file, m.file.number);
	ck_assert_uint_lt(e->deaths, LOOKOUT_DEATHS);
	char name[128];
	snprintf(name, sizeof(name), "%s/large/%016llx", after.path, (unsigned long long)e->file);
	ck_assert_int_eq(access(name, F_OK), 0);
	world_deliver(&after, e->id);
	ck_assert_ptr_null(spool_get(after.spool, after.ids[0]));
	buffer_free(&b);
	arena_free(&arena);
	world_stop(&after);
	world_stop(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lookout");
	TCase *t = tcase_create("lookout");
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(
	    t, after_three_deaths_at_it_a_record_is_not_looked_at_and_then_has_three_tries_again);
	tcase_add_test(t, who_survives_a_look_is_no_suspect_any_more);
	tcase_add_test(t, a_death_elsewhere_is_nobodys);
	tcase_add_test(t, the_next_look_says_that_the_one_before_was_survived);
	tcase_add_test(t, deadly_records_do_not_hide_behind_each_other);
	tcase_add_test(t, where_nothing_can_be_kept_all_is_looked_at);
	tcase_add_test(t, a_record_that_no_scan_survives_is_set_aside_and_is_itself_when_released);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
