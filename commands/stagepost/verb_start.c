/*
 * start and run: both start the master, which does all else. It is found beside this program: in
 * ../libexec of a build tree, in ../lib/stagepost of an installation under any prefix.
 *
 * start gives it a pipe on which it says one newline when every socket accepts, or a sentence; the
 * master gets a session of its own and nothing of the caller's terminal and pipes.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands/stagepost/findings.h"
#include "commands/stagepost/place.h"
#include "commands/stagepost/stagepost.h"
#include "commands/stagepost/start.h"
#include "commands/stagepost/words.h"
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/spawn.h"

enum { READY_FD = 3, WORD_MAX = 4096, VARIABLES_MAX = 16 };
#define READY_LIMIT_US UINT64_C(120000000) /* recovery of a large spool takes its time */

static bool beside(const char *own, const char *relative, char *path, size_t size)
{
	size_t dir = slice_find_last(slice_str(own), '/');
	int len = snprintf(path, size, "%.*s/%s", (int)dir, own, relative);
	return len > 0 && (size_t)len < size && access(path, X_OK) == 0;
}

int master_find(char *path, size_t size)
{
	static const char *const places[] = {"../libexec/master", "../lib/stagepost/master"};
	char own[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own) - 1);
	if (len <= 0)
		return complain(EX_OSERR, "/proc/self/exe: %s; /proc must be mounted",
				strerror(errno));
	own[len] = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (beside(own, places[i], path, size))
			return EX_OK;
	return complain(EX_UNAVAILABLE, "the program master is not installed beside this one "
					"(../lib/stagepost/master)");
}

/* What both need: a configuration that checks (else its findings are printed) and the program. */
static struct config *prepare(const char *config_path, char *master, size_t size, int *code)
{
	struct findings f = {.to = stderr};
	struct config *config = place_config(config_path, code);
	if (!config)
		return NULL;
	*code = findings_print(config, &f);
	if (*code != EX_OK)
		complain(*code, "%s does not check: nothing is started", config_path);
	else
		*code = master_find(master, size);
	if (*code == EX_OK)
		return config;
	config_free(&config);
	return NULL;
}

int verb_run_in_foreground(const char *config_path, int argc, char **argv)
{
	char master[PATH_MAX];
	int code;
	struct config *config;
	(void)argv;
	if (argc > 1)
		return complain(EX_USAGE, "run takes no arguments");
	config = prepare(config_path, master, sizeof(master), &code);
	if (!config)
		return code;
	fflush(NULL);
	execl(master, "master", "-c", config_path, "--foreground", (char *)NULL);
	code = complain(EX_UNAVAILABLE, "%s: %s", master, strerror(errno));
	config_free(&config);
	return code;
}

/* What means something to the master; the rest of the caller's world is none of its. */
static void variables(char *list[VARIABLES_MAX])
{
	static const char *const names[] = {"PATH",
					    "TZ",
					    "NOTIFY_SOCKET",
					    "STAGEPOST_FAULTS",
					    "STAGEPOST_TRAP",
					    "STAGEPOST_DISK_TRACE",
					    "STAGEPOST_TAKEN_OVER",
					    "STAGEPOST_CLOCK",
					    "STAGEPOST_DISK_RECORD",
					    "STAGEPOST_SPOOL_SIZES",
					    "ASAN_OPTIONS",
					    "UBSAN_OPTIONS",
					    "LSAN_OPTIONS"};
	size_t count = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);
		char *text;
		if (value && asprintf(&text, "%s=%s", names[i], value) > 0)
			list[count++] = text;
	}
	list[count] = NULL;
}

static pid_t start(const char *master, const char *config, int word, struct error *e)
{
	char *argv[] = {(char *)"stagepost: master",
			(char *)"-c",
			(char *)config,
			(char *)"--foreground",
			(char *)"--ready-fd",
			(char *)"3",
			NULL};
	char *list[VARIABLES_MAX];
	struct spawn_fd fds[] = {{word, READY_FD}};
	struct spawn s = {
	    .path = master, .argv = argv, .environment = list, .fds = fds, .fd_count = 1};
	pid_t pid;
	_Static_assert(READY_FD == 3, "as in argv");
	variables(list);
	pid = spawn_start(&s, e);
	for (char **v = list; *v; v++)
		free(*v);
	return pid;
}

/* Reads until the other end closes: "\n" alone is the good word. False: no word within the limit.
 */
static bool read_word(int fd, uint64_t limit_us, char *text, size_t size, size_t *len)
{
	uint64_t end = clock_boot_us() + limit_us;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	*len = 0;
	for (;;) {
		uint64_t now = clock_boot_us();
		int left = now < end ? (int)((end - now) / 1000) + 1 : 0;
		if (TEMP_FAILURE_RETRY(poll(&p, 1, left)) <= 0)
			return false;
		ssize_t n = TEMP_FAILURE_RETRY(read(fd, text + *len, size - 1 - *len));
		if (n <= 0)
			break;
		*len += (size_t)n;
		text[*len] = '\0';
		if (*len == size - 1 || (*len == 1 && text[0] == '\n'))
			break;
	}
	text[*len] = '\0';
	return true;
}

int start_wait(int fd, pid_t pid, uint64_t limit_us)
{
	char text[WORD_MAX];
	size_t len;
	int status = 0;
	struct slice word;
	if (!read_word(fd, limit_us, text, sizeof(text), &len))
		return complain(EX_TEMPFAIL,
				"process %d is up but does not serve yet: see its log, and "
				"stagepost status",
				(int)pid);
	if (len == 1 && text[0] == '\n')
		return EX_OK;
	if (TEMP_FAILURE_RETRY(waitpid(pid, &status, 0)) != pid || !WIFEXITED(status) ||
	    WEXITSTATUS(status) == 0)
		status = EX_SOFTWARE;
	else
		status = WEXITSTATUS(status);
	word = slice_trim(slice_make(text, len));
	if (word.len == 0)
		return complain(status, "the master has ended without a word; its log may say why, "
					"or stagepost run");
	return complain(status, "%.*s", SLICE_FMT(word));
}

int verb_start(const char *path, int argc, char **argv)
{
	char master[PATH_MAX];
	struct error e = {0};
	struct config *config;
	int word[2], code;
	pid_t pid;
	(void)argv;
	if (argc > 1)
		return complain(EX_USAGE, "start takes no arguments");
	config = prepare(path, master, sizeof(master), &code);
	if (!config)
		return code;
	if (pipe2(word, O_CLOEXEC) < 0)
		fatal("no pipe: %s", strerror(errno));
	pid = start(master, config_path(config), word[1], &e);
	close(word[1]);
	if (pid < 0)
		code = complain(EX_UNAVAILABLE, "%s: %s", master, e.text);
	else
		code = start_wait(word[0], pid, READY_LIMIT_US);
	close(word[0]);
	if (code == EX_OK)
		printf("started: process %d\n", (int)pid);
	config_free(&config);
	return code;
}
