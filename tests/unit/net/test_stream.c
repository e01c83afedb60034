/*
 * Streams over a socket pair; the other end is a bare socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>

#include "common/net/stream.h"
#include "tests/unit/net/turns.h"

static struct stream *stream;
static int peer;
static char taken[100000]; /* all that the owner has consumed */
static size_t taken_len, inputs, drains;
static bool ended, got, drained;
static size_t wanted;
static enum stream_end reason;

static void take(struct stream *s, size_t n)
{
	struct slice in = stream_input(s);
	memcpy(taken + taken_len, in.ptr, n);
	taken_len += n;
	stream_consume(s, n);
	got = taken_len >= wanted;
}

/* Whole lines, as a protocol does it. */
static void lines_input(struct stream *s)
{
	inputs++;
	while (stream_ready(s)) {
		struct slice in = stream_input(s);
		size_t end = slice_find(in, '\n');
		if (end == in.len)
			break;
		take(s, end + 1);
	}
}

/* Each line has to wait for a verdict. */
static void verdict_input(struct stream *s)
{
	lines_input(s);
	stream_pause(s);
}

static void one_verdict_input(struct stream *s)
{
	inputs++;
	size_t end = slice_find(stream_input(s), '\n');
	if (end == stream_input(s).len)
		return;
	take(s, end + 1);
	stream_pause(s);
}

static void echo_input(struct stream *s)
{
	inputs++;
	while (stream_ready(s) && stream_input(s).len > 0) {
		ck_assert(stream_send(s, slice_sub(stream_input(s), 0, 100)));
		stream_consume(s, stream_input(s).len < 100 ? stream_input(s).len : 100);
	}
}

/* One line a turn. */
static void yielding_input(struct stream *s)
{
	inputs++;
	size_t end = slice_find(stream_input(s), '\n');
	if (end < stream_input(s).len)
		take(s, end + 1);
	stream_yield(s);
	ck_assert(!stream_ready(s));
}

static void farewell_input(struct stream *s)
{
	stream_send(s, SLICE("221 bye\r\n"));
	stream_finish(&stream);
	(void)s;
	got = true;
}

static void free_input(struct stream *s)
{
	(void)s;
	stream_free(&stream);
	got = true;
}

static void lazy_input(struct stream *s)
{
	(void)s;
	inputs++;
	got = true;
}

static void on_end(struct stream *s, enum stream_end why)
{
	(void)s;
	ck_assert(!ended);
	ended = true;
	reason = why;
}

static void on_drained(struct stream *s)
{
	(void)s;
	drains++;
	drained = true;
}

static const struct stream_kind lines = {1000, 4000, lines_input, on_end, on_drained, NULL};
static const struct stream_kind lazy = {1000, 4000, lazy_input, on_end, NULL, NULL};
static const struct stream_kind verdicts = {1000, 4000, verdict_input, on_end, NULL, NULL};
static const struct stream_kind one_verdict = {1000, 4000, one_verdict_input, on_end, NULL, NULL};
static const struct stream_kind yielding = {1000, 4000, yielding_input, on_end, NULL, NULL};
static const struct stream_kind echo = {60000, 8000, echo_input, on_end, NULL, NULL};
static const struct stream_kind farewell = {1000, 4000, farewell_input, on_end, NULL, NULL};
static const struct stream_kind frees = {1000, 4000, free_input, on_end, NULL, NULL};

static void begin(const struct stream_kind *kind)
{
	int fds[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	peer = fds[0];
	stream = stream_open(fds[1], kind, &peer);
	wanted = 1;
}

static void say(const char *text)
{
	ck_assert_int_eq(send(peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* What the peer can read now. */
static struct slice heard(void)
{
	static char octets[400000];
	size_t len = 0;
	ssize_t n;
	while (len < sizeof(octets) && (n = recv(peer, octets + len, sizeof(octets) - len, 0)) > 0)
		len += (size_t)n;
	return slice_make(octets, len);
}

static void peer_ended(void *arg, unsigned what)
{
	char c;
	(void)what;
	if (recv(peer, &c, 1, MSG_PEEK) == 0)
		*(bool *)arg = true;
}

START_TEST(input_comes_whole_and_the_rest_stays)
{
	begin(&lines);
	ck_assert_ptr_eq(stream_owner(stream), &peer);
	wanted = 5;
	say("one\ntw");
	run_for(1000);
	ck_assert_uint_eq(taken_len, 4);
	ck_assert(slice_equal(stream_input(stream), SLICE("tw")));
	say("o\n");
	run_until(&got);
	ck_assert(slice_equal(slice_make(taken, taken_len), SLICE("one\ntwo\n")));
	ck_assert_uint_eq(stream_received(stream), 8);
	ck_assert_uint_eq(inputs, 2);
}
END_TEST

START_TEST(input_is_bounded)
{
	char text[3001] = {0};
	begin(&lazy);
	memset(text, 'x', 3000);
	say(text);
	run_for(20000);
	ck_assert_uint_eq(stream_input(stream).len, 1000);
	ck_assert_uint_le(inputs, 2);
	stream_consume(stream, 1000);
	stream_pause(stream);
	stream_resume(stream);
	run_for(1000);
	ck_assert_uint_eq(stream_input(stream).len, 1000);
	ck_assert_uint_eq(stream_received(stream), 2000);
}
END_TEST

START_TEST(a_turns_output_leaves_at_its_end_in_order)
{
	begin(&lines);
	ck_assert(stream_send(stream, SLICE("250-a\r\n")));
	ck_assert(stream_send(stream, SLICE("250 b\r\n")));
	ck_assert_uint_eq(stream_unsent(stream), 14);
	ck_assert_uint_eq(heard().len, 0);
	run_for(1000);
	ck_assert(slice_equal(heard(), SLICE("250-a\r\n250 b\r\n")));
	stream_send(stream, SLICE("now"));
	stream_flush(stream);
	ck_assert(slice_equal(heard(), SLICE("now")));
	run_for(1000);
	ck_assert_uint_eq(drains, 0);
}
END_TEST

/* More than a socket takes at once. */
enum { FLOOD = 4 * 1024 * 1024 };
static const struct stream_kind floods = {1000, 4 * FLOOD, lines_input, on_end, on_drained, NULL};
static char flood[FLOOD];

START_TEST(output_that_had_to_wait_is_told_when_it_has_left)
{
	size_t n = 0;
	begin(&floods);
	ck_assert(stream_send(stream, slice_make(flood, sizeof(flood))));
	run_for(1000);
	ck_assert_uint_gt(stream_unsent(stream), 0);
	while (!drained) {
		n += heard().len;
		run_for(100);
	}
	for (size_t more; (more = heard().len) > 0;)
		n += more;
	ck_assert_uint_eq(n, FLOOD);
	ck_assert_uint_eq(drains, 1);
	ck_assert_uint_eq(stream_unsent(stream), 0);
}
END_TEST

START_TEST(what_passes_leaves_at_once_and_its_rest_like_all_else)
{
	size_t n;
	begin(&floods);
	ck_assert(stream_pass(stream, SLICE("first")));
	ck_assert_uint_eq(stream_unsent(stream), 0);
	ck_assert(slice_equal(heard(), SLICE("first")));
	ck_assert(stream_send(stream, SLICE("second, ")));
	ck_assert(stream_pass(stream, SLICE("third"))); /* never before what waits */
	ck_assert_uint_eq(heard().len, 0);
	run_for(1000);
	ck_assert(slice_equal(heard(), SLICE("second, third")));
	memset(flood, 'f', sizeof(flood));
	ck_assert(stream_pass(stream, slice_make(flood, sizeof(flood))));
	ck_assert_uint_gt(stream_unsent(stream), 0);
	ck_assert_uint_lt(stream_unsent(stream), FLOOD);
	ck_assert(stream_pass(stream, SLICE("last")));
	ck_assert_uint_eq(drains, 0);
	n = 0;
	while (!drained) {
		n += heard().len;
		run_for(100);
	}
	for (struct slice more; (more = heard()).len > 0;) {
		n += more.len;
		if (n == FLOOD + 4)
			ck_assert(slice_equal(slice_from(more, more.len - 4), SLICE("last")));
	}
	ck_assert_uint_eq(n, FLOOD + 4);
	ck_assert_uint_eq(drains, 1);
}
END_TEST

START_TEST(what_can_not_pass_any_more_is_unsent)
{
	begin(&floods);
	say("552 too big\n");
	close(peer);
	ck_assert(stream_pass(stream, SLICE("content")));
	ck_assert_uint_eq(stream_unsent(stream), 7);
	ck_assert(!ended);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_BROKEN);
	ck_assert(slice_equal(slice_make(taken, taken_len), SLICE("552 too big\n")));
	peer = socket(AF_UNIX, SOCK_STREAM, 0);
}
END_TEST

/* A server that refuses content while it is sent: its last words lie behind a broken pipe. */
START_TEST(last_words_are_heard_after_the_peer_takes_no_more)
{
	begin(&floods);
	ck_assert(stream_send(stream, slice_make(flood, sizeof(flood))));
	say("552 too big\n");
	close(peer);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_BROKEN);
	ck_assert(slice_equal(slice_make(taken, taken_len), SLICE("552 too big\n")));
	ck_assert_uint_gt(stream_unsent(stream), 0);
	ck_assert_str_ne(stream_fault(stream), "");
	peer = socket(AF_UNIX, SOCK_STREAM, 0);
}
END_TEST

START_TEST(pipelined_input_waits_for_the_verdict)
{
	begin(&one_verdict);
	say("one\ntwo\nthree\n");
	run_until(&got);
	run_for(1000);
	ck_assert_uint_eq(inputs, 1);
	ck_assert_uint_eq(taken_len, 4);
	say("four\n");
	run_for(1000);
	ck_assert_uint_eq(inputs, 1);
	stream_resume(stream);
	ck_assert_uint_eq(taken_len, 8);
	stream_resume(stream);
	ck_assert_uint_eq(taken_len, 14);
	stream_resume(stream); /* nothing unread here: from the socket */
	wanted = 19;
	got = false;
	run_until(&got);
	ck_assert(slice_equal(slice_make(taken, taken_len), SLICE("one\ntwo\nthree\nfour\n")));
}
END_TEST

static void at_once_input(struct stream *s)
{
	one_verdict_input(s);
	stream_resume(s);
}

START_TEST(an_answer_inside_input_does_not_nest)
{
	static const struct stream_kind at_once = {1000, 4000, at_once_input, on_end, NULL, NULL};
	begin(&at_once);
	wanted = 9;
	say("a\nb\nc\nd\nee");
	run_for(1000);
	ck_assert_uint_eq(taken_len, 8);
	ck_assert_uint_eq(inputs, 5);
	say("\n");
	run_until(&got);
}
END_TEST

static void one_more_at_most(void *before)
{
	ck_assert_uint_le(inputs, *(size_t *)before + 1);
	*(size_t *)before = inputs;
}

START_TEST(one_that_yields_gets_a_line_in_each_turn)
{
	struct loop_turn turn = {0};
	size_t before = 0;
	begin(&yielding);
	loop_turn_add(&turn, one_more_at_most, &before);
	wanted = 14;
	say("one\ntwo\nthree\n");
	run_until(&got);
	ck_assert_uint_eq(inputs, 3);
	got = false;
	wanted = 19;
	say("four\n"); /* in its turn for the others */
	run_until(&got);
	run_for(1000);
	ck_assert_uint_eq(inputs, 4);
	ck_assert(slice_equal(slice_make(taken, taken_len), SLICE("one\ntwo\nthree\nfour\n")));
	say("five\nsix\n");
	close(peer);
	wanted = 28;
	got = false;
	run_until(&got);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_CLOSED);
	loop_turn_remove(&turn);
	peer = -1;
}
END_TEST

START_TEST(a_peer_that_does_not_read_makes_input_wait)
{
	static char text[40000];
	size_t said = 0;
	int small = 1;
	begin(&echo);
	setsockopt(*(int *)stream_owner(stream), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 50; i++) {
		ssize_t n = send(peer, text, sizeof(text), MSG_NOSIGNAL);
		said += n > 0 ? (size_t)n : 0;
		run_for(500);
	}
	ck_assert(!ended);
	ck_assert_uint_lt(stream_received(stream), said);
	ck_assert(!stream_ready(stream));
	size_t back = 0;
	for (int i = 0; i < 5000 && back < said; i++) {
		back += heard().len;
		run_for(200);
	}
	ck_assert_uint_eq(back, said);
}
END_TEST

START_TEST(output_is_bounded)
{
	char text[4001] = {0};
	begin(&lines);
	ck_assert(stream_send(stream, slice_make(text, 4000)));
	ck_assert(!stream_send(stream, slice_make(text, 1)));
	ck_assert(!ended);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_FULL);
	ck_assert(!stream_send(stream, slice_make(text, 1)));
	stream_free(&stream);
	ck_assert_ptr_null(stream);
}
END_TEST

START_TEST(the_peers_end_comes_after_its_last_line)
{
	begin(&lines);
	say("quit\n");
	shutdown(peer, SHUT_WR);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_CLOSED);
	ck_assert_uint_eq(taken_len, 5);
	stream_free(&stream);
}
END_TEST

START_TEST(a_peer_that_has_said_all_still_gets_the_rest)
{
	begin(&lines);
	bool over = false;
	struct loop_watch watch = {0};
	shutdown(peer, SHUT_WR);
	stream_send(stream, SLICE("last words\r\n"));
	run_until(&ended);
	stream_finish(&stream);
	run_for(1000);
	ck_assert(slice_equal(heard(), SLICE("last words\r\n")));
	loop_watch_start(&watch, peer, LOOP_READ, peer_ended, &over);
	run_until(&over);
	loop_watch_stop(&watch);
}
END_TEST

START_TEST(a_write_error_ends_from_the_loop)
{
	begin(&lines);
	close(peer);
	stream_pause(stream);
	stream_send(stream, SLICE("anyone?"));
	stream_flush(stream);
	ck_assert(!ended);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_BROKEN);
	stream_free(&stream);
}
END_TEST

START_TEST(the_last_reply_is_read_in_spite_of_unread_input)
{
	bool over = false;
	struct loop_watch watch = {0};
	begin(&farewell);
	say("QUIT\r\nand more");
	run_until(&got);
	ck_assert_ptr_null(stream);
	say("and more"); /* the linger drops it */
	run_for(1000);
	ck_assert(slice_equal(heard(), SLICE("221 bye\r\n")));
	loop_watch_start(&watch, peer, LOOP_READ, peer_ended, &over);
	run_until(&over);
	loop_watch_stop(&watch);
	close(peer);
	run_for(1000);
	ck_assert(!ended);
}
END_TEST

START_TEST(a_finished_stream_does_not_wait_for_ever)
{
	char text[8];
	begin(&farewell);
	say("QUIT\r\n");
	run_until(&got);
	run_for(STREAM_LINGER_US + 200000);
	heard();
	ck_assert_int_lt(send(peer, "x", 1, MSG_NOSIGNAL), 0);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_eq(recv(peer, text, sizeof(text), 0), 0);
}
END_TEST

START_TEST(one_that_parts_closes_with_its_last_words)
{
	char text[8];
	begin(&lines);
	stream_send(stream, SLICE("221 bye\r\n"));
	stream_part(&stream);
	ck_assert_ptr_null(stream);
	run_for(1000);
	ck_assert(slice_equal(heard(), SLICE("221 bye\r\n")));
	ck_assert_int_eq(recv(peer, text, sizeof(text), 0), 0);
	ck_assert_int_lt(send(peer, "x", 1, MSG_NOSIGNAL), 0);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert(!ended);
}
END_TEST

START_TEST(one_that_parts_is_heard_in_spite_of_unread_input)
{
	char text[8];
	begin(&lines);
	stream_send(stream, SLICE("250 queued\r\n221 bye\r\n"));
	stream_part(&stream);
	say("NOOP\r\n");
	run_for(1000);
	ck_assert(slice_equal(heard(), SLICE("250 queued\r\n221 bye\r\n")));
	ck_assert_int_eq(recv(peer, text, sizeof(text), 0), 0);
	ck_assert_int_eq(send(peer, "x", 1, MSG_NOSIGNAL), 1);
	ck_assert(!ended);
}
END_TEST

START_TEST(a_stream_may_be_freed_in_its_input)
{
	begin(&frees);
	say("x");
	run_until(&got);
	ck_assert_ptr_null(stream);
	ck_assert_uint_eq(heard().len, 0);
	run_for(1000);
	ck_assert(!ended);
}
END_TEST

START_TEST(a_deadline_ends_and_can_be_moved)
{
	begin(&lines);
	stream_deadline(stream, 20000);
	stream_deadline(stream, 60000);
	run_for(40000);
	ck_assert(!ended);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_LATE);
	stream_free(&stream);
	ended = false;
	begin(&lines);
	stream_deadline(stream, 10000000);
	stream_deadline(stream, 10000); /* nearer than before */
	run_until(&ended);
	stream_free(&stream);
	ended = false;
	begin(&lines);
	stream_deadline(stream, 5000);
	stream_deadline(stream, 0);
	run_for(20000);
	ck_assert(!ended);
}
END_TEST

START_TEST(last_words_reach_a_peer_that_reads_again)
{
	static char text[3000];
	struct slice rest;
	begin(&lines);
	while (stream_unsent(stream) == 0) {
		ck_assert(stream_send(stream, slice_make(text, sizeof(text))));
		run_for(100);
	}
	stream_deadline(stream, 1000);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_LATE);
	ck_assert(stream_send(stream, SLICE("421 late\r\n")));
	stream_finish(&stream);
	run_for(1000);
	heard();
	run_for(5000);
	rest = heard();
	ck_assert(slice_equal(slice_sub(rest, rest.len - 10, 10), SLICE("421 late\r\n")));
}
END_TEST

START_TEST(no_deadline_runs_while_an_answer_is_awaited)
{
	begin(&verdicts);
	stream_deadline(stream, 30000);
	say("mail\n");
	run_until(&got);
	run_for(80000);
	ck_assert(!ended);
	stream_deadline(stream, 40000); /* from the end of the pause on */
	run_for(50000);
	stream_resume(stream);
	run_for(15000);
	ck_assert(!ended);
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_LATE);
}
END_TEST

START_TEST(a_peer_below_the_minimum_rate_is_ended)
{
	begin(&lines);
	stream_rate(stream, 1000, 50000); /* 50 octets in 50 ms */
	char text[61] = {0};
	memset(text, '\n', 60);
	say(text);
	run_for(60000);
	ck_assert(!ended);
	say("\n");
	run_until(&ended);
	ck_assert_int_eq(reason, STREAM_SLOW);
	stream_free(&stream);
	ended = false;
	begin(&verdicts);
	stream_rate(stream, 1000, 50000);
	got = false;
	say("x\n");
	run_until(&got);
	run_for(80000);
	ck_assert(!ended); /* paused: not its fault */
	stream_rate(stream, 0, 0);
	stream_resume(stream);
	run_for(80000);
	ck_assert(!ended);
}
END_TEST

START_TEST(an_early_talker_is_heard_before_the_greeting)
{
	begin(&lines);
	ck_assert(!stream_spoke(stream));
	say("x");
	ck_assert(stream_spoke(stream));
	run_for(1000);
	ck_assert(stream_spoke(stream));
}
END_TEST

START_TEST(an_idle_session_costs_less_than_a_kilobyte)
{
	enum { SESSIONS = 300 };
	static int peers[SESSIONS];
	begin(&lines);
	run_for(1000);
	stream_free(&stream);
	size_t before = mallinfo2().uordblks;
	for (int i = 0; i < SESSIONS; i++) {
		begin(&lines);
		peers[i] = peer;
		stream_deadline(stream, 300000000);
		stream_send(stream, SLICE("220 hello\r\n"));
		say("half a line and then the rest of it");
	}
	run_for(5000);
	for (int i = 0; i < SESSIONS; i++)
		ck_assert_int_eq(send(peers[i], "\n", 1, 0), 1);
	run_for(5000);
	ck_assert_uint_eq(taken_len, SESSIONS * 36);
	ck_assert_uint_lt((mallinfo2().uordblks - before) / SESSIONS, 1024);
}
END_TEST

START_TEST(every_end_has_a_name)
{
	ck_assert_str_eq(stream_end_name(STREAM_CLOSED), "closed");
	ck_assert_str_eq(stream_end_name(STREAM_FULL), "full");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stream");
	TCase *t = tcase_create("stream");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, input_comes_whole_and_the_rest_stays);
	tcase_add_test(t, input_is_bounded);
	tcase_add_test(t, a_turns_output_leaves_at_its_end_in_order);
	tcase_add_test(t, pipelined_input_waits_for_the_verdict);
	tcase_add_test(t, an_answer_inside_input_does_not_nest);
	tcase_add_test(t, one_that_yields_gets_a_line_in_each_turn);
	tcase_add_test(t, a_peer_that_does_not_read_makes_input_wait);
	tcase_add_test(t, output_is_bounded);
	tcase_add_test(t, the_peers_end_comes_after_its_last_line);
	tcase_add_test(t, a_peer_that_has_said_all_still_gets_the_rest);
	tcase_add_test(t, a_write_error_ends_from_the_loop);
	tcase_add_test(t, the_last_reply_is_read_in_spite_of_unread_input);
	tcase_add_test(t, a_finished_stream_does_not_wait_for_ever);
	tcase_add_test(t, one_that_parts_closes_with_its_last_words);
	tcase_add_test(t, one_that_parts_is_heard_in_spite_of_unread_input);
	tcase_add_test(t, a_stream_may_be_freed_in_its_input);
	tcase_add_test(t, a_deadline_ends_and_can_be_moved);
	tcase_add_test(t, last_words_reach_a_peer_that_reads_again);
	tcase_add_test(t, no_deadline_runs_while_an_answer_is_awaited);
	tcase_add_test(t, a_peer_below_the_minimum_rate_is_ended);
	tcase_add_test(t, an_early_talker_is_heard_before_the_greeting);
	tcase_add_test(t, an_idle_session_costs_less_than_a_kilobyte);
	tcase_add_test(t, every_end_has_a_name);
	tcase_add_test(t, output_that_had_to_wait_is_told_when_it_has_left);
	tcase_add_test(t, what_passes_leaves_at_once_and_its_rest_like_all_else);
	tcase_add_test(t, what_can_not_pass_any_more_is_unsent);
	tcase_add_test(t, last_words_are_heard_after_the_peer_takes_no_more);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
