/*
 * The SMTP client against a server that follows a script: a child process at the other end of a
 * socket pair. What the client sent is read back from a pipe.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/sendmail/sendmail.h"

enum { SEEN_MAX = 8192 };

/* replies[i] answers the i-th command or message; NULL: closes the connection. */
struct script {
	const char *replies[12];
};

/* Reads one command, or after 354 a message; false at the end. */
static bool read_command(FILE *f, bool data, FILE *seen)
{
	char line[2048];
	do {
		if (!fgets(line, sizeof(line), f))
			return false;
		fputs(line, seen);
	} while (data && strcmp(line, ".\r\n") != 0);
	return true;
}

static _Noreturn void serve(int fd, int seen_fd, const struct script *script)
{
	FILE *f = fdopen(fd, "r"), *seen = fdopen(seen_fd, "w");
	bool data = false;
	for (size_t i = 0; script->replies[i]; i++) {
		const char *reply = script->replies[i];
		if (i > 0 && !read_command(f, data, seen))
			break;
		data = strncmp(reply, "354", 3) == 0;
		/* one octet at a time: the client has to put replies together */
		for (const char *c = reply; *c; c++)
			if (send(fd, c, 1, MSG_NOSIGNAL) != 1)
				break;
		if (send(fd, "\r\n", 2, MSG_NOSIGNAL) != 2)
			break;
	}
	fclose(seen);
	_exit(0);
}

static char seen[SEEN_MAX];
static bool some; /* of submit_talk() */

static bool talk(const struct script *script, const char *list, const char *content,
		 struct error *e)
{
	int fds[2], log[2];
	struct recipients r;
	bool good;
	size_t len = 0;
	ssize_t n;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(pipe(log), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(fds[0]);
		close(log[0]);
		serve(fds[1], log[1], script);
	}
	close(fds[1]);
	close(log[1]);
	recipients_init(&r, SLICE("example.org"), 10);
	ck_assert(recipients_add_list(&r, slice_str(list), e));
	struct submission s = {.host = SLICE("mx.example.org"),
			       .sender = SLICE("s@example.org"),
			       .recipients = &r,
			       .content = slice_str(content)};
	good = submit_talk(fds[0], &s, &some, e);
	close(fds[0]);
	while ((n = read(log[0], seen + len, sizeof(seen) - 1 - len)) > 0)
		len += (size_t)n;
	seen[len] = '\0';
	close(log[0]);
	waitpid(pid, NULL, 0);
	recipients_free(&r);
	return good;
}

START_TEST(hands_a_message_over)
{
	static const struct script script = {{"220 mx ESMTP", "250-mx\r\n250-SIZE 1000\r\n250 HELP",
					      "250 2.1.0 Ok", "250 2.1.5 Ok", "250 2.1.5 Ok",
					      "354 go", "250 2.0.0 Ok: queued as X", NULL}};
	struct error e = {0};
	ck_assert_msg(talk(&script, "a@b.org, c@d.org", "X: y\r\n\r\n.dot\r\n.\r\n", &e), "%s",
		      e.text);
	ck_assert_str_eq(seen, "EHLO mx.example.org\r\nMAIL FROM:<s@example.org> SIZE=17\r\n"
			       "RCPT TO:<a@b.org>\r\nRCPT TO:<c@d.org>\r\nDATA\r\n"
			       "X: y\r\n\r\n..dot\r\n..\r\n.\r\n");
}
END_TEST

START_TEST(says_8bitmime_when_it_matters_and_is_offered)
{
	static const struct script script = {{"220-mx\r\n220 ESMTP", "250-mx\r\n250 8BITMIME",
					      "250 Ok", "250 Ok", "354 go", "250 Ok", NULL}};
	struct error e = {0};
	ck_assert(talk(&script, "a@b.org", "\r\n\xc3\xbc\r\n", &e));
	ck_assert_ptr_nonnull(strstr(seen, "MAIL FROM:<s@example.org> BODY=8BITMIME\r\n"));
}
END_TEST

static const struct {
	struct script script;
	int code;
} failures[] = {
    {{{"554 5.7.1 go away"}}, EX_NOPERM},
    {{{"421 too many"}}, EX_TEMPFAIL},
    {{{"220 mx", "500 what"}}, EX_UNAVAILABLE},
    {{{"220 mx", "250 mx", "451 4.3.0 later"}}, EX_TEMPFAIL},
    {{{"220 mx", "250 mx", "250 Ok", "550 5.1.1 <a@b.org>: User unknown"}}, EX_NOUSER},
    {{{"220 mx", "250 mx", "250 Ok", "554 5.7.1 <a@b.org>: Relay access denied"}}, EX_NOPERM},
    {{{"220 mx", "250 mx", "250 Ok", "452 4.3.1 full"}}, EX_TEMPFAIL},
    {{{"220 mx", "250 mx", "250 Ok", "250 Ok", "354 go", "552 5.3.4 too big"}}, EX_DATAERR},
    {{{"220 mx", "250 mx", "250 Ok", "250 Ok", "354 go", "451 4.3.0 disk"}}, EX_TEMPFAIL},
    {{{"220 mx", "250 mx", "250 Ok", "250 Ok", "354 go"}}, EX_TEMPFAIL}, /* the end is open */
    {{{"220 mx", "250-mx\r\n250 SIZE 3"}}, EX_DATAERR},
    {{{"hello"}}, EX_TEMPFAIL},
    {{{NULL}}, EX_TEMPFAIL},
};

START_TEST(ends_with_the_code_that_fits)
{
	struct error e = {0};
	ck_assert(!talk(&failures[_i].script, "a@b.org", "\r\nx\r\n", &e));
	ck_assert_msg(e.code == failures[_i].code, "%d: %s", e.code, e.text);
}
END_TEST

START_TEST(sends_nothing_when_one_recipient_is_refused)
{
	static const struct script script = {
	    {"220 mx", "250 mx", "250 Ok", "250 Ok", "550 5.1.1 User unknown", "221 bye", NULL}};
	struct error e = {0};
	ck_assert(!talk(&script, "a@b.org, c@d.org", "\r\nx\r\n", &e));
	ck_assert_ptr_null(strstr(seen, "DATA"));
	ck_assert_ptr_nonnull(strstr(seen, "QUIT\r\n"));
	ck_assert_ptr_nonnull(strstr(e.text, "c@d.org"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("submit");
	TCase *t = tcase_create("submit");
	SRunner *sr = srunner_create(s);
	suite_add_tcase(s, t);
	tcase_add_test(t, hands_a_message_over);
	tcase_add_test(t, says_8bitmime_when_it_matters_and_is_offered);
	tcase_add_loop_test(t, ends_with_the_code_that_fits, 0,
			    sizeof(failures) / sizeof(failures[0]));
	tcase_add_test(t, sends_nothing_when_one_recipient_is_refused);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
