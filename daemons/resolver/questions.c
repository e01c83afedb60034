/*
 * A question belongs to the channel that it came by: with that it ends, and the peer asks again
 * over a fresh one.
 */
#include "daemons/resolver/questions.h"

#include "common/base/log.h"
#include "common/base/memory.h"

TAILQ_HEAD(question_list, question);

struct peer {
	LIST_ENTRY(peer) next;
	struct channel *channel;
	struct question_list waiting, begun;
	size_t count; /* in both */
};

static LIST_HEAD(, peer) peers = LIST_HEAD_INITIALIZER(peers);
static struct peer *turn; /* the one whose question was begun last: they take turns */
static size_t begun_count;
static bool beginning;

static struct peer *peer_of(const struct channel *c)
{
	struct peer *p;
	LIST_FOREACH (p, &peers, next) {
		if (p->channel == c)
			return p;
	}
	return NULL;
}

/* The next peer in turn that has a question waiting; NULL: none. */
static struct peer *peer_in_turn(void)
{
	struct peer *start = turn ? LIST_NEXT(turn, next) : NULL, *p;
	if (!start)
		start = LIST_FIRST(&peers);
	p = start;
	while (p && TAILQ_EMPTY(&p->waiting)) {
		p = LIST_NEXT(p, next);
		if (!p)
			p = LIST_FIRST(&peers);
		if (p == start)
			return NULL;
	}
	return p;
}

/* A question may end in its begin(), which comes back to here: then the outer call goes on. */
static void begin_more(void)
{
	struct peer *p;
	if (beginning)
		return;
	beginning = true;
	while (begun_count < QUESTIONS_AT_ONCE && (p = peer_in_turn())) {
		struct question *q = TAILQ_FIRST(&p->waiting);
		turn = p;
		TAILQ_REMOVE(&p->waiting, q, next);
		TAILQ_INSERT_TAIL(&p->begun, q, next);
		q->begun = true;
		begun_count++;
		q->kind->begin(q);
	}
	beginning = false;
	dns_run();
}

static void remove_question(struct question *q)
{
	loop_timer_stop(&q->limit);
	TAILQ_REMOVE(q->begun ? &q->peer->begun : &q->peer->waiting, q, next);
	q->peer->count--;
	if (q->begun)
		begun_count--;
	q->kind->free(q);
}

static void late(void *arg)
{
	struct question *q = arg;
	q->kind->give_up(q, "no answer in time");
	questions_end(q);
}

void questions_add(struct question *q, const struct question_kind *kind, struct channel *c,
		   uint64_t request)
{
	q->kind = kind;
	q->peer = peer_of(c);
	q->request = request;
	if (q->peer->count >= QUESTIONS_PEER_MAX) {
		kind->give_up(q, "too many questions at once");
		kind->free(q);
		return;
	}
	q->peer->count++;
	TAILQ_INSERT_TAIL(&q->peer->waiting, q, next);
	loop_timer_start(&q->limit, kind->limit, late, q);
	begin_more();
}

void questions_send(const struct question *q, uint16_t number, const void *record)
{
	channel_send(q->peer->channel, number, record);
}

void questions_end(struct question *q)
{
	remove_question(q);
	begin_more();
}

void questions_up(struct channel *c, unsigned instance)
{
	struct peer *p = memory_zero(1, sizeof(*p));
	(void)instance;
	p->channel = c;
	TAILQ_INIT(&p->waiting);
	TAILQ_INIT(&p->begun);
	LIST_INSERT_HEAD(&peers, p, next);
}

static void remove_all(struct question_list *list)
{
	struct question *q;
	while ((q = TAILQ_FIRST(list)))
		remove_question(q);
}

void questions_down(struct channel *c)
{
	struct peer *p = peer_of(c);
	remove_all(&p->waiting);
	remove_all(&p->begun);
	LIST_REMOVE(p, next);
	if (turn == p)
		turn = NULL;
	memory_free(p);
	begin_more();
}
