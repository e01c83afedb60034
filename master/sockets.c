/*
 * The master reads and writes nothing there: it connects, without waiting, and gives the socket
 * away. A daemon that asks for a name which no statement has hears no, whatever lies there.
 */
#include "master/sockets.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/memory.h"

struct search {
	struct slice name;
	bool found;
};

static void compare(void *arg, const struct record *record, const void *value)
{
	const struct settings_passwords *p = value;
	struct search *s = arg;
	(void)record;
	if (slice_equal(p->kind, SLICE("dovecot")) && slice_equal(p->source, s->name))
		s->found = true;
}

static bool is_named(const struct config *config, struct slice name)
{
	struct search s = {.name = name};
	config_each(config, &settings_passwords_record, compare, &s);
	return s.found;
}

/* -1 and errno. */
static int connect_to(struct slice path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd;
	if (!slice_copy(path, a.sun_path, sizeof(a.sun_path))) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0) {
		int error = errno;
		close(fd);
		errno = error;
		fd = -1;
	}
	return fd;
}

void sockets_want(const struct config *config, struct process *p, struct slice name)
{
	char *text = memory_string(name), reason[ROLE_MAX];
	int fd = -1;
	errno = ENOENT;
	if (slice_starts(name, SLICE("unix:")) && is_named(config, name))
		fd = connect_to(slice_from(name, strlen("unix:")));
	slice_copy(slice_sub(slice_str(strerror(errno)), 0, sizeof(reason) - 1), reason,
		   sizeof(reason));
	process_send_fd(p, fd >= 0 ? "socket" : "no-socket", text, fd >= 0 ? "" : reason, fd);
	if (fd >= 0)
		close(fd);
	memory_free(text);
}
