/*
 * session: what a child and pop3d say to each other about one mailbox.
 */
#ifndef DAEMONS_MAILDROP_SESSION_H
#define DAEMONS_MAILDROP_SESSION_H

#include "daemons/maildrop/drop.h"

/* Opens the mailbox and serves it until the channel ends. */
void session_serve(struct drop *d, int fd);
/* Says that there is no session, and why. */
void session_refuse(int fd, const char *why);

#endif
