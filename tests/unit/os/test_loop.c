/* loop: what is called when, and in which order. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bsd/string.h>

#include "common/os/clock.h"
#include "common/os/loop.h"

#define LETTER(c) ((char[]){c})

static char story[64]; /* what happened, a letter for each event */

static void tell(void *arg)
{
	strlcat(story, arg, sizeof(story));
}

static void tell_and_stop(void *arg)
{
	tell(arg);
	loop_stop();
}

static void stop(void *arg)
{
	(void)arg;
	loop_stop();
}

struct pipe_end {
	struct loop_watch watch;
	int fd;
	unsigned seen;
	int calls;
};

static void end_called(void *arg, unsigned what)
{
	struct pipe_end *p = arg;
	p->seen = what;
	p->calls++;
	loop_watch_stop(&p->watch);
}

START_TEST(a_watch_is_called_with_what_is_ready)
{
	int fds[2];
	struct pipe_end in = {.calls = 0}, out = {.calls = 0};
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	loop_watch_start(&in.watch, fds[0], LOOP_READ, end_called, &in);
	loop_watch_start(&out.watch, fds[1], LOOP_WRITE, end_called, &out);
	loop_run();
	ck_assert_uint_eq(in.seen, LOOP_READ);
	ck_assert_uint_eq(out.seen, LOOP_WRITE);
	ck_assert_int_eq(in.calls + out.calls, 2);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(a_watch_that_waits_for_nothing_is_silent_until_it_is_set)
{
	int fds[2];
	struct pipe_end in = {.calls = 0};
	struct loop_timer t = {.call = NULL};
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	loop_watch_start(&in.watch, fds[0], 0, end_called, &in);
	loop_timer_start(&t, 2000, stop, NULL);
	loop_run();
	ck_assert_int_eq(in.calls, 0);
	loop_watch_set(&in.watch, LOOP_READ);
	loop_run();
	ck_assert_int_eq(in.calls, 1);
	loop_watch_set(&in.watch, LOOP_READ);
	loop_watch_set(&in.watch, 0);
	loop_timer_start(&t, 2000, stop, NULL);
	loop_run();
	ck_assert_int_eq(in.calls, 1);
	loop_watch_stop(&in.watch);
	loop_watch_stop(&in.watch);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(a_hang_up_shows_as_readable)
{
	int fds[2];
	struct pipe_end in = {.calls = 0};
	ck_assert_int_eq(pipe(fds), 0);
	close(fds[1]);
	loop_watch_start(&in.watch, fds[0], LOOP_READ, end_called, &in);
	loop_run();
	ck_assert_uint_eq(in.seen, LOOP_READ);
	close(fds[0]);
}
END_TEST

static void free_called(void *arg, unsigned what)
{
	struct pipe_end *p = arg;
	(void)what;
	loop_watch_stop(&p->watch);
	close(p->fd);
	free(p);
	tell(LETTER("f"));
}

START_TEST(a_watch_may_be_freed_from_its_own_call)
{
	struct pipe_end *p = calloc(1, sizeof(*p));
	ck_assert_ptr_nonnull(p);
	p->fd = eventfd(1, 0);
	loop_watch_start(&p->watch, p->fd, LOOP_READ, free_called, p);
	loop_run();
	ck_assert_str_eq(story, "f");
}
END_TEST

enum { CROWD = 20000 };
static int crowd_calls;

static void crowd_called(void *arg, unsigned what)
{
	(void)what;
	loop_watch_stop(arg);
	crowd_calls++;
}

START_TEST(tens_of_thousands_of_watches_are_all_called)
{
	struct rlimit limit;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	int crowd = limit.rlim_cur > CROWD + 100 ? CROWD : (int)limit.rlim_cur - 100;
	struct loop_watch *watches = calloc((size_t)crowd, sizeof(*watches));
	ck_assert_ptr_nonnull(watches);
	for (int i = 0; i < crowd; i++) {
		int fd = eventfd(1, EFD_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		loop_watch_start(&watches[i], fd, LOOP_READ, crowd_called, &watches[i]);
	}
	loop_run();
	ck_assert_int_eq(crowd_calls, crowd);
	free(watches);
}
END_TEST

START_TEST(timers_are_called_in_the_order_of_their_time)
{
	struct loop_timer a = {.call = NULL}, b = {.call = NULL}, c = {.call = NULL},
			  d = {.call = NULL};
	loop_timer_start(&c, 9000, tell, LETTER("c"));
	loop_timer_start(&a, 1000, tell, LETTER("a"));
	loop_timer_start(&b, 5000, tell, LETTER("b"));
	loop_timer_start(&d, 3000, tell, LETTER("d"));
	ck_assert(loop_timer_active(&d));
	loop_timer_stop(&d);
	loop_timer_stop(&d);
	ck_assert(!loop_timer_active(&d));
	uint64_t before = clock_boot_us();
	loop_run();
	ck_assert_str_eq(story, "abc");
	ck_assert_uint_ge(clock_boot_us() - before, 8500);
	ck_assert(!loop_timer_active(&a));
}
END_TEST

START_TEST(a_timer_that_is_started_again_begins_anew)
{
	struct loop_timer a = {.call = NULL}, b = {.call = NULL};
	loop_timer_start(&a, 1000, tell, LETTER("x"));
	loop_timer_start(&b, 3000, tell, LETTER("b"));
	loop_timer_start(&a, 6000, tell, LETTER("a"));
	loop_run();
	ck_assert_str_eq(story, "ba");
}
END_TEST

static struct loop_timer rearmed;
static void rearm(void *arg)
{
	tell(arg);
	if (strlen(story) < 3)
		loop_timer_start(&rearmed, 0, rearm, arg);
}

START_TEST(a_timer_may_start_itself_from_its_own_call)
{
	loop_timer_start(&rearmed, 0, rearm, LETTER("r"));
	loop_run();
	ck_assert_str_eq(story, "rrr");
}
END_TEST

START_TEST(a_turn_ends_once_after_all_its_calls_and_in_order)
{
	struct loop_turn one = {.added = false}, two = {.added = false}, end = {.added = false};
	struct loop_turn block = {.added = false};
	struct loop_timer a = {.call = NULL};
	struct loop_wake w1 = {.call = NULL}, w2 = {.call = NULL};
	loop_turn_add_blocking(&block, tell, LETTER("4"));
	loop_turn_add_last(&end, tell, LETTER("3"));
	loop_turn_add(&one, tell, LETTER("1"));
	loop_turn_add(&two, tell, LETTER("2"));
	loop_wake_start(&w1, tell, LETTER("w"));
	loop_wake_start(&w2, tell, LETTER("w"));
	loop_wake_send(&w1);
	loop_wake_send(&w2);
	loop_wake_send(&w2);
	loop_timer_start(&a, 3000, tell_and_stop, LETTER("t"));
	loop_run();
	/* before the first sleep; the wakes; the timer; and at the end, whoever stopped */
	ck_assert_str_eq(story, "1234ww1234t1234");
	loop_wake_stop(&w1);
	loop_wake_stop(&w2);
	loop_turn_remove(&one);
	loop_turn_remove(&one);
	loop_turn_remove(&end);
	loop_turn_remove(&block);
	story[0] = '\0';
	loop_run();
	ck_assert_str_eq(story, "22");
}
END_TEST

static int again_left = 3;
static void again(void *arg)
{
	tell(arg);
	if (--again_left > 0)
		loop_turn_again();
}

START_TEST(a_turn_that_asks_for_another_does_not_sleep)
{
	struct loop_turn turn = {.added = false};
	struct loop_timer a = {.call = NULL};
	loop_turn_add(&turn, again, LETTER("a"));
	loop_timer_start(&a, 20000, tell_and_stop, LETTER("t"));
	loop_run();
	ck_assert_str_eq(story, "aaata");
}
END_TEST

static struct loop_wake woken;
static pthread_t helper;
static void *wake_thread(void *arg)
{
	loop_wake_send(&woken);
	return arg;
}

static void woken_called(void *arg)
{
	tell(arg);
	loop_wake_stop(&woken);
}

START_TEST(another_thread_wakes_the_sleeping_loop)
{
	loop_wake_start(&woken, woken_called, LETTER("w"));
	ck_assert_int_eq(pthread_create(&helper, NULL, wake_thread, NULL), 0);
	loop_run();
	pthread_join(helper, NULL);
	ck_assert_str_eq(story, "w");
}
END_TEST

static struct loop_signal child_signal;
static int child_state;
static void child_died(void *arg)
{
	pid_t *pid = arg;
	if (waitpid(*pid, &child_state, WNOHANG) == *pid)
		loop_signal_stop(&child_signal);
}

START_TEST(a_child_s_end_is_the_owner_s_to_read)
{
	pid_t pid = -1;
	loop_signal_start(&child_signal, SIGCHLD, child_died, &pid);
	pid = fork();
	if (pid == 0)
		_exit(42);
	loop_run();
	ck_assert(WIFEXITED(child_state));
	ck_assert_int_eq(WEXITSTATUS(child_state), 42);
}
END_TEST

START_TEST(a_stop_before_the_run_counts)
{
	struct loop_timer t = {.call = NULL};
	loop_timer_start(&t, 60 * CLOCK_SECOND, tell, LETTER("t"));
	loop_stop();
	loop_run();
	ck_assert_str_eq(story, "");
	loop_timer_stop(&t);
}
END_TEST

static uint64_t seen_now[2];
static void look_at_now(void *arg)
{
	(void)arg;
	seen_now[0] = loop_now();
	while (clock_boot_us() < seen_now[0] + 2000)
		;
	seen_now[1] = loop_now();
}

START_TEST(now_stands_still_within_a_turn)
{
	struct loop_timer t = {.call = NULL};
	uint64_t before = loop_now();
	loop_timer_start(&t, 1000, look_at_now, NULL);
	loop_run();
	ck_assert_uint_eq(seen_now[0], seen_now[1]);
	ck_assert_uint_ge(seen_now[0], before + 500);
	ck_assert_uint_gt(loop_now(), seen_now[0]);
}
END_TEST

enum { ROUNDS = 10, GATHER_US = 10000, BURST = 3 };

/* Reads an octet and writes the next one: another turn, at once. */
struct echo {
	struct loop_watch watch;
	int fds[2];
	int left;
	bool again; /* asks for the next turn, too */
};

static void echo_called(void *arg, unsigned what)
{
	struct echo *e = arg;
	char c;
	(void)what;
	ck_assert_int_eq(read(e->fds[0], &c, 1), 1);
	if (--e->left == 0)
		loop_stop();
	else
		ck_assert_int_eq(write(e->fds[1], "x", 1), 1);
	if (e->again)
		loop_turn_again();
}

static uint64_t echo_run(struct echo *e)
{
	uint64_t before = clock_boot_us();
	ck_assert_int_eq(pipe(e->fds), 0);
	ck_assert_int_eq(write(e->fds[1], "x", 1), 1);
	loop_watch_start(&e->watch, e->fds[0], LOOP_READ, echo_called, e);
	if (e->again)
		loop_turn_again();
	loop_run();
	loop_watch_stop(&e->watch);
	close(e->fds[0]);
	close(e->fds[1]);
	return clock_boot_us() - before;
}

START_TEST(turns_that_gather_are_apart_but_for_a_burst)
{
	struct echo e = {.left = ROUNDS};
	loop_gather(GATHER_US, BURST);
	ck_assert_uint_ge(echo_run(&e), (ROUNDS - BURST - 1) * GATHER_US);
}
END_TEST

/* Were they delayed, this would take half an hour. */
START_TEST(a_turn_that_was_asked_for_is_not_delayed)
{
	struct echo e = {.left = ROUNDS, .again = true};
	loop_gather(200 * CLOCK_SECOND, 1);
	echo_run(&e);
	loop_gather(0, 1);
	e = (struct echo){.left = ROUNDS};
	echo_run(&e);
}
END_TEST

START_TEST(a_timer_is_called_while_events_gather)
{
	struct echo e = {.left = 1000 * 1000 * 1000};
	struct loop_timer t = {.call = NULL};
	loop_gather(200 * CLOCK_SECOND, 1);
	loop_timer_start(&t, 10 * GATHER_US, stop, NULL);
	echo_run(&e);
	ck_assert_int_gt(e.left, 0);
}
END_TEST

START_TEST(a_forked_child_begins_with_a_loop_of_its_own)
{
	struct loop_signal s = {.call = NULL};
	struct loop_timer t = {.call = NULL};
	struct loop_turn turn = {.added = false};
	loop_signal_start(&s, SIGTERM, tell, LETTER("x"));
	loop_timer_start(&t, 60 * CLOCK_SECOND, tell, LETTER("x"));
	loop_turn_add(&turn, tell, LETTER("x"));
	pid_t pid = fork();
	if (pid == 0) {
		loop_forget();
		struct loop_timer mine = {.call = NULL};
		struct loop_signal again_s = {.call = NULL};
		loop_signal_start(&again_s, SIGTERM, tell_and_stop, LETTER("s"));
		loop_timer_start(&mine, 60 * CLOCK_SECOND, tell_and_stop, LETTER("m"));
		raise(SIGTERM);
		loop_run();
		_exit(strcmp(story, "s") == 0 ? 0 : 1);
	}
	int state;
	ck_assert_int_eq(waitpid(pid, &state, 0), pid);
	ck_assert_int_eq(state, 0);
	ck_assert(loop_timer_active(&t));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("loop");
	TCase *tc = tcase_create("loop");
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, a_watch_is_called_with_what_is_ready);
	tcase_add_test(tc, a_watch_that_waits_for_nothing_is_silent_until_it_is_set);
	tcase_add_test(tc, a_hang_up_shows_as_readable);
	tcase_add_test(tc, a_watch_may_be_freed_from_its_own_call);
	tcase_add_test(tc, tens_of_thousands_of_watches_are_all_called);
	tcase_add_test(tc, timers_are_called_in_the_order_of_their_time);
	tcase_add_test(tc, a_timer_that_is_started_again_begins_anew);
	tcase_add_test(tc, a_timer_may_start_itself_from_its_own_call);
	tcase_add_test(tc, a_turn_ends_once_after_all_its_calls_and_in_order);
	tcase_add_test(tc, a_turn_that_asks_for_another_does_not_sleep);
	tcase_add_test(tc, another_thread_wakes_the_sleeping_loop);
	tcase_add_test(tc, a_child_s_end_is_the_owner_s_to_read);
	tcase_add_test(tc, a_stop_before_the_run_counts);
	tcase_add_test(tc, now_stands_still_within_a_turn);
	tcase_add_test(tc, turns_that_gather_are_apart_but_for_a_burst);
	tcase_add_test(tc, a_turn_that_was_asked_for_is_not_delayed);
	tcase_add_test(tc, a_timer_is_called_while_events_gather);
	tcase_add_test(tc, a_forked_child_begins_with_a_loop_of_its_own);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
