/*
 * inbox: one buffer serves all channels of the process, since a packet is handled whole before the
 * next one is read. Descriptors that nobody asked for are closed here; those for which there was
 * no room the kernel has closed already. That is the peer's fault when it sent too many, and ours
 * when not even the first could be taken (EMFILE, ENFILE).
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/wire/channel.h"
#include "common/wire/inbox.h"

enum { DESCRIPTORS_READ = 8 }; /* room for more than are allowed, to tell and to close them */

static char octets[CHANNEL_PACKET_MAX];

/* Keeps the first descriptor, closes all others; how many there were. */
static size_t take_descriptors(struct msghdr *m, int *first)
{
	size_t count = 0;
	*first = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < here; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (count++ == 0)
				*first = fd;
			else
				close(fd);
		}
	}
	return count;
}

/* ECONNRESET is told once when the peer died with our octets unread; what it sent before it died
 * is still there behind it. */
static ssize_t receive(int fd, struct msghdr *m)
{
	ssize_t n;
	do
		n = recvmsg(fd, m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	return n;
}

enum inbox_result inbox_receive(int fd, struct inbox *in)
{
	char control[CMSG_SPACE(DESCRIPTORS_READ * sizeof(int))]
	    __attribute__((aligned(sizeof(size_t))));
	struct iovec iov = {.iov_base = octets, .iov_len = sizeof(octets)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	*in = (struct inbox){.fd = -1};
	ssize_t n = receive(fd, &m);
	if (n < 0)
		return errno == EAGAIN ? INBOX_NOTHING : INBOX_GONE;
	size_t count = take_descriptors(&m, &in->fd);
	in->lost = count == 0 && (m.msg_flags & MSG_CTRUNC);
	bool sound =
	    count <= 1 && !(m.msg_flags & MSG_TRUNC) && (in->lost || !(m.msg_flags & MSG_CTRUNC));
	if (n > 0 && sound) {
		in->packet = slice_make(octets, (size_t)n);
		return INBOX_PACKET;
	}
	if (in->fd >= 0)
		close(in->fd);
	in->fd = -1;
	return sound && count == 0 && !in->lost ? INBOX_GONE : INBOX_BROKEN;
}
