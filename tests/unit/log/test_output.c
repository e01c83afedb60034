/*
 * Lines that can't be written are kept, and those that find no room are counted.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemons/log/output.h"

static void add_line(const char *text)
{
	struct log_entry entry = {.level = LOG_LEVEL_INFO, .text = slice_str(text)};
	output_line(&entry, SLICE("smtpd"), 1);
}

/* All that a pipe or socket has. */
static size_t read_some(int fd, char *to, size_t size)
{
	size_t len = 0;
	ssize_t n;
	while ((n = read(fd, to + len, size - 1 - len)) > 0)
		len += (size_t)n;
	to[len] = '\0';
	return len;
}

static void non_blocking(int fd)
{
	ck_assert_int_ge(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

START_TEST(writes_lines_in_their_order)
{
	char text[512];
	int fds[2];
	ck_assert_int_eq(pipe(fds), 0);
	non_blocking(fds[0]);
	output_name(SLICE("mx"), STYLE_TEXT, "host");
	output_use(SLICE("stderr"), fds[1]);
	add_line("one");
	add_line("two");
	output_turn();
	read_some(fds[0], text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, " mx/smtpd[1]: one\n"));
	ck_assert_ptr_nonnull(strstr(strstr(text, "one"), " mx/smtpd[1]: two\n"));
}
END_TEST

START_TEST(a_full_pipe_does_not_stop_it_and_nothing_is_lost)
{
	static char text[4 * 1024 * 1024];
	char line[64];
	int fds[2];
	size_t len = 0;
	ck_assert_int_eq(pipe(fds), 0);
	non_blocking(fds[0]);
	output_use(SLICE("stderr"), fds[1]);
	for (int i = 0; i < 5000; i++) {
		snprintf(line, sizeof(line), "line %d.", i);
		add_line(line);
		output_turn(); /* the pipe holds 64 KiB: a blocking write would hang here */
	}
	for (int i = 0; i < 100; i++) {
		len += read_some(fds[0], text + len, sizeof(text) - len);
		output_turn();
	}
	for (int i = 0; i < 5000; i++) {
		snprintf(line, sizeof(line), ": line %d.\n", i);
		ck_assert_msg(strstr(text, line) != NULL, "%s is not there", line);
	}
	ck_assert_ptr_null(strstr(text, "dropped"));
}
END_TEST

START_TEST(memory_is_bounded_and_dropped_lines_are_counted)
{
	static char text[4 * 1024 * 1024];
	char *filler = malloc(1001);
	int fds[2];
	size_t len = 0;
	ck_assert_int_eq(pipe(fds), 0);
	non_blocking(fds[0]);
	memset(filler, 'x', 1000);
	filler[1000] = '\0';
	output_use(SLICE("stderr"), fds[1]);
	for (int i = 0; i < 2000; i++) {
		add_line(filler);
		output_turn();
	}
	for (int i = 0; i < 1000; i++) {
		len += read_some(fds[0], text + len, sizeof(text) - len);
		output_turn();
	}
	ck_assert_uint_lt(len, OUTPUT_MEMORY + 128 * 1024);
	ck_assert_uint_gt(len, OUTPUT_MEMORY / 2);
	add_line("after");
	output_turn();
	read_some(fds[0], text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "- dropped lines="));
	ck_assert_ptr_nonnull(strstr(strstr(text, "dropped"), ": after\n"));
	free(filler);
}
END_TEST

START_TEST(a_file_that_takes_nothing_keeps_the_lines_for_the_next)
{
	char name[] = "/tmp/stagepost-log-XXXXXX", text[512];
	int full = open("/dev/full", O_WRONLY), file = mkstemp(name);
	ck_assert_int_ge(full, 0);
	ck_assert_int_ge(file, 0);
	output_use(SLICE("file"), full);
	add_line("kept");
	output_turn();
	output_use(SLICE("file"), dup(file));
	output_turn();
	lseek(file, 0, SEEK_SET);
	read_some(file, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, ": kept\n"));
	unlink(name);
}
END_TEST

START_TEST(the_system_logger_gets_a_packet_a_line)
{
	char text[512];
	int fds[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds), 0);
	output_use(SLICE("syslog"), fds[1]);
	add_line("one");
	add_line("two");
	output_turn();
	ck_assert_int_gt(recv(fds[0], text, sizeof(text), 0), 0);
	ck_assert_int_eq(strncmp(text, "<22>", 4), 0);
	ck_assert_ptr_nonnull(memmem(text, 64, "one", 3));
	ck_assert_int_gt(recv(fds[0], text, sizeof(text), 0), 0);
	ck_assert_ptr_nonnull(memmem(text, 64, "two", 3));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("output");
	TCase *t = tcase_create("lines");
	SRunner *sr;
	int failed;
	tcase_add_test(t, writes_lines_in_their_order);
	tcase_add_test(t, a_full_pipe_does_not_stop_it_and_nothing_is_lost);
	tcase_add_test(t, memory_is_bounded_and_dropped_lines_are_counted);
	tcase_add_test(t, a_file_that_takes_nothing_keeps_the_lines_for_the_next);
	tcase_add_test(t, the_system_logger_gets_a_packet_a_line);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
