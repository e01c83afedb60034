/*
 * What a daemon that was taken over can do to the log: not much. The test is at the daemon's end of
 * the channel.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/os/loop.h"
#include "daemons/log/input.h"
#include "daemons/log/output.h"

static int ours, file;
static char path[64], text[64 * 1024];

static void setup(void)
{
	int fds[2], on = 1;
	snprintf(path, sizeof(path), "/tmp/test-input-XXXXXX");
	file = mkstemp(path);
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(setsockopt(fds[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
	ours = fds[0];
	output_use(SLICE("file"), dup(file));
	input_add(SLICE("smtpd"), fds[1]);
}

static void teardown(void)
{
	close(ours);
	close(file);
	unlink(path);
}

static void tell(const char *packet)
{
	size_t len = strlen(packet);
	ck_assert_int_eq(send(ours, packet, len, 0), (ssize_t)len);
}

/* What stands in the log when all has been read. */
static const char *result(void)
{
	input_read_all();
	output_finish();
	ssize_t n = pread(file, text, sizeof(text) - 1, 0);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	return text;
}

START_TEST(the_role_is_the_channels_and_the_process_id_the_kernels)
{
	char own[64];
	tell("1 1000000 1 master - notice text=forged\n");
	snprintf(own, sizeof(own), "stagepost/smtpd[%d]: - notice text=forged\n", (int)getpid());
	ck_assert_ptr_nonnull(strstr(result(), own));
	ck_assert_ptr_null(strstr(text, "master"));
}
END_TEST

START_TEST(what_is_no_line_is_passed_over)
{
	tell("garbage");
	tell("9 1 1 smtpd - level\n");
	tell("1 1 1 smtpd - good\n1 1 1 smtpd\n1 1 1 smtpd - behind\n");
	tell("1 1 1 smtpd - next\n");
	result();
	ck_assert_ptr_nonnull(strstr(text, ": - good\n"));
	ck_assert_ptr_nonnull(strstr(text, ": - next\n"));
	ck_assert_ptr_null(strstr(text, "garbage"));
	ck_assert_ptr_null(strstr(text, "level"));
	ck_assert_ptr_null(strstr(text, "behind"));
}
END_TEST

static void send_with_descriptor(int fd)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.room = ""};
	char line[] = "1 1 1 smtpd - gift\n";
	struct iovec iov = {line, sizeof(line) - 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.room,
			   .msg_controllen = sizeof(control.room)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &fd, sizeof(int));
	ck_assert_int_eq(sendmsg(ours, &m, 0), (ssize_t)sizeof(line) - 1);
}

START_TEST(descriptors_that_are_sent_are_not_kept)
{
	int before = dup(file);
	close(before);
	for (int i = 0; i < 10; i++)
		send_with_descriptor(file);
	ck_assert_ptr_nonnull(strstr(result(), ": - gift\n"));
	int after = dup(file);
	close(after);
	ck_assert_int_eq(after, before);
}
END_TEST

START_TEST(the_end_comes_though_somebody_writes_on)
{
	static const char line[] = "1 1 1 smtpd - flood\n";
	tell(line);
	pid_t pid = fork();
	while (pid == 0)
		send(ours, line, sizeof(line) - 1, 0);
	ck_assert_ptr_nonnull(strstr(result(), ": - flood\n"));
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

enum { FLOOD_PACKETS = 2000, FLOOD_LINE = 100 };

/* Called at each turn's end, after what came in it was written. */
static void look_for_the_last(void *arg)
{
	struct stat st;
	ck_assert_int_eq(fstat(file, &st), 0);
	if (st.st_size >= *(off_t *)arg)
		loop_stop();
}

START_TEST(lines_that_gather_are_written_whole_and_in_order)
{
	static char written[FLOOD_PACKETS * FLOOD_LINE];
	struct loop_turn turn = {.added = false};
	char packet[FLOOD_LINE], line[FLOOD_LINE];
	off_t all = 0;
	pid_t pid = fork();
	if (pid == 0) {
		for (int i = 0; i < FLOOD_PACKETS; i++) {
			snprintf(packet, sizeof(packet), "1 1000000 1 smtpd - number n=%d\n", i);
			tell(packet);
		}
		_exit(0);
	}
	for (int i = 0; i < FLOOD_PACKETS; i++)
		all += snprintf(line, sizeof(line),
				"1970-01-01T00:00:01.000000+00:00 stagepost/smtpd[%d]: - number "
				"n=%d\n",
				(int)pid, i);
	output_start();
	input_start();
	loop_turn_add(&turn, look_for_the_last, &all);
	loop_run();
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(pread(file, written, sizeof(written), 0), all);
	const char *at = written;
	for (int i = 0; i < FLOOD_PACKETS; i++) {
		snprintf(line, sizeof(line), ": - number n=%d\n", i);
		at = strstr(at, line);
		ck_assert_ptr_nonnull(at);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("input");
	TCase *t = tcase_create("packets");
	SRunner *sr;
	int failed;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_role_is_the_channels_and_the_process_id_the_kernels);
	tcase_add_test(t, what_is_no_line_is_passed_over);
	tcase_add_test(t, descriptors_that_are_sent_are_not_kept);
	tcase_add_test(t, the_end_comes_though_somebody_writes_on);
	tcase_add_test(t, lines_that_gather_are_written_whole_and_in_order);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
