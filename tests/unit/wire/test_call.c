/*
 * Questions over channels that die and come back.
 */
#include "common/wire/call.h"
#include "tests/unit/wire/talk.h"

static struct caller *caller;
static struct channel *asker, *answerer;
static size_t asked;	   /* questions that the answerer saw */
static uint64_t order[64]; /* their requests */
static bool silent;	   /* the answerer does not answer */
static bool asked_all, done, closed;
static size_t asked_wanted;
static size_t answers, timeouts;

static void on_closed(struct channel *c)
{
	(void)c;
	closed = true;
}

static void on_answer(struct channel *c, const void *record)
{
	const struct plain *p = record;
	(void)c;
	caller_answered(caller, p->request, p);
}

static void on_ask(struct channel *c, const void *record)
{
	const struct plain *p = record;
	order[asked % 64] = p->request;
	asked++;
	asked_all = asked >= asked_wanted;
	struct plain answer = {.request = p->request, .data = p->data};
	if (!silent)
		ck_assert(channel_send(c, TALK_ANSWER, &answer));
}

static const struct route asker_routes[] = {{TALK_ANSWER, ROUTE_ALWAYS, on_answer}, {0, 0, NULL}};
static const struct route answerer_routes[] = {{TALK_ASK, ROUTE_ALWAYS, on_ask}, {0, 0, NULL}};

static void connect_pair(void)
{
	int fds[2];
	ck_assert(channel_pair(fds));
	asker = channel_open(fds[0], &talk_dialogue, asker_routes, on_closed, NULL);
	answerer = channel_open(fds[1], &talk_dialogue, answerer_routes, on_closed, NULL);
}

static void on_done(void *arg, const void *answer)
{
	const struct plain *p = answer;
	answers += p ? 1 : 0;
	timeouts += p ? 0 : 1;
	if (p)
		ck_assert(slice_equal(p->data, slice_str(arg)));
	done = caller_pending(caller) == 0;
}

static uint64_t ask(const char *text, uint64_t timeout_us)
{
	struct plain p = {.data = slice_str(text)};
	return caller_ask(caller, TALK_ASK, &plain_record, &p, timeout_us, on_done,
			  (void *)(uintptr_t)text);
}

static void begin(void)
{
	caller = caller_new(10);
	asked_wanted = 1;
}

#define LONG 60000000

START_TEST(a_question_gets_its_answer)
{
	connect_pair();
	caller_use(caller, asker);
	ck_assert_uint_ne(ask("one", LONG), 0);
	ck_assert_uint_ne(ask("two", LONG), 0);
	run_until(&done);
	ck_assert_uint_eq(answers, 2);
	ck_assert_uint_eq(caller_pending(caller), 0);
	ck_assert(!caller_answered(caller, 1, NULL));
}
END_TEST

START_TEST(questions_wait_for_a_channel)
{
	ask("one", LONG);
	ask("two", LONG);
	connect_pair();
	caller_use(caller, asker);
	run_until(&done);
	ck_assert_uint_eq(answers, 2);
}
END_TEST

START_TEST(the_unanswered_are_asked_again_over_a_fresh_channel)
{
	silent = true;
	asked_wanted = 2;
	connect_pair();
	caller_use(caller, asker);
	ask("one", LONG);
	ask("two", LONG);
	run_until(&asked_all);
	channel_free(&answerer);
	run_until(&closed);
	caller_use(caller, NULL);
	channel_free(&asker);
	ask("three", LONG);
	silent = false;
	connect_pair();
	caller_use(caller, asker);
	run_until(&done);
	ck_assert_uint_eq(answers, 3);
	ck_assert_uint_eq(asked, 5);
	ck_assert_uint_eq(order[2], 1);
	ck_assert_uint_eq(order[3], 2);
	ck_assert_uint_eq(order[4], 3);
}
END_TEST

START_TEST(time_runs_out_with_a_channel_and_without)
{
	ask("nobody", 30000);
	ask("nobody", 10000);
	run_until(&done);
	ck_assert_uint_eq(timeouts, 2);
	silent = true;
	done = false;
	connect_pair();
	caller_use(caller, asker);
	ask("silent", 10000);
	run_until(&done);
	ck_assert_uint_eq(timeouts, 3);
	ck_assert_uint_eq(answers, 0);
}
END_TEST

START_TEST(pending_questions_are_bounded)
{
	for (int i = 0; i < 10; i++)
		ck_assert_uint_ne(ask("x", LONG), 0);
	ck_assert_uint_eq(ask("x", LONG), 0);
	ck_assert_uint_eq(caller_pending(caller), 10);
}
END_TEST

START_TEST(what_is_asked_once_ends_with_its_channel)
{
	caller_free(&caller);
	caller = caller_new_once(10);
	asked_wanted = 2;
	ck_assert_uint_eq(ask("one", LONG), 0);
	connect_pair();
	caller_use(caller, asker);
	silent = true;
	uint64_t request = ask("two", LONG);
	ck_assert_uint_ne(request, 0);
	ck_assert_uint_ne(ask("three", LONG), 0);
	ck_assert_str_eq(caller_arg(caller, request), "two");
	ck_assert_ptr_null(caller_arg(caller, request + 10));
	run_until(&asked_all);
	channel_free(&asker);
	channel_free(&answerer);
	caller_use(caller, NULL);
	ck_assert_uint_eq(timeouts, 2);
	ck_assert_uint_eq(caller_pending(caller), 0);
	ck_assert_uint_eq(ask("four", LONG), 0);
	silent = false;
	connect_pair();
	caller_use(caller, asker);
	ck_assert_uint_ne(ask("five", LONG), 0);
	done = false;
	run_until(&done);
	ck_assert_uint_eq(answers, 1);
	ck_assert_uint_eq(timeouts, 2);
}
END_TEST

START_TEST(a_cancelled_question_is_forgotten)
{
	connect_pair();
	caller_use(caller, asker);
	uint64_t one = ask("one", LONG);
	ask("two", LONG);
	caller_cancel(caller, one);
	caller_cancel(caller, one);
	caller_cancel(caller, 0);
	run_until(&done);
	ck_assert_uint_eq(answers, 1);
}
END_TEST

static void free_at_timeout(void *arg, const void *answer)
{
	(void)arg;
	ck_assert_ptr_null(answer);
	caller_free(&caller);
	done = true;
}

START_TEST(a_caller_may_be_freed_in_its_own_call)
{
	struct plain p = {.data = SLICE("x")};
	caller_ask(caller, TALK_ASK, &plain_record, &p, 1000, free_at_timeout, NULL);
	caller_ask(caller, TALK_ASK, &plain_record, &p, 1000, free_at_timeout, NULL);
	run_until(&done);
	ck_assert_ptr_null(caller);
}
END_TEST

START_TEST(a_full_channel_gets_the_rest_later)
{
	static char text[100001];
	memset(text, 'x', sizeof(text) - 1);
	caller_free(&caller);
	caller = caller_new(400);
	connect_pair();
	caller_use(caller, asker);
	for (int i = 0; i < 300; i++)
		ck_assert_uint_ne(ask(text, LONG), 0);
	run_until(&done);
	ck_assert_uint_eq(answers, 300);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("call");
	TCase *t = tcase_create("call");
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, begin, NULL);
	tcase_add_test(t, a_question_gets_its_answer);
	tcase_add_test(t, questions_wait_for_a_channel);
	tcase_add_test(t, the_unanswered_are_asked_again_over_a_fresh_channel);
	tcase_add_test(t, time_runs_out_with_a_channel_and_without);
	tcase_add_test(t, pending_questions_are_bounded);
	tcase_add_test(t, what_is_asked_once_ends_with_its_channel);
	tcase_add_test(t, a_cancelled_question_is_forgotten);
	tcase_add_test(t, a_caller_may_be_freed_in_its_own_call);
	tcase_add_test(t, a_full_channel_gets_the_rest_later);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
