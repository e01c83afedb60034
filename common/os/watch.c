/*
 * watch: over inotify. What it tells is not read: whoever waits looks at the directory.
 */
#include "common/os/watch.h"

#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { NEWS_SIZE = 4096 };

int watch_directory(int dirfd)
{
	char path[64];
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", dirfd);
	if (inotify_add_watch(fd, path, IN_MOVED_TO | IN_ONLYDIR) >= 0)
		return fd;
	int error = errno;
	close(fd);
	errno = error;
	return -1;
}

void watch_clear(int fd)
{
	char news[NEWS_SIZE];
	while (TEMP_FAILURE_RETRY(read(fd, news, sizeof(news))) > 0)
		;
}
