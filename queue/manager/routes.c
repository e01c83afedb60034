/*
 * Routes: asks the router where each recipient goes. Its answer is any number of deliveries and
 * then one verdict; a question that a dying router did not answer is asked again (asking.h), and
 * the deliveries it had named are forgotten. What it has said of a whole domain is kept while
 * the settings are those that it comes from: such a recipient costs no question.
 */
#include "common/base/memory.h"
#include "common/mail/address.h"
#include "common/mail/domains.h"
#include "queue/manager/asking.h"
#include "queue/manager/manager.h"

enum {
	QUESTIONS_MAX = SCHEDULE_ACTIVE_RECIPIENTS,
	ROUTES_MAX = 10000, /* deliveries of one recipient */
};

struct question {
	struct inquiry inquiry;
	struct active *active;
	struct portion *portion;
	uint32_t recipient;
	struct slice address, original;
	bool expanded;
	struct routed *first, **last;
	uint32_t count;
	bool over; /* more deliveries than may be, or no memory: try later */
};

static struct asking *router;
static struct domains *ways; /* next hops of domains that are not ours */

static struct question *question_of(struct inquiry *q)
{
	return container_of(q, struct question, inquiry);
}

static void question_clear(struct question *q)
{
	q->first = NULL;
	q->last = &q->first;
	q->count = 0;
	q->over = false;
}

static enum transport transport_of(struct slice name)
{
	for (unsigned t = 0; t < TRANSPORTS; t++)
		if (slice_equal(name, slice_str(transport_name(t))))
			return t;
	return TRANSPORT_NONE;
}

/* Most recipients of a message go the same way: the text is kept once. */
static struct slice next_hop_keep(struct active *a, struct slice next_hop)
{
	if (!slice_equal(next_hop, a->next_hop))
		a->next_hop = arena_copy(&a->arena, next_hop);
	return a->next_hop;
}

static bool delivery_keep(struct question *q, const struct router_delivery *d)
{
	struct active *a = q->active;
	struct arena *arena = &q->portion->arena;
	struct routed *r = arena_get(arena, sizeof(*r));

	if (r == NULL || q->count == ROUTES_MAX)
		return false;
	*r = (struct routed){
	    .transport = transport_of(d->transport),
	    .deliver = d->deliver,
	    .address = arena_copy(arena, d->address),
	    .user = arena_copy(arena, d->user),
	    .domain = arena_copy(arena, d->domain),
	};
	if (r->transport == TRANSPORT_SMTP) {
		r->next_hop = next_hop_keep(a, d->next_hop);
		if (r->next_hop.len == 0)
			return false;
	}
	*q->last = r;
	q->last = &r->next;
	q->count++;
	return r->domain.ptr != NULL;
}

static void on_delivery(struct channel *c, const void *record)
{
	const struct router_delivery *d = record;
	struct inquiry *i = asking_find(router, d->request);
	struct question *q = i != NULL ? question_of(i) : NULL;

	(void)c;
	if (q != NULL && q->active->entry != NULL && !delivery_keep(q, d))
		q->over = true;
}

/* Does the recipient stay itself, or is it replaced by what an alias says? */
static bool is_plain(const struct question *q)
{
	return q->count == 1 && q->first->transport != TRANSPORT_NONE &&
	       slice_equal_fold(q->first->address, q->address);
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
	/* With more than go at once the new ones are asked about again, in their turn. */
	if (a->feed != NULL || a->entry->state->count > FEED_AT_ONCE) {
		feed_added(a, number);
		return true;
	}
	for (r = q->first; r != NULL; r = r->next, number++) {
		if (r->transport == TRANSPORT_NONE)
			routes_ask(a, q->portion, number, r->address, q->original, true);
		else
			jobs_add(a, q->portion, number, r, q->original);
	}
	return true;
}

static void refuse_recipient(struct question *q, unsigned code, struct slice enhanced,
			     struct slice text)
{
	struct result r = {
	    .recipient = q->recipient,
	    .address = q->address,
	    .original = q->original,
	    .status = code >= 500 ? RECIPIENT_FAILED : RECIPIENT_DEFERRED,
	    .reply = reply_of(code, enhanced, text),
	};

	result_take(q->active, &r);
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
		jobs_add(q->active, q->portion, q->recipient, q->first, q->original);
	else if (q->over || !expand(q))
		/* Never cut short: the whole list is tried again (S34). */
		refuse_recipient(q, 451, SLICE("4.6.0"),
				 SLICE("the alias gives more addresses than a message may have"));
}

static bool is_wanted(const struct active *a)
{
	return a->entry != NULL && !a->hold && !a->remove && a->corrupt == NULL;
}

/* The question has left the list. */
static void question_over(struct question *q, const struct router_routed *verdict)
{
	struct active *a = q->active;

	if (is_wanted(a))
		conclude(q, verdict);
	portion_drop(a, q->portion);
	memory_free(q);
	a->routing--;
	active_settle(a);
}

static void way_keep(const struct question *q)
{
	size_t at = slice_find_last(q->address, '@');

	domains_of(ways, service_generation());
	if (is_plain(q) && q->first->transport == TRANSPORT_SMTP)
		domains_put(ways, slice_from(q->address, at + 1), q->first->next_hop);
}

static void on_routed(struct channel *c, const void *record)
{
	const struct router_routed *r = record;
	struct inquiry *i = asking_find(router, r->request);

	(void)c;
	if (i == NULL)
		return;
	if (r->whole != 0 && r->whole == service_generation())
		way_keep(question_of(i));
	asking_end(router, i);
	question_over(question_of(i), r);
}

static bool send_question(struct channel *c, struct inquiry *i)
{
	struct question *q = question_of(i);
	struct router_ask ask = {
	    .request = i->number,
	    .recipient = q->address,
	    .expanded = q->expanded,
	    .sender = q->active->sender,
	};

	question_clear(q);
	return channel_send(c, ROUTER_ASK, &ask);
}

static void question_late(struct inquiry *i)
{
	question_over(question_of(i), NULL);
}

/* Nothing else was asked: the router dies of this recipient. */
static void question_killed(struct inquiry *i)
{
	struct question *q = question_of(i);
	struct active *a = q->active;

	if (is_wanted(a))
		active_killed(a, "the router dies of a recipient");
	if (is_wanted(a))
		return;
	asking_end(router, i);
	question_over(q, NULL);
}

/* One whose domain's way is known. What the router would not take, or would write in another way,
 * is left to it. */
static bool send_known_way(struct active *a, struct portion *p, uint32_t recipient,
			   struct slice address, struct slice original)
{
	struct address parsed;
	char text[ADDRESS_SIZE];
	struct slice way;
	struct routed r = {.transport = TRANSPORT_SMTP, .address = address};

	domains_of(ways, service_generation());
	if (!is_wanted(a) || a->entry->deaths > 0 ||
	    address_parse(address, ADDRESS_UTF8, &parsed) != ADDRESS_FINE ||
	    !domains_find(ways, address_domain(&parsed), &way) ||
	    !slice_equal(address_text(&parsed, text), address))
		return false;
	r.next_hop = next_hop_keep(a, way);
	if (r.next_hop.len == 0)
		return false;
	jobs_add(a, p, recipient, &r, original);
	return true;
}

void routes_ask(struct active *a, struct portion *p, uint32_t recipient, struct slice address,
		struct slice original, bool expanded)
{
	struct question *q;

	if (send_known_way(a, p, recipient, address, original))
		return;
	if (asking_count(router) >= QUESTIONS_MAX)
		return; /* too many at once: it stays pending and is tried again soon */
	q = memory_zero(1, sizeof(*q));
	q->active = a;
	q->portion = p;
	portion_use(p);
	q->recipient = recipient;
	q->address = address;
	q->original = original;
	q->expanded = expanded;
	question_clear(q);
	a->routing++;
	asking_begin(router, &q->inquiry, a->entry->deaths > 0);
}

const struct route router_routes[] = {
    {ROUTER_DELIVERY, ROUTE_ALWAYS, on_delivery},
    {ROUTER_ROUTED, ROUTE_ALWAYS, on_routed},
    {0, 0, NULL},
};

void routes_warm(void)
{
	static const struct asking_calls calls = {
	    .send = send_question,
	    .killed = question_killed,
	    .late = question_late,
	    .timeout_us = UINT64_C(60) * 1000000,
	    .most = QUESTIONS_MAX,
	};

	router = asking_new(&calls);
	ways = domains_new();
}

void routes_up(struct channel *c, unsigned instance)
{
	(void)instance;
	domains_forget(ways);
	asking_up(router, c);
}

void routes_down(struct channel *c)
{
	(void)c;
	domains_forget(ways);
	asking_down(router);
}

void routes_pump(void)
{
	asking_pump(router);
}

void routes_look(void)
{
	asking_look(router);
}
