/*
 * A child's place counts as taken until the fork server says that it has ended, and against its
 * user too: who may stop what runs as himself shall take up his own places alone. The session's
 * channel goes to pop3d as soon as there is a child; what is said on it never comes here.
 */
#include "daemons/maildrop/sessions.h"

#include <bsd/sys/queue.h>
#include <linux/capability.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/os/fork_server.h"
#include "common/os/loop.h"
#include "daemons/maildrop/bases.h"
#include "daemons/maildrop/owner.h"
#include "daemons/maildrop/tickets.h"

enum { LOOK_US = 60 * 1000 * 1000, EARLY_US = 1000 * 1000, EARLY_MAX = 1024 };

struct session {
	TAILQ_ENTRY(session) link;
	uint32_t number;
	uint64_t request; /* pop3d waits for the answer; 0: it has it, or has gone */
	uint64_t end;
	char *user;
};

/* Asked for before it was granted. */
struct early {
	TAILQ_ENTRY(early) link;
	char ticket[MAILDROP_TICKET_SIZE];
	uint64_t request, end;
};

static const struct fork_plan plan = {
    .title = "maildrop forks",
    .role = "maildrop-child",
    .capabilities = (1U << CAP_SETUID) | (1U << CAP_SETGID) | (1U << CAP_KILL),
    .most = SESSIONS_MOST,
    .begin = owner_begin,
    .child = owner_child,
};

static struct fork_server *server;
static struct channel *pop3d;
static struct idmap *by_number;
static TAILQ_HEAD(, session) sessions = TAILQ_HEAD_INITIALIZER(sessions); /* the oldest first */
static struct loop_timer looker, giver_up;
static TAILQ_HEAD(, early) early_ones = TAILQ_HEAD_INITIALIZER(early_ones);
static size_t early_count;

void sessions_warm(void)
{
	struct error e = {0};
	server = fork_server_start(&plan, &e);
	if (!server)
		fatal("%s", e.text);
	by_number = idmap_new();
	tickets_warm();
}

static void answer(uint64_t request, const char *text, int fd)
{
	struct maildrop_opened m = {.request = request, .text = slice_str(text), .fd = fd};
	if (pop3d)
		channel_send(pop3d, MAILDROP_OPENED, &m);
}

static void forget(struct session *s)
{
	TAILQ_REMOVE(&sessions, s, link);
	idmap_remove(by_number, s->number);
	memory_free(s->user);
	memory_free(s);
}

/* Children */

static void made(uint32_t number, int fd, int error)
{
	struct session *s = idmap_get(by_number, number);
	if (s && s->request && fd >= 0)
		answer(s->request, "", fd);
	else if (s && s->request)
		answer(s->request, "there is no process for the session", -1);
	if (s)
		s->request = 0;
	if (fd >= 0)
		close(fd); /* pop3d's copy is the only one then */
	if (fd < 0) {
		log_error("no process for a session: %s", strerror(error));
		if (s)
			forget(s);
	}
}

static void ended(uint32_t number, int status)
{
	struct session *s = idmap_get(by_number, number);
	if (!s)
		return;
	if (WIFSIGNALED(status))
		log_error("the session of %s died of signal %d", s->user, WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		log_error("the session of %s ended with code %d", s->user, WEXITSTATUS(status));
	forget(s);
}

static const struct fork_calls calls = {made, ended};

/* Ends those whose time is over: their users have stopped them, or they wait for a disk. */
static void look(void *arg)
{
	struct session *s;
	(void)arg;
	TAILQ_FOREACH (s, &sessions, link) {
		if (s->end > loop_now())
			break;
		fork_server_kill(server, s->number);
	}
	loop_timer_start(&looker, LOOK_US, look, NULL);
}

void sessions_start(void)
{
	fork_server_listen(server, &calls);
	look(NULL);
}

/* Sessions that are there go on, without us. */
void sessions_drain(void)
{
	service_drained();
}

/* Tickets */

static unsigned sessions_of(const char *user)
{
	struct session *s;
	unsigned count = 0;
	TAILQ_FOREACH (s, &sessions, link)
		count += strcmp(s->user, user) == 0;
	return count;
}

/* NULL: it was begun. */
static const char *begin(struct ticket *t, uint64_t request)
{
	if (idmap_count(by_number) >= SESSIONS_MOST)
		return "too many sessions";
	if (sessions_of(t->user) >= SESSIONS_OF_USER_MOST)
		return "too many sessions of this user";
	int base = t->base ? bases_find(slice_str(t->base)) : -1;
	if (t->base && base < 0)
		return "the directory of mailboxes is not one of the configuration in use";
	uint32_t number = fork_server_make(server, slice_make(t->grant, t->len), base);
	if (number == 0)
		return "too much to do";
	struct session *s = memory_zero(1, sizeof(*s));
	s->number = number;
	s->request = request;
	s->end = loop_now() + SESSION_LIFE_US;
	s->user = t->user;
	t->user = NULL;
	idmap_put(by_number, number, s);
	TAILQ_INSERT_TAIL(&sessions, s, link);
	return NULL;
}

static void early_free(struct early *e)
{
	TAILQ_REMOVE(&early_ones, e, link);
	early_count--;
	memory_free(e);
}

static void open_with(struct ticket *t, uint64_t request)
{
	const char *why = begin(t, request);
	ticket_free(&t);
	if (why)
		answer(request, why, -1);
}

/* pop3d's word may be read before that of accounts, which was said before it: so what is not known
 * is known a moment later, or never. */
static void give_up_early(void *arg)
{
	struct early *e;
	(void)arg;
	while ((e = TAILQ_FIRST(&early_ones)) && e->end <= loop_now()) {
		answer(e->request, "the ticket is not known, or too old", -1);
		early_free(e);
	}
	if (e)
		loop_timer_start(&giver_up, e->end - loop_now(), give_up_early, NULL);
}

static void wait_for_grant(const struct maildrop_open *m)
{
	struct early *e;
	if (early_count == EARLY_MAX || m->ticket.len != MAILDROP_TICKET_SIZE) {
		answer(m->request, "the ticket is not known, or too old", -1);
		return;
	}
	e = memory_zero(1, sizeof(*e));
	memcpy(e->ticket, m->ticket.ptr, sizeof(e->ticket));
	e->request = m->request;
	e->end = loop_now() + EARLY_US;
	TAILQ_INSERT_TAIL(&early_ones, e, link);
	early_count++;
	if (!loop_timer_active(&giver_up))
		loop_timer_start(&giver_up, EARLY_US, give_up_early, NULL);
}

static void on_open(struct channel *c, const void *record)
{
	const struct maildrop_open *m = record;
	if (m->request == 0) {
		channel_break(c, "a question without a number");
		return;
	}
	struct ticket *t = tickets_take(m->ticket);
	if (t)
		open_with(t, m->request);
	else
		wait_for_grant(m);
}

static void on_grant(struct channel *c, const void *record)
{
	const struct maildrop_grant *m = record;
	struct early *e;
	if (!tickets_add(m)) {
		channel_break(c, "a grant that makes no sense");
		return;
	}
	TAILQ_FOREACH (e, &early_ones, link) {
		if (!slice_equal(m->ticket, slice_make(e->ticket, sizeof(e->ticket))))
			continue;
		open_with(tickets_take(m->ticket), e->request);
		early_free(e);
		return;
	}
}

const struct route sessions_accounts_routes[] = {
    {MAILDROP_GRANT, ROUTE_ALWAYS, on_grant}, /* who has logged in, and where the mailbox is */
    {0, 0, NULL},
};

const struct route sessions_pop3d_routes[] = {
    {MAILDROP_OPEN, ROUTE_ALWAYS, on_open}, /* the mailbox of that ticket */
    {0, 0, NULL},
};

void sessions_accounts_up(struct channel *c, unsigned instance)
{
	(void)c, (void)instance;
}

void sessions_accounts_down(struct channel *c)
{
	(void)c;
}

void sessions_pop3d_up(struct channel *c, unsigned instance)
{
	(void)instance;
	pop3d = c;
}

/* A child that is not made yet for it ends as soon as it is. */
void sessions_pop3d_down(struct channel *c)
{
	struct session *s;
	while (!TAILQ_EMPTY(&early_ones))
		early_free(TAILQ_FIRST(&early_ones));
	(void)c;
	pop3d = NULL;
	TAILQ_FOREACH (s, &sessions, link)
		s->request = 0;
}
