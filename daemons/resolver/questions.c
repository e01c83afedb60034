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
	size_t count, at_once; /* in both; in begun */
	bool beginning;
};

static LIST_HEAD(, peer) peers = LIST_HEAD_INITIALIZER(peers);
static struct peer *peer_of(const struct channel *c)
{
	struct peer *p;
	LIST_FOREACH (p, &peers, next) {
		if (p->channel == c)
			return p;
	}
	return NULL;
}

/* A question may end in its begin(), which comes back to here: then the outer call goes on. */
static void begin_more(struct peer *p)
{
	struct question *q;
	if (p->beginning)
		return;
	p->beginning = true;
	while (p->at_once < QUESTIONS_AT_ONCE && (q = TAILQ_FIRST(&p->waiting))) {
		TAILQ_REMOVE(&p->waiting, q, next);
		TAILQ_INSERT_TAIL(&p->begun, q, next);
		q->begun = true;
		p->at_once++;
		q->kind->begin(q);
	}
	p->beginning = false;
}

static void remove_question(struct question *q)
{
	loop_timer_stop(&q->limit);
	TAILQ_REMOVE(q->begun ? &q->peer->begun : &q->peer->waiting, q, next);
	q->peer->count--;
	if (q->begun)
		q->peer->at_once--;
	q->kind->free(q);
}

static void late(void *arg)
{
	struct question *q = arg;
	q->kind->give_up(q, "no answer in time");
	questions_end(q);
	dns_run();
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
	begin_more(q->peer);
	dns_run();
}

void questions_send(const struct question *q, uint16_t number, const void *record)
{
	channel_send(q->peer->channel, number, record);
}

void questions_end(struct question *q)
{
	struct peer *p = q->peer;
	remove_question(q);
	begin_more(p);
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
	memory_free(p);
}
