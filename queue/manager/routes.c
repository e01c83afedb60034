/*
 * Routes: asks the router where each recipient goes. Its answer is any number of deliveries and
 * then one verdict; a question that a dying router did not answer is asked again, and the
 * deliveries it had named are forgotten.
 */
#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/wire/call.h"
#include "queue/manager/manager.h"

enum {
	QUESTIONS_MAX = SCHEDULE_ACTIVE_JOBS,
	ROUTES_MAX = 1000, /* deliveries of one recipient */
};
static const uint64_t ROUTE_TIMEOUT_US = UINT64_C(60) * 1000000;

struct question {
	uint64_t number;
	struct active *active;
	uint32_t recipient;
	struct slice address, original;
	struct routed *first, **last;
	uint32_t count;
	bool over; /* more deliveries than may be, or no memory: try later */
};

static struct caller *router;
static struct idmap *questions; /* by the number of the call */

struct reply reply_of(unsigned code, struct slice enhanced, struct slice text)
{
	struct reply r = {.code = (uint16_t)code, .text = text};
	struct slice rest = enhanced, part;
	uint64_t number;

	for (int i = 0; i < 3; i++) {
		slice_split(rest, '.', &part, &rest);
		if (slice_number(part, 999, &number))
			r.enhanced[i] = (uint16_t)number;
	}
	return r;
}

static void question_clear(struct question *q)
{
	q->first = NULL;
	q->last = &q->first;
	q->count = 0;
	q->over = false;
}

static bool delivery_keep(struct question *q, const struct router_delivery *d)
{
	struct arena *arena = &q->active->arena;
	struct routed *r = arena_get(arena, sizeof(*r));

	if (r == NULL || q->count == ROUTES_MAX)
		return false;
	r->next = NULL;
	r->none = slice_equal(d->transport, SLICE("none"));
	r->deliver = d->deliver;
	r->address = arena_copy(arena, d->address);
	r->user = arena_copy(arena, d->user);
	r->domain = arena_copy(arena, d->domain);
	*q->last = r;
	q->last = &r->next;
	q->count++;
	return r->domain.ptr != NULL;
}

static void on_delivery(struct channel *c, const void *record)
{
	const struct router_delivery *d = record;
	struct question *q = idmap_get(questions, d->request);

	(void)c;
	if (q != NULL && q->active->entry != NULL && !delivery_keep(q, d))
		q->over = true;
}

static void on_routed(struct channel *c, const void *record)
{
	const struct router_routed *r = record;

	(void)c;
	caller_answered(router, r->request, r);
}

/* Does the recipient stay itself, or is it replaced by what an alias says? */
static bool is_plain(const struct question *q)
{
	return q->count == 1 && !q->first->none && slice_equal_fold(q->first->address, q->address);
}

/* The recipients that an alias gives get a state of their own in the ledger before any of them is
 * tried, so that none is tried twice or lost by a crash. */
static bool expand(struct question *q)
{
	struct active *a = q->active;
	uint32_t number = a->entry->state->count;
	struct spool_address *added = memory_get(q->count * sizeof(*added));
	struct routed *r = q->first;
	bool ended = false, fits;

	for (uint32_t i = 0; i < q->count; i++, r = r->next)
		added[i] = (struct spool_address){r->address, q->original};
	fits = spool_expand(manager.spool, a->entry, q->recipient, added, q->count, &ended);
	memory_free(added);
	if (!fits || ended)
		return fits;
	for (r = q->first; r != NULL; r = r->next, number++) {
		if (r->none)
			routes_ask(a, number, r->address, q->original, true);
		else
			jobs_add(a, number, r, q->original);
	}
	return true;
}

static void refuse_recipient(struct question *q, unsigned code, struct slice enhanced,
			     struct slice text)
{
	struct reply reply = reply_of(code, enhanced, text);

	active_result(q->active, q->recipient, q->address, q->original,
		      code >= 500 ? RECIPIENT_FAILED : RECIPIENT_DEFERRED, &reply);
}

static void conclude(struct question *q, const struct router_routed *verdict)
{
	if (verdict == NULL)
		refuse_recipient(q, 451, SLICE("4.3.0"), SLICE("the router did not answer"));
	else if (verdict->code != 0)
		refuse_recipient(q, verdict->code, verdict->enhanced, verdict->text);
	else if (q->count == 0 && !q->over)
		refuse_recipient(q, 451, SLICE("4.3.5"), SLICE("no way was found for it"));
	else if (!q->over && is_plain(q))
		jobs_add(q->active, q->recipient, q->first, q->original);
	else if (q->over || !expand(q))
		/* Never cut short: the whole list is tried again (S34). */
		refuse_recipient(q, 451, SLICE("4.6.0"),
				 SLICE("the alias gives more addresses than a message may have"));
}

static void answered(void *arg, const void *answer)
{
	struct question *q = arg;
	struct active *a = q->active;

	idmap_remove(questions, q->number);
	if (a->entry != NULL && !a->hold && !a->remove && a->corrupt == NULL)
		conclude(q, answer);
	memory_free(q);
	a->routing--;
	active_settle(a);
}

void routes_ask(struct active *a, uint32_t recipient, struct slice address, struct slice original,
		bool expanded)
{
	struct question *q = memory_zero(1, sizeof(*q));
	struct router_ask ask = {
	    .recipient = address,
	    .expanded = expanded,
	};

	q->active = a;
	q->recipient = recipient;
	q->address = address;
	q->original = original;
	question_clear(q);
	q->number =
	    caller_ask(router, ROUTER_ASK, &router_ask_record, &ask, ROUTE_TIMEOUT_US, answered, q);
	if (q->number == 0) {
		memory_free(q); /* too many at once: it stays pending and is tried again soon */
		return;
	}
	a->routing++;
	idmap_put(questions, q->number, q);
}

const struct route router_routes[] = {
    {ROUTER_DELIVERY, ROUTE_ALWAYS, on_delivery},
    {ROUTER_ROUTED, ROUTE_ALWAYS, on_routed},
    {0, 0, NULL},
};

void routes_warm(void)
{
	router = caller_new(QUESTIONS_MAX);
	questions = idmap_new();
}

void routes_up(struct channel *c, unsigned instance)
{
	size_t at = 0;
	uint64_t number;
	void *value;

	(void)instance;
	while (idmap_next(questions, &at, &number, &value))
		question_clear(value);
	caller_use(router, c);
}

void routes_down(struct channel *c)
{
	(void)c;
	caller_use(router, NULL);
}
