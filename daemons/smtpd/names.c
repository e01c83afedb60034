/*
 * The clients' names: asked for when a connection comes, and used when they are there. Nothing
 * waits for one: a client whose name has not come, or can't be found out, is "unknown".
 */
#include "common/base/memory.h"
#include "common/dialogue/resolver.h"
#include "common/wire/call.h"
#include "daemons/smtpd/smtpd.h"

enum { NAMES_PENDING_MAX = 16384, NAME_TIMEOUT_US = 60000000 };

static struct caller *resolver;
static bool there; /* a resolver; without one no question is kept */

static void answered(void *arg, const void *answer)
{
	struct session *s = arg;
	const struct resolve_named *named = answer;

	s->naming = 0;
	if (named != NULL && named->name.len > 0)
		s->name = memory_string(named->name);
}

void names_ask(struct session *s)
{
	struct resolve_name question = {.address = slice_str(s->address)};

	if (there && smtpd_settings()->peer_names && !s->local)
		s->naming = caller_ask(resolver, RESOLVE_NAME, &resolve_name_record, &question,
				       NAME_TIMEOUT_US, answered, s);
}

void names_cancel(struct session *s)
{
	if (s->naming != 0)
		caller_cancel(resolver, s->naming);
	s->naming = 0;
}

static void on_named(struct channel *c, const void *record)
{
	const struct resolve_named *named = record;

	(void)c;
	caller_answered(resolver, named->request, named);
}

const struct route names_routes[] = {
    {RESOLVE_NAMED, ROUTE_ALWAYS, on_named},
    {0, 0, NULL},
};

void names_up(struct channel *c, unsigned instance)
{
	(void)instance;
	there = true;
	caller_use(resolver, c);
}

void names_down(struct channel *c)
{
	(void)c;
	there = false;
	caller_use(resolver, NULL);
}

void names_warm(void)
{
	resolver = caller_new(NAMES_PENDING_MAX);
}
