/*
 * The log's target is opened here, by who may. A file is opened for appending, so that rotation and
 * a restart lose nothing; the system's logger gets a connected datagram socket.
 */
#include "master/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/os/disk.h"

static const char syslog_path[] = "/dev/log";

struct choice {
	char target[KIND_MAX + 1];
	char *path;
};

static void choose(void *arg, const struct record *record, const void *value)
{
	const struct settings_log *log = value;
	struct choice *c = arg;
	(void)record;
	slice_copy(log->target, c->target, sizeof(c->target));
	memory_free(c->path);
	c->path = memory_string(log->path);
}

static int open_syslog(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;
	memcpy(address.sun_path, syslog_path, sizeof(syslog_path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int open_target(const struct choice *c)
{
	if (strcmp(c->target, "file") == 0)
		return disk_open(AT_FDCWD, c->path, O_WRONLY | O_APPEND | O_CREAT, 0600);
	if (strcmp(c->target, "syslog") == 0)
		return open_syslog();
	return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
}

bool output_open(const struct config *config, int *fd, char target[KIND_MAX + 1], struct error *e)
{
	struct choice c = {.target = "stderr"};
	bool good = true;
	const char *where;
	config_each(config, &settings_log_record, choose, &c);
	*fd = open_target(&c);
	if (*fd < 0) {
		where = strcmp(c.target, "file") == 0 ? c.path : syslog_path;
		error_set(e, EX_OSERR, "log %s %s: %s%s", c.target, where, strerror(errno),
			  where == syslog_path ? "; does syslog run here? if not: `log file PATH`"
					       : "");
		good = false;
	}
	memcpy(target, c.target, sizeof(c.target));
	memory_free(c.path);
	return good;
}
