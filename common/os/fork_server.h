/*
 * fork_server: children on request, for a daemon that acts for many users and meets octets of
 * strangers. The server is forked off before anything was read: it is small, so that a fork is
 * cheap; it holds no mail that a child would inherit; and it alone keeps the rights to become
 * somebody, which the daemon gives up. It hears the daemon's requests and nothing else, and ends
 * with the daemon: at once when there are no children, else when they have ended, and it kills what
 * has not after five seconds. When the server itself is killed its children are, too.
 *
 * Each child has a socket pair (SOCK_SEQPACKET) with the daemon, what the daemon gives it with the
 * request, and, beyond standard error, no other descriptor.
 */
#ifndef COMMON_OS_FORK_SERVER_H
#define COMMON_OS_FORK_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/slice.h"

enum {
	FORK_REQUEST_MAX = 12 * 1024,	  /* octets */
	FORK_CHILDREN_MAX = 2048,	  /* at once: what a plan may say */
	FORK_SOCKET_BUFFER = 1024 * 1024, /* octets asked for each direction */
};

struct fork_plan {
	const char *title;     /* of the server in ps */
	const char *role;      /* of the children, for STAGEPOST_FAULTS */
	uint64_t capabilities; /* that a server which is root keeps, a mask of 1 << CAP_... */
	unsigned most;	       /* children at once */
	/* In the server: what all children have of it; may be NULL. False: it ends. */
	bool (*begin)(struct error *e);
	/* The whole life of a child; fd is its end, given what the daemon gave, or -1. It is ended
	 * when this returns. */
	void (*child)(struct slice request, int fd, int given);
};

/* What the daemon hears, from the loop. */
struct fork_calls {
	/* fd is the daemon's end, its to close, non-blocking; -1: no child was made, and error says
	 * why. */
	void (*made)(uint32_t number, int fd, int error);
	/* The child is gone (status of waitpid(2)); after made(), once. */
	void (*ended)(uint32_t number, int status);
};

struct fork_server;

/* Forks it: call it in a process with one thread, before it gives up its rights. */
struct fork_server *fork_server_start(const struct fork_plan *plan, struct error *e);
/* Begins to listen to it. That it has died is fatal. */
void fork_server_listen(struct fork_server *f, const struct fork_calls *calls);
/* Asks for a child; its number (never used before) or 0 when the server is too far behind. give: a
 * descriptor for it, which stays the caller's; -1: none. */
uint32_t fork_server_make(struct fork_server *f, struct slice request, int give);
/* Ends a child that was made, by SIGKILL; ended() follows. */
void fork_server_kill(struct fork_server *f, uint32_t number);
/* Stops listening and lets the server end; for tests. */
void fork_server_free(struct fork_server **f);

#endif
