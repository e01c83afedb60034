/*
 * Channels between daemons that have lost each other: the daemons are the test's own ends of their
 * channels to the master.
 */
#include <check.h>
#include <unistd.h>

#include "master/links.h"

enum { NO_SUCH_PID = 1 << 30, GIVE_UP_US = 5000000 };

static struct process *queue, *router, *smtpd;
static struct channel *ends[3];
static unsigned links, wanted;		 /* ends of channels that the daemons were given */
static uint64_t with_router, with_smtpd; /* numbers of the queue's channels */
static struct loop_timer guard;

static void on_link(struct channel *c, const void *record)
{
	const struct master_link *m = record;
	close(m->fd);
	if (channel_owner(c) == queue && slice_equal(m->peer, SLICE("router")))
		with_router = m->number;
	if (channel_owner(c) == queue && slice_equal(m->peer, SLICE("smtpd")))
		with_smtpd = m->number;
	if (++links == wanted)
		loop_stop();
}

static const struct route routes[] = {{MASTER_LINK, ROUTE_ALWAYS, on_link}, {0}};

static void closed(struct channel *c)
{
	(void)c;
	ck_abort_msg("a channel to the master closed");
}

static void give_up(void *arg)
{
	(void)arg;
	loop_stop();
}

static void nothing(struct process *p)
{
	(void)p;
}

static struct process *serving(const char *role, unsigned at)
{
	int fds[2];
	struct process *p = process_find(slice_str(role), 0);
	ck_assert_ptr_nonnull(p);
	ck_assert(channel_pair(fds));
	p->pid = NO_SUCH_PID + (pid_t)at;
	p->state = PROCESS_SERVING;
	p->channel = channel_open(fds[0], &master_dialogue, NULL, closed, p);
	ends[at] = channel_open(fds[1], &master_dialogue, routes, closed, p);
	return p;
}

/* More of them, all that come. */
static void wait_for_links(unsigned count)
{
	links = 0;
	wanted = count;
	loop_timer_start(&guard, GIVE_UP_US, give_up, NULL);
	loop_run();
	loop_timer_stop(&guard);
	ck_assert_uint_eq(links, count);
}

static void setup(void)
{
	static const unsigned counts[ROLES] = {
	    [ROLE_QUEUE] = 1, [ROLE_ROUTER] = 1, [ROLE_SMTPD] = 1};
	static const struct process_events events = {.ready = nothing};
	struct error e = {0};
	ck_assert_msg(processes_make(counts, true, &events, &e), "%s", e.text);
	queue = serving("queue", 0);
	router = serving("router", 1);
	smtpd = serving("smtpd", 2);
	links_make(queue);
	wait_for_links(4);
	ck_assert_uint_gt(with_router, 0);
	ck_assert_uint_gt(with_smtpd, with_router);
}

static void lose(struct process *p, const char *peer, uint64_t number)
{
	struct master_lost lost = {.peer = slice_str(peer), .number = number};
	links_lost(p, &lost);
}

START_TEST(two_that_have_lost_each_other_get_one_new_channel)
{
	uint64_t before = with_router;
	lose(queue, "router", before);
	lose(router, "queue", before);
	wait_for_links(2);
	ck_assert_uint_gt(with_router, before);
}
END_TEST

START_TEST(a_loss_soon_after_a_new_start_is_mended_too)
{
	lose(queue, "router", with_router); /* the router is dead, which is not known yet */
	links_make(router);		    /* it was started again */
	wait_for_links(4);
	uint64_t before = with_router;
	lose(queue, "router", before);
	wait_for_links(2);
	ck_assert_uint_gt(with_router, before);
}
END_TEST

START_TEST(a_loss_that_is_told_after_the_new_start_is_none)
{
	uint64_t dead = with_router;
	links_make(router);
	wait_for_links(4);
	uint64_t before = with_router;
	struct master_lost lost = {.peer = SLICE("router"), .number = dead, .broken = true};
	lose(queue, "router", dead);
	links_lost(queue, &lost);
	ck_assert_ptr_nonnull(router->channel);
	lose(queue, "smtpd", with_smtpd); /* mended later than that would be */
	wait_for_links(2);
	ck_assert_uint_eq(with_router, before);
	ck_assert_uint_gt(with_smtpd, before);
}
END_TEST

START_TEST(who_meets_strangers_has_nobody_killed_by_its_word)
{
	struct master_lost lost = {.peer = SLICE("queue"), .number = with_smtpd, .broken = true};
	links_lost(smtpd, &lost);
	ck_assert_ptr_nonnull(queue->channel);
	wait_for_links(2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("links");
	TCase *t = tcase_create("lost");
	SRunner *sr;
	int failed;
	tcase_set_timeout(t, 20);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, two_that_have_lost_each_other_get_one_new_channel);
	tcase_add_test(t, a_loss_soon_after_a_new_start_is_mended_too);
	tcase_add_test(t, a_loss_that_is_told_after_the_new_start_is_none);
	tcase_add_test(t, who_meets_strangers_has_nobody_killed_by_its_word);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
