/*
 * turns: two rings of queues. A queue is there while it has a job.
 */
#include "common/base/turns.h"

#include "common/base/error.h"
#include "common/base/map.h"
#include "common/base/memory.h"

struct party {
	TAILQ_ENTRY(party) link;
	STAILQ_HEAD(, turn) jobs; /* never empty */
	unsigned count;
	size_t name_len;
	char name[TURNS_PARTY_MAX];
};

struct ring {
	TAILQ_HEAD(, party) parties;
	struct map *by_name;
	unsigned count, most; /* jobs */
};

struct turns {
	struct ring known, strangers;
	unsigned most, each;
	unsigned taken; /* of the known, since a stranger's turn */
};

static void ring_init(struct ring *r, unsigned most)
{
	TAILQ_INIT(&r->parties);
	r->by_name = map_new();
	r->most = most;
}

struct turns *turns_new(unsigned most, unsigned strangers, unsigned each)
{
	struct turns *t = memory_zero(1, sizeof(*t));
	ring_init(&t->known, most);
	ring_init(&t->strangers, strangers);
	t->most = most;
	t->each = each;
	return t;
}

static struct party *party_of(struct ring *r, struct slice name)
{
	struct party *p = map_get(r->by_name, name);
	if (p)
		return p;
	p = memory_zero(1, sizeof(*p));
	STAILQ_INIT(&p->jobs);
	p->name_len = name.len;
	if (name.len > 0)
		memcpy(p->name, name.ptr, name.len);
	map_put(r->by_name, slice_make(p->name, p->name_len), p);
	TAILQ_INSERT_TAIL(&r->parties, p, link);
	return p;
}

bool turns_add(struct turns *t, struct slice party, bool known, struct turn *job)
{
	struct ring *r = known ? &t->known : &t->strangers;
	if (party.len > TURNS_PARTY_MAX)
		panic("turns: a party named with %zu octets", party.len);
	const struct party *there = map_get(r->by_name, party);
	if (r->count >= r->most || t->known.count + t->strangers.count >= t->most ||
	    (there && there->count >= t->each))
		return false;
	struct party *p = party_of(r, party);
	STAILQ_INSERT_TAIL(&p->jobs, job, next);
	p->count++;
	r->count++;
	return true;
}

static struct turn *take(struct ring *r)
{
	struct party *p = TAILQ_FIRST(&r->parties);
	struct turn *job = STAILQ_FIRST(&p->jobs);
	STAILQ_REMOVE_HEAD(&p->jobs, next);
	TAILQ_REMOVE(&r->parties, p, link);
	r->count--;
	if (--p->count > 0) {
		TAILQ_INSERT_TAIL(&r->parties, p, link);
		return job;
	}
	map_remove(r->by_name, slice_make(p->name, p->name_len));
	memory_free(p);
	return job;
}

struct turn *turns_take(struct turns *t)
{
	bool stranger =
	    t->strangers.count > 0 && (t->known.count == 0 || t->taken >= TURNS_OF_STRANGERS - 1);
	if (!stranger && t->known.count == 0)
		return NULL;
	t->taken = stranger ? 0 : t->taken + 1;
	return take(stranger ? &t->strangers : &t->known);
}
