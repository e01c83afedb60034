/*
 * The server: listeners come from the master; connections are accepted and counted; a drain lets
 * sessions that have a maildrop finish for a while.
 */
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/net/listen.h"
#include "common/service/logins.h"
#include "common/service/secure.h"
#include "daemons/pop3d/pop3d.h"

enum {
	DESCRIPTORS_KEPT = 1200, /* from connections, for maildrops and the house */
	DRAIN_US = 5 * 1000 * 1000,
};

struct listener {
	TAILQ_ENTRY(listener) link;
	bool tls; /* from the first octet */
	struct acceptor *acceptor;
};

static TAILQ_HEAD(, listener) listeners = TAILQ_HEAD_INITIALIZER(listeners);
static TAILQ_HEAD(session_list, session) sessions = TAILQ_HEAD_INITIALIZER(sessions);
static uint32_t connections;
static struct loop_timer drainer;
static bool draining;
static int descriptors_end = INT_MAX; /* a connection gets no descriptor from here on */

const char *listener_kind(const struct listener *l)
{
	return l && l->tls ? "pop3s" : "pop3";
}

bool server_draining(void)
{
	return draining;
}

/* A session is there: may it stay? */
static void judge(struct session *s, bool tls)
{
	const struct settings_limits *limits = &pop3d_settings()->limits;
	const char *why = NULL;
	if (connections > limits->connections)
		why = "too many connections";
	else if (client_connections(s->client) > limits->per_client)
		why = "too many connections from your address";
	if (!why) {
		session_begin(s, tls);
		return;
	}
	session_log_refused(s, why);
	if (!tls) /* else it would not be understood */
		session_err(s, "SYS/TEMP", "%s, try later", why);
	session_close(s, "refused");
}

static void accepted(void *arg, int fd, const struct net_address *peer)
{
	struct listener *l = arg;
	char address[NET_IP_TEXT];
	struct session *s;
	if (fd >= descriptors_end) {
		close(fd);
		return;
	}
	net_ip_format(peer, address);
	s = session_open(fd, l, client_enter(peer, 0), address);
	session_log_begin(s);
	judge(s, l->tls);
}

static void check_drained(void)
{
	if (draining && TAILQ_EMPTY(&sessions))
		service_drained();
}

static void drained_later(void *arg)
{
	(void)arg;
	check_drained();
}

void server_remember(struct session *s)
{
	TAILQ_INSERT_TAIL(&sessions, s, link);
	connections++;
}

void server_forget(struct session *s)
{
	static struct loop_timer later;
	TAILQ_REMOVE(&sessions, s, link);
	client_leave(s->client);
	connections--;
	if (draining && TAILQ_EMPTY(&sessions))
		loop_timer_start(&later, 0, drained_later, NULL); /* replies leave first */
}

void server_descriptor(const struct service_descriptor *d)
{
	struct listener *l;
	if (secure_descriptor(d))
		return;
	if (!slice_equal(d->kind, SLICE("listener"))) {
		log_warning("pop3d was given a descriptor it has no use for: %.*s",
			    SLICE_FMT(d->kind));
		close(d->fd);
		return;
	}
	l = memory_zero(1, sizeof(*l));
	l->tls = slice_equal(d->detail, SLICE("pop3s"));
	l->acceptor = acceptor_open(d->fd, accepted, l);
	TAILQ_INSERT_TAIL(&listeners, l, link);
}

/* Each session with a maildrop takes a second descriptor: those must not fail. */
void server_warm(void)
{
	struct rlimit files; /* the sandbox will have raised it to its maximum */
	rlim_t kept = DESCRIPTORS_KEPT;
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		fatal("getrlimit: %s", strerror(errno));
	if (kept > files.rlim_max / 2)
		kept = files.rlim_max / 2;
	if (files.rlim_max - kept < INT_MAX)
		descriptors_end = (int)(files.rlim_max - kept);
	logins_warm(server_revoke);
	secure_warm("pop3d");
	box_warm();
}

void server_start(void)
{
	clients_start();
	sessions_start();
}

/* Who has proven his password by SCRAM is the user already, though he has still to say that he
 * heard so. */
void server_revoke(struct slice user)
{
	struct session *s, *next;
	TAILQ_FOREACH_SAFE (s, &sessions, link, next) {
		const char *is = s->granted ? s->granted->user : s->user;
		if (is && slice_equal(slice_str(is), user))
			session_cut(s, "revoked");
	}
}

static bool may_stay(const struct session *s, bool late)
{
	switch (s->phase) {
	case PHASE_TLS:
	case PHASE_AUTHORIZATION:
	case PHASE_SASL:
	case PHASE_LOGIN:
	case PHASE_OPENING:
		return false;
	case PHASE_TRANSACTION:
	case PHASE_SENDING:
		return !late;
	case PHASE_UPDATE:
		return true;
	}
	return false;
}

static void send_away(bool late)
{
	struct session *s, *next;
	TAILQ_FOREACH_SAFE (s, &sessions, link, next)
		if (!may_stay(s, late))
			session_cut(s, "stopped");
}

static void drain_late(void *arg)
{
	(void)arg;
	send_away(true);
}

void server_drain(void)
{
	struct listener *l;
	draining = true;
	TAILQ_FOREACH (l, &listeners, link)
		acceptor_free(&l->acceptor);
	send_away(false);
	loop_timer_start(&drainer, DRAIN_US, drain_late, NULL);
	check_drained();
}
