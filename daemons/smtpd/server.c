/*
 * The server: listeners come from the master; connections are accepted and counted; a drain lets
 * sessions finish. After the start connections wait in the kernel until the queue has lent a
 * segment, so that the first client need not come again; only when that takes long do they hear
 * 451. On the local socket, where `sendmail` submits, the client is the user whom the kernel names.
 */
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/dialogue/pickup.h"
#include "common/net/listen.h"
#include "common/os/loop.h"
#include "daemons/smtpd/smtpd.h"

enum {
	QUEUE_PATIENCE_US = 5000000,
	PARKED_MAX = 64,			  /* sessions of pickup before the queue is there */
	DESCRIPTORS_KEPT = WRITER_FILES_MAX + 64, /* from connections, for what the queue lends */
};

/* What a large file may hold at most: the largest `message-size`, and what we put around it. The
 * kernel ends a process that would write more, so that one that was taken over can't make a file
 * grow without end. */
static const rlim_t file_octets_max = (UINT64_C(4) << 30) + (UINT64_C(16) << 20);

struct listener {
	TAILQ_ENTRY(listener) link;
	struct slice name; /* its address as configured; memory of ours */
	bool local;	   /* the socket for sendmail */
	struct acceptor *acceptor;
};

static TAILQ_HEAD(, listener) listeners = TAILQ_HEAD_INITIALIZER(listeners);
static TAILQ_HEAD(session_list, session) sessions = TAILQ_HEAD_INITIALIZER(sessions);
static uint32_t connections;
static TAILQ_HEAD(, parked) parking = TAILQ_HEAD_INITIALIZER(parking);
static uint32_t parked_count;
static struct loop_timer opener, checker;
static bool opened, draining;
static int descriptors_end; /* a connection gets no descriptor from here on */
static bool short_of_descriptors;

bool listener_normalizes(const struct listener *l)
{
	return smtpd_normalizes(l->name);
}

bool server_draining(void)
{
	return draining;
}

/* Says so and closes, without a session, which would live on while the client reads. */
static void turn_away(int fd, const char *address)
{
	struct buffer reply;

	if (!short_of_descriptors)
		log_error("connections get 421, the first from %s: %d descriptors are in use, and "
			  "the rest is kept for mail; allow more open files, or lower limits { "
			  "connections }",
			  address, descriptors_end);
	short_of_descriptors = true;
	buffer_init(&reply, REPLY_LINE_MAX);
	reply_write(&reply, 421, "4.7.0", "%s too many connections, try later",
		    smtpd_settings()->hostname);
	(void)send(fd, reply.data, reply.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	buffer_free(&reply);
	close(fd);
}

static void refuse_connection(struct session *s, const char *why)
{
	session_log_refusal(s, "connect", 421, "4.7.0", slice_str(why), SLICE_EMPTY);
	session_reply(s, 421, "4.7.0", "%s %s", smtpd_settings()->hostname, why);
}

/* A session is there: may it stay? Neither our own clients nor root are held to a client's share:
 * they are the ones who would have to look after the server. */
static void judge(struct session *s)
{
	const struct settings_limits *limits = &smtpd_settings()->limits;
	bool free = s->local ? s->uid == 0 : s->trusted;

	if (connections > limits->connections)
		refuse_connection(s, "too many connections, try later");
	else if (client_connections(s->client) > limits->per_client && !free)
		refuse_connection(s, "too many connections from your address");
	else if (!s->trusted && !client_count(s->client, CLIENT_CONNECTION))
		refuse_connection(s, "too many connections from your address in a minute");
	else {
		names_ask(s);
		session_greet(s);
	}
}

static void session_begin(struct listener *l, int fd, const struct net_address *peer, uint32_t uid)
{
	char address[NET_IP_TEXT] = "local";
	struct session *s;

	if (!l->local)
		net_ip_format(peer, address);
	if (fd >= descriptors_end) {
		turn_away(fd, address);
		return;
	}
	connections++;
	s = session_open(fd, l, client_enter(peer, uid), address);
	TAILQ_INSERT_TAIL(&sessions, s, link);
	if (l->local)
		session_set_user(s, uid);
	(void)session_trusted(s);
	session_log_begin(s);
	judge(s);
}

static void accepted(void *arg, int fd, const struct net_address *peer)
{
	struct listener *l = arg;
	struct ucred user = {.uid = 0};
	socklen_t len = sizeof(user);

	if (l->local && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &user, &len) < 0) {
		log_error("a local client's user is not known: %s", strerror(errno));
		close(fd);
		return;
	}
	session_begin(l, fd, peer, user.uid);
}

static struct listener *local_listener(void)
{
	struct listener *l;

	TAILQ_FOREACH (l, &listeners, link)
		if (l->local)
			return l;
	return NULL;
}

/* Mail that waited in the drop directory: a session of the user whom the file belongs to. Like
 * connections it waits until the queue has lent a segment. */
struct parked {
	TAILQ_ENTRY(parked) link;
	int fd;
	uint32_t uid;
};

static void pickup_begin(int fd, uint32_t uid)
{
	static const struct net_address local = {.family = NET_UNIX};
	struct listener *l = local_listener();

	if (draining || l == NULL)
		close(fd); /* it is tried again */
	else
		session_begin(l, fd, &local, uid);
}

static void unpark(void)
{
	struct parked *p;

	while ((p = TAILQ_FIRST(&parking)) != NULL) {
		TAILQ_REMOVE(&parking, p, link);
		parked_count--;
		pickup_begin(p->fd, p->uid);
		memory_free(p);
	}
}

static void on_pickup(struct channel *c, const void *record)
{
	const struct pickup_session *m = record;
	struct parked *p;

	(void)c;
	if (opened) {
		pickup_begin(m->fd, m->uid);
		return;
	}
	if (parked_count == PARKED_MAX) {
		close(m->fd);
		return;
	}
	p = memory_zero(1, sizeof(*p));
	*p = (struct parked){.fd = m->fd, .uid = m->uid};
	TAILQ_INSERT_TAIL(&parking, p, link);
	parked_count++;
}

const struct route server_pickup_routes[] = {
    {PICKUP_SESSION, ROUTE_ALWAYS, on_pickup},
    {0, 0, NULL},
};

void server_forget(struct session *s)
{
	TAILQ_REMOVE(&sessions, s, link);
	client_leave(s->client);
	connections--;
	if (connections < (uint32_t)descriptors_end / 2)
		short_of_descriptors = false;
}

void server_descriptor(const struct service_descriptor *d)
{
	struct listener *l;

	if (!slice_equal(d->kind, SLICE("listener"))) {
		log_warning("smtpd was given a descriptor it has no use for: %.*s",
			    SLICE_FMT(d->kind));
		close(d->fd);
		return;
	}
	l = memory_zero(1, sizeof(*l));
	l->name = slice_make(memory_string(d->name), d->name.len);
	l->local = slice_equal(d->detail, SLICE("local"));
	l->acceptor = acceptor_open(d->fd, accepted, l);
	if (!opened)
		acceptor_pause(l->acceptor);
	TAILQ_INSERT_TAIL(&listeners, l, link);
}

static void open_up(void *arg)
{
	struct listener *l;

	(void)arg;
	loop_timer_stop(&opener);
	opened = true;
	TAILQ_FOREACH (l, &listeners, link)
		acceptor_resume(l->acceptor);
	unpark();
}

void server_queue_ready(void)
{
	if (!opened && !draining)
		open_up(NULL);
}

void server_warm(void)
{
	struct rlimit files; /* the sandbox will have raised it to its maximum */
	rlim_t kept = DESCRIPTORS_KEPT;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		fatal("getrlimit: %s", strerror(errno));
	if (kept > files.rlim_max / 2)
		kept = files.rlim_max / 2;
	if (setrlimit(RLIMIT_FSIZE, &(struct rlimit){file_octets_max, file_octets_max}) < 0)
		fatal("setrlimit: %s", strerror(errno));
	descriptors_end = files.rlim_max - kept < INT_MAX ? (int)(files.rlim_max - kept) : INT_MAX;
	verdict_warm();
	names_warm();
}

void server_start(void)
{
	clients_start();
	sessions_start();
	loop_timer_start(&opener, QUEUE_PATIENCE_US, open_up, NULL);
	queue_start();
}

void server_check_drained(void)
{
	if (draining && TAILQ_EMPTY(&sessions) && writer_pending(queue_writer()) == 0)
		service_drained();
}

static void check_drained(void *arg)
{
	(void)arg;
	server_check_drained();
}

void server_check_drained_later(void)
{
	if (draining)
		loop_timer_start(&checker, 0, check_drained, NULL);
}

void server_drain(void)
{
	struct listener *l;
	struct session *s, *next;

	draining = true;
	loop_timer_stop(&opener);
	unpark();
	TAILQ_FOREACH (l, &listeners, link)
		acceptor_free(&l->acceptor);
	TAILQ_FOREACH_SAFE (s, &sessions, link, next) {
		if (s->phase == PHASE_COMMAND && s->transaction == NULL && s->verdict == 0)
			session_reply(s, 421, "4.3.2", "%s is shutting down",
				      smtpd_settings()->hostname);
	}
	server_check_drained();
}
