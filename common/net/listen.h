/*
 * listen: listening sockets, and taking connections off them. The master opens; a daemon accepts.
 */
#ifndef COMMON_NET_LISTEN_H
#define COMMON_NET_LISTEN_H

#include <sys/types.h>

#include "common/base/error.h"
#include "common/net/sockaddr.h"

enum {
	LISTEN_BACKLOG = 4096,
	ACCEPT_TURN_MAX = 64,	  /* connections taken in one turn of the loop */
	ACCEPT_RETRY_US = 250000, /* rest after the system had no descriptor or memory */
};

/* A listening socket (non-blocking, close-on-exec, TCP_NODELAY for its connections), or -1 with
 * e->code the errno and a text that names the address. NET_ANY is one socket for both families
 * (IPv4 alone where the kernel has no IPv6). NET_UNIX: the path may be of any length; a socket file
 * that is there is replaced, anything else is EEXIST; mode is the new file's. For a process of one
 * thread: umask is changed for a moment. */
int listen_open(const struct net_address *a, mode_t mode, struct error *e);

struct acceptor;

/* One connection: fd (non-blocking, close-on-exec) is the callee's. */
typedef void acceptor_call(void *arg, int fd, const struct net_address *peer);

/* Takes the listening descriptor and starts to accept. When the system is out of descriptors or
 * memory it rests for ACCEPT_RETRY_US instead of spinning. */
struct acceptor *acceptor_open(int fd, acceptor_call *call, void *arg);
void acceptor_free(struct acceptor **a); /* closes the descriptor; fine from the call */
/* No more for now (a limit is reached): connections wait in the kernel. */
void acceptor_pause(struct acceptor *a);
void acceptor_resume(struct acceptor *a);

#endif
