/*
 * The feed of a message to many. Its recipients are put in order over some turns: a hundred of one
 * domain, as many as a job may have, then a hundred of the next, and when each domain has had its
 * turn the second hundred of those that have more. So jobs are as large as they can be, and one
 * slow domain is not all that is tried. Then they are asked about a few at a time, as long as not
 * too many of them are under way. What aliases have added comes last, in the order of its numbers.
 */
#include "common/base/map.h"
#include "common/base/memory.h"
#include "queue/manager/manager.h"

enum {
	FEED_LOOK_STEP = 2000, /* recipients put in order in a turn */
	FEED_STEP = 200,       /* recipients asked about in a turn */
	FEED_ASKED = 100,      /* of one message at once: others wait no longer for the router */
};

#define NONE UINT32_MAX

/* Recipients of one domain, as many as a job has. */
struct chunk {
	uint32_t first, last, count;
	uint32_t next; /* chunk of its round */
};

struct round {
	uint32_t first, last; /* chunks */
};

/* A domain's newest chunk. */
struct lane {
	uint32_t chunk, round;
};

struct feed {
	TAILQ_ENTRY(feed) link;
	struct active *active;
	bool listed;	  /* something can be done */
	bool due_only;	  /* those that are deferred to a later time are left alone */
	bool full;	  /* as many under way as may be */
	uint64_t now;	  /* queue time of its beginning */
	uint32_t looked;  /* recipients that were put in order */
	uint32_t *follow; /* of each: the next in its chunk */
	struct arena arena;
	struct map *lanes; /* by domain; NULL when all were looked at */
	struct chunk *chunks;
	uint32_t chunk_count, chunk_size;
	struct round *rounds;
	uint32_t round_count, round_size;
	uint32_t round, chunk, recipient; /* what comes next */
	uint32_t added;			  /* and after these */
};

static TAILQ_HEAD(, feed) feeds = TAILQ_HEAD_INITIALIZER(feeds);

/* Portions: memory of some recipients that are under way. */

struct portion *portion_now(struct active *a)
{
	struct portion *p = TAILQ_FIRST(&a->portions);

	if (p != NULL && p->asked < FEED_PORTION) {
		p->asked++;
		return p;
	}
	p = memory_zero(1, sizeof(*p));
	arena_init(&p->arena, ACTIVE_ARENA_MAX);
	p->asked = 1;
	TAILQ_INSERT_HEAD(&a->portions, p, link);
	return p;
}

static void portion_free(struct active *a, struct portion *p)
{
	TAILQ_REMOVE(&a->portions, p, link);
	arena_free(&p->arena);
	memory_free(p);
}

void portions_spare(struct active *a)
{
	struct portion *p, *next;

	if (!a->spent)
		return;
	a->spent = false;
	TAILQ_FOREACH_SAFE (p, &a->portions, link, next)
		if (p->users == 0 && p->asked >= FEED_PORTION)
			portion_free(a, p);
}

void portions_free(struct active *a)
{
	struct portion *p;

	while ((p = TAILQ_FIRST(&a->portions)) != NULL)
		portion_free(a, p);
}

/* Order */

static bool is_wanted(const struct feed *f, uint32_t i)
{
	const struct recipient_state *r = &f->active->entry->state->recipients[i];

	if (r->status != RECIPIENT_PENDING && r->status != RECIPIENT_DEFERRED &&
	    r->status != RECIPIENT_ATTEMPT)
		return false;
	return !(f->due_only && r->status == RECIPIENT_DEFERRED && r->next > f->now);
}

static void chunk_new(struct feed *f, struct lane *lane)
{
	struct round *r;

	if (f->chunk_count == f->chunk_size) {
		f->chunk_size = f->chunk_size == 0 ? 64 : f->chunk_size * 2;
		f->chunks = memory_resize(f->chunks, f->chunk_size, sizeof(*f->chunks));
	}
	if (lane->round == f->round_size) {
		f->round_size = f->round_size == 0 ? 16 : f->round_size * 2;
		f->rounds = memory_resize(f->rounds, f->round_size, sizeof(*f->rounds));
	}
	lane->chunk = f->chunk_count++;
	f->chunks[lane->chunk] = (struct chunk){.first = NONE, .last = NONE, .next = NONE};
	r = &f->rounds[lane->round];
	if (lane->round == f->round_count) {
		f->round_count++;
		r->first = lane->chunk;
	} else
		f->chunks[r->last].next = lane->chunk;
	r->last = lane->chunk;
}

static struct lane *lane_of(struct feed *f, struct slice address)
{
	size_t at = slice_find_last(address, '@');
	struct slice domain = slice_from(address, at < address.len ? at : 0);
	struct lane *lane = map_get(f->lanes, domain);

	if (lane != NULL)
		return lane;
	lane = arena_get(&f->arena, sizeof(*lane));
	*lane = (struct lane){0};
	chunk_new(f, lane);
	map_put(f->lanes, domain, lane);
	return lane;
}

static void put_in_order(struct feed *f, uint32_t i)
{
	struct lane *lane = lane_of(f, f->active->recipients[i].address);
	struct chunk *c = &f->chunks[lane->chunk];

	if (c->count == JOB_RECIPIENTS_MAX) {
		lane->round++;
		chunk_new(f, lane);
		c = &f->chunks[lane->chunk];
	}
	if (c->first == NONE)
		c->first = i;
	else
		f->follow[c->last] = i;
	c->last = i;
	c->count++;
	f->follow[i] = NONE;
}

/* False: all were looked at. */
static bool look_on(struct feed *f, uint32_t most)
{
	uint32_t count = f->active->m.recipient_count;

	for (; most > 0 && f->looked < count; most--, f->looked++)
		if (is_wanted(f, f->looked))
			put_in_order(f, f->looked);
	if (f->looked < count)
		return true;
	map_free(&f->lanes);
	f->round = 0;
	f->chunk = f->round_count > 0 ? f->rounds[0].first : NONE;
	f->recipient = f->chunk != NONE ? f->chunks[f->chunk].first : NONE;
	return false;
}

static uint32_t take_next(struct feed *f)
{
	uint32_t i = f->recipient;

	if (i == NONE)
		return f->added < f->active->entry->state->count ? f->added++ : NONE;
	f->recipient = f->follow[i];
	if (f->recipient != NONE)
		return i;
	f->chunk = f->chunks[f->chunk].next;
	if (f->chunk == NONE && ++f->round < f->round_count)
		f->chunk = f->rounds[f->round].first;
	f->recipient = f->chunk != NONE ? f->chunks[f->chunk].first : NONE;
	return i;
}

/* Asking */

static void ask(struct active *a, uint32_t i, struct portion *p)
{
	const struct message_state *state = a->entry->state;
	const struct recipient_state *r = &state->recipients[i];

	if (i >= state->received)
		routes_ask(a, p, i, arena_copy(&p->arena, r->address),
			   arena_copy(&p->arena, r->original), true);
	else if (i < a->m.recipient_count)
		routes_ask(a, p, i, a->recipients[i].address, a->recipients[i].address, false);
}

/* So many are under way. */
static uint32_t under_way(const struct active *a)
{
	return a->routing + a->deliveries;
}

static bool has_more(const struct feed *f)
{
	const struct active *a = f->active;

	return f->lanes != NULL || f->recipient != NONE || f->added < a->entry->state->count;
}

static bool may_ask(struct feed *f)
{
	uint32_t now = under_way(f->active);

	if (now >= FEED_UNDER_WAY)
		f->full = true;
	else if (now + FEED_PORTION <= FEED_UNDER_WAY)
		f->full = false;
	return !f->full && f->active->routing < FEED_ASKED;
}

static void list_it(struct feed *f)
{
	if (f->listed)
		return;
	f->listed = true;
	TAILQ_INSERT_TAIL(&feeds, f, link);
}

static void unlist(struct feed *f)
{
	if (f->listed)
		TAILQ_REMOVE(&feeds, f, link);
	f->listed = false;
}

bool feed_goes_on(struct active *a)
{
	struct feed *f = a->feed;

	if (f == NULL || !has_more(f))
		return false;
	if (f->lanes != NULL || may_ask(f))
		list_it(f);
	if (a->loose_count >= FEED_PORTION || (f->full && a->routing == 0 && a->siting == 0))
		jobs_group(a);
	return true;
}

/* How many it has asked about. */
static uint32_t ask_some(struct feed *f, uint32_t most)
{
	struct active *a = f->active;
	uint32_t asked = 0, i;

	/* What is asked about may fail at once, and be the message's last. */
	while (asked < most && a->feed == f && may_ask(f) && (i = take_next(f)) != NONE) {
		if (!is_wanted(f, i))
			continue;
		ask(a, i, portion_now(a));
		asked++;
	}
	return asked;
}

bool feeds_step(void)
{
	uint32_t left = FEED_STEP;
	struct feed *f;

	while (left > 0 && (f = TAILQ_FIRST(&feeds)) != NULL) {
		struct active *a = f->active;

		unlist(f);
		if (f->lanes != NULL) {
			look_on(f, FEED_LOOK_STEP);
			list_it(f);
			return true;
		}
		left -= ask_some(f, left);
		active_settle(a);
		if (left == 0)
			break;
	}
	return !TAILQ_EMPTY(&feeds);
}

static struct feed *feed_new(struct active *a)
{
	struct feed *f = memory_zero(1, sizeof(*f));

	f->active = a;
	f->now = manager_now();
	f->chunk = f->recipient = NONE;
	arena_init(&f->arena, ACTIVE_ARENA_MAX);
	a->feed = f;
	return f;
}

void feed_begin(struct active *a)
{
	const struct message_state *state = a->entry->state;
	uint32_t count = state->count;
	/* It came for what is to be told alone, when the last report could not be made. */
	bool due_only = spool_told_mark(a->entry) != 0 && !stub_of(a->entry)->schedule.urged;
	struct feed *f, once = {.active = a, .due_only = due_only, .now = manager_now()};

	if (count <= FEED_AT_ONCE) {
		a->routing++; /* until all are asked */
		for (uint32_t i = 0; i < count && a->entry != NULL; i++)
			if (is_wanted(&once, i))
				ask(a, i, portion_now(a));
		a->routing--;
		return;
	}
	f = feed_new(a);
	f->due_only = due_only;
	f->added = state->received;
	f->follow = memory_get(a->m.recipient_count * sizeof(*f->follow));
	f->lanes = map_new();
	list_it(f);
}

void feed_added(struct active *a, uint32_t from)
{
	if (a->feed == NULL)
		feed_new(a)->added = from;
}

void feed_end(struct active *a)
{
	struct feed *f = a->feed;

	if (f == NULL)
		return;
	a->feed = NULL;
	unlist(f);
	map_free(&f->lanes);
	arena_free(&f->arena);
	memory_free(f->follow);
	memory_free(f->chunks);
	memory_free(f->rounds);
	memory_free(f);
}
