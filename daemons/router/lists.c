/*
 * The tables in lists, one after the other: aliases (of a domain, and of names without one) and
 * routes. The first that knows the key settles the address.
 */
#include "daemons/router/walk_parts.h"

void lists_aliases(struct walk *w)
{
	const struct table_list *own = w->domain ? &w->domain->aliases : NULL;
	bool top = w->node->bare || w->domain == &w->book->host ||
		   slice_equal_fold(address_domain(&w->address), slice_str(w->book->origin));

	w->lists[0] = w->node->bare ? &w->book->top : own;
	w->lists[1] = w->node->bare ? own : top ? &w->book->top : NULL;
}

static const struct shelf_table *table_now(const struct walk *w)
{
	return w->lists[w->list]->tables[w->index];
}

/* The target, completed, is what the alias was found under: the user is meant (S29, S33). A bare
 * name whose alias names the same at origin goes on to origin's own tables. */
static bool names_itself(const struct walk *w, struct slice key, bool bare)
{
	if (w->node->bare && !bare)
		return false;
	return slice_equal(key, w->node->key) || slice_equal(key, w->key);
}

/* A bare target belongs to the domain whose table says it, or stays bare (then origin completes
 * it). False: it is no address. */
static bool target_read(const struct walk *w, struct slice target, struct address *a)
{
	bool top = w->lists[w->list] == &w->book->top;

	if (address_parse(target, ADDRESS_UTF8 | ADDRESS_DOMAINLESS, a) != ADDRESS_FINE)
		return false; /* the reader of the table lets none through */
	if (a->kind == ADDRESS_NO_DOMAIN && !top &&
	    a->local_len + 3 + w->domain_name.len <= ADDRESS_MAX)
		walk_domain(a, w->domain_name);
	return true;
}

static bool target_is_itself(const struct walk *w, const struct address *a)
{
	struct address whole = *a;
	char text[ADDRESS_SIZE];
	struct slice origin = slice_str(w->book->origin);
	bool bare = a->kind == ADDRESS_NO_DOMAIN;

	if (bare && a->local_len + 3 + origin.len <= ADDRESS_MAX)
		walk_domain(&whole, origin);
	return names_itself(w, address_key(&whole, text), bare);
}

static struct node *add_target(struct walk *w, struct slice target, struct node *after)
{
	struct address a;

	if (!target_read(w, target, &a))
		return after;
	return walk_add(w, &a, a.kind == ADDRESS_NO_DOMAIN, target_is_itself(w, &a), after);
}

static bool alias_has_itself(const struct walk *w, struct slice value)
{
	struct table_alias item;
	struct address a;

	while (table_alias_next(&value, &item))
		if (target_read(w, item.text, &a) && target_is_itself(w, &a))
			return true;
	return false;
}

/* Commands, files and :include: are not there: what an alias promises beyond addresses can't be
 * kept, so that alias waits as a whole. */
static bool has_unsupported(struct slice value, struct table_alias *item)
{
	while (table_alias_next(&value, item))
		if (item->kind != TABLE_ALIAS_ADDRESS)
			return true;
	return false;
}

static void say_alias(struct walk *w, struct slice value)
{
	char text[ROUTER_STEP_MAX + 1];
	struct table_alias item;
	size_t len = 0;

	if (w->hooks->step == NULL)
		return;
	while (table_alias_next(&value, &item) && len + item.text.len + 2 < sizeof(text) / 2) {
		if (len > 0)
			text[len++] = ' ';
		memcpy(text + len, item.text.ptr, item.text.len);
		len += item.text.len;
	}
	walk_say(w, w->stage == STAGE_CATCH_ALL ? "catch-all" : "alias", "%.*s in %s: %.*s%s",
		 SLICE_FMT(w->key), table_now(w)->spec, (int)len, text,
		 value.len > 0 ? " and more" : "");
}

static void alias_found(struct walk *w, struct slice value)
{
	struct table_alias item;
	struct node *last = NULL;

	say_alias(w, value);
	if (w->kind != WALK_OWNER && has_unsupported(value, &item)) {
		walk_fail(w, 451, "4.3.5",
			  "<%.*s>: its alias has a target that is not supported (command, file or "
			  ":include:)",
			  SLICE_FMT(w->node->text));
		return;
	}
	if (w->kind == WALK_CHECK) {
		resolve_accept(w);
		return;
	}
	if (w->expanded && resolve_is_root(w) && w->stage == STAGE_ALIAS) {
		walk_say(w, "alias", "a user of that name goes before: it was expanded already");
		resolve_enter(w, STAGE_ROUTE);
		return;
	}
	if (w->alone && resolve_is_root(w) && !w->node->final && alias_has_itself(w, value)) {
		/* what else it names has its mail; routes and users were asked before */
		walk_say(w, "alias", "named by its own alias, which was expanded already");
		w->node->final = true;
		resolve_enter(w, STAGE_POSTMASTER);
		return;
	}
	w->stage = STAGE_NEXT;
	while (!w->over && table_alias_next(&value, &item))
		if (item.kind == TABLE_ALIAS_ADDRESS)
			last = add_target(w, item.text, last);
}

static void found(struct walk *w, struct slice value)
{
	if (w->stage == STAGE_SENDERS) {
		if (!owners_listed(w, value))
			w->index++;
		return;
	}
	if (w->stage != STAGE_ROUTE && w->stage != STAGE_ROUTE_ALL) {
		alias_found(w, value);
		return;
	}
	walk_say(w, "route", "%.*s in %s: %.*s", SLICE_FMT(w->key), table_now(w)->spec,
		 SLICE_FMT(slice_sub(value, 0, ROUTER_STEP_MAX / 2)));
	onward_route(w, value);
}

static void heard(void *arg, enum table_result result, struct slice value)
{
	struct walk *w = arg;

	w->waiting = false;
	if (w->gone) {
		walk_run(w);
		return;
	}
	switch (result) {
	case TABLE_FOUND:
		found(w, value);
		break;
	case TABLE_MISSING:
		walk_say(w, "missing", "%.*s is not in %s", SLICE_FMT(w->key), table_now(w)->spec);
		w->index++;
		break;
	case TABLE_ERROR:
		resolve_trouble(w, slice_str(table_now(w)->spec),
				SLICE("the table could not be read"));
		break;
	}
	walk_run(w);
}

void lists_ask(struct walk *w)
{
	while (w->list < 2 && (w->lists[w->list] == NULL || w->index >= w->lists[w->list]->count)) {
		w->list++;
		w->index = 0;
	}
	if (w->list == 2) {
		resolve_without(w);
		return;
	}
	if (table_now(w)->table == NULL) {
		resolve_trouble(w, slice_str(table_now(w)->spec), SLICE("bad table"));
		return;
	}
	w->waiting = true;
	table_lookup(table_now(w)->table, w->key, heard, w);
}
