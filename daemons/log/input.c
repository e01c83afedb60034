/*
 * Reads packets of lines. A daemon may have been taken over by a stranger, so it is not believed:
 * its role is that of its channel, its process id comes from the kernel (SO_PASSCRED, set by the
 * master), its text is cleaned. What it can forge is the time and the text of its own lines.
 */
#include "daemons/log/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/os/log_output.h"
#include "common/os/loop.h"
#include "daemons/log/output.h"

enum {
	PACKETS_TURN_MAX = 16,	/* of one channel in a row */
	PACKETS_LAST_MAX = 4096 /* of one channel when the process ends: more than one holds */
};

struct input {
	int fd;
	char role[INPUT_ROLE_MAX + 1];
	struct loop_watch watch;
};

static struct input inputs[INPUT_MAX];
static unsigned count;
static bool started;

/* One packet; its length, 0 when there is none. Descriptors that come with it are never made ours:
 * there is no room for them in the control buffer. */
static size_t receive(int fd, char *packet, size_t size, pid_t *pid)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec iov = {packet, size};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};
	ssize_t n = TEMP_FAILURE_RETRY(recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
	if (n <= 0)
		return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		struct ucred who;
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
			continue;
		memcpy(&who, CMSG_DATA(c), sizeof(who));
		*pid = who.pid;
	}
	return (size_t)n;
}

static bool read_packet(struct input *in)
{
	char octets[LOG_PACKET_MAX];
	pid_t pid = 0;
	size_t len = receive(in->fd, octets, sizeof(octets), &pid);
	struct slice packet = slice_make(octets, len);
	struct log_entry entry;
	while (log_output_next(&packet, &entry))
		output_line(&entry, slice_str(in->role), pid > 0 ? pid : entry.pid);
	return len > 0;
}

static void readable(void *arg, unsigned what)
{
	struct input *in = arg;
	(void)what;
	for (int i = 0; i < PACKETS_TURN_MAX; i++)
		if (!read_packet(in))
			return;
}

void input_add(struct slice role, int fd)
{
	struct input *in = &inputs[count];
	if (count == INPUT_MAX || !slice_copy(role, in->role, sizeof(in->role)))
		panic("log: more than %d channels", INPUT_MAX);
	count++;
	in->fd = fd;
	if (started)
		loop_watch_start(&in->watch, fd, LOOP_READ, readable, in);
}

void input_start(void)
{
	started = true;
	for (unsigned i = 0; i < count; i++)
		loop_watch_start(&inputs[i].watch, inputs[i].fd, LOOP_READ, readable, &inputs[i]);
}

void input_read_all(void)
{
	/* Bounded: a daemon that was taken over may write as fast as this reads. */
	for (unsigned i = 0; i < count; i++)
		for (unsigned n = 0; n < PACKETS_LAST_MAX && read_packet(&inputs[i]); n++)
			output_turn();
}
