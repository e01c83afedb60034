/*
 * The server: listeners come from the master; connections are accepted and counted; a drain lets
 * sessions finish. After the start connections wait in the kernel until the queue has lent a
 * segment, so that the first client need not come again; only when that takes long do they hear
 * 451. On the local socket, where `sendmail` submits, the client is the user whom the kernel names.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/net/listen.h"
#include "common/os/loop.h"
#include "common/service/secure.h"
#include "daemons/smtpd/smtpd.h"

enum {
	QUEUE_PATIENCE_US = 5000000,
	DESCRIPTORS_KEPT = WRITER_FILES_MAX + 64, /* from connections, for what the queue lends */
};

/* What a large file may hold at most: the largest `message-size`, and what we put around it. The
 * kernel ends a process that would write more, so that one that was taken over can't make a file
 * grow without end. */
static const rlim_t file_octets_max = (UINT64_C(4) << 30) + (UINT64_C(16) << 20);

struct listener {
	TAILQ_ENTRY(listener) link;
	struct slice name; /* its address as configured; memory of ours */
	const struct listener_kind *kind;
	struct acceptor *acceptor;
};

static const struct listener_kind kinds[] = {
    /* name         wrapped login  local */
    {"smtp", false, false, false},
    {"submission", false, true, false},
    {"submissions", true, true, false},
    {"local", false, false, true}, /* the socket for sendmail */
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
static const struct listener_kind *const local_kind = &kinds[KINDS - 1];

/* As if pickup's sessions came there. */
static struct listener pickup_listener;
static uint32_t pickup_sessions;
static TAILQ_HEAD(, listener) listeners = TAILQ_HEAD_INITIALIZER(listeners);
static TAILQ_HEAD(session_list, session) sessions = TAILQ_HEAD_INITIALIZER(sessions);
static uint32_t connections;
static struct loop_timer opener, checker;
static bool opened, draining;
static int descriptors_end; /* a connection gets no descriptor from here on */
static bool short_of_descriptors;

bool listener_normalizes(const struct listener *l)
{
	return smtpd_normalizes(l->name);
}

bool server_opened(void)
{
	return opened;
}

bool server_draining(void)
{
	return draining;
}

/* Says so and closes, without a session, which would live on while the client reads; says nothing
 * to one that waits for TLS. */
static void turn_away(int fd, const struct listener_kind *kind, const char *address)
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
	if (!kind->wrapped)
		(void)send(fd, reply.data, reply.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	buffer_free(&reply);
	close(fd);
}

static void refuse_connection(struct session *s, const char *why)
{
	session_log_refusal(s, "connect", 421, "4.7.0", slice_str(why), SLICE_EMPTY);
	if (s->kind->wrapped)
		session_close(s, "refused"); /* no handshake only to say so */
	else
		session_reply(s, 421, "4.7.0", "%s %s", smtpd_settings()->hostname, why);
}

static void welcome(struct session *s)
{
	if (s->kind->wrapped) {
		s->phase = PHASE_SECURING;
		handshake_begin(s);
	} else
		session_greet(s);
}

/* A session is there: may it stay? Neither our own clients nor root are held to a client's share:
 * they are the ones who would have to look after the server. */
static void judge(struct session *s)
{
	const struct settings_limits *limits = &smtpd_settings()->limits;
	bool free = s->local ? s->uid == 0 : s->in_trust;

	if (connections > limits->connections)
		refuse_connection(s, "too many connections, try later");
	else if (client_connections(s->client) > limits->per_client && !free)
		refuse_connection(s, "too many connections from your address");
	else if (!s->in_trust && !client_count(s->client, CLIENT_CONNECTION))
		refuse_connection(s, "too many connections from your address in a minute");
	else {
		names_ask(s);
		welcome(s);
	}
}

static struct session *session_begin(struct listener *l, const struct listener_kind *kind, int fd,
				     const struct net_address *peer, uint32_t uid)
{
	char address[NET_IP_TEXT] = "local";
	struct session *s;

	if (!kind->local)
		net_ip_format(peer, address);
	if (fd >= descriptors_end) {
		turn_away(fd, kind, address);
		return NULL;
	}
	connections++;
	s = session_open(fd, l, kind, client_enter(peer, uid), address);
	TAILQ_INSERT_TAIL(&sessions, s, link);
	if (kind->local)
		session_set_user(s, uid);
	(void)session_trusted(s);
	session_log_begin(s);
	judge(s);
	return s;
}

static void accepted(void *arg, int fd, const struct net_address *peer)
{
	struct listener *l = arg;
	struct ucred user = {.uid = 0};
	socklen_t len = sizeof(user);

	if (l->kind->local && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &user, &len) < 0) {
		log_error("a local client's user is not known: %s", strerror(errno));
		close(fd);
		return;
	}
	(void)session_begin(l, l->kind, fd, peer, user.uid);
}

void server_take(int fd, uint32_t uid)
{
	struct net_address nobody = {.family = NET_UNIX};
	struct session *s;

	if (draining || pickup_sessions >= PICKUP_SESSIONS_MAX ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		close(fd); /* it comes again */
		return;
	}
	s = session_begin(&pickup_listener, local_kind, fd, &nobody, uid);
	if (s != NULL) {
		s->pickup = true;
		pickup_sessions++;
	}
}

void server_end_user(struct slice user)
{
	struct session *s, *next;

	TAILQ_FOREACH_SAFE (s, &sessions, link, next) {
		const char *is = s->mechanism != NULL ? s->user : login_proven(s);

		if (is == NULL || !slice_equal(slice_str(is), user))
			continue;
		s->how = s->how ? s->how : "revoked";
		session_reply(s, 421, "4.7.0", "%s you may not stay logged in",
			      smtpd_settings()->hostname);
	}
}

void server_forget(struct session *s)
{
	TAILQ_REMOVE(&sessions, s, link);
	client_leave(s->client);
	connections--;
	if (s->pickup)
		pickup_sessions--;
	if (connections < (uint32_t)descriptors_end / 2)
		short_of_descriptors = false;
}

static const struct listener_kind *kind_named(struct slice name)
{
	for (size_t i = 0; i < KINDS; i++)
		if (slice_equal(name, slice_str(kinds[i].name)))
			return &kinds[i];
	return NULL;
}

void server_descriptor(const struct service_descriptor *d)
{
	const struct listener_kind *kind = kind_named(d->detail);
	struct listener *l;

	if (secure_descriptor(d))
		return;
	if (!slice_equal(d->kind, SLICE("listener")) || kind == NULL) {
		log_warning("smtpd was given a descriptor it has no use for: %.*s",
			    SLICE_FMT(d->kind));
		close(d->fd);
		return;
	}
	l = memory_zero(1, sizeof(*l));
	l->name = slice_make(memory_string(d->name), d->name.len);
	l->kind = kind;
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
	pickup_go_on();
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
	rates_start();
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
	pickup_go_on();
	TAILQ_FOREACH (l, &listeners, link)
		acceptor_free(&l->acceptor);
	TAILQ_FOREACH_SAFE (s, &sessions, link, next) {
		if (s->phase == PHASE_SECURING)
			session_close(s, "stopped");
		else if (session_idle(s))
			session_reply(s, 421, "4.3.2", "%s is shutting down",
				      smtpd_settings()->hostname);
	}
	server_check_drained();
}
