/*
 * inbox: one packet off a socket, with what came beside it. Inside wire/ alone.
 */
#ifndef COMMON_WIRE_INBOX_H
#define COMMON_WIRE_INBOX_H

#include "common/base/slice.h"

enum inbox_result {
	INBOX_PACKET,
	INBOX_NOTHING, /* there now */
	INBOX_GONE,    /* the peer has closed; all that it sent was read */
	INBOX_BROKEN,  /* truncated, or with more than one descriptor: nothing is kept of it */
};

struct inbox {
	struct slice packet; /* valid until the next inbox_receive() of this process */
	int fd;		     /* the caller's to keep or close; -1: none */
	bool lost;	     /* one came, and this process may open no more: fd is -1 */
};

enum inbox_result inbox_receive(int fd, struct inbox *in);

#endif
