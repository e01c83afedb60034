/*
 * The word of readiness is one newline on a descriptor; an error is a sentence before it. Whoever
 * waits reads until the descriptor closes: an end without a word is an error too.
 */
#include "master/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum { WORD_SIZE = ERROR_TEXT_SIZE + 16 };

static int parent = -1, asked = -1;
static bool background;

/* The parent's part: passes the word on, and the child's exit code. */
static _Noreturn void wait_for_word(pid_t child, int fd)
{
	char text[WORD_SIZE];
	size_t len = 0;
	ssize_t n;
	int status = 0;
	while (len < sizeof(text) &&
	       (n = TEMP_FAILURE_RETRY(read(fd, text + len, sizeof(text) - len))) > 0)
		len += (size_t)n;
	if (len == 1 && text[0] == '\n')
		_exit(EX_OK);
	if (len > 0 && write(STDERR_FILENO, text, len) < 0)
		_exit(EX_IOERR);
	if (TEMP_FAILURE_RETRY(waitpid(child, &status, 0)) != child || !WIFEXITED(status) ||
	    WEXITSTATUS(status) == 0)
		_exit(EX_SOFTWARE);
	_exit(WEXITSTATUS(status));
}

void detach_to_background(void)
{
	int fds[2];
	pid_t child;
	if (pipe2(fds, O_CLOEXEC) < 0)
		fatal("no pipe: %s", strerror(errno));
	child = fork();
	if (child < 0)
		fatal("no process: %s", strerror(errno));
	if (child > 0) {
		close(fds[1]);
		wait_for_word(child, fds[0]);
	}
	close(fds[0]);
	parent = fds[1];
	background = true;
	setsid();
}

bool detach_done(void)
{
	return background;
}

bool detach_tell_also(int fd)
{
	asked = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (asked < 0)
		return false;
	close(fd);
	return true;
}

static void say(int *fd, const char *text)
{
	if (*fd < 0)
		return;
	if (write(*fd, text, strlen(text)) < 0)
		(void)0; /* nobody listens any more */
	close(*fd);
	*fd = -1;
}

static void close_standard(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	for (int fd = 0; fd <= 2; fd++)
		(void)dup2(null, fd);
	close(null);
}

void detach_tell(const struct error *e)
{
	char text[WORD_SIZE];
	int standard = background || asked >= 0 ? -1 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	snprintf(text, sizeof(text), "%s\n", e ? e->text : "");
	if (e)
		say(&standard, text);
	else if (standard >= 0)
		close(standard);
	say(&asked, text);
	say(&parent, text);
	if (background && !e)
		close_standard();
}
