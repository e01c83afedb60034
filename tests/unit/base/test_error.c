/* error: texts are cut, never overrun; panic and fatal speak to the sink, or to standard error. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/log.h"

START_TEST(an_error_carries_code_and_text)
{
	struct error e;
	ck_assert(!error_set(&e, ENOENT, "no file %s", "x"));
	ck_assert_int_eq(e.code, ENOENT);
	ck_assert_str_eq(e.text, "no file x");
	ck_assert(!error_prefix(&e, "line %d", 3));
	ck_assert_str_eq(e.text, "line 3: no file x");
	ck_assert_int_eq(e.code, ENOENT);
	error_set(&e, EIO, "again: %s", e.text);
	ck_assert_str_eq(e.text, "again: line 3: no file x");
	error_prefix(&e, "%s", e.text);
	ck_assert_str_eq(e.text, "again: line 3: no file x: again: line 3: no file x");
	ck_assert(!error_set(NULL, 1, "x") && !error_prefix(NULL, "x"));
}
END_TEST

START_TEST(a_long_text_is_cut)
{
	struct error e;
	char text[2000];
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	error_set(&e, 1, "%s", text);
	ck_assert_uint_eq(strlen(e.text), ERROR_TEXT_SIZE - 1);
	for (int i = 0; i < 100; i++)
		error_prefix(&e, "context %d", i);
	ck_assert_uint_eq(strlen(e.text), ERROR_TEXT_SIZE - 1);
	ck_assert_int_eq(strncmp(e.text, "context 99: context 98: ", 24), 0);
	error_prefix(&e, "%s", text);
	ck_assert_uint_eq(strlen(e.text), ERROR_TEXT_SIZE - 1);
}
END_TEST

/* Runs `end` in a child, whose standard error is returned; *status as wait gives it. */
static const char *last_words(void (*end)(void), int *status)
{
	static char text[8192];
	int ends[2];
	size_t len = 0;
	ck_assert_int_eq(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		end();
		_exit(0);
	}
	close(ends[1]);
	for (ssize_t n; (n = read(ends[0], text + len, sizeof(text) - 1 - len)) > 0;)
		len += (size_t)n;
	close(ends[0]);
	text[len] = '\0';
	ck_assert_int_eq(waitpid(child, status, 0), child);
	return text;
}

static void panics(void)
{
	panic("number %d", 7);
}

static void is_fatal(void)
{
	fatal("the disk is %s", "gone");
}

static void to_stderr(enum log_level level, struct slice line)
{
	dprintf(STDERR_FILENO, "%d<%.*s>\n", (int)level, SLICE_FMT(line));
}

static void panics_with_a_sink(void)
{
	log_set_sink(to_stderr, LOG_LEVEL_ERROR);
	panic("a \"quote\" and\na line");
}

static void is_fatal_with_a_sink(void)
{
	log_set_sink(to_stderr, LOG_LEVEL_INFO);
	fatal("gone");
}

static void broken_sink(enum log_level level, struct slice line)
{
	(void)level;
	(void)line;
	fatal("the sink is broken");
}

static void panics_with_a_broken_sink(void)
{
	log_set_sink(broken_sink, LOG_LEVEL_INFO);
	panic("first");
}

START_TEST(without_a_sink_the_last_word_goes_to_standard_error)
{
	int status;
	ck_assert_str_eq(last_words(panics, &status), "panic: number 7\n");
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	ck_assert_str_eq(last_words(is_fatal, &status), "fatal: the disk is gone\n");
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EX_SOFTWARE);
}
END_TEST

START_TEST(with_a_sink_the_last_word_is_a_log_line)
{
	int status;
	ck_assert_str_eq(last_words(panics_with_a_sink, &status),
			 "3<- panic text=\"a \\\"quote\\\" and\\x0aa line\">\n");
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	ck_assert_str_eq(last_words(is_fatal_with_a_sink, &status), "3<- fatal text=gone>\n");
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EX_SOFTWARE);
}
END_TEST

START_TEST(a_sink_that_fails_does_not_recurse)
{
	int status;
	ck_assert_str_eq(last_words(panics_with_a_broken_sink, &status),
			 "fatal: the sink is broken\n");
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EX_SOFTWARE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("error");
	TCase *c = tcase_create("error");
	tcase_set_timeout(c, 60);
	tcase_add_test(c, an_error_carries_code_and_text);
	tcase_add_test(c, a_long_text_is_cut);
	tcase_add_test(c, without_a_sink_the_last_word_goes_to_standard_error);
	tcase_add_test(c, with_a_sink_the_last_word_is_a_log_line);
	tcase_add_test(c, a_sink_that_fails_does_not_recurse);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
