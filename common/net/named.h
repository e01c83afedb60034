/*
 * named: a connection to a socket that has a name in a folder of this machine, for commands.
 */
#ifndef COMMON_NET_NAMED_H
#define COMMON_NET_NAMED_H

/* The folder's path may be longer than the 108 octets of a socket address. Waits so many
 * seconds while the server's queue is full; the limit stays on the socket's sends. type:
 * SOCK_STREAM or SOCK_SEQPACKET. Close-on-exec, blocking; -1 and errno. Changes the working
 * directory for a moment: not with other threads. */
int named_connect(const char *folder, const char *name, int type, unsigned seconds);

#endif
