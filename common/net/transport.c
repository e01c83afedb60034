/*
 * transport: the plain one, the octets as they are.
 */
#include <errno.h>
#include <sys/socket.h>

#include "common/net/transport.h"

static ssize_t plain_read(void *state, int fd, void *data, size_t len)
{
	ssize_t n;
	(void)state;
	do
		n = recv(fd, data, len, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n;
}

/* The last octets and the end share a segment: one wake-up of the peer less. */
static ssize_t plain_write(void *state, int fd, struct slice octets, bool last)
{
	ssize_t n;
	(void)state;
	do
		n = send(fd, octets.ptr, octets.len,
			 MSG_DONTWAIT | MSG_NOSIGNAL | (last ? MSG_MORE : 0));
	while (n < 0 && errno == EINTR);
	return n;
}

/* shutdown() fails when the peer is gone: nobody is left to tell. */
static void plain_end(void *state, int fd, bool closes)
{
	(void)state;
	if (!closes)
		(void)shutdown(fd, SHUT_WR);
}

const struct transport transport_plain = {plain_read, plain_write, plain_end, NULL,
					  NULL,	      NULL,	   NULL};
