/* The talk of a writer's process with the queue manager, over a real channel: the test is the
 * manager. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/os/loop.h"
#include "queue/writing/writing.h"

enum { SEGMENT = 256 * 1024 };

static struct channel *ours, *manager;
static struct {
	size_t leases, files, notices, lent, noticed, answered, told;
	struct writer_entry last;
	uint64_t lease, sealed;
} seen;
static size_t *awaited, until;
static struct loop_timer look, limit;

static void on_want_lease(struct channel *c, const void *record)
{
	(void)c;
	(void)record;
	seen.leases++;
}

static void on_want_file(struct channel *c, const void *record)
{
	(void)c;
	(void)record;
	seen.files++;
}

static void on_notice(struct channel *c, const void *record)
{
	const struct writer_notice *m = record;
	const char *p = m->entries.ptr;
	(void)c;
	ck_assert_uint_eq(m->entries.len, WRITER_ENTRY_SIZE);
	seen.notices++;
	seen.lease = m->lease;
	seen.last = (struct writer_entry){.id = get_u64(p),
					  .offset = get_u64(p + 8),
					  .length = get_u32(p + 16),
					  .ordinal = get_u32(p + 20),
					  .file = get_u64(p + 24),
					  .recipients = get_u32(p + 32),
					  .parent = get_u64(p + 72),
					  .parent_mark = get_u32(p + 80)};
	ck_assert_uint_eq(get_u32(p + 84), 0);
}

/* What the owner tells comes behind the notice. */
static void on_abandoned(struct channel *c, const void *record)
{
	const struct writer_abandoned *m = record;
	(void)c;
	ck_assert_uint_eq(m->file, seen.notices);
	seen.told++;
}

static const struct route manager_routes[] = {
    {WRITER_WANT_LEASE, ROUTE_ALWAYS, on_want_lease},
    {WRITER_WANT_FILE, ROUTE_ALWAYS, on_want_file},
    {WRITER_NOTICE, ROUTE_ALWAYS, on_notice},
    {WRITER_ABANDONED, ROUTE_ALWAYS, on_abandoned},
    {0, 0, NULL},
};
static const struct route our_routes[] = {WRITING_ROUTES, {0, 0, NULL}};

static size_t ended;

static void closed(struct channel *c)
{
	ended += c == ours;
}

static void look_again(void *arg)
{
	(void)arg;
	if (*awaited >= until)
		loop_stop();
	else
		loop_timer_start(&look, 1000, look_again, NULL);
}

static void too_late(void *arg)
{
	(void)arg;
	ck_abort_msg("waited in vain");
}

static void await(size_t *what, size_t count)
{
	awaited = what;
	until = count;
	loop_timer_start(&look, 0, look_again, NULL);
	loop_timer_start(&limit, 10000000, too_late, NULL);
	loop_run();
	loop_timer_stop(&limit);
}

static void lent(void)
{
	seen.lent++;
}

static void noticed(void)
{
	struct writer_abandoned m = {.file = 1};
	seen.noticed++;
	if (ours)
		ck_assert(writing_tell(WRITER_ABANDONED, &m));
}

static void connect_both(void)
{
	int fds[2];
	ck_assert(channel_pair(fds));
	ours = channel_open(fds[0], &writer_dialogue, our_routes, closed, NULL);
	manager = channel_open(fds[1], &writer_dialogue, manager_routes, closed, NULL);
	writing_up(ours, 0);
}

static void lend(uint64_t number, size_t nonce)
{
	char path[] = "/tmp/stagepost-writing-XXXXXX";
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	unlink(path);
	ck_assert_int_eq(ftruncate(fd, SEGMENT), 0);
	struct writer_leased m = {.number = number,
				  .nonce = slice_make("0123456789abcdef", nonce),
				  .segment = 1,
				  .size = SEGMENT,
				  .spool = 1,
				  .incarnation = (uint32_t)number,
				  .fd = fd};
	ck_assert(channel_send(manager, WRITER_LEASED, &m));
	close(fd);
}

static void answered(void *arg, int err)
{
	(void)arg;
	ck_assert_int_eq(err, 0);
	ck_assert_uint_eq(seen.noticed, 0); /* the answer comes first */
	seen.answered++;
}

static void write_one(void)
{
	struct writer *w = writing_writer();
	struct stored_recipient to = {.address = SLICE("bob@trial.example")};
	uint64_t id = writer_draw_id(w);
	struct draft *d = draft_new(w, id);
	struct stored_message m = {.id = id,
				   .header = SLICE("Subject: x\r\n"),
				   .parent = 66,
				   .parent_mark = 77,
				   .parent_kind = 1,
				   .recipients = &to,
				   .recipient_count = 1};
	ck_assert_int_eq(draft_body(d, SLICE("\r\nx\r\n"), NULL, NULL), DRAFT_OK);
	draft_commit(&d, &m, answered, NULL);
}

START_TEST(a_message_is_noticed_with_its_parent)
{
	static const struct writing_calls calls = {lent, noticed};
	connect_both(); /* the link may be there before the start */
	ck_assert_ptr_null(writing_writer());
	writing_start(&calls);
	await(&seen.leases, 2);
	ck_assert_int_eq(writer_state(writing_writer()), WRITER_NO_LEASE);
	lend(2, NONCE_SIZE);
	await(&seen.lent, 1);
	ck_assert_int_eq(writer_state(writing_writer()), WRITER_READY);
	write_one();
	await(&seen.told, 1);
	ck_assert_uint_eq(seen.answered, 1);
	ck_assert_uint_eq(seen.noticed, 1);
	ck_assert_uint_eq(seen.notices, 1);
	ck_assert_uint_eq(seen.lease, 2);
	ck_assert_uint_eq(seen.last.parent, 66);
	ck_assert_uint_eq(seen.last.parent_mark, 77);
	ck_assert_uint_eq(seen.last.recipients, 1);
	ck_assert_uint_eq(seen.last.ordinal, 0);
}
END_TEST

/* What is waited for would never come: the link is made anew, and both ask and give again. */
START_TEST(a_lease_that_can_not_be_used_ends_the_channel)
{
	static const struct writing_calls calls = {lent, noticed};
	struct writer_leased none = {.number = 1,
				     .nonce = SLICE("0123456789abcdef"),
				     .segment = 1,
				     .size = SEGMENT,
				     .fd = -1};
	connect_both();
	writing_start(&calls);
	await(&seen.leases, 2);
	if (_i == 0)
		lend(1, 7); /* not a nonce */
	else
		ck_assert(channel_send(manager, WRITER_LEASED, &none));
	await(&ended, 1);
	ck_assert_uint_eq(seen.lent, 0);
}
END_TEST

static size_t full_now;

static void pressed(struct channel *c, const void *record)
{
	writing_pressed(c, record);
	full_now++;
}

START_TEST(pressure_and_a_manager_that_goes_are_felt)
{
	static const struct writing_calls calls = {NULL, NULL};
	static const struct route routes[] = {{WRITER_PRESSURE, ROUTE_ALWAYS, pressed},
					      {WRITER_LEASED, ROUTE_ALWAYS, writing_leased},
					      {0, 0, NULL}};
	int fds[2];
	ck_assert(channel_pair(fds));
	ours = channel_open(fds[0], &writer_dialogue, routes, closed, NULL);
	manager = channel_open(fds[1], &writer_dialogue, manager_routes, closed, NULL);
	writing_start(&calls);
	writing_up(ours, 0);
	struct writer_pressure m = {.full = true, .reason = SLICE("disk")};
	ck_assert(channel_send(manager, WRITER_PRESSURE, &m));
	await(&full_now, 1);
	ck_assert(writing_full());
	ck_assert_int_eq(writer_state(writing_writer()), WRITER_FULL);
	writing_down(ours);
	ck_assert(!writing_full());
	struct writer_abandoned told = {.file = 1};
	ck_assert(!writing_tell(WRITER_ABANDONED, &told));
	ck_assert_int_eq(writer_state(writing_writer()), WRITER_NO_LEASE);
	size_t before = seen.leases;
	writing_up(ours, 0);
	await(&seen.leases, before + 2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("writing");
	TCase *t = tcase_create("writing");
	tcase_set_timeout(t, 30);
	tcase_add_test(t, a_message_is_noticed_with_its_parent);
	tcase_add_loop_test(t, a_lease_that_can_not_be_used_ends_the_channel, 0, 2);
	tcase_add_test(t, pressure_and_a_manager_that_goes_are_felt);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
