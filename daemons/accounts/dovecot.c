/*
 * Questions are kept in the order in which they were asked; each belongs to a login that waits for
 * it. A connection that is lost takes its questions with it: they are trouble, and whoever has it
 * tries again.
 */
#include "daemons/accounts/dovecot.h"

#include <errno.h>
#include <unistd.h>
#include <sys/socket.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/dialogue/master.h"
#include "daemons/accounts/dovecot_text.h"

struct question {
	TAILQ_ENTRY(question) link;
	struct login *login;
	uint32_t id;	/* 0: not said yet */
	uint64_t until; /* on the loop's clock */
};

enum server_state {
	SERVER_DOWN,   /* nothing is under way */
	SERVER_WANTED, /* the master connects */
	SERVER_GREETS,
	SERVER_UP,
};

struct server {
	char *name; /* unix:PATH */
	bool named; /* in the new set */
	enum server_state state;
	int fd; /* -1: none */
	bool offers_plain, said_version;
	uint32_t last; /* id */
	uint64_t retry_at, retry_us;
	char fault[64]; /* why it is down */
	struct loop_watch watch;
	struct loop_timer timer; /* for the greeting, the first question's answer, or to hang up */
	TAILQ_HEAD(, question) questions;
	unsigned count;
	struct buffer in, out;
};

static struct map *servers; /* by name */

static void look_at_time(struct server *s);

/* Takes it out of the list; its login. */
static struct login *take(struct server *s, struct question *q)
{
	struct login *l = q->login;

	TAILQ_REMOVE(&s->questions, q, link);
	s->count--;
	memory_free(q);
	return l;
}

static void wipe(struct buffer *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->size);
	buffer_free(b);
}

static void hang_up(struct server *s)
{
	s->state = SERVER_DOWN;
	loop_watch_stop(&s->watch);
	loop_timer_stop(&s->timer);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	buffer_free(&s->in);
	wipe(&s->out);
}

/* The connection, or the attempt to have one, has failed. A login that hears of it ends at once,
 * and never asks here again. */
static void down(struct server *s, const char *why)
{
	struct question *q;

	if (s->state == SERVER_UP || s->fault[0] == '\0')
		log_warning("dovecot %s: %s", s->name, why);
	s->retry_us = s->retry_us == 0 ? DOVECOT_RETRY_US : 2 * s->retry_us;
	if (s->retry_us > DOVECOT_RETRY_MOST_US)
		s->retry_us = DOVECOT_RETRY_MOST_US;
	s->retry_at = loop_now() + s->retry_us;
	slice_copy(slice_sub(slice_str(why), 0, sizeof(s->fault) - 1), s->fault, sizeof(s->fault));
	hang_up(s);
	while ((q = TAILQ_FIRST(&s->questions)) != NULL)
		login_trouble(take(s, q), "dovecot %s: %s", s->name, s->fault);
}

/* What is said leaves memory when it has left. */
static void flush(struct server *s)
{
	while (s->out.len > 0) {
		struct slice left = buffer_slice(&s->out);
		ssize_t n = send(s->fd, left.ptr, left.len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			down(s, "the connection is lost");
			return;
		}
		if (n < 0)
			break;
		explicit_bzero((void *)(uintptr_t)left.ptr, (size_t)n);
		buffer_consume(&s->out, (size_t)n);
	}
	if (s->out.len == 0)
		buffer_release(&s->out);
	loop_watch_set(&s->watch, s->out.len > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

static const char *service_word(enum login_service service)
{
	return service == LOGIN_POP3 ? "pop3" : "smtp";
}

static bool say(struct server *s, struct question *q)
{
	const struct login *l = q->login;
	struct dovecot_question said = {.id = s->last + 1,
					.service = service_word(l->service),
					.client = l->client_len > 0 ? l->client : "",
					.user = slice_str(l->name.address),
					.password = slice_make(l->password, l->password_len),
					.test = l->service == LOGIN_TEST};

	if (said.id == 0)
		said.id = 1;
	if (!dovecot_write_question(&s->out, &said))
		return false;
	q->id = s->last = said.id;
	return true;
}

static void say_waiting(struct server *s)
{
	struct question *q;

	TAILQ_FOREACH (q, &s->questions, link)
		if (q->id == 0 && !say(s, q))
			break;
	flush(s);
	look_at_time(s);
}

/* What it says */

static void answered(struct server *s, uint32_t id, enum dovecot_word word)
{
	struct question *q;
	struct login *l;

	TAILQ_FOREACH (q, &s->questions, link)
		if (q->id == id && id != 0)
			break;
	if (q == NULL)
		return; /* it was late */
	l = take(s, q);
	if (word == DOVECOT_OK) {
		login_holds(l);
	} else if (word == DOVECOT_LATER) {
		login_trouble(l, "dovecot %s: it can't say now", s->name);
	} else {
		l->fault = "Dovecot refuses the login";
		login_unknown(l);
	}
}

static void heard(struct server *s, struct slice line)
{
	uint32_t id;
	enum dovecot_word word = dovecot_read(line, &id);

	switch (word) {
	case DOVECOT_VERSION:
		s->said_version = true;
		return;
	case DOVECOT_PLAIN:
		s->offers_plain = true;
		return;
	case DOVECOT_DONE:
		if (!s->said_version || !s->offers_plain) {
			down(s, "it does not offer PLAIN");
			return;
		}
		if (s->fault[0] != '\0')
			log_info("dovecot %s: connected", s->name);
		s->state = SERVER_UP;
		s->retry_us = 0;
		s->fault[0] = '\0';
		say_waiting(s);
		return;
	case DOVECOT_BROKEN:
		down(s, "it speaks another protocol");
		return;
	case DOVECOT_OTHER:
		return;
	default:
		if (s->state == SERVER_UP)
			answered(s, id, word);
		else
			down(s, "it answers before it was asked");
	}
}

static void read_lines(struct server *s)
{
	struct slice line, rest;

	while (s->fd >= 0 && slice_split(buffer_slice(&s->in), '\n', &line, &rest)) {
		heard(s, line);
		if (s->fd >= 0)
			buffer_consume(&s->in, line.len + 1);
	}
	if (s->fd >= 0 && s->in.len >= DOVECOT_LINE_MAX)
		down(s, "it speaks another protocol");
	else if (s->fd >= 0)
		look_at_time(s);
}

static void ready(void *arg, unsigned what)
{
	struct server *s = arg;
	size_t room;
	char *to;
	ssize_t n;

	if (what & LOOP_WRITE)
		say_waiting(s); /* there is room again */
	if (s->fd < 0 || !(what & LOOP_READ))
		return;
	to = buffer_reserve(&s->in, DOVECOT_LINE_MAX, &room);
	n = to != NULL ? recv(s->fd, to, room, MSG_DONTWAIT) : 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		down(s, "the connection is lost");
		return;
	}
	buffer_grew(&s->in, (size_t)n);
	read_lines(s);
}

/* Time */

static void late(void *arg)
{
	struct server *s = arg;
	struct question *q;

	if (s->state != SERVER_UP) {
		down(s, "it does not greet");
		return;
	}
	if (TAILQ_EMPTY(&s->questions)) {
		hang_up(s);
		return;
	}
	while ((q = TAILQ_FIRST(&s->questions)) != NULL && q->until <= loop_now())
		login_trouble(take(s, q), "dovecot %s does not answer", s->name);
	look_at_time(s);
}

static void look_at_time(struct server *s)
{
	const struct question *q = TAILQ_FIRST(&s->questions);
	uint64_t now = loop_now(), left = DOVECOT_IDLE_US;

	if (s->state != SERVER_UP)
		return;
	if (q != NULL)
		left = q->until > now ? q->until - now : 0;
	loop_timer_stop(&s->timer);
	loop_timer_start(&s->timer, left, late, s);
}

/* Connections */

static void want(struct server *s)
{
	struct master_want m = {.name = slice_str(s->name)};

	s->state = SERVER_WANTED;
	loop_timer_start(&s->timer, DOVECOT_GREETING_US, late, s);
	channel_send(service_master(), MASTER_WANT, &m);
}

static void connected(struct server *s, int fd)
{
	s->fd = fd;
	s->state = SERVER_GREETS;
	s->offers_plain = s->said_version = false;
	buffer_init(&s->in, DOVECOT_LINE_MAX);
	buffer_init(&s->out, DOVECOT_OUT_MAX);
	loop_watch_start(&s->watch, fd, LOOP_READ, ready, s);
	dovecot_write_greeting(&s->out, (uint32_t)getpid());
	flush(s);
}

bool dovecot_descriptor(const struct service_descriptor *d)
{
	bool there = slice_equal(d->kind, SLICE("socket"));
	struct server *s = servers != NULL ? map_get(servers, d->name) : NULL;
	char why[64];

	if (!there && !slice_equal(d->kind, SLICE("no-socket")))
		return false;
	if (s == NULL || s->state != SERVER_WANTED) {
		if (d->fd >= 0)
			close(d->fd); /* nobody waits for it any more */
	} else if (there && d->fd >= 0) {
		connected(s, d->fd);
	} else {
		slice_copy(slice_sub(d->detail, 0, sizeof(why) - 1), why, sizeof(why));
		down(s, why);
	}
	return true;
}

/* Settings */

void dovecot_begin(void)
{
	struct slice name;
	void *value;

	if (servers == NULL)
		servers = map_new();
	for (size_t at = 0; map_next(servers, &at, &name, &value);)
		((struct server *)value)->named = false;
}

void dovecot_name(struct slice name)
{
	struct server *s = map_get(servers, name);

	if (s == NULL) {
		s = memory_zero(1, sizeof(*s));
		s->name = memory_string(name);
		s->fd = -1;
		TAILQ_INIT(&s->questions);
		map_put(servers, slice_str(s->name), s);
	}
	s->named = true;
}

void dovecot_end(void)
{
	struct slice name;
	void *value;

	for (size_t at = 0; map_next(servers, &at, &name, &value);) {
		struct server *s = value;

		if (s->named)
			continue;
		map_remove(servers, name);
		down(s, "the configuration does not name it any more");
		memory_free(s->name);
		memory_free(s);
	}
}

void login_ask_dovecot(struct login *l, const struct source *source)
{
	struct server *s = servers ? map_get(servers, slice_str(source->text)) : NULL;
	struct question *q;

	if (l->scram || l->password_len == 0) { /* nothing that it could say */
		login_unknown(l);
		return;
	}
	if (s == NULL || s->count >= DOVECOT_QUESTIONS_MAX) {
		login_trouble(l, "dovecot %s: too many questions", source->text);
		return;
	}
	if (s->state == SERVER_DOWN && loop_now() < s->retry_at) {
		login_trouble(l, "dovecot %s: %s", s->name, s->fault);
		return;
	}
	q = memory_zero(1, sizeof(*q));
	q->login = l;
	q->until = loop_now() + DOVECOT_ANSWER_US;
	TAILQ_INSERT_TAIL(&s->questions, q, link);
	s->count++;
	if (s->state == SERVER_UP)
		say_waiting(s);
	else if (s->state == SERVER_DOWN)
		want(s);
}
