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
#include "common/os/trap.h"
#include "daemons/log/output.h"

enum {
	PACKETS_TURN_MAX = 16,	 /* of one channel in a row */
	PACKETS_LAST_MAX = 4096, /* of one channel when the process ends: more than one holds */
	/* Lines gather so long, so that many are one turn and one write. After silence the first
	 * ones, those of a message, are there at once. */
	GATHER_US = 10 * 1000,
	GATHER_BURST = 4,
	/* But no longer than it takes to fill this much of a channel: an eighth of the least room
	 * that the system gives one. A packet counts with what the kernel spends on it. */
	GATHER_OCTETS = 24 * 1024,
	PACKET_EXTRA = 768,
};

struct input {
	int fd;
	char role[INPUT_ROLE_MAX + 1];
	struct loop_watch watch;
};

static struct input inputs[INPUT_MAX];
static unsigned count;
static bool started;
static size_t turn_most; /* octets that one channel had in this turn */
static uint64_t turn_before;
static struct loop_turn turn;

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
	trap_see("log", slice_make(packet, (size_t)n));
	return (size_t)n;
}

/* How many octets it took of the channel's room; 0: nothing is there. */
static size_t read_packet(struct input *in)
{
	char octets[LOG_PACKET_MAX];
	pid_t pid = 0;
	size_t len = receive(in->fd, octets, sizeof(octets), &pid);
	struct slice packet = slice_make(octets, len);
	struct log_entry entry;
	while (log_output_next(&packet, &entry))
		output_line(&entry, slice_str(in->role), pid > 0 ? pid : entry.pid);
	return len > 0 ? len + PACKET_EXTRA : 0;
}

static void readable(void *arg, unsigned what)
{
	struct input *in = arg;
	size_t sum = 0, octets = 1;
	(void)what;
	for (int i = 0; i < PACKETS_TURN_MAX && octets > 0; i++)
		sum += octets = read_packet(in);
	if (sum > turn_most)
		turn_most = sum;
	if (octets > 0)
		loop_turn_again(); /* there may be more, and it must not lie */
}

/* As fast as lines came in this turn they may come again. */
static void at_turn_end(void *arg)
{
	uint64_t us = loop_now() - turn_before;
	(void)arg;
	turn_before += us;
	if (turn_most > 0)
		us = us * GATHER_OCTETS / turn_most;
	loop_gather(turn_most == 0 || us > GATHER_US ? GATHER_US : us + 1, GATHER_BURST);
	turn_most = 0;
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
	loop_turn_add(&turn, at_turn_end, NULL);
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
