/*
 * Three lists: those that wait for their turn, those that are doubtful, those that were asked. All
 * have the same time, so the oldest of a list stand at its head.
 */
#include "queue/manager/asking.h"

#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/os/loop.h"

enum place { WAITING, DOUBTFUL, ASKED, PLACES };

struct asking {
	struct asking_calls calls;
	struct channel *channel; /* NULL: the peer is away */
	struct inquiry_list lists[PLACES];
	size_t asked;
	struct inquiry *alone;	 /* asked, and nothing beside it */
	struct idmap *inquiries; /* by number */
	uint64_t last;
};

struct asking *asking_new(const struct asking_calls *calls)
{
	struct asking *a = memory_zero(1, sizeof(*a));

	a->calls = *calls;
	a->inquiries = idmap_new();
	for (int i = 0; i < PLACES; i++)
		TAILQ_INIT(&a->lists[i]);
	return a;
}

static void put(struct asking *a, struct inquiry *q, enum place place)
{
	q->place = (uint8_t)place;
	a->asked += place == ASKED;
	TAILQ_INSERT_TAIL(&a->lists[place], q, link);
}

static void take(struct asking *a, struct inquiry *q)
{
	TAILQ_REMOVE(&a->lists[q->place], q, link);
	a->asked -= q->place == ASKED;
	if (a->alone == q)
		a->alone = NULL;
}

static bool ask(struct asking *a, struct inquiry *q)
{
	if (!a->calls.send(a->channel, q))
		return false;
	take(a, q);
	put(a, q, ASKED);
	return true;
}

void asking_pump(struct asking *a)
{
	struct inquiry *q;

	if (a->channel == NULL || a->alone != NULL)
		return;
	q = TAILQ_FIRST(&a->lists[DOUBTFUL]);
	if (q != NULL) {
		if (a->asked == 0 && ask(a, q))
			a->alone = q;
		return;
	}
	while (a->asked < a->calls.most && (q = TAILQ_FIRST(&a->lists[WAITING])) != NULL)
		if (!ask(a, q))
			return;
}

void asking_begin(struct asking *a, struct inquiry *q, bool doubtful)
{
	q->number = ++a->last;
	q->since = loop_now();
	idmap_put(a->inquiries, q->number, q);
	put(a, q, doubtful ? DOUBTFUL : WAITING);
	asking_pump(a);
}

struct inquiry *asking_find(const struct asking *a, uint64_t number)
{
	return number != 0 ? idmap_get(a->inquiries, number) : NULL;
}

void asking_end(struct asking *a, struct inquiry *q)
{
	take(a, q);
	idmap_remove(a->inquiries, q->number);
}

size_t asking_count(const struct asking *a)
{
	return idmap_count(a->inquiries);
}

bool asking_has_peer(const struct asking *a)
{
	return a->channel != NULL;
}

void asking_up(struct asking *a, struct channel *c)
{
	a->channel = c;
	asking_pump(a);
}

void asking_down(struct asking *a)
{
	struct inquiry *alone = a->alone, *q;

	a->channel = NULL;
	while ((q = TAILQ_LAST(&a->lists[ASKED], inquiry_list)) != NULL) {
		take(a, q);
		q->place = DOUBTFUL;
		TAILQ_INSERT_HEAD(&a->lists[DOUBTFUL], q, link);
	}
	if (alone != NULL)
		a->calls.killed(alone);
}

void asking_look(struct asking *a)
{
	struct inquiry *q;

	for (int i = 0; i < PLACES; i++)
		while ((q = TAILQ_FIRST(&a->lists[i])) != NULL &&
		       loop_now() - q->since >= a->calls.timeout_us) {
			asking_end(a, q);
			a->calls.late(q);
		}
	asking_pump(a);
}
