/*
 * outbox: one packet is filled until it is full, so a turn's messages leave in as few calls as can
 * be. A packet that was sent is kept as the spare: in steady running nothing is allocated. A
 * message with a descriptor has its packet for itself, so that the receiver knows whose it is; and
 * so has one with a secret: its memory never grows, which would leave a copy, and is wiped.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/wire/channel.h"
#include "common/wire/codec.h"
#include "common/wire/outbox.h"
#include "common/wire/packet.h"

void outbox_init(struct outbox *o)
{
	*o = (struct outbox){0};
	TAILQ_INIT(&o->packets);
}

static void packet_wipe(struct outbox_packet *p)
{
	if (p->secret && p->octets.data)
		explicit_bzero(p->octets.data, p->octets.size);
	p->secret = false;
}

static void packet_free(struct outbox_packet *p)
{
	packet_wipe(p);
	if (p->fd >= 0)
		close(p->fd);
	buffer_free(&p->octets);
	memory_free(p);
}

static struct outbox_packet *packet_add(struct outbox *o, int fd, bool alone)
{
	struct outbox_packet *p = o->spare;
	o->spare = NULL;
	if (!p) {
		p = memory_zero(1, sizeof(*p));
		buffer_init(&p->octets, CHANNEL_PACKET_MAX);
	}
	p->fd = fd;
	p->alone = alone;
	o->descriptors += fd >= 0 ? 1 : 0;
	TAILQ_INSERT_TAIL(&o->packets, p, link);
	return p;
}

/* The packet's octets are no longer counted: they were sent or taken back. */
static void packet_remove(struct outbox *o, struct outbox_packet *p)
{
	TAILQ_REMOVE(&o->packets, p, link);
	if (p->fd >= 0) {
		close(p->fd);
		p->fd = -1;
		o->descriptors--;
	}
	if (o->spare) {
		packet_free(p);
		return;
	}
	packet_wipe(p);
	buffer_reset(&p->octets);
	o->spare = p;
}

void outbox_clear(struct outbox *o)
{
	struct outbox_packet *p;
	while ((p = TAILQ_FIRST(&o->packets))) {
		TAILQ_REMOVE(&o->packets, p, link);
		packet_free(p);
	}
	if (o->spare)
		packet_free(o->spare);
	outbox_init(o);
}

void outbox_put_hello(struct outbox *o, uint64_t hash)
{
	struct outbox_packet *p = packet_add(o, -1, true);
	char octets[sizeof(hash)];
	size_t mark;
	put_u64(octets, hash);
	packet_begin(&p->octets, PACKET_HELLO, &mark);
	buffer_append(&p->octets, slice_make(octets, sizeof(octets)));
	packet_end(&p->octets, mark);
	o->octets += p->octets.len;
}

static bool packet_write(struct outbox_packet *p, uint16_t number, const struct record *r,
			 const void *value)
{
	size_t mark;
	if (!packet_begin(&p->octets, number, &mark))
		return false;
	if (!codec_encode(r, value, &p->octets)) {
		packet_undo(&p->octets, mark);
		return false;
	}
	packet_end(&p->octets, mark);
	return true;
}

/* Into p when it fits, else into a packet of its own; fd goes with it. NULL: can't be encoded. */
static struct outbox_packet *message_write(struct outbox *o, uint16_t number,
					   const struct record *r, const void *value, int fd,
					   bool secret)
{
	struct outbox_packet *p = TAILQ_LAST(&o->packets, outbox_packets);
	if (p && !p->alone && fd < 0 && !secret && packet_write(p, number, r, value))
		return p;
	p = packet_add(o, fd, fd >= 0 || secret);
	p->secret = secret;
	if (packet_write(p, number, r, value))
		return p;
	packet_remove(o, p);
	log_error("channel: a message %s can't be encoded: a field is over its limit", r->name);
	return NULL;
}

/* The descriptor to send: a copy of the record's, or -1 when it has none. */
static bool descriptor_copy(const struct outbox *o, const struct record *r, const void *value,
			    int *fd)
{
	*fd = -1;
	const struct record_field *f = codec_fd_field(r);
	if (!f)
		return true;
	int original = *(const int *)(const void *)((const char *)value + f->offset);
	if (original < 0)
		return true;
	if (o->descriptors >= OUTBOX_DESCRIPTORS_MAX)
		return false;
	*fd = fcntl(original, F_DUPFD_CLOEXEC, 0);
	return *fd >= 0;
}

bool outbox_put(struct outbox *o, uint16_t number, const struct record *r, const void *value,
		bool secret)
{
	int fd;
	struct outbox_packet *last = TAILQ_LAST(&o->packets, outbox_packets);
	size_t before = last ? last->octets.len : 0;
	if (!descriptor_copy(o, r, value, &fd))
		return false;
	struct outbox_packet *p = message_write(o, number, r, value, fd, secret);
	if (!p)
		return false;
	if (p != last)
		before = 0;
	size_t added = p->octets.len - before;
	if (added > CHANNEL_QUEUE_MAX - o->octets) {
		packet_undo(&p->octets, before);
		if (p != last)
			packet_remove(o, p);
		return false;
	}
	o->octets += added;
	return true;
}

static ssize_t send_with(int fd, struct slice octets, int passed)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(sizeof(size_t)))) = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)octets.ptr, .iov_len = octets.len};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &passed, sizeof(int));
	return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t packet_send(const struct outbox_packet *p, int fd)
{
	struct slice octets = buffer_slice(&p->octets);
	ssize_t n;
	do {
		if (p->fd >= 0)
			n = send_with(fd, octets, p->fd);
		else
			n = send(fd, octets.ptr, octets.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n;
}

static enum outbox_result judge(int code)
{
	switch (code) {
	case EAGAIN:
		return OUTBOX_WAIT;
	case ENOBUFS:
	case ENOMEM:
	case ETOOMANYREFS:
		return OUTBOX_RETRY;
	case EPIPE:
	case ECONNRESET:
	case ECONNREFUSED:
	case ENOTCONN:
		return OUTBOX_GONE;
	default:
		return OUTBOX_REFUSED;
	}
}

enum outbox_result outbox_send(struct outbox *o, int fd)
{
	struct outbox_packet *p;
	while ((p = TAILQ_FIRST(&o->packets))) {
		if (packet_send(p, fd) < 0)
			return judge(errno);
		o->octets -= p->octets.len;
		packet_remove(o, p);
	}
	return OUTBOX_EMPTY;
}
