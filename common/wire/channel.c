/*
 * channel: the life of a channel and what it does with a packet. It is closed from inside its own
 * calls as often as from outside, so death has two steps: `dead` (descriptor closed, queue dropped)
 * and, once nothing of it is on the stack, the owner is told or the memory freed. The owner is told
 * from the loop, never from inside a send.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "common/os/loop.h"
#include "common/os/trap.h"
#include "common/wire/channel.h"
#include "common/wire/codec.h"
#include "common/wire/inbox.h"
#include "common/wire/outbox.h"
#include "common/wire/packet.h"

enum {
	SOCKET_BUFFER = 2 * 1024 * 1024, /* octets asked of the kernel for each direction */
	PACKETS_TURN_MAX = 64,		 /* taken in a row, so that others have their turn too */
	RETRY_US = 10000,		 /* after the system was short of memory */
};

/* What is known about a message number. */
struct lane {
	const struct record *record; /* NULL: the dialogue has no such message */
	const struct route *route;   /* NULL: we do not take it */
	bool secret;		     /* the record has a secret field */
};

struct channel {
	TAILQ_ENTRY(channel) dirty_link;
	int fd;
	const struct dialogue *dialogue;
	struct lane *lanes; /* by number */
	size_t lane_count;
	unsigned state;
	void (*closed)(struct channel *c);
	void (*room)(struct channel *c);
	void *owner;
	struct outbox out;
	struct loop_watch watch;
	struct loop_timer later; /* what must not happen inside a send or at the turn's end */
	bool greeted;		 /* the peer's hello has come */
	bool dirty;		 /* in the list for the turn's end */
	bool over;		 /* the queue was over a quarter */
	bool room_due;
	size_t portion; /* octets that are taken in a row, about; 0: PACKETS_TURN_MAX packets */
	bool waiting;	/* for the socket to take more */
	bool mute;	/* the peer reads no more; what it sent is still read */
	bool dead;
	bool broken; /* dead because the peer broke the rules */
	bool lost;   /* the packet at hand came with a descriptor that we could not take */
	bool told;   /* closed() was called, or nobody is to be told */
	bool busy;   /* on the stack */
	bool gone;   /* freed by the owner while busy */
};

TAILQ_HEAD(dirty_list, channel);
static struct dirty_list dirty_channels;
static struct loop_turn turn;
static pid_t turn_of; /* the process whose turn it is: a child has to begin anew */

static void channel_die(struct channel *c)
{
	if (c->dead)
		return;
	c->dead = true;
	loop_watch_stop(&c->watch);
	loop_timer_stop(&c->later);
	if (c->dirty)
		TAILQ_REMOVE(&dirty_channels, c, dirty_link);
	c->dirty = false;
	outbox_clear(&c->out);
	close(c->fd);
	c->fd = -1;
}

static void channel_destroy(struct channel *c)
{
	loop_timer_stop(&c->later);
	memory_free(c->lanes);
	memory_free(c);
}

/* After everything that may have ended the channel: tells the owner, frees what he let go. */
static void channel_settle(struct channel *c)
{
	c->busy = false;
	if (c->dead && !c->told) {
		c->told = true;
		c->busy = true;
		c->closed(c);
		c->busy = false;
	}
	if (c->gone)
		channel_destroy(c);
}

static void on_later(void *arg);

void channel_break(struct channel *c, const char *format, ...)
{
	char why[160];
	va_list ap;
	va_start(ap, format);
	vsnprintf(why, sizeof(why), format, ap);
	va_end(ap);
	log_error("channel %s: closed, %s: %s", c->dialogue->name,
		  c->lost ? "for want of a descriptor" : "the peer is broken", why);
	if (c->dead)
		return;
	c->broken = !c->lost;
	channel_die(c);
	if (!c->busy)
		loop_timer_start(&c->later, 0, on_later, c);
}

/* Writing */

static void channel_write(struct channel *c)
{
	enum outbox_result result = outbox_send(&c->out, c->fd);
	c->waiting = result == OUTBOX_WAIT;
	switch (result) {
	case OUTBOX_EMPTY:
		loop_watch_set(&c->watch, LOOP_READ);
		if (c->over && c->room) {
			c->room_due = true;
			loop_timer_start(&c->later, 0, on_later, c);
		}
		c->over = false;
		break;
	case OUTBOX_WAIT:
		loop_watch_set(&c->watch, LOOP_READ | LOOP_WRITE);
		break;
	case OUTBOX_RETRY:
		loop_timer_start(&c->later, RETRY_US, on_later, c);
		break;
	case OUTBOX_GONE:
		c->mute = true;
		outbox_clear(&c->out);
		loop_watch_set(&c->watch, LOOP_READ);
		break;
	case OUTBOX_REFUSED:
		log_error("channel %s: the system takes no packet: %s", c->dialogue->name,
			  strerror(errno));
		channel_die(c);
		loop_timer_start(&c->later, 0, on_later, c);
		break;
	}
}

static void on_later(void *arg)
{
	struct channel *c = arg;
	c->busy = true;
	if (!c->dead && c->out.octets > 0)
		channel_write(c);
	if (!c->dead && c->room_due && c->out.octets == 0) {
		c->room_due = false;
		if (c->room)
			c->room(c);
	}
	channel_settle(c);
}

static void on_turn_end(void *arg)
{
	struct channel *c;
	(void)arg;
	while ((c = TAILQ_FIRST(&dirty_channels))) {
		TAILQ_REMOVE(&dirty_channels, c, dirty_link);
		c->dirty = false;
		if (!c->waiting)
			channel_write(c);
	}
}

bool channel_send(struct channel *c, uint16_t number, const void *record)
{
	if (c->dead || c->mute)
		return false;
	if (number >= c->lane_count || !c->lanes[number].record)
		panic("channel %s: there is no message %u", c->dialogue->name, number);
	if (!outbox_put(&c->out, number, c->lanes[number].record, record, c->lanes[number].secret))
		return false;
	if (c->out.octets > CHANNEL_QUEUE_MAX / 4)
		c->over = true;
	if (!c->dirty) {
		TAILQ_INSERT_TAIL(&dirty_channels, c, dirty_link);
		c->dirty = true;
	}
	return true;
}

bool channel_flush(struct channel *c, uint64_t microseconds)
{
	uint64_t end = clock_boot_us() + microseconds;
	while (!c->dead && !c->mute) {
		channel_write(c);
		if (c->dead || c->mute)
			break;
		if (c->out.octets == 0)
			return true;
		uint64_t now = clock_boot_us();
		if (now >= end)
			break;
		struct pollfd p = {.fd = c->fd, .events = POLLOUT};
		uint64_t wait = end - now < RETRY_US ? end - now : RETRY_US;
		if (poll(&p, 1, (int)(wait / 1000) + 1) < 0 && errno != EINTR)
			break;
	}
	return false;
}

/* Reading */

static bool is_hello(struct channel *c, struct slice packet)
{
	struct packet_message m;
	return packet_next(&packet, &m) && packet.len == 0 && m.number == PACKET_HELLO &&
	       m.payload.len == sizeof(uint64_t) &&
	       get_u64(m.payload.ptr) == dialogue_hash(c->dialogue);
}

/* *fd is the packet's descriptor; the one who takes it sets it to -1. */
static void message_handle(struct channel *c, const struct packet_message *m, bool alone, int *fd)
{
	_Alignas(max_align_t) char value[CHANNEL_RECORD_MAX];
	const struct lane *lane = m->number < c->lane_count ? &c->lanes[m->number] : NULL;
	if (!lane || !lane->route) {
		channel_break(c, "message %u has no route", m->number);
		return;
	}
	if (!(lane->route->when & c->state)) {
		channel_break(c, "message %s is not permitted now", lane->record->name);
		return;
	}
	if (!codec_decode(lane->record, m->payload, value)) {
		channel_break(c, "message %s does not decode", lane->record->name);
		return;
	}
	if (*fd >= 0) {
		const struct record_field *f = codec_fd_field(lane->record);
		if (!f || !alone) {
			channel_break(c, "message %s came with a descriptor", lane->record->name);
			return;
		}
		memcpy(value + f->offset, fd, sizeof(int));
		*fd = -1;
	}
	trap_see("message", m->payload);
	lane->route->handle(c, value);
}

static void packet_handle(struct channel *c, struct slice packet, int *fd)
{
	if (!c->greeted) {
		c->greeted = *fd < 0 && is_hello(c, packet);
		if (!c->greeted)
			channel_break(c, "no hello of the same build");
		return;
	}
	struct packet_message m;
	for (bool first = true; packet.len > 0 && !c->dead; first = false) {
		if (!packet_next(&packet, &m)) {
			channel_break(c, "a packet does not hold whole messages");
			return;
		}
		message_handle(c, &m, first && packet.len == 0, fd);
		if (m.number < c->lane_count && c->lanes[m.number].secret)
			explicit_bzero((void *)(uintptr_t)m.payload.ptr, m.payload.len);
	}
}

/* Each time would be many lines, and what was lost is told by who misses it. */
static void tell_lost(const struct channel *c, const struct inbox *in)
{
	static bool told;
	if (in->lost && !told)
		log_error("channel %s: no descriptor is free for the file that came",
			  c->dialogue->name);
	if (in->lost || in->fd >= 0)
		told = in->lost;
}

static void channel_read(struct channel *c)
{
	struct inbox in;
	size_t taken = 0;
	for (int i = 0; i < PACKETS_TURN_MAX && !c->dead; i++) {
		if (c->portion > 0 && taken >= c->portion)
			break;
		switch (inbox_receive(c->fd, &in)) {
		case INBOX_PACKET:
			taken += in.packet.len;
			c->lost = in.lost;
			tell_lost(c, &in);
			packet_handle(c, in.packet, &in.fd);
			c->lost = false;
			if (in.fd >= 0)
				close(in.fd);
			break;
		case INBOX_NOTHING:
			return;
		case INBOX_GONE:
			channel_die(c);
			return;
		case INBOX_BROKEN:
			channel_break(c, "a packet was too long or had too many descriptors");
			return;
		}
	}
	loop_turn_again(); /* there may be more, and a loop that gathers would let it lie */
}

static void on_ready(void *arg, unsigned what)
{
	struct channel *c = arg;
	c->busy = true;
	if (what & LOOP_WRITE)
		channel_write(c);
	if (!c->dead && (what & LOOP_READ))
		channel_read(c);
	channel_settle(c);
}

/* Life */

static void lanes_make(struct channel *c, const struct route *routes)
{
	for (size_t i = 0; i < c->dialogue->count; i++)
		if (c->dialogue->messages[i].number >= c->lane_count)
			c->lane_count = (size_t)c->dialogue->messages[i].number + 1;
	c->lanes = memory_zero(c->lane_count, sizeof(c->lanes[0]));
	for (size_t i = 0; i < c->dialogue->count; i++) {
		const struct dialogue_message *m = &c->dialogue->messages[i];
		if (m->record->size > CHANNEL_RECORD_MAX)
			panic("channel %s: the struct %s is too large", c->dialogue->name,
			      m->record->name);
		c->lanes[m->number].record = m->record;
		c->lanes[m->number].secret = record_has_secret(m->record);
	}
	for (const struct route *r = routes; r && r->number != 0; r++) {
		if (r->number >= c->lane_count || !c->lanes[r->number].record)
			panic("channel %s: a route for message %u, which is none",
			      c->dialogue->name, r->number);
		c->lanes[r->number].route = r;
	}
}

static void turn_join(void)
{
	if (turn_of == getpid())
		return;
	turn_of = getpid();
	turn = (struct loop_turn){0};
	TAILQ_INIT(&dirty_channels);
	loop_turn_add_last(&turn, on_turn_end, NULL);
}

/* Only ever more than there is: the master's end of a pair may have more than a daemon, which is no
 * longer root, could ask for. A sandbox may refuse, and what is there does. */
static void raise_buffer(int fd, int name, int forced_name)
{
	int wanted = SOCKET_BUFFER, has = 0;
	socklen_t len = sizeof(has);
	if (getsockopt(fd, SOL_SOCKET, name, &has, &len) == 0 && has >= wanted)
		return;
	if (setsockopt(fd, SOL_SOCKET, forced_name, &wanted, sizeof(wanted)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, name, &wanted, sizeof(wanted));
}

static void raise_buffers(int fd)
{
	raise_buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE);
	raise_buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE);
}

bool channel_pair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return false;
	raise_buffers(fds[0]);
	raise_buffers(fds[1]);
	return true;
}

struct channel *channel_open(int fd, const struct dialogue *d, const struct route *routes,
			     void (*closed)(struct channel *c), void *owner)
{
	turn_join();
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0 && !(flags & O_NONBLOCK))
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	raise_buffers(fd);
	struct channel *c = memory_zero(1, sizeof(*c));
	c->fd = fd;
	c->dialogue = d;
	c->state = 1;
	c->closed = closed;
	c->owner = owner;
	lanes_make(c, routes);
	outbox_init(&c->out);
	outbox_put_hello(&c->out, dialogue_hash(d));
	TAILQ_INSERT_TAIL(&dirty_channels, c, dirty_link);
	c->dirty = true;
	loop_watch_start(&c->watch, fd, LOOP_READ, on_ready, c);
	return c;
}

void channel_free(struct channel **channel)
{
	struct channel *c = *channel;
	*channel = NULL;
	if (!c)
		return;
	channel_die(c);
	c->told = true;
	c->gone = true;
	if (!c->busy)
		channel_destroy(c);
}

void *channel_owner(const struct channel *c)
{
	return c->owner;
}

void channel_set_state(struct channel *c, unsigned state)
{
	c->state = state;
}

size_t channel_queued(const struct channel *c)
{
	return c->out.octets;
}

void channel_portion(struct channel *c, size_t octets)
{
	c->portion = octets;
}

void channel_on_room(struct channel *c, void (*room)(struct channel *c))
{
	c->room = room;
}

bool channel_alive(const struct channel *c)
{
	return !c->dead && !c->mute;
}

bool channel_broken(const struct channel *c)
{
	return c->broken;
}

bool channel_peer(const struct channel *c, unsigned *uid, unsigned *gid, int *pid)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	if (c->dead || getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return false;
	*uid = cred.uid;
	*gid = cred.gid;
	*pid = cred.pid;
	return true;
}
