/*
 * A question to the resolver: its addresses gather until it says that these are all. When the
 * resolver dies, the question is asked again of the next one, and what came is forgotten.
 */
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/dialogue/resolver.h"
#include "common/wire/call.h"
#include "daemons/smtp/smtp.h"

enum { LOOKUPS_MAX = 2 * JOBS_MOST };

struct lookup {
	uint64_t request;
	bool mx;
	uint16_t port;
	lookup_done *done;
	void *arg;
	size_t count;
	struct host hosts[TRIED_MAX]; /* more are not tried */
};

static struct caller *resolver;
static struct idmap *lookups; /* by request */

void lookup_free(struct lookup **lookup)
{
	struct lookup *l = *lookup;
	*lookup = NULL;
	if (!l)
		return;
	caller_cancel(resolver, l->request);
	idmap_remove(lookups, l->request);
	memory_free(l);
}

static void on_answer(void *arg, const void *answer)
{
	struct lookup *l = arg;
	l->done(l->arg, answer, l->hosts, l->count);
}

struct lookup *lookup_begin(struct slice name, bool mx, uint16_t port, lookup_done *done, void *arg)
{
	struct resolve_hosts m = {.name = name, .mx = mx, .port = port};
	struct lookup *l = memory_get(sizeof(*l));
	l->mx = mx;
	l->port = port;
	l->done = done;
	l->arg = arg;
	l->count = 0;
	l->request = caller_ask(resolver, RESOLVE_HOSTS, &resolve_hosts_record, &m, LOOKUP_TIMEOUT,
				on_answer, l);
	if (l->request == 0) {
		memory_free(l);
		return NULL;
	}
	idmap_put(lookups, l->request, l);
	return l;
}

static void on_address(struct channel *c, const void *record)
{
	const struct resolve_address *m = record;
	struct lookup *l = m->request ? idmap_get(lookups, m->request) : NULL;
	struct host *h;
	if (!l || l->count == TRIED_MAX)
		return;
	h = &l->hosts[l->count];
	*h = (struct host){.best = m->best || !l->mx, .by_mx = l->mx};
	if (!net_ip_parse(m->address, &h->address)) {
		channel_break(c, "\"%.*s\" is no address", SLICE_FMT(m->address));
		return;
	}
	h->address.port = l->port;
	slice_copy(m->host, h->name, sizeof(h->name));
	l->count++;
}

static void on_done(struct channel *c, const void *record)
{
	const struct resolve_done *m = record;
	(void)c;
	caller_answered(resolver, m->request, m);
}

const struct route lookup_routes[] = {
    {RESOLVE_ADDRESS, ROUTE_ALWAYS, on_address}, /* one of them */
    {RESOLVE_DONE, ROUTE_ALWAYS, on_done},	 /* that was all */
    {0, 0, NULL},
};

void lookup_up(struct channel *c, unsigned instance)
{
	(void)instance;
	caller_use(resolver, c);
}

void lookup_down(struct channel *c)
{
	uint64_t request;
	void *value;
	(void)c;
	for (size_t at = 0; idmap_next(lookups, &at, &request, &value);)
		((struct lookup *)value)->count = 0;
	caller_use(resolver, NULL);
}

void lookup_warm(void)
{
	resolver = caller_new(LOOKUPS_MAX);
	lookups = idmap_new();
}
