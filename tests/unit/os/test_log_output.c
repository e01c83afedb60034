/* log_output: lines reach the other end whole, in order, or are counted. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/os/clock.h"
#include "common/os/log_output.h"
#include "common/os/loop.h"

static int ours, theirs;
static char packet[LOG_PACKET_MAX + 1];

static void setup(void)
{
	int fds[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	ours = fds[0];
	theirs = fds[1];
	log_output_channel(ours, "smtpd", LOG_LEVEL_INFO);
}

/* The next packet; empty when there is none. */
static struct slice next_packet(void)
{
	ssize_t n = recv(theirs, packet, sizeof(packet), MSG_DONTWAIT);
	ck_assert_int_le(n, LOG_PACKET_MAX);
	return slice_make(packet, n > 0 ? (size_t)n : 0);
}

static void log_event(const char *event)
{
	struct log_line l;
	log_start(&l, LOG_LEVEL_INFO, 0, event);
	log_end(&l);
}

START_TEST(the_lines_of_a_turn_are_one_packet)
{
	struct log_entry entry;
	uint64_t before = clock_wall_us();
	log_event("first");
	log_event("second");
	ck_assert_uint_eq(next_packet().len, 0);
	loop_run();
	struct slice p = next_packet();
	ck_assert(log_output_next(&p, &entry));
	ck_assert(slice_equal(entry.text, SLICE("- first")));
	ck_assert(slice_equal(entry.role, SLICE("smtpd")));
	ck_assert_int_eq(entry.level, LOG_LEVEL_INFO);
	ck_assert_int_eq(entry.pid, getpid());
	ck_assert_uint_ge(entry.wall_us, before);
	ck_assert(log_output_next(&p, &entry));
	ck_assert(slice_equal(entry.text, SLICE("- second")));
	ck_assert(!log_output_next(&p, &entry));
	ck_assert_uint_eq(next_packet().len, 0);
}
END_TEST

START_TEST(an_error_goes_out_at_once)
{
	struct log_entry entry;
	log_event("before");
	log_error("the end is near");
	struct slice p = next_packet();
	ck_assert(log_output_next(&p, &entry));
	ck_assert(slice_equal(entry.text, SLICE("- before")));
	ck_assert(log_output_next(&p, &entry));
	ck_assert_int_eq(entry.level, LOG_LEVEL_ERROR);
}
END_TEST

START_TEST(what_nobody_reads_is_dropped_counted_and_told)
{
	enum { LINES = 100000 };
	struct log_entry entry;
	uint64_t seen = 0, told = 0, number;
	for (int i = 0; i < LINES; i++)
		log_event("flood");
	uint64_t dropped = log_output_dropped();
	ck_assert_uint_gt(dropped, 0);
	for (int round = 0; round < 2; round++) {
		struct slice p;
		while ((p = next_packet()).len > 0) {
			while (log_output_next(&p, &entry)) {
				if (slice_starts(entry.text, SLICE("- dropped lines="))) {
					ck_assert(slice_number(
					    slice_from(entry.text, sizeof("- dropped lines=") - 1),
					    UINT64_MAX, &number));
					told += number;
				} else {
					seen++;
				}
			}
		}
		log_output_flush();
	}
	ck_assert_uint_eq(told, dropped);
	ck_assert_uint_eq(seen + told, LINES);
}
END_TEST

static uint64_t lines_read;

static void read_some(void *arg, unsigned what)
{
	struct log_entry entry;
	struct slice p = next_packet();
	(void)what;
	while (log_output_next(&p, &entry))
		lines_read++;
	/* all that was not dropped, and the line that tells of the others */
	if (lines_read + log_output_dropped() == *(int *)arg + 1U)
		loop_stop();
}

START_TEST(what_is_kept_back_goes_out_when_there_is_room_again)
{
	int lines = 100000;
	struct loop_watch w = {.call = NULL};
	for (int i = 0; i < lines; i++)
		log_event("flood");
	loop_watch_start(&w, theirs, LOOP_READ, read_some, &lines);
	loop_run();
	loop_watch_stop(&w);
}
END_TEST

static void *log_many(void *arg)
{
	for (int i = 0; i < 1000; i++)
		log_event(arg);
	return NULL;
}

START_TEST(threads_do_not_mix_their_lines)
{
	pthread_t a, b;
	struct log_entry entry;
	int count[2] = {0, 0};
	char one[] = "aaaa", other[] = "bbbb";
	struct slice p;
	ck_assert_int_eq(pthread_create(&a, NULL, log_many, one), 0);
	ck_assert_int_eq(pthread_create(&b, NULL, log_many, other), 0);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	log_output_flush();
	while ((p = next_packet()).len > 0) {
		while (log_output_next(&p, &entry)) {
			bool is_a = slice_equal(entry.text, SLICE("- aaaa"));
			ck_assert(is_a || slice_equal(entry.text, SLICE("- bbbb")));
			count[is_a]++;
		}
	}
	ck_assert_int_eq(count[0], 1000);
	ck_assert_int_eq(count[1], 1000);
}
END_TEST

START_TEST(a_reader_that_is_gone_stops_nobody)
{
	close(theirs);
	log_error("nobody hears this");
	log_event("nor this");
	log_output_flush();
	ck_assert_uint_eq(log_output_dropped(), 2);
}
END_TEST

static const char *const no_lines[] = {
    "",
    "\n",
    "1 2 3 smtpd x",
    "x 2 3 smtpd x\n",
    "4 2 3 smtpd x\n",
    "1 -2 3 smtpd x\n",
    "1 2 smtpd x\n",
    "1 2 3 smtpd\n",
    "1 2 3  x\n",
    "1 2 3 smtpd \n",
    "1 2 99999999999 r x\n",
    "1 99999999999999999999999 3 r x\n",
    "1 2 3 a-role-that-is-longer-than-any-of-ours x\n",
};

START_TEST(what_is_not_a_line_ends_the_reading)
{
	struct log_entry entry;
	struct slice p = slice_str(no_lines[_i]);
	ck_assert(!log_output_next(&p, &entry));
	ck_assert_uint_eq(p.len, 0);
}
END_TEST

START_TEST(standard_error_gets_one_readable_line_an_event)
{
	int fds[2];
	char text[4096];
	setenv("TZ", "UTC0", 1);
	clock_warm();
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_ge(dup2(fds[1], STDERR_FILENO), 0);
	log_output_stderr("check", LOG_LEVEL_INFO);
	log_event("hello");
	ssize_t n = read(fds[0], text, sizeof(text) - 1);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	ck_assert_ptr_nonnull(strstr(text, "+00:00 stagepost/check["));
	ck_assert_ptr_nonnull(strstr(text, "]: - hello\n"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log_output");
	TCase *tc = tcase_create("log_output");
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, the_lines_of_a_turn_are_one_packet);
	tcase_add_test(tc, an_error_goes_out_at_once);
	tcase_add_test(tc, what_nobody_reads_is_dropped_counted_and_told);
	tcase_add_test(tc, what_is_kept_back_goes_out_when_there_is_room_again);
	tcase_add_test(tc, threads_do_not_mix_their_lines);
	tcase_add_test(tc, a_reader_that_is_gone_stops_nobody);
	tcase_add_loop_test(tc, what_is_not_a_line_ends_the_reading, 0,
			    sizeof(no_lines) / sizeof(no_lines[0]));
	tcase_add_test(tc, standard_error_gets_one_readable_line_an_event);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
