/*
 * process: the ground that every program stands on before it does anything.
 */
#include "common/os/process.h"

#include <bsd/unistd.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/error.h"

enum { TITLE_SIZE = 128 };

void process_begin(int argc, char **argv)
{
	/* A file opened later must never become standard error by accident. */
	int fd;
	do {
		fd = open("/dev/null", O_RDWR | O_NOCTTY);
		if (fd < 0)
			fatal("/dev/null can't be opened");
	} while (fd <= 2);
	close(fd);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGIO, SIG_IGN); /* see lock_alone() */
	umask(077);
	setproctitle_init(argc, argv, environ);
}

void process_title(const char *format, ...)
{
	char text[TITLE_SIZE];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	setproctitle("-stagepost: %s", text);
}
