/*
 * Channels over a socket pair: both ends in this process, or one end as a raw socket that breaks
 * the rules.
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/os/user.h"
#include "common/wire/outbox.h"
#include "tests/unit/wire/talk.h"

enum { NOBODY = 65534 };

/* What one end has seen. */
struct end {
	struct channel *channel;
	size_t messages;
	uint64_t last; /* request number */
	size_t octets;
	int fd;
	bool closed, reached, room;
	size_t wanted; /* messages until `reached` */
	bool free_at_message, free_when_closed;
};

static struct end left, right;
static int raw; /* the left end without a channel */

static void seen(struct channel *c, uint64_t request, struct slice data)
{
	struct end *e = channel_owner(c);
	e->messages++;
	e->last = request;
	e->octets += data.len;
	e->reached = e->messages >= e->wanted;
	if (e->free_at_message)
		channel_free(&e->channel);
}

static void on_all(struct channel *c, const void *record)
{
	const struct all *a = record;
	struct end *e = channel_owner(c);
	e->fd = a->fd;
	seen(c, a->request, a->data);
}

static void on_ask(struct channel *c, const void *record)
{
	const struct plain *p = record;
	seen(c, p->request, p->data);
}

/* Where the last secret lay while it was handled. */
static struct slice secret_place;

static void on_secret(struct channel *c, const void *record)
{
	const struct hidden *h = record;
	ck_assert(slice_equal(h->data, SLICE("the secret word")));
	secret_place = h->data;
	seen(c, h->request, h->data);
}

static const struct route routes[] = {
    {TALK_ALL, ROUTE_ALWAYS, on_all}, /* with a descriptor or not */
    {TALK_ASK, 2, on_ask},	      /* in state 2 alone */
    {TALK_SECRET, ROUTE_ALWAYS, on_secret},
    {0, 0, NULL},
};

static void on_closed(struct channel *c)
{
	struct end *e = channel_owner(c);
	ck_assert(!e->closed);
	e->closed = true;
	if (e->free_when_closed)
		channel_free(&e->channel);
}

static void on_room(struct channel *c)
{
	((struct end *)channel_owner(c))->room = true;
}

static void open_pair(void)
{
	int fds[2];
	ck_assert(channel_pair(fds));
	left = right = (struct end){.fd = -1, .wanted = 1};
	left.channel = channel_open(fds[0], &talk_dialogue, routes, on_closed, &left);
	right.channel = channel_open(fds[1], &talk_dialogue, routes, on_closed, &right);
}

/* The right end is a channel, the left one a bare socket that has said hello. */
static void open_raw(bool hello)
{
	int fds[2];
	ck_assert(channel_pair(fds));
	right = (struct end){.fd = -1, .wanted = 1};
	raw = fds[0];
	right.channel = channel_open(fds[1], &talk_dialogue, routes, on_closed, &right);
	if (!hello)
		return;
	char octets[16] = {0, 0, 0, 0, 8};
	put_u64(octets + 8, dialogue_hash(&talk_dialogue));
	ck_assert_int_eq(send(raw, octets, sizeof(octets), 0), sizeof(octets));
}

static void ask(struct channel *c, uint64_t request, size_t octets)
{
	static char data[120000];
	struct plain p = {.request = request, .data = slice_make(data, octets)};
	ck_assert(channel_send(c, TALK_ASK, &p));
}

static void raw_send(const void *octets, size_t len, const int *fds, size_t count)
{
	char control[CMSG_SPACE(8 * sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec iov = {(void *)(uintptr_t)octets, len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (count > 0) {
		m.msg_control = control;
		m.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	ck_assert_int_eq(sendmsg(raw, &m, MSG_NOSIGNAL), (ssize_t)len);
}

/* How many packets lie at the raw end. */
static int raw_packets(void)
{
	static char octets[CHANNEL_PACKET_MAX];
	int count = 0;
	while (recv(raw, octets, sizeof(octets), MSG_DONTWAIT) > 0)
		count++;
	return count;
}

START_TEST(messages_arrive_in_order_and_whole)
{
	open_pair();
	channel_set_state(right.channel, 2);
	right.wanted = 300;
	for (uint64_t i = 1; i <= 300; i++)
		ask(left.channel, i, 1000);
	run_until(&right.reached);
	ck_assert_uint_eq(right.messages, 300);
	ck_assert_uint_eq(right.last, 300);
	ck_assert_uint_eq(right.octets, 300 * 1000);
	ck_assert_uint_eq(channel_queued(left.channel), 0);
}
END_TEST

START_TEST(a_turn_leaves_in_one_packet_after_the_hello)
{
	open_raw(true);
	for (uint64_t i = 1; i <= 100; i++)
		ask(right.channel, i, 100);
	run_turns(2);
	ck_assert_int_eq(raw_packets(), 2);
	for (uint64_t i = 1; i <= 3; i++)
		ask(right.channel, i, 60000); /* two fit */
	run_turns(2);
	ck_assert_int_eq(raw_packets(), 2);
}
END_TEST

static const struct hidden hidden = {.request = 7, .data = {"the secret word", 15}};

START_TEST(a_secret_is_wiped_when_it_was_handled)
{
	open_pair();
	ck_assert(channel_send(left.channel, TALK_SECRET, &hidden));
	ck_assert(channel_send(left.channel, TALK_ALL, &(struct all){.request = 8, .fd = -1}));
	right.wanted = 2;
	run_until(&right.reached);
	ck_assert_uint_eq(right.last, 8); /* what comes behind it is whole */
	for (size_t i = 0; i < secret_place.len; i++)
		ck_assert_int_eq(secret_place.ptr[i], 0);
}
END_TEST

START_TEST(a_secret_is_wiped_when_it_was_sent)
{
	struct outbox o;
	int fds[2];
	const struct plain open = {.request = 1, .data = SLICE("no secret")};
	outbox_init(&o);
	ck_assert(channel_pair(fds));
	ck_assert(outbox_put(&o, TALK_SECRET, &hidden_record, &hidden, true));
	ck_assert(outbox_put(&o, TALK_ASK, &plain_record, &open, false));
	const struct outbox_packet *p = TAILQ_FIRST(&o.packets);
	const char *memory = p->octets.data;
	size_t size = p->octets.size;
	ck_assert_ptr_nonnull(memmem(memory, size, "secret word", 11));
	ck_assert_ptr_nonnull(
	    TAILQ_NEXT(p, link)); /* nothing is added behind it: no copy is made */
	ck_assert_int_eq(outbox_send(&o, fds[0]), OUTBOX_EMPTY);
	ck_assert_ptr_eq(o.spare->octets.data, memory);
	ck_assert_ptr_null(memmem(memory, size, "secret word", 11));
	ck_assert(outbox_put(&o, TALK_ASK, &plain_record, &open, false));
	ck_assert(!TAILQ_FIRST(&o.packets)->secret); /* the memory is used again */
	outbox_clear(&o);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(a_portion_is_taken_in_a_turn_and_the_rest_in_the_next_ones)
{
	open_pair();
	channel_set_state(right.channel, 2);
	channel_portion(right.channel, 1); /* a packet is taken whole */
	for (uint64_t i = 1; i <= 6; i++)
		ask(left.channel, i, 60000); /* two fit in a packet */
	run_until(&right.reached);
	ck_assert_uint_eq(right.messages, 2);
	right.reached = false;
	right.wanted = 6;
	run_until(&right.reached);
	ck_assert_uint_eq(right.last, 6);
}
END_TEST

START_TEST(a_descriptor_arrives_and_the_senders_own_stays)
{
	struct stat here, there;
	int fds[2];
	open_pair();
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	struct all a = {.request = 1, .fd = fds[1]};
	right.wanted = 3;
	struct all none = {.request = 2, .fd = -1};
	ck_assert(channel_send(left.channel, TALK_ALL, &none));
	ck_assert(channel_send(left.channel, TALK_ALL, &none));
	ck_assert(channel_send(left.channel, TALK_ALL, &a));
	run_until(&right.reached);
	ck_assert_int_ge(right.fd, 0);
	ck_assert_int_eq(fstat(fds[1], &here), 0);
	ck_assert_int_eq(fstat(right.fd, &there), 0);
	ck_assert_uint_eq(here.st_ino, there.st_ino);
	ck_assert_int_eq(fcntl(right.fd, F_GETFD), FD_CLOEXEC);
}
END_TEST

/* As the process is at its limit, or the machine at its own: not the peer's fault. */
START_TEST(a_descriptor_that_can_not_be_taken_is_missed_and_nobody_is_to_blame)
{
	struct rlimit limit;
	struct all a = {.request = 1, .fd = 0}, none = {.request = 2, .fd = -1};
	open_pair();
	right.fd = 77;
	run_turns(3);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	int lowest = dup(0);
	close(lowest);
	struct rlimit low = {(rlim_t)lowest, limit.rlim_max};
	ck_assert(channel_send(left.channel, TALK_ALL, &a)); /* it keeps a copy, for now */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	run_until(&right.reached);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(right.fd, -1);
	ck_assert(channel_alive(right.channel));
	right.wanted = 2;
	right.reached = false;
	ck_assert(channel_send(left.channel, TALK_ALL, &none));
	run_until(&right.reached);
	ck_assert_uint_eq(right.last, 2);
}
END_TEST

START_TEST(descriptors_in_the_queue_are_bounded_and_closed)
{
	open_pair();
	int before = open_descriptors();
	struct all a = {.request = 1, .fd = 0};
	size_t sent = 0;
	while (channel_send(left.channel, TALK_ALL, &a))
		sent++;
	ck_assert_uint_eq(sent, 256);
	channel_free(&left.channel);
	ck_assert_int_eq(open_descriptors(), before - 1);
}
END_TEST

START_TEST(another_build_is_refused_at_the_hello)
{
	int fds[2];
	ck_assert(channel_pair(fds));
	left = right = (struct end){.fd = -1};
	left.channel = channel_open(fds[0], &other_dialogue, NULL, on_closed, &left);
	right.channel = channel_open(fds[1], &talk_dialogue, routes, on_closed, &right);
	channel_set_state(right.channel, 2);
	ask(left.channel, 1, 1);
	run_until(&right.closed);
	run_until(&left.closed);
	ck_assert_uint_eq(right.messages, 0);
	ck_assert(!channel_alive(right.channel));
}
END_TEST

START_TEST(a_peer_that_goes_closes_after_its_last_words)
{
	open_pair();
	channel_set_state(right.channel, 2);
	ask(right.channel, 1, 10); /* will lie unread */
	ask(left.channel, 5, 10);
	ck_assert(channel_flush(left.channel, 1000000));
	ck_assert(channel_flush(right.channel, 1000000));
	channel_free(&left.channel);
	ask(right.channel, 2, 10);
	run_until(&right.closed);
	ck_assert_uint_eq(right.last, 5);
	ck_assert(!channel_alive(right.channel));
	struct plain p = {.request = 3};
	ck_assert(!channel_send(right.channel, TALK_ASK, &p));
	channel_free(&right.channel);
}
END_TEST

/* Packets that a sound peer never sends; each must close the channel and leak nothing. */
START_TEST(a_broken_peer_is_cut_off_and_leaks_nothing)
{
	static const char all_message[8 + 29] = {1, 0, 0, 0, 29};
	static const char ask_message[8 + 12] = {2, 0, 0, 0, 12};
	static const char answer_message[8 + 12] = {3, 0, 0, 0, 12};
	static const char unknown[8] = {99};
	static const char far_number[8] = {'\xff', '\xff'};
	static const char second_hello[16] = {0, 0, 0, 0, 8};
	static const char not_zero[8 + 12] = {2, 0, 1, 0, 12};
	static const char too_long[8 + 12] = {2, 0, 0, 0, 13};
	static const char excess[8 + 13] = {2, 0, 0, 0, 13};
	static const char huge[8 + 12] = {2, 0, 0, 0, '\xff', '\xff', '\xff', '\xff'};
	static const char half_head[5] = {2};
	static const char oversize[CHANNEL_PACKET_MAX + 1];
	static char two[2 * sizeof(all_message)];
	memcpy(two, all_message, sizeof(all_message));
	memcpy(two + sizeof(all_message), all_message, sizeof(all_message));
	const struct {
		const char *what;
		const char *octets;
		size_t len, fds;
		unsigned state;
	} rows[] = {
	    {"no such message", unknown, sizeof(unknown), 0, 2},
	    {"a number out of range", far_number, sizeof(far_number), 0, 2},
	    {"a message without a route", answer_message, sizeof(answer_message), 0, 2},
	    {"not permitted now", ask_message, sizeof(ask_message), 0, 1},
	    {"a second hello", second_hello, sizeof(second_hello), 0, 2},
	    {"the zero is not zero", not_zero, sizeof(not_zero), 0, 2},
	    {"a length over the packet", too_long, sizeof(too_long), 0, 2},
	    {"a payload over the record", excess, sizeof(excess), 0, 2},
	    {"a length of 4 GiB", huge, sizeof(huge), 0, 2},
	    {"half a head", half_head, sizeof(half_head), 0, 2},
	    {"an oversize packet", oversize, sizeof(oversize), 0, 2},
	    {"an oversize packet with a descriptor", oversize, sizeof(oversize), 1, 2},
	    {"a descriptor for a message that has none", ask_message, sizeof(ask_message), 1, 2},
	    {"two descriptors", all_message, sizeof(all_message), 2, 2},
	    {"eight descriptors", all_message, sizeof(all_message), 8, 2},
	    {"a descriptor beside two messages", two, sizeof(two), 1, 2},
	    {"a descriptor without a route", unknown, sizeof(unknown), 1, 2},
	};
	static const int fds[8] = {0, 1, 2, 0, 1, 2, 0, 1};
	run_turns(1);
	int before = open_descriptors();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		open_raw(true);
		channel_set_state(right.channel, rows[i].state);
		raw_send(rows[i].octets, rows[i].len, fds, rows[i].fds);
		run_until(&right.closed);
		ck_assert_msg(right.messages == 0, "%s", rows[i].what);
		channel_free(&right.channel);
		close(raw);
		ck_assert_msg(open_descriptors() == before, "leaks: %s", rows[i].what);
	}
}
END_TEST

START_TEST(a_first_packet_that_is_no_hello_closes)
{
	static const char ask_message[8 + 12] = {2, 0, 0, 0, 12};
	static const int fds[1] = {0};
	char hello[16] = {0, 0, 0, 0, 8};
	open_raw(false);
	channel_set_state(right.channel, 2);
	raw_send(ask_message, sizeof(ask_message), NULL, 0);
	run_until(&right.closed);
	channel_free(&right.channel);
	close(raw);
	int before = open_descriptors();
	open_raw(false);
	put_u64(hello + 8, dialogue_hash(&talk_dialogue));
	raw_send(hello, sizeof(hello), fds, 1);
	run_until(&right.closed);
	channel_free(&right.channel);
	close(raw);
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

START_TEST(random_octets_close_and_leak_nothing)
{
	run_turns(1);
	int before = open_descriptors();
	srandom(1);
	for (int i = 0; i < 2000; i++) {
		char octets[64];
		size_t len = 1 + (size_t)random() % sizeof(octets);
		for (size_t n = 0; n < len; n++)
			octets[n] = (char)(random() % 4 ? random() % 8 : random());
		static const int fds[8] = {0, 1, 2, 0, 1, 2, 0, 1};
		open_raw(i % 8 != 0);
		raw_send(octets, len, fds, (size_t)random() % 9);
		close(raw);
		run_until(&right.closed);
		if (right.fd >= 0)
			close(right.fd);
		channel_free(&right.channel);
	}
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

START_TEST(a_full_queue_refuses_and_room_is_told)
{
	static char data[120000];
	struct plain p = {.request = 1, .data = slice_make(data, sizeof(data))};
	open_pair();
	channel_set_state(right.channel, 2);
	channel_on_room(left.channel, on_room);
	size_t sent = 0;
	while (channel_send(left.channel, TALK_ASK, &p))
		sent++;
	ck_assert_uint_le(channel_queued(left.channel), CHANNEL_QUEUE_MAX);
	ck_assert_uint_gt(channel_queued(left.channel), CHANNEL_QUEUE_MAX - 2 * sizeof(data));
	run_until(&left.room);
	ck_assert_uint_eq(channel_queued(left.channel), 0);
	right.wanted = sent;
	right.reached = right.messages >= sent;
	run_until(&right.reached);
	ck_assert_uint_eq(right.messages, sent);
	left.room = false;
	ask(left.channel, 9, 10);
	run_turns(4);
	ck_assert(!left.room);
}
END_TEST

START_TEST(a_record_that_can_not_be_encoded_is_refused_alone)
{
	open_pair();
	channel_set_state(right.channel, 2);
	struct all a = {.request = 1, .small = 1001, .fd = 0};
	int before = open_descriptors();
	ck_assert(!channel_send(left.channel, TALK_ALL, &a));
	ck_assert_int_eq(open_descriptors(), before);
	ask(left.channel, 2, 10);
	run_until(&right.reached);
	ck_assert_uint_eq(right.last, 2);
}
END_TEST

START_TEST(flush_waits_no_longer_than_it_may)
{
	open_raw(true);
	for (int i = 0; i < 100; i++)
		ask(right.channel, 1, 100000);
	ck_assert(!channel_flush(right.channel, 20000));
	ck_assert_uint_gt(channel_queued(right.channel), 0);
	ck_assert_int_gt(raw_packets(), 1);
}
END_TEST

START_TEST(a_channel_may_be_freed_in_its_own_calls)
{
	run_turns(1);
	int before = open_descriptors();
	open_pair();
	channel_set_state(right.channel, 2);
	right.free_at_message = true;
	left.free_when_closed = true;
	ask(left.channel, 1, 10);
	ask(left.channel, 2, 10);
	run_until(&left.closed);
	ck_assert_uint_eq(right.messages, 1);
	ck_assert(!right.closed);
	ck_assert_ptr_null(left.channel);
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

START_TEST(one_busy_peer_does_not_starve_another)
{
	static const char all_message[8 + 29] = {1, 0, 0, 0, 29};
	open_raw(true);
	for (int i = 0; i < 150; i++)
		raw_send(all_message, sizeof(all_message), NULL, 0);
	right.wanted = 1;
	run_until(&right.reached);
	ck_assert_uint_le(right.messages, 64);
	right.wanted = 150;
	right.reached = false;
	run_until(&right.reached);
}
END_TEST

static int buffer_size(int fd)
{
	int size = 0;
	socklen_t len = sizeof(size);
	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len), 0);
	return size;
}

/* In a process of its own, which can't become root again. */
static void open_as_nobody(int fd)
{
	struct error e = {0};
	int before = buffer_size(fd);
	if (!user_become(NOBODY, NOBODY, &e))
		_exit(1);
	channel_open(fd, &talk_dialogue, NULL, NULL, NULL);
	_exit(buffer_size(fd) == before ? 0 : 2);
}

START_TEST(who_is_not_root_keeps_the_buffers_that_root_made)
{
	int fds[2], status = -1;
	if (!user_is_root())
		return;
	ck_assert(channel_pair(fds));
	pid_t pid = fork();
	if (pid == 0)
		open_as_nobody(fds[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(the_peer_is_known)
{
	unsigned uid, gid;
	int pid;
	open_pair();
	ck_assert(channel_peer(left.channel, &uid, &gid, &pid));
	ck_assert_uint_eq(uid, getuid());
	ck_assert_int_eq(pid, getpid());
}
END_TEST

int main(void)
{
	Suite *s = suite_create("channel");
	TCase *t = tcase_create("channel");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, messages_arrive_in_order_and_whole);
	tcase_add_test(t, a_turn_leaves_in_one_packet_after_the_hello);
	tcase_add_test(t, a_secret_is_wiped_when_it_was_handled);
	tcase_add_test(t, a_secret_is_wiped_when_it_was_sent);
	tcase_add_test(t, a_portion_is_taken_in_a_turn_and_the_rest_in_the_next_ones);
	tcase_add_test(t, a_descriptor_arrives_and_the_senders_own_stays);
	tcase_add_test(t, a_descriptor_that_can_not_be_taken_is_missed_and_nobody_is_to_blame);
	tcase_add_test(t, descriptors_in_the_queue_are_bounded_and_closed);
	tcase_add_test(t, another_build_is_refused_at_the_hello);
	tcase_add_test(t, a_peer_that_goes_closes_after_its_last_words);
	tcase_add_test(t, a_broken_peer_is_cut_off_and_leaks_nothing);
	tcase_add_test(t, a_first_packet_that_is_no_hello_closes);
	tcase_add_test(t, random_octets_close_and_leak_nothing);
	tcase_add_test(t, a_full_queue_refuses_and_room_is_told);
	tcase_add_test(t, a_record_that_can_not_be_encoded_is_refused_alone);
	tcase_add_test(t, flush_waits_no_longer_than_it_may);
	tcase_add_test(t, a_channel_may_be_freed_in_its_own_calls);
	tcase_add_test(t, one_busy_peer_does_not_starve_another);
	tcase_add_test(t, who_is_not_root_keeps_the_buffers_that_root_made);
	tcase_add_test(t, the_peer_is_known);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
