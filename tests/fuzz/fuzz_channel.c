/*
 * channel: what a process of ours hears of another that a stranger has taken over, as packets of a
 * real channel. Only what the routes list and permit is handled, with all its fields within their
 * limits; whatever else comes ends the channel, and no descriptor is left open. A caller hears one
 * answer to each question.
 *
 * The input: packets, each {length / 4, flags, octets}. Flags: bit 0: a right hello comes first;
 * bits 1 and 2: so many descriptors come with it.
 */
#include <dirent.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/dialogue/job.h"
#include "common/dialogue/resolver.h"
#include "common/os/clock.h"
#include "common/os/loop.h"
#include "common/wire/call.h"
#include "common/wire/packet.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TURNS = 3, PENDING_MAX = 8, PACKETS_MAX = 64, STATE_FIRST = 1, STATE_NEXT = 2 };

static bool dead;
static unsigned handled, turns_left, answers, asked;
static struct caller *caller;

static void on_end(struct channel *c)
{
	must(!dead && !channel_alive(c));
	dead = true;
}

static void on_start(struct channel *c, const void *record)
{
	const struct job_start *m = record;
	must(!dead);
	must(m->sender.len <= JOB_ADDRESS_MAX && m->more < JOB_RECIPIENTS_MAX &&
	     m->body.len <= JOB_CONTENT_MAX && m->notify <= 15);
	if (m->fd >= 0)
		close(m->fd);
	handled++;
	channel_set_state(c, STATE_NEXT);
}

static void on_more(struct channel *c, const void *record)
{
	const struct job_more *m = record;
	must(!dead && m->orcpt.len <= ORCPT_MAX);
	handled++;
	if (m->recipient == 7)
		channel_break(c, "seven");
}

static void on_noted(struct channel *c, const void *record)
{
	(void)c, (void)record;
	must(!dead);
	handled++;
}

static const struct route routes[] = {{JOB_START, STATE_FIRST, on_start},
				      {JOB_MORE, STATE_NEXT, on_more},
				      {JOB_NOTED, ROUTE_ALWAYS, on_noted},
				      {0, 0, NULL}};

static void on_site(struct channel *c, const void *record)
{
	const struct resolve_site_answer *m = record;
	(void)c;
	must(m->code <= 599 && m->site.len <= RESOLVER_SITE_MAX);
	caller_answered(caller, m->request, m);
}

static const struct route answer_routes[] = {{RESOLVE_SITE_ANSWER, ROUTE_ALWAYS, on_site},
					     {0, 0, NULL}};

static void answered(void *arg, const void *answer)
{
	bool *done = arg;
	(void)answer;
	must(!*done);
	*done = true;
	answers++;
}

static void on_turn(void *arg)
{
	(void)arg;
	loop_turn_again();
	if (--turns_left == 0)
		loop_stop();
}

static void turns(void)
{
	turns_left = TURNS;
	loop_run();
}

static unsigned descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned count = 0;
	must(d);
	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

static void send_packet(int fd, struct slice octets, unsigned fds)
{
	union {
		char octets[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec v = {(void *)octets.ptr, octets.len};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
	if (fds > 0) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(fds * sizeof(int));
		for (unsigned i = 0; i < fds; i++)
			memcpy(CMSG_DATA(h) + i * sizeof(int), &(int){STDERR_FILENO}, sizeof(int));
	}
	(void)sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void send_hello(int fd, const struct dialogue *d)
{
	struct buffer b;
	uint64_t hash = dialogue_hash(d);
	size_t mark;
	buffer_init(&b, 64);
	must(packet_begin(&b, PACKET_HELLO, &mark));
	for (int i = 0; i < 8; i++)
		buffer_byte(&b, (char)(hash >> 8 * i));
	packet_end(&b, mark);
	send_packet(fd, buffer_slice(&b), 0);
	buffer_free(&b);
}

static void talk(struct slice in, int fd, const struct dialogue *d)
{
	for (unsigned n = 0; in.len >= 2 && n < PACKETS_MAX; n++) {
		size_t len = (unsigned char)in.ptr[0] * (size_t)4;
		unsigned flags = (unsigned char)in.ptr[1];
		struct slice octets = slice_sub(in, 2, len);
		in = slice_from(in, 2 + len);
		if (flags & 1)
			send_hello(fd, d);
		if (octets.len > 0)
			send_packet(fd, octets, flags >> 1 & 3);
		if (flags & 8)
			turns();
	}
	turns();
	shutdown(fd, SHUT_RDWR);
	turns();
}

static void ask_and_hear(struct slice in)
{
	bool done[PENDING_MAX] = {false};
	int ends[2];
	struct channel *c;
	must(channel_pair(ends));
	c = channel_open(ends[1], &resolver_dialogue, answer_routes, on_end, NULL);
	caller = caller_new(PENDING_MAX);
	caller_use(caller, c);
	answers = asked = 0;
	for (unsigned i = 0; i < PENDING_MAX; i++) {
		struct resolve_site m = {.domain = SLICE("example.test")};
		asked += caller_ask(caller, RESOLVE_SITE, &resolve_site_record, &m, 60000000,
				    answered, &done[i]) != 0;
	}
	talk(in, ends[0], &resolver_dialogue);
	must(answers <= asked && caller_pending(caller) == asked - answers);
	caller_free(&caller);
	channel_free(&c);
	close(ends[0]);
}

static void hear(struct slice in)
{
	int ends[2];
	struct channel *c;
	must(channel_pair(ends));
	c = channel_open(ends[1], &job_dialogue, routes, on_end, NULL);
	talk(in, ends[0], &job_dialogue);
	must(dead);
	channel_free(&c);
	close(ends[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct loop_turn turn;
	static unsigned open_ones;
	struct slice in = slice_make(data, size);
	if (open_ones == 0) {
		clock_warm();
		loop_turn_add(&turn, on_turn, NULL);
		turns();
		open_ones = descriptors();
	}
	if (size < 3)
		return 0;
	dead = false;
	if (data[0] & 1)
		ask_and_hear(slice_from(in, 1));
	else
		hear(slice_from(in, 1));
	must(descriptors() == open_ones);
	return 0;
}
