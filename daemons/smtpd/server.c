/*
 * The server: listeners and settings come from the master; connections are counted in all and for
 * each client network (an IPv4 address, an IPv6 /64); a drain lets sessions finish. After the start
 * connections wait in the kernel until the queue has lent a segment, so that the first client need
 * not come again; only when that takes long do they hear 451.
 */
#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/net/cidr.h"
#include "common/net/listen.h"
#include "common/os/loop.h"
#include "daemons/smtpd/smtpd.h"

enum {
	CLIENT_KEY_SIZE = 9,
	QUEUE_PATIENCE_US = 5000000,
	DESCRIPTORS_KEPT = WRITER_FILES_MAX + 64, /* from connections, for what the queue lends */
};

struct listener {
	TAILQ_ENTRY(listener) link;
	struct slice name; /* its address as configured; memory of ours */
	bool normalizes;
	struct acceptor *acceptor;
};

struct client {
	char key[CLIENT_KEY_SIZE]; /* family, first 4 or 8 octets of the address */
	uint32_t connections;
};

/* Addresses of listeners that have `bare-newline normalize`. */
struct normalizing {
	struct slice *addresses;
	size_t count;
};

static TAILQ_HEAD(, listener) listeners = TAILQ_HEAD_INITIALIZER(listeners);
static TAILQ_HEAD(session_list, session) sessions = TAILQ_HEAD_INITIALIZER(sessions);
static struct smtpd_settings current, coming;
static struct cidr_set trust, trust_coming;
static struct normalizing normalizing;
static struct map *clients;
static uint32_t connections;
static struct loop_timer opener;
static bool opened, draining;
static int descriptors_end; /* a connection gets no descriptor from here on */
static bool short_of_descriptors;

const struct smtpd_settings *smtpd_settings(void)
{
	return &current;
}

bool listener_normalizes(const struct listener *l)
{
	return l->normalizes;
}

bool server_draining(void)
{
	return draining;
}

static void normalizing_clear(void)
{
	for (size_t i = 0; i < normalizing.count; i++)
		memory_free((void *)normalizing.addresses[i].ptr);
	memory_free(normalizing.addresses);
	normalizing = (struct normalizing){NULL, 0};
}

static void listener_judge(struct listener *l)
{
	l->normalizes = false;
	for (size_t i = 0; i < normalizing.count; i++)
		if (slice_equal(normalizing.addresses[i], l->name))
			l->normalizes = true;
}

void server_settings_begin(void)
{
	memset(&coming, 0, sizeof(coming));
	trust_coming = (struct cidr_set){NULL, 0, 0};
	normalizing_clear();
}

void server_setting(const struct record *record, const void *value)
{
	if (record == &settings_server_record) {
		const struct settings_server *v = value;

		slice_copy(v->hostname, coming.hostname, sizeof(coming.hostname));
	} else if (record == &settings_limits_record) {
		coming.limits = *(const struct settings_limits *)value;
	} else if (record == &settings_network_record) {
		const struct settings_network *v = value;
		struct cidr network;

		if (slice_equal(v->role, SLICE("trust")) && cidr_parse(v->network, &network))
			cidr_set_add(&trust_coming, &network);
	} else if (record == &settings_listen_record) {
		const struct settings_listen *v = value;

		if (!v->normalize)
			return;
		normalizing.addresses = memory_resize(normalizing.addresses, normalizing.count + 1,
						      sizeof(*normalizing.addresses));
		normalizing.addresses[normalizing.count++] =
		    slice_make(memory_string(v->address), v->address.len);
	}
}

void server_settings_end(void)
{
	struct listener *l;

	current = coming;
	cidr_set_free(&trust);
	trust = trust_coming;
	TAILQ_FOREACH (l, &listeners, link)
		listener_judge(l);
}

static void client_key(const struct net_address *a, char key[CLIENT_KEY_SIZE])
{
	memset(key, 0, CLIENT_KEY_SIZE);
	key[0] = (char)a->family;
	memcpy(key + 1, a->bytes, a->family == NET_IPV4 ? 4 : 8);
}

static struct client *client_enter(const struct net_address *peer)
{
	char key[CLIENT_KEY_SIZE];
	struct client *c;

	client_key(peer, key);
	c = map_get(clients, slice_make(key, sizeof(key)));
	if (c == NULL) {
		c = memory_zero(1, sizeof(*c));
		memcpy(c->key, key, sizeof(key));
		map_put(clients, slice_make(c->key, sizeof(c->key)), c);
	}
	c->connections++;
	return c;
}

static void client_leave(struct client *c)
{
	if (--c->connections > 0)
		return;
	map_remove(clients, slice_make(c->key, sizeof(c->key)));
	memory_free(c);
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
	reply_write(&reply, 421, "4.7.0", "%s too many connections, try later", current.hostname);
	(void)send(fd, reply.data, reply.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	buffer_free(&reply);
	close(fd);
}

static void refuse_connection(struct session *s, const char *why)
{
	session_log_refusal(s, "connect", 421, "4.7.0", slice_str(why), SLICE_EMPTY);
	session_reply(s, 421, "4.7.0", "%s %s", current.hostname, why);
}

static void accepted(void *arg, int fd, const struct net_address *peer)
{
	struct listener *l = arg;
	char address[NET_IP_TEXT];
	struct session *s;
	struct client *c;

	net_ip_format(peer, address);
	if (fd >= descriptors_end) {
		turn_away(fd, address);
		return;
	}
	c = client_enter(peer);
	connections++;
	s = session_open(fd, l, c, address, cidr_set_match(&trust, peer));
	TAILQ_INSERT_TAIL(&sessions, s, link);
	if (connections > current.limits.connections)
		refuse_connection(s, "too many connections, try later");
	else if (c->connections > current.limits.per_client && !s->trusted)
		refuse_connection(s, "too many connections from your address");
	else
		session_greet(s);
}

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
	listener_judge(l);
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
	descriptors_end = files.rlim_max - kept < INT_MAX ? (int)(files.rlim_max - kept) : INT_MAX;
	verdict_warm();
}

void server_start(void)
{
	clients = map_new();
	loop_timer_start(&opener, QUEUE_PATIENCE_US, open_up, NULL);
	queue_start();
}

void server_check_drained(void)
{
	if (draining && TAILQ_EMPTY(&sessions) && writer_pending(queue_writer()) == 0)
		service_drained();
}

void server_drain(void)
{
	struct listener *l;
	struct session *s, *next;

	draining = true;
	loop_timer_stop(&opener);
	TAILQ_FOREACH (l, &listeners, link)
		acceptor_free(&l->acceptor);
	TAILQ_FOREACH_SAFE (s, &sessions, link, next) {
		if (s->phase == PHASE_COMMAND && s->transaction == NULL && s->verdict == 0)
			session_reply(s, 421, "4.3.2", "%s is shutting down", current.hostname);
	}
	server_check_drained();
}
