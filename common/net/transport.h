/*
 * transport: how a stream's octets get on and off its descriptor. Inside net/ alone.
 */
#ifndef COMMON_NET_TRANSPORT_H
#define COMMON_NET_TRANSPORT_H

#include <sys/types.h>

#include "common/base/slice.h"

struct transport {
	/* How many octets; 0 at the peer's end; -1 and errno (EAGAIN: wait until readable). */
	ssize_t (*read)(int fd, void *data, size_t len);
	/* How many octets; -1 and errno (EAGAIN: wait until writable). */
	ssize_t (*write)(int fd, struct slice octets);
	/* Tells the peer that this was all. */
	void (*end)(int fd);
};

extern const struct transport transport_plain;

#endif
