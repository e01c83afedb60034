/*
 * A relative name is what the kernel sees, so the way there may be longer than a socket address.
 */
#include "common/net/named.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/slice.h"

/* errno is that of what failed first. */
static bool connect_in(const char *folder, const struct sockaddr_un *address, int fd)
{
	int here = open(".", O_PATH | O_CLOEXEC), error;
	bool good = here >= 0 && chdir(folder) == 0 &&
		    connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
	error = errno;
	if (here >= 0) {
		if (fchdir(here) < 0 && good) {
			error = errno;
			good = false;
		}
		close(here);
	}
	errno = error;
	return good;
}

int named_connect(const char *folder, const char *name, int type, unsigned seconds)
{
	const struct timeval limit = {.tv_sec = seconds};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, error;
	if (!slice_copy(slice_str(name), address.sun_path, sizeof(address.sun_path))) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
	    connect_in(folder, &address, fd))
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}
