/*
 * SMTP for programs that speak it themselves on a pipe (-bs): what they write goes to the server,
 * what it says comes back. The server knows who they are by the socket.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/sendmail/sendmail.h"

enum { PIECE = 32 * 1024 };

static bool write_whole(int to, const char *octets, size_t len)
{
	while (len > 0) {
		ssize_t n = TEMP_FAILURE_RETRY(write(to, octets, len));
		if (n < 0)
			return false;
		octets += n;
		len -= (size_t)n;
	}
	return true;
}

/* One piece; 0 at the end, -1 and errno. */
static ssize_t carry(int from, int to)
{
	char octets[PIECE];
	ssize_t n = TEMP_FAILURE_RETRY(read(from, octets, sizeof(octets)));
	if (n > 0 && !write_whole(to, octets, (size_t)n))
		return -1;
	return n;
}

bool bridge_run(int fd, struct error *e)
{
	struct pollfd p[2] = {{STDIN_FILENO, POLLIN, 0}, {fd, POLLIN, 0}};
	ssize_t n = 1;
	while (n > 0) {
		if (TEMP_FAILURE_RETRY(poll(p, 2, -1)) < 0)
			break;
		if (p[1].revents) {
			n = carry(fd, STDOUT_FILENO);
		} else if (p[0].revents && carry(STDIN_FILENO, fd) <= 0) {
			p[0].fd = -1; /* nothing more to say: the server may still answer */
			shutdown(fd, SHUT_WR);
		}
	}
	return n == 0 || error_set(e, EX_TEMPFAIL, "the connection to the server was lost: %s",
				   strerror(errno));
}
