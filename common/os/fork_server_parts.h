/*
 * fork_server_parts: what the two halves of a fork server say to each other; for the files
 * fork_server*.c alone.
 */
#ifndef COMMON_OS_FORK_SERVER_PARTS_H
#define COMMON_OS_FORK_SERVER_PARTS_H

#include <sys/socket.h>

#include "common/os/fork_server.h"

enum fork_word {
	FORK_MAKE = 1, /* daemon: with the request, and perhaps a descriptor */
	FORK_KILL,     /* daemon */
	FORK_MADE,     /* server: value is 0 and a descriptor comes, or an errno */
	FORK_ENDED,    /* server: value is the status */
};

struct fork_head {
	uint32_t word; /* enum fork_word */
	uint32_t number;
	int32_t value;
};

/* One descriptor beside a packet. */
struct fork_control {
	char octets[CMSG_SPACE(sizeof(int))] __attribute__((aligned(sizeof(size_t))));
};
/* -1: it goes without. */
void fork_control_put(struct fork_control *control, struct msghdr *m, int fd);
void fork_control_room(struct fork_control *control, struct msghdr *m);
int fork_control_take(struct msghdr *m); /* of a packet that came; -1: there was none */

/* The server's life; fd is its end. */
_Noreturn void fork_server_live(const struct fork_plan *plan, int fd);

#endif
