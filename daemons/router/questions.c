/*
 * Every question is answered once, unless its channel dies first. Checks of smtpd are walked at
 * once, since they are short and a client waits; recipients to be followed through aliases are
 * walked QUESTIONS_ROUTES_MAX at a time, less where they lead to many addresses, and while their
 * channel has room for what comes of them: long lists fill neither the memory nor the channel.
 */
#include <bsd/sys/queue.h>

#include "common/base/memory.h"
#include "daemons/router/questions.h"
#include "daemons/router/rules.h"
#include "daemons/router/users.h"
#include "daemons/router/walk.h"

struct question {
	TAILQ_ENTRY(question) link;
	struct channel *channel;
	uint64_t request;
	bool lost; /* the channel took not all of the answer */
	size_t steps;
	uint64_t settings; /* their generation, of the book it is walked by */
	struct walk *walk;
	struct walk_question asked; /* its texts are in text */
	char text[];
};

TAILQ_HEAD(question_list, question);

static struct question_list waiting = TAILQ_HEAD_INITIALIZER(waiting);
static struct question_list walked = TAILQ_HEAD_INITIALIZER(walked);
static size_t questions, routes;
static uint64_t settings; /* their generation, of the book */
static bool beginning;

static void begin_waiting(void);

/* Of a client that waits: walked at once, answered with a verdict. */
static bool is_check(const struct question *q)
{
	return q->asked.kind == WALK_CHECK || q->asked.kind == WALK_OWNER;
}

static void question_end(struct question *q)
{
	TAILQ_REMOVE(q->walk ? &walked : &waiting, q, link);
	if (q->walk && !is_check(q))
		routes--;
	questions--;
	walk_free(&q->walk);
	memory_free(q);
}

/* Answers */

static uint64_t whole(const struct walk_result *r, uint64_t of)
{
	return r->code == 0 && r->whole ? of : 0;
}

static void send_verdict(struct channel *c, uint64_t request, const struct walk_result *r,
			 uint64_t of)
{
	struct router_verdict m = {
	    .request = request,
	    .action = r->code == 0 ? VERDICT_CONTINUE : VERDICT_REPLY,
	    .code = r->code,
	    .enhanced = slice_str(r->enhanced),
	    .text = slice_str(r->text),
	    .whole = whole(r, of),
	};

	channel_send(c, ROUTER_VERDICT, &m);
}

static void send_routed(struct channel *c, uint64_t request, const struct walk_result *r,
			uint64_t of)
{
	struct router_routed m = {
	    .request = request,
	    .code = r->code,
	    .enhanced = slice_str(r->enhanced),
	    .text = slice_str(r->text),
	    .whole = whole(r, of),
	};

	channel_send(c, ROUTER_ROUTED, &m);
}

static void send_result(const struct question *q, const struct walk_result *r)
{
	if (is_check(q))
		send_verdict(q->channel, q->request, r, q->settings);
	else
		send_routed(q->channel, q->request, r, q->settings);
}

static const struct walk_result busy = {
    .code = 451,
    .enhanced = "4.3.0",
    .text = "Too many recipients are being looked up, try later",
};

static void on_step(void *arg, const struct walk_step *step)
{
	struct question *q = arg;
	struct router_step m = {
	    .request = q->request,
	    .depth = step->depth,
	    .address = step->address,
	    .what = slice_str(step->what),
	    .text = step->text,
	};

	if (++q->steps > QUESTIONS_STEPS_MAX)
		return;
	if (q->steps == QUESTIONS_STEPS_MAX)
		m.text = SLICE("more steps are not shown");
	channel_send(q->channel, ROUTER_STEP, &m);
}

static const char *const TRANSPORTS[] = {
    [WALK_NONE] = "none",
    [WALK_LOCAL] = "local",
    [WALK_SYSTEM] = "system",
    [WALK_SMTP] = "smtp",
};

static void on_delivery(void *arg, const struct walk_delivery *d)
{
	struct question *q = arg;
	struct router_delivery m = {
	    .request = q->request,
	    .address = d->address,
	    .transport = slice_str(TRANSPORTS[d->transport]),
	    .next_hop = d->next_hop,
	    .deliver = d->deliver,
	    .user = d->user,
	    .domain = d->domain,
	};

	/* control shows the steps alone */
	if (q->asked.kind == WALK_ROUTE && !channel_send(q->channel, ROUTER_DELIVERY, &m))
		q->lost = true;
}

static void on_done(void *arg, const struct walk_result *result)
{
	struct question *q = arg;

	send_result(q, q->lost ? &busy : result);
	question_end(q);
	begin_waiting();
}

static const struct walk_hooks plain_hooks = {NULL, on_delivery, on_done};
static const struct walk_hooks talking_hooks = {on_step, on_delivery, on_done};

/* Questions */

static void question_walk(struct question *q)
{
	TAILQ_REMOVE(&waiting, q, link);
	TAILQ_INSERT_TAIL(&walked, q, link);
	if (!is_check(q))
		routes++;
	q->settings = settings;
	q->walk =
	    walk_new(rules_book(), &q->asked,
		     q->asked.kind == WALK_EXPLAIN ? &talking_hooks : &plain_hooks, users_ask, q);
	walk_start(q->walk);
}

static bool may_begin(const struct question *q)
{
	return routes < QUESTIONS_ROUTES_MAX && walk_addresses() < QUESTIONS_ADDRESSES_MAX &&
	       (q->asked.kind != WALK_ROUTE || channel_queued(q->channel) <= CHANNEL_QUEUE_MAX / 4);
}

/* Not from inside itself: a walk that is done at once comes back here. */
static void begin_waiting(void)
{
	struct question *q;

	if (beginning)
		return;
	beginning = true;
	while ((q = TAILQ_FIRST(&waiting)) != NULL && may_begin(q))
		question_walk(q);
	beginning = false;
}

static struct question *question_new(struct channel *c, uint64_t request,
				     const struct walk_question *asked)
{
	struct slice recipient = asked->recipient, sender = asked->sender, login = asked->login;
	struct question *q = memory_get(sizeof(*q) + recipient.len + sender.len + login.len);

	*q = (struct question){.channel = c, .request = request, .asked = *asked};
	if (recipient.len > 0)
		memcpy(q->text, recipient.ptr, recipient.len);
	if (sender.len > 0)
		memcpy(q->text + recipient.len, sender.ptr, sender.len);
	if (login.len > 0)
		memcpy(q->text + recipient.len + sender.len, login.ptr, login.len);
	q->asked.recipient.ptr = q->text;
	q->asked.sender.ptr = q->text + recipient.len;
	q->asked.login.ptr = q->text + recipient.len + sender.len;
	return q;
}

static void question_take(struct channel *c, uint64_t request, const struct walk_question *asked)
{
	struct question *q = question_new(c, request, asked);

	if (questions >= QUESTIONS_MAX || rules_book() == NULL) {
		send_result(q, &busy);
		memory_free(q);
		return;
	}
	questions++;
	TAILQ_INSERT_TAIL(&waiting, q, link);
	if (is_check(q))
		question_walk(q);
	else
		begin_waiting();
}

/* Is it a listener for users, who say who they are? */
static bool is_submission(const struct router_check *m)
{
	return slice_equal(m->listener, SLICE("submission")) ||
	       slice_equal(m->listener, SLICE("submissions"));
}

/* To whom: whoever is trusted may send to every domain, and so may whoever has logged in. The
 * network that he comes from makes up for no login. */
static void check_recipient(struct channel *c, const struct router_check *m)
{
	struct walk_question asked = {
	    .kind = WALK_CHECK,
	    .recipient = m->recipient,
	    .sender = m->sender,
	    .trusted = is_submission(m) ? m->user.len > 0
					: m->trusted || slice_equal(m->listener, SLICE("local")),
	};

	question_take(c, m->request, &asked);
}

/* As whom: a user sends as what is his. The null sender is nobody's and everybody's: notifications
 * of having read a mail come with it (RFC 8098 3). */
static void check_sender(struct channel *c, const struct router_check *m)
{
	struct walk_question asked = {
	    .kind = WALK_OWNER, .recipient = m->sender, .sender = m->sender, .login = m->user};

	question_take(c, m->request, &asked);
}

static void on_check(struct channel *c, const void *record)
{
	static const struct walk_result fine,
	    nobody = {.code = 530, .enhanced = "5.7.0", .text = "Authentication required"};
	const struct router_check *m = record;
	bool users = is_submission(m);

	if (users && m->user.len == 0 && (m->step == STEP_MAIL || m->step == STEP_RCPT))
		send_verdict(c, m->request, &nobody, 0);
	else if (m->step == STEP_RCPT)
		check_recipient(c, m);
	else if (m->step == STEP_MAIL && users && m->sender.len > 0)
		check_sender(c, m);
	else
		send_verdict(c, m->request, &fine, 0);
}

static void on_ask(struct channel *c, const void *record)
{
	const struct router_ask *m = record;
	struct walk_question asked = {
	    .kind = WALK_ROUTE,
	    .recipient = m->recipient,
	    .sender = m->sender,
	    .expanded = m->expanded,
	};

	question_take(c, m->request, &asked);
}

static void on_explain(struct channel *c, const void *record)
{
	const struct router_explain *m = record;
	struct walk_question asked = {
	    .kind = WALK_EXPLAIN,
	    .recipient = m->recipient,
	    .sender = m->sender,
	    .trusted = m->trusted,
	};

	question_take(c, m->request, &asked);
}

const struct route questions_of_smtpd[] = {
    {ROUTER_CHECK, ROUTE_ALWAYS, on_check}, /* a verdict on one step of a session */
    {0, 0, NULL},
};
const struct route questions_of_queue[] = {
    {ROUTER_ASK, ROUTE_ALWAYS, on_ask}, /* where does a recipient go? */
    {0, 0, NULL},
};
const struct route questions_of_control[] = {
    {ROUTER_EXPLAIN, ROUTE_ALWAYS, on_explain}, /* the same, step by step */
    {0, 0, NULL},
};

static void forget_channel(struct question_list *list, const struct channel *c)
{
	struct question *q, *next;

	TAILQ_FOREACH_SAFE (q, list, link, next) {
		if (q->channel == c)
			question_end(q);
	}
}

static void on_room(struct channel *c)
{
	(void)c;
	begin_waiting();
}

void questions_up(struct channel *c, unsigned instance)
{
	(void)instance;
	channel_on_room(c, on_room);
}

void questions_settings(uint64_t generation)
{
	settings = generation;
}

void questions_down(struct channel *c)
{
	forget_channel(&waiting, c);
	forget_channel(&walked, c);
	begin_waiting();
}
