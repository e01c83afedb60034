/*
 * A question that its asker may ask goes to the partner under a number of ours; whatever comes back
 * under that number goes to the asker under his. An asker that does not read makes its walk wait,
 * nobody else's; one that has gone ends it. Late answers are dropped.
 */
#include <stdio.h>
#include <sysexits.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "daemons/control/control.h"

static struct channel *partners[PARTNERS];
static struct idmap *open_questions; /* by request */
static uint64_t last_request;

static const char *const partner_names[PARTNERS] = {
    [PARTNER_MASTER] = "the master", [PARTNER_QUEUE] = "the queue manager",
    [PARTNER_ROUTER] = "the router", [PARTNER_ACCOUNTS] = "accounts",
    [PARTNER_USAGE] = "usage",	     [PARTNER_KEYS] = "keys",
};

/* The last answer, in the words of the partner's conversation where they have room for an exit
 * code, else in the master's. */
static void send_done(struct asker *a, enum partner partner, uint64_t asked, unsigned code,
		      const char *text)
{
	struct slice t = slice_str(text);
	struct master_done master = {.request = asked, .code = code, .text = t};
	struct queue_done queue = {.request = asked, .code = code, .text = t};
	struct router_routed router = {.request = asked, .code = code, .text = t};
	switch (partner) {
	case PARTNER_QUEUE:
		channel_send(a->channel, COMMAND_QUEUE_DONE, &queue);
		break;
	case PARTNER_ROUTER:
		channel_send(a->channel, COMMAND_ROUTER_ROUTED, &router);
		break;
	default:
		channel_send(a->channel, COMMAND_MASTER_DONE, &master);
		break;
	}
}

static void send_away(struct asker *a, enum partner partner, uint64_t asked, const char *what)
{
	char text[200];
	snprintf(text, sizeof(text), "%s %s; try again in a moment", partner_names[partner], what);
	send_done(a, partner, asked, EX_TEMPFAIL, text);
}

static void question_end(struct question *q)
{
	struct asker *a = q->asker;
	idmap_remove(open_questions, q->request);
	TAILQ_REMOVE(&a->questions, q, link);
	if (--a->question_count == 0 && a->idle.call)
		loop_timer_start(&a->idle, ASKER_IDLE_US, a->idle.call, a);
	memory_free(q);
}

/* NULL: it may not be asked now, and the asker was told why. */
static struct question *question_new(struct asker *a, enum partner partner, uint64_t asked,
				     uint16_t message, uint32_t verb)
{
	struct question *q;
	enum right right = rights_needed(message, verb);
	if (right == RIGHT_UNKNOWN) {
		send_done(a, partner, asked, EX_USAGE, "there is no such verb");
		return NULL;
	}
	if (right == RIGHT_ADMIN && !a->admin) {
		send_done(a, partner, asked, EX_NOPERM,
			  "only root and members of the group stagepost-admin may ask this");
		return NULL;
	}
	if (a->question_count == QUESTIONS_MAX) {
		send_done(a, partner, asked, EX_TEMPFAIL, "too many questions at once");
		return NULL;
	}
	if (!partners[partner] || !channel_alive(partners[partner])) {
		send_away(a, partner, asked, "is not there now");
		return NULL;
	}
	if (!open_questions)
		open_questions = idmap_new();
	q = memory_zero(1, sizeof(*q));
	q->request = ++last_request;
	q->asked = asked;
	q->asker = a;
	q->partner = partner;
	idmap_put(open_questions, q->request, q);
	TAILQ_INSERT_TAIL(&a->questions, q, link);
	a->question_count++;
	loop_timer_stop(&a->idle);
	return q;
}

static void question_send(struct question *q, uint16_t number, const void *record)
{
	if (channel_send(partners[q->partner], number, record))
		return;
	send_away(q->asker, q->partner, q->asked, "takes no more questions now");
	question_end(q);
}

/* From the askers */

static void ask_master(struct channel *c, const void *record)
{
	struct master_ask m = *(const struct master_ask *)record;
	struct question *q =
	    question_new(channel_owner(c), PARTNER_MASTER, m.request, COMMAND_MASTER_ASK, m.verb);
	if (!q)
		return;
	m.request = q->request;
	question_send(q, MASTER_ASK, &m);
}

static void ask_queue(struct channel *c, const void *record)
{
	struct queue_ask m = *(const struct queue_ask *)record;
	struct question *q =
	    question_new(channel_owner(c), PARTNER_QUEUE, m.request, COMMAND_QUEUE_ASK, m.verb);
	if (!q)
		return;
	m.request = q->request;
	question_send(q, QUEUE_ASK, &m);
}

static void ask_router(struct channel *c, const void *record)
{
	struct router_explain m = *(const struct router_explain *)record;
	struct question *q =
	    question_new(channel_owner(c), PARTNER_ROUTER, m.request, COMMAND_ROUTER_EXPLAIN, 0);
	if (!q)
		return;
	m.request = q->request;
	question_send(q, ROUTER_EXPLAIN, &m);
}

/* Whatever the command says: an administrator's question opens no maildrop and bans nobody. */
static void ask_accounts(struct channel *c, const void *record)
{
	struct login_check m = *(const struct login_check *)record;
	struct question *q =
	    question_new(channel_owner(c), PARTNER_ACCOUNTS, m.request, COMMAND_LOGIN_CHECK, 0);
	if (!q)
		return;
	m.request = q->request;
	m.service = SLICE("test");
	m.client = SLICE_EMPTY;
	question_send(q, LOGIN_CHECK, &m);
}

static void ask_usage(struct channel *c, const void *record)
{
	struct usage_ask m = *(const struct usage_ask *)record;
	struct question *q =
	    question_new(channel_owner(c), PARTNER_USAGE, m.request, COMMAND_USAGE_ASK, m.verb);
	if (!q)
		return;
	m.request = q->request;
	question_send(q, USAGE_ASK, &m);
}

static void ask_keys(struct channel *c, const void *record)
{
	struct keys_status m = *(const struct keys_status *)record;
	struct question *q =
	    question_new(channel_owner(c), PARTNER_KEYS, m.request, COMMAND_KEYS_STATUS, 0);
	if (!q)
		return;
	m.request = q->request;
	question_send(q, KEYS_STATUS, &m);
}

const struct route relay_asker_routes[] = {
    {COMMAND_MASTER_ASK, ROUTE_ALWAYS, ask_master},
    {COMMAND_QUEUE_ASK, ROUTE_ALWAYS, ask_queue},
    {COMMAND_ROUTER_EXPLAIN, ROUTE_ALWAYS, ask_router},
    {COMMAND_LOGIN_CHECK, ROUTE_ALWAYS, ask_accounts},
    {COMMAND_USAGE_ASK, ROUTE_ALWAYS, ask_usage},
    {COMMAND_KEYS_STATUS, ROUTE_ALWAYS, ask_keys},
    {0},
};

/* From the partners */

static void queue_pause(struct question *q, bool wait)
{
	struct queue_pause m = {.request = q->request, .wait = wait};
	if (q->waits == wait || q->partner != PARTNER_QUEUE || !partners[PARTNER_QUEUE])
		return;
	q->waits = wait;
	channel_send(partners[PARTNER_QUEUE], QUEUE_PAUSE, &m);
}

/* Every record of an answer begins with its u64 request. */
static void answer(enum partner from, uint64_t *request, uint16_t number, bool last)
{
	struct question *q = open_questions ? idmap_get(open_questions, *request) : NULL;
	struct asker *a;
	if (!q || q->partner != from)
		return;
	a = q->asker;
	*request = q->asked;
	if (!channel_send(a->channel, number, request)) {
		if (channel_alive(a->channel))
			log_warning(
			    "a command does not read its answers: its connection is closed");
		asker_close(a);
		return;
	}
	if (last)
		question_end(q);
	else if (channel_queued(a->channel) > CHANNEL_QUEUE_MAX / 4)
		queue_pause(q, true);
}

#define ANSWER(name, record_, partner, number, last)                     \
	static void name(struct channel *c, const void *record)          \
	{                                                                \
		struct record_ m = *(const struct record_ *)record;      \
		_Static_assert(offsetof(struct record_, request) == 0,   \
			       "answer() takes the first field for it"); \
		(void)c;                                                 \
		answer(partner, &m.request, number, last);               \
	}
ANSWER(on_process, master_process, PARTNER_MASTER, COMMAND_MASTER_PROCESS, false)
ANSWER(on_master_done, master_done, PARTNER_MASTER, COMMAND_MASTER_DONE, true)
ANSWER(on_item, queue_item, PARTNER_QUEUE, COMMAND_QUEUE_ITEM, false)
ANSWER(on_recipient, queue_recipient, PARTNER_QUEUE, COMMAND_QUEUE_RECIPIENT, false)
ANSWER(on_destination, queue_destination, PARTNER_QUEUE, COMMAND_QUEUE_DESTINATION, false)
ANSWER(on_line, queue_line, PARTNER_QUEUE, COMMAND_QUEUE_LINE, false)
ANSWER(on_counts, queue_counts, PARTNER_QUEUE, COMMAND_QUEUE_COUNTS, false)
ANSWER(on_queue_done, queue_done, PARTNER_QUEUE, COMMAND_QUEUE_DONE, true)
ANSWER(on_step, router_step, PARTNER_ROUTER, COMMAND_ROUTER_STEP, false)
ANSWER(on_routed, router_routed, PARTNER_ROUTER, COMMAND_ROUTER_ROUTED, true)
ANSWER(on_login_done, login_done, PARTNER_ACCOUNTS, COMMAND_LOGIN_DONE, true)
ANSWER(on_usage_listed, usage_listed, PARTNER_USAGE, COMMAND_USAGE_LISTED, false)
ANSWER(on_usage_done, usage_done, PARTNER_USAGE, COMMAND_USAGE_DONE, true)
ANSWER(on_certificate, keys_certificate, PARTNER_KEYS, COMMAND_KEYS_CERTIFICATE, false)
ANSWER(on_status_end, keys_status_end, PARTNER_KEYS, COMMAND_KEYS_STATUS_END, true)

const struct route relay_master_routes[] = {
    {MASTER_PROCESS, ROUTE_ALWAYS, on_process},
    {MASTER_DONE, ROUTE_ALWAYS, on_master_done},
    {0},
};
const struct route relay_queue_routes[] = {
    {QUEUE_ITEM, ROUTE_ALWAYS, on_item},
    {QUEUE_RECIPIENT, ROUTE_ALWAYS, on_recipient},
    {QUEUE_DESTINATION, ROUTE_ALWAYS, on_destination},
    {QUEUE_LINE, ROUTE_ALWAYS, on_line}, /* of a header, or a finding */
    {QUEUE_COUNTS, ROUTE_ALWAYS, on_counts},
    {QUEUE_DONE, ROUTE_ALWAYS, on_queue_done},
    {0},
};
const struct route relay_router_routes[] = {
    {ROUTER_STEP, ROUTE_ALWAYS, on_step},
    {ROUTER_ROUTED, ROUTE_ALWAYS, on_routed},
    {0},
};

const struct route relay_accounts_routes[] = {
    {LOGIN_DONE, ROUTE_ALWAYS, on_login_done},
    {0},
};
const struct route relay_usage_routes[] = {
    {USAGE_LISTED, ROUTE_ALWAYS, on_usage_listed},
    {USAGE_DONE, ROUTE_ALWAYS, on_usage_done},
    {0},
};
const struct route relay_keys_routes[] = {
    {KEYS_CERTIFICATE, ROUTE_ALWAYS, on_certificate},
    {KEYS_STATUS_END, ROUTE_ALWAYS, on_status_end},
    {0},
};

/* Life */

void relay_use(enum partner partner, struct channel *c)
{
	struct question *q;
	uint64_t request;
	void *value;
	partners[partner] = c;
	for (size_t at = 0;
	     !c && open_questions && idmap_next(open_questions, &at, &request, &value);) {
		q = value;
		if (q->partner != partner)
			continue;
		send_away(q->asker, partner, q->asked, "has gone before it had answered");
		question_end(q);
	}
}

void relay_room(struct asker *a)
{
	struct question *q;
	TAILQ_FOREACH (q, &a->questions, link) {
		queue_pause(q, false);
	}
}

void relay_forget(struct asker *a)
{
	struct question *q;
	while ((q = TAILQ_FIRST(&a->questions))) {
		struct queue_cancel m = {.request = q->request};
		if (q->partner == PARTNER_QUEUE && partners[PARTNER_QUEUE])
			channel_send(partners[PARTNER_QUEUE], QUEUE_CANCEL, &m);
		question_end(q);
	}
}

void relay_refuse_all(struct asker *a, unsigned code, const char *text)
{
	struct question *q;
	TAILQ_FOREACH (q, &a->questions, link) {
		send_done(a, q->partner, q->asked, code, text);
	}
}
