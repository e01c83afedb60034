/*
 * The command's talk with a fake control on the same loop, how it finds the server, and the codes
 * with which verbs end.
 */
#include <check.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/stagepost/place.h"
#include "commands/stagepost/stagepost.h"
#include "commands/stagepost/start.h"
#include "commands/stagepost/talk.h"
#include "common/os/lock.h"
#include "common/os/loop.h"
#include "common/wire/channel.h"

/* The fake answers a question by its verb. */

enum { VERB_SILENT = 50, VERB_CLOSE, VERB_OTHERS };

static struct channel *control;

static void on_master_ask(struct channel *c, const void *record)
{
	const struct master_ask *m = record;
	struct master_process p = {.request = m->request, .name = SLICE("smtpd")};
	struct master_done done = {.request = m->request, .code = EX_NOPERM, .text = SLICE("no")};
	switch (m->verb) {
	case VERB_SILENT:
		return;
	case VERB_CLOSE:
		channel_free(&control);
		return;
	case VERB_OTHERS: /* answers to another question come first */
		p.request = done.request = m->request + 1;
		channel_send(c, COMMAND_MASTER_PROCESS, &p);
		channel_send(c, COMMAND_MASTER_DONE, &done);
		p.request = done.request = m->request;
		break;
	default:
		break;
	}
	channel_send(c, COMMAND_MASTER_PROCESS, &p);
	channel_send(c, COMMAND_MASTER_DONE, &done);
}

static void on_queue_ask(struct channel *c, const void *record)
{
	const struct queue_ask *m = record;
	struct queue_item item = {.request = m->request};
	struct queue_done done = {.request = m->request, .count = 3};
	for (int i = 0; i < 3; i++)
		channel_send(c, COMMAND_QUEUE_ITEM, &item);
	channel_send(c, COMMAND_QUEUE_DONE, &done);
}

/* The recipient is the code of the answer. */
static void on_explain(struct channel *c, const void *record)
{
	const struct router_explain *m = record;
	struct router_routed end = {.request = m->request, .enhanced = SLICE("5.1.1")};
	uint64_t code = 0;
	slice_number(m->recipient, 599, &code);
	end.code = (uint32_t)code;
	channel_send(c, COMMAND_ROUTER_ROUTED, &end);
}

static const struct route routes[] = {
    {COMMAND_MASTER_ASK, ROUTE_ALWAYS, on_master_ask},
    {COMMAND_QUEUE_ASK, ROUTE_ALWAYS, on_queue_ask},
    {COMMAND_ROUTER_EXPLAIN, ROUTE_ALWAYS, on_explain},
    {0},
};

static void on_closed(struct channel *c)
{
	(void)c;
}

static struct talk *begin(const struct dialogue *d)
{
	int fds[2];
	ck_assert(channel_pair(fds));
	control = channel_open(fds[0], d, d == &command_dialogue ? routes : NULL, on_closed, NULL);
	return talk_begin(fds[1]);
}

static void count(void *arg, const struct master_process *m)
{
	(void)m;
	++*(unsigned *)arg;
}

static void count_items(void *arg, const struct queue_item *m)
{
	(void)m;
	++*(unsigned *)arg;
}

START_TEST(hears_the_parts_and_the_end_of_an_answer)
{
	static const struct talk_calls calls = {.process = count, .item = count_items};
	struct talk *t = begin(&command_dialogue);
	struct master_ask ask = {.verb = MASTER_VERB_STATUS};
	struct queue_ask list = {.verb = QUEUE_LIST};
	struct talk_end end;
	unsigned heard = 0;
	ck_assert_int_eq(talk_ask(t, COMMAND_MASTER_ASK, &ask, TALK_USUAL_US, &calls, &heard, &end),
			 EX_NOPERM);
	ck_assert_uint_eq(heard, 1);
	ck_assert_str_eq(end.text, "no");
	/* another one on the same connection */
	heard = 0;
	ck_assert_int_eq(talk_ask(t, COMMAND_QUEUE_ASK, &list, TALK_USUAL_US, &calls, &heard, &end),
			 EX_OK);
	ck_assert_uint_eq(heard, 3);
	ck_assert_uint_eq(end.count, 3);
	talk_free(&t);
}
END_TEST

START_TEST(drops_answers_to_other_questions)
{
	static const struct talk_calls calls = {.process = count};
	struct talk *t = begin(&command_dialogue);
	struct master_ask ask = {.verb = VERB_OTHERS};
	struct talk_end end;
	unsigned heard = 0;
	talk_ask(t, COMMAND_MASTER_ASK, &ask, TALK_USUAL_US, &calls, &heard, &end);
	ck_assert_uint_eq(heard, 1);
	talk_free(&t);
}
END_TEST

START_TEST(gives_up_a_silent_server)
{
	struct talk *t = begin(&command_dialogue);
	struct master_ask ask = {.verb = VERB_SILENT};
	struct talk_end end;
	ck_assert_int_eq(talk_ask(t, COMMAND_MASTER_ASK, &ask, 20000, NULL, NULL, &end),
			 EX_TEMPFAIL);
	talk_free(&t);
}
END_TEST

START_TEST(notices_that_the_server_has_gone)
{
	struct talk *t = begin(&command_dialogue);
	struct master_ask ask = {.verb = VERB_CLOSE};
	struct talk_end end;
	ck_assert_int_eq(talk_ask(t, COMMAND_MASTER_ASK, &ask, TALK_USUAL_US, NULL, NULL, &end),
			 EX_TEMPFAIL);
	/* and asks no more */
	ck_assert_int_eq(talk_ask(t, COMMAND_MASTER_ASK, &ask, TALK_USUAL_US, NULL, NULL, &end),
			 EX_TEMPFAIL);
	talk_free(&t);
}
END_TEST

START_TEST(notices_a_server_of_another_version)
{
	struct talk *t = begin(&queue_dialogue);
	struct master_ask ask = {.verb = MASTER_VERB_STATUS};
	struct talk_end end;
	ck_assert_int_eq(talk_ask(t, COMMAND_MASTER_ASK, &ask, TALK_USUAL_US, NULL, NULL, &end),
			 EX_TEMPFAIL);
	ck_assert_ptr_nonnull(strstr(end.text, "another version"));
	talk_free(&t);
}
END_TEST

static const struct {
	const char *code;
	int exit;
	unsigned reply;
} routed[] = {
    {"0", EX_OK, 0},	    {"450", EX_TEMPFAIL, 450},
    {"550", EXIT_NO, 550},  {"77", EX_NOPERM, 0}, /* of control itself */
    {"75", EX_TEMPFAIL, 0},
};

START_TEST(turns_the_end_of_a_route_into_an_exit_code)
{
	struct talk *t = begin(&command_dialogue);
	struct router_explain ask = {.recipient = slice_str(routed[_i].code)};
	struct talk_end end;
	ck_assert_int_eq(talk_ask(t, COMMAND_ROUTER_EXPLAIN, &ask, TALK_USUAL_US, NULL, NULL, &end),
			 routed[_i].exit);
	ck_assert_uint_eq(end.reply, routed[_i].reply);
	ck_assert_str_eq(end.enhanced, "5.1.1");
	talk_free(&t);
}
END_TEST

/* Places */

static char folder[64];

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/stagepost-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(says_that_nobody_listens)
{
	struct error e = {0};
	ck_assert_int_eq(talk_connect("/nowhere/at/all", &e), -1);
	ck_assert_int_eq(e.code, EX_UNAVAILABLE);
	make_folder();
	ck_assert_int_eq(talk_connect(folder, &e), -1);
	ck_assert_int_eq(e.code, EX_UNAVAILABLE);
	remove_folder();
}
END_TEST

START_TEST(connects_where_the_path_is_longer_than_a_socket_address)
{
	static const char part[] = "a-name-that-makes-the-way-to-the-socket-rather-long";
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "control"};
	char run[PATH_MAX], before[PATH_MAX], after[PATH_MAX];
	struct error e = {0};
	int listener, fd;
	make_folder();
	ck_assert_ptr_nonnull(getcwd(before, sizeof(before)));
	snprintf(run, sizeof(run), "%s", folder);
	for (int i = 0; i < 4; i++) {
		size_t len = strlen(run);
		snprintf(run + len, sizeof(run) - len, "/%s", part);
		ck_assert_int_eq(mkdir(run, 0700), 0);
	}
	ck_assert_uint_gt(strlen(run), sizeof(address.sun_path));
	listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	ck_assert_int_eq(chdir(run), 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(chdir(before), 0);
	fd = talk_connect(run, &e);
	ck_assert_msg(fd >= 0, "%s", e.text);
	ck_assert_ptr_nonnull(getcwd(after, sizeof(after)));
	ck_assert_str_eq(after, before);
	close(fd);
	close(listener);
	remove_folder();
}
END_TEST

START_TEST(finds_the_master_by_its_lock)
{
	struct error e = {0};
	pid_t holder;
	int dir, held, lock;
	make_folder();
	dir = open(folder, O_RDONLY | O_DIRECTORY);
	ck_assert_msg(lock_file_take(dir, "lock", &held, &holder, &e), "%s", e.text);
	lock = openat(dir, "lock", O_RDONLY);
	ck_assert_int_eq(place_master(lock), getpid());
	close(held);
	ck_assert_int_eq(place_master(lock), 0);
	remove_folder();
}
END_TEST

/* Start */

/* A master that says so much and ends with that code. */
static int wait_for(const char *word, int code, uint64_t limit_us, bool stays)
{
	int fds[2], result;
	pid_t pid;
	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		if (write(fds[1], word, strlen(word)) < 0)
			_exit(99);
		if (stays)
			pause();
		_exit(code);
	}
	close(fds[1]);
	result = start_wait(fds[0], pid, limit_us);
	kill(pid, SIGKILL);
	close(fds[0]);
	return result;
}

START_TEST(start_ends_when_the_master_serves)
{
	ck_assert_int_eq(wait_for("\n", 0, 10000000, true), EX_OK);
}
END_TEST

START_TEST(start_ends_with_the_masters_sentence_and_code)
{
	ck_assert_int_eq(wait_for("port 25 is taken\n", 1, 10000000, false), 1);
	ck_assert_int_eq(wait_for("another master\n", EX_TEMPFAIL, 10000000, false), EX_TEMPFAIL);
}
END_TEST

START_TEST(start_takes_an_end_without_a_word_for_a_failure)
{
	ck_assert_int_eq(wait_for("", 0, 10000000, false), EX_SOFTWARE);
	ck_assert_int_eq(wait_for("", EX_CONFIG, 10000000, false), EX_CONFIG);
}
END_TEST

START_TEST(start_does_not_wait_for_ever)
{
	ck_assert_int_eq(wait_for("", 0, 50000, true), EX_TEMPFAIL);
}
END_TEST

/* Verbs without a server */

static void write_config(char path[PATH_MAX], const char *text)
{
	FILE *f;
	make_folder();
	snprintf(path, PATH_MAX, "%s/stagepost.conf", folder);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "spool %s/spool\nrun %s/run\n%s", folder, folder, text);
	fclose(f);
}

static const struct {
	verb_run *run;
	const char *argv[4];
	int code;
} stopped[] = {
    {verb_status, {"status"}, EX_UNAVAILABLE},
    {verb_status, {"status", "--json"}, EX_UNAVAILABLE},
    {verb_status, {"status", "--jason"}, EX_USAGE},
    {verb_stop, {"stop"}, EX_OK}, /* it is stopped */
    {verb_stop, {"stop", "now"}, EX_USAGE},
    {verb_reload, {"reload"}, EX_UNAVAILABLE},
    {verb_start, {"start", "x"}, EX_USAGE},
    {verb_run_in_foreground, {"run", "x"}, EX_USAGE},
    {verb_check, {"check", "x"}, EX_USAGE},
    {verb_config, {"config"}, EX_OK},
    {verb_config, {"config", "limits.recipients"}, EX_OK},
    {verb_config, {"config", "no-such-key"}, EX_USAGE},
    {verb_config, {"config", "a", "b"}, EX_USAGE},
    {verb_route, {"route"}, EX_USAGE},
    {verb_route, {"route", "a@b"}, EX_UNAVAILABLE},
    {verb_queue, {"queue"}, EX_USAGE},
    {verb_queue, {"queue", "lst"}, EX_USAGE},
    {verb_queue, {"queue", "help"}, EX_OK},
    {verb_queue, {"queue", "list"}, EX_UNAVAILABLE},
    {verb_queue, {"queue", "delete"}, EX_USAGE},
    {verb_queue, {"queue", "delete", "--all"}, EX_UNAVAILABLE},
    {verb_queue, {"queue", "verify"}, EX_UNAVAILABLE},
};

static int run_verb(verb_run *run, const char *path, const char *const *words)
{
	char *argv[5] = {NULL};
	int argc = 0;
	for (; argc < 4 && words[argc]; argc++)
		argv[argc] = (char *)words[argc];
	return run(path, argc, argv);
}

START_TEST(ends_with_the_code_that_fits)
{
	char path[PATH_MAX];
	write_config(path, "");
	ck_assert_int_eq(run_verb(stopped[_i].run, path, stopped[_i].argv), stopped[_i].code);
	remove_folder();
}
END_TEST

static verb_run *const with_config[] = {
    verb_start, verb_run_in_foreground, verb_stop, verb_reload, verb_status, verb_check,
    verb_config};

START_TEST(ends_with_78_when_the_configuration_is_bad)
{
	static const char *const words[4] = {"verb"};
	char path[PATH_MAX];
	bool only_places = with_config[_i] == verb_stop || with_config[_i] == verb_status;
	write_config(path, "no-such-directive 1\n");
	ck_assert_int_eq(run_verb(with_config[_i], path, words) == EX_CONFIG, !only_places);
	remove_folder();
	write_config(path, "rnu elsewhere\n"); /* whose server would that be? */
	ck_assert_int_eq(run_verb(with_config[_i], path, words), EX_CONFIG);
	ck_assert_int_eq(run_verb(with_config[_i], "/nowhere/stagepost.conf", words), EX_CONFIG);
	remove_folder();
}
END_TEST

static int fake_verb(const char *path, int argc, char **argv)
{
	return strcmp(path, "FILE") == 0 && argc == 2 && strcmp(argv[1], "--x") == 0 ? 42 : 43;
}

START_TEST(gives_a_verb_its_own_options)
{
	static const struct verb verbs[] = {{"fake", fake_verb, "", ""}, {0}};
	char *argv[] = {(char *)"stagepost", (char *)"-c",  (char *)"FILE",
			(char *)"fake",	     (char *)"--x", NULL};
	char *unknown[] = {(char *)"stagepost", (char *)"faek", NULL};
	char *option[] = {(char *)"stagepost", (char *)"-z", (char *)"fake", NULL};
	ck_assert_int_eq(dispatch(verbs, 5, argv), 42);
	optind = 0;
	ck_assert_int_eq(dispatch(verbs, 2, unknown), EX_USAGE);
	optind = 0;
	ck_assert_int_eq(dispatch(verbs, 3, option), EX_USAGE);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_test(t, hears_the_parts_and_the_end_of_an_answer);
	tcase_add_test(t, drops_answers_to_other_questions);
	tcase_add_test(t, gives_up_a_silent_server);
	tcase_add_test(t, notices_that_the_server_has_gone);
	tcase_add_test(t, notices_a_server_of_another_version);
	tcase_add_loop_test(t, turns_the_end_of_a_route_into_an_exit_code, 0,
			    sizeof(routed) / sizeof(routed[0]));
	tcase_add_test(t, says_that_nobody_listens);
	tcase_add_test(t, connects_where_the_path_is_longer_than_a_socket_address);
	tcase_add_test(t, finds_the_master_by_its_lock);
	tcase_add_test(t, start_ends_when_the_master_serves);
	tcase_add_test(t, start_ends_with_the_masters_sentence_and_code);
	tcase_add_test(t, start_takes_an_end_without_a_word_for_a_failure);
	tcase_add_test(t, start_does_not_wait_for_ever);
	tcase_add_loop_test(t, ends_with_the_code_that_fits, 0,
			    sizeof(stopped) / sizeof(stopped[0]));
	tcase_add_loop_test(t, ends_with_78_when_the_configuration_is_bad, 0,
			    sizeof(with_config) / sizeof(with_config[0]));
	tcase_add_test(t, gives_a_verb_its_own_options);
}

int main(void)
{
	Suite *s = suite_create("talk");
	TCase *t = tcase_create("talk");
	SRunner *sr = srunner_create(s);
	suite_add_tcase(s, t);
	add_tests(t);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
