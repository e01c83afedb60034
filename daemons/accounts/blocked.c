/*
 * What was told stays in use while usage is started again, and the fresh list takes its place when
 * it is whole: nobody is let in meanwhile who was blocked.
 */
#include "daemons/accounts/blocked.h"

#include "common/base/map.h"
#include "common/base/memory.h"
#include "daemons/accounts/askers.h"

struct blocked {
	size_t len;
	char name[];
};

static struct map *used; /* NULL: not known yet */
static struct map *told; /* the fresh list; NULL: it is whole */

static void forget(struct map *m, struct slice user)
{
	memory_free(map_remove(m, user));
}

static void list_free(struct map **m)
{
	struct slice user;
	void *value;

	for (size_t at = 0; *m != NULL && map_next(*m, &at, &user, &value);)
		forget(*m, user);
	map_free(m);
}

static void add(struct map *m, struct slice user)
{
	struct blocked *b;

	if (map_get(m, user) != NULL)
		return;
	if (map_count(m) >= BLOCKED_MAX)
		fatal("more than %d users are blocked", BLOCKED_MAX);
	b = memory_get(sizeof(*b) + user.len);
	b->len = user.len;
	memcpy(b->name, user.ptr, user.len);
	map_put(m, slice_make(b->name, b->len), b);
}

static void on_blocked(struct channel *c, const void *record)
{
	const struct usage_blocked *m = record;
	struct map *list = told != NULL ? told : used;

	if (m->user.len == 0) {
		channel_break(c, "nobody is blocked");
		return;
	}
	if (!m->blocked) {
		forget(list, m->user);
		return;
	}
	if (used == NULL || map_get(used, m->user) == NULL)
		askers_revoke(m->user);
	add(list, m->user);
}

static void on_end(struct channel *c, const void *record)
{
	(void)c, (void)record;
	if (told == NULL)
		return;
	list_free(&used);
	used = told;
	told = NULL;
}

const struct route blocked_routes[] = {
    {USAGE_BLOCKED, ROUTE_ALWAYS, on_blocked}, /* one more, or one less */
    {USAGE_BLOCKED_END, ROUTE_ALWAYS, on_end}, /* that was all of them */
    {0, 0, NULL},
};

void blocked_up(struct channel *c, unsigned instance)
{
	(void)c, (void)instance;
	list_free(&told);
	told = map_new();
}

void blocked_down(struct channel *c)
{
	(void)c;
	list_free(&told);
	if (used == NULL)
		told = map_new();
}

bool blocked_known(void)
{
	return used != NULL;
}

bool blocked_is(const char *user)
{
	return (used != NULL && map_get(used, slice_str(user)) != NULL) ||
	       (told != NULL && map_get(told, slice_str(user)) != NULL);
}
