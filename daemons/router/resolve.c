/*
 * One address through the order of look-ups. Each stage asks one source after the other; an answer
 * either moves on to the next source or settles the address.
 */
#include "daemons/router/walk_parts.h"

static const struct slice POSTMASTER = {"postmaster", 10};

static bool is_postmaster(const struct walk *w)
{
	return slice_equal_fold(address_local(&w->address), POSTMASTER);
}

static bool is_root(const struct walk *w)
{
	return w->node->parent == NULL;
}

static void enter(struct walk *w, enum stage stage)
{
	w->stage = stage;
	w->list = w->index = 0;
}

/* The address with, or without, its extension: what is looked up now. */
static void form_set(struct walk *w, bool base)
{
	struct address form = w->address;
	struct slice local = address_local(&w->address), extension;

	w->base = base;
	if (base)
		address_extension(address_local(&w->address), '+', &local, &extension);
	form.local_len = (uint8_t)local.len;
	form.local[local.len] = '\0';
	slice_lower(local, w->user_text);
	w->user = slice_make(w->user_text, local.len);
	w->key = address_key(&form, w->key_text);
}

/* Which alias tables are asked, in order (DESIGN 5): for a name without a domain those for such
 * names first; an address at origin may have been such a name when it was written. */
static void lists_set(struct walk *w)
{
	const struct alias_list *own = w->domain ? &w->domain->aliases : NULL;
	bool top = w->node->bare || w->domain == &w->book->host ||
		   slice_equal_fold(address_domain(&w->address), slice_str(w->book->origin));

	w->lists[0] = w->node->bare ? &w->book->top : own;
	w->lists[1] = w->node->bare ? own : top ? &w->book->top : NULL;
}

static void accept_recipient(struct walk *w)
{
	walk_end(w, 0, "", "%s", "");
}

static void not_ours(struct walk *w)
{
	if (is_root(w) && w->kind != WALK_ROUTE)
		walk_fail(w, 554, "5.7.1", "<%.*s>: Relay access denied", SLICE_FMT(w->node->text));
	else
		walk_fail(w, 451, "4.4.0", "<%.*s>: there is no way to other servers yet",
			  SLICE_FMT(w->node->text));
}

static void no_such_user(struct walk *w)
{
	walk_fail(w, 550, "5.1.1", "<%.*s>: Recipient address rejected: User unknown",
		  SLICE_FMT(w->node->text));
}

static void look_up_failed(struct walk *w, struct slice what, struct slice why)
{
	/* A stranger needs no path of ours; the queue's log does. */
	if (w->kind == WALK_CHECK)
		walk_end(w, 451, "4.3.0", "<%.*s>: Recipient can't be looked up now, try later",
			 SLICE_FMT(w->node->text));
	else
		walk_end(w, 451, "4.3.0", "<%.*s>: look-up failed: %.*s: %.*s",
			 SLICE_FMT(w->node->text), SLICE_FMT(slice_sub(what, 0, 100)),
			 SLICE_FMT(slice_sub(why, 0, 100)));
}

static void begin_node(struct walk *w)
{
	struct slice text = w->node->text, base, extension;

	address_parse(text, ADDRESS_UTF8 | ADDRESS_DOMAINLESS, &w->address);
	w->domain = w->address.kind == ADDRESS_NAME
			? book_domain(w->book, address_domain(&w->address))
			: NULL;
	if (w->domain == NULL && !w->node->bare) {
		not_ours(w);
		return;
	}
	if (is_root(w) && is_postmaster(w)) {
		w->for_postmaster = true;
		if (w->kind == WALK_CHECK) { /* RFC 5321 4.5.1, S19 */
			accept_recipient(w);
			return;
		}
	}
	slice_lower(address_domain(&w->address), w->domain_text);
	w->domain_name = slice_make(w->domain_text, w->address.domain_len);
	w->has_extension = address_extension(address_local(&w->address), '+', &base, &extension);
	form_set(w, false);
	lists_set(w);
	if (w->node->final)
		walk_say(w, "alias", "named by its own alias: the user is meant");
	enter(w, w->node->final ? STAGE_USER : STAGE_ALIAS);
}

static void next_node(struct walk *w)
{
	w->node = TAILQ_FIRST(&w->todo);
	if (w->node == NULL) {
		w->over = true;
		return;
	}
	TAILQ_REMOVE(&w->todo, w->node, link);
	begin_node(w);
}

/* Aliases */

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

static void add_domain(struct address *a, struct slice domain)
{
	a->kind = ADDRESS_NAME;
	a->domain_len = (uint8_t)domain.len;
	memcpy(a->domain, domain.ptr, domain.len);
	a->domain[domain.len] = '\0';
}

/* A bare target belongs to the domain whose table says it, or stays bare (then origin completes
 * it). */
static struct node *add_target(struct walk *w, struct slice target, struct node *after)
{
	struct address a, whole;
	char text[ADDRESS_SIZE];
	struct slice origin = slice_str(w->book->origin);
	bool bare, top = w->lists[w->list] == &w->book->top;

	if (address_parse(target, ADDRESS_UTF8 | ADDRESS_DOMAINLESS, &a) != ADDRESS_FINE)
		return after; /* the reader of the table lets none through */
	if (a.kind == ADDRESS_NO_DOMAIN && !top &&
	    a.local_len + 3 + w->domain_name.len <= ADDRESS_MAX)
		add_domain(&a, w->domain_name);
	bare = a.kind == ADDRESS_NO_DOMAIN;
	whole = a;
	if (bare && a.local_len + 3 + origin.len <= ADDRESS_MAX)
		add_domain(&whole, origin);
	return walk_add(w, &a, bare, names_itself(w, address_key(&whole, text), bare), after);
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
	if (has_unsupported(value, &item)) {
		walk_fail(w, 451, "4.3.5",
			  "<%.*s>: its alias has a target that is not supported (command, file or "
			  ":include:)",
			  SLICE_FMT(w->node->text));
		return;
	}
	if (w->kind == WALK_CHECK) {
		accept_recipient(w);
		return;
	}
	if (w->expanded && is_root(w) && w->stage == STAGE_ALIAS) {
		walk_say(w, "alias", "a user of that name goes before: it was expanded already");
		enter(w, STAGE_USER);
		return;
	}
	w->stage = STAGE_NEXT;
	while (!w->over && table_alias_next(&value, &item))
		last = add_target(w, item.text, last);
}

static void aliases_end(struct walk *w)
{
	switch (w->stage) {
	case STAGE_ALIAS:
		enter(w, STAGE_USER);
		break;
	case STAGE_TOP:
		w->lists[0] = w->domain && !w->node->final ? &w->domain->aliases : NULL;
		w->lists[1] = NULL;
		w->key_text[0] = '@';
		memcpy(w->key_text + 1, w->domain_name.ptr, w->domain_name.len);
		w->key = slice_make(w->key_text, w->domain_name.len + 1);
		enter(w, STAGE_CATCH_ALL);
		break;
	default:
		if (w->domain == NULL && !is_postmaster(w))
			not_ours(w);
		else
			no_such_user(w);
		break;
	}
}

static void alias_heard(void *arg, enum table_result result, struct slice value)
{
	struct walk *w = arg;

	w->waiting = false;
	if (w->gone) {
		walk_run(w);
		return;
	}
	switch (result) {
	case TABLE_FOUND:
		alias_found(w, value);
		break;
	case TABLE_MISSING:
		walk_say(w, "missing", "%.*s is not in %s", SLICE_FMT(w->key), table_now(w)->spec);
		w->index++;
		break;
	case TABLE_ERROR:
		look_up_failed(w, slice_str(table_now(w)->spec),
			       SLICE("the table could not be read"));
		break;
	}
	walk_run(w);
}

static void ask_alias(struct walk *w)
{
	while (w->list < 2 && (w->lists[w->list] == NULL || w->index >= w->lists[w->list]->count)) {
		w->list++;
		w->index = 0;
	}
	if (w->list == 2) {
		aliases_end(w);
		return;
	}
	if (table_now(w)->table == NULL) {
		look_up_failed(w, slice_str(table_now(w)->spec), SLICE("bad table"));
		return;
	}
	w->waiting = true;
	table_lookup(table_now(w)->table, w->key, alias_heard, w);
}

/* Users */

static void user_found(struct walk *w, const struct deliver *d)
{
	if (w->kind == WALK_CHECK) {
		accept_recipient(w);
		return;
	}
	walk_say(w, "user", "%.*s@%.*s is a user of %s", SLICE_FMT(w->user),
		 SLICE_FMT(w->domain_name), d->users);
	walk_say(w, "deliver", "to the mailbox, by deliver statement %u", d->number);
	walk_deliver(w, d->number);
}

static void user_heard(void *arg, enum accounts_result result, struct slice text)
{
	struct walk *w = arg;

	w->waiting = false;
	if (w->gone) {
		walk_run(w);
		return;
	}
	switch (result) {
	case ACCOUNTS_KNOWN:
		user_found(w, &w->domain->delivers[w->index]);
		break;
	case ACCOUNTS_MISSING:
		walk_say(w, "missing", "%.*s@%.*s is no user of %s", SLICE_FMT(w->user),
			 SLICE_FMT(w->domain_name), w->domain->delivers[w->index].users);
		w->index++;
		break;
	case ACCOUNTS_TROUBLE: /* S55 */
		look_up_failed(w, slice_str(w->domain->delivers[w->index].users), text);
		break;
	}
	walk_run(w);
}

/* No deliver knew the user: without the extension then, at last without a user. */
static void users_end(struct walk *w)
{
	if (w->has_extension && !w->base) {
		form_set(w, true);
		walk_say(w, "extension", "%.*s is looked up without it", SLICE_FMT(w->key));
		enter(w, w->node->final ? STAGE_USER : STAGE_ALIAS);
	} else if (w->expanded && is_root(w)) {
		w->expanded = false; /* no such user: an alias may say more */
		begin_node(w);
	} else {
		enter(w, STAGE_POSTMASTER);
	}
}

static void ask_user(struct walk *w)
{
	const struct deliver *d;

	if (w->domain == NULL || w->index >= w->domain->deliver_count ||
	    w->user.len > WALK_USER_MAX || !address_path_safe(w->user)) {
		users_end(w);
		return;
	}
	d = &w->domain->delivers[w->index];
	if (d->any && w->has_extension && !w->base) {
		w->index++; /* any takes every name, so none is the user's own: cut it first */
	} else if (d->any) {
		user_found(w, d);
	} else {
		w->waiting = true;
		w->users(slice_str(d->users), w->user, w->domain_name, user_heard, w);
	}
}

/* Postmaster, who always is somebody (RFC 5321 4.5.1) */

static void ask_postmaster(struct walk *w)
{
	struct slice configured = slice_str(w->book->postmaster);
	struct address a;
	char key[ADDRESS_SIZE];

	w->lists[0] = w->lists[1] = NULL;
	enter(w, STAGE_TOP);
	if (!is_postmaster(w))
		return;
	if (address_parse(configured, ADDRESS_UTF8 | ADDRESS_DOMAINLESS, &a) == ADDRESS_FINE &&
	    !slice_equal(address_key(&a, key), w->node->key)) {
		walk_say(w, "postmaster", "goes to the configured %.*s", SLICE_FMT(configured));
		w->stage = STAGE_NEXT;
		walk_add(w, &a, a.kind == ADDRESS_NO_DOMAIN, false, NULL);
	} else if ((w->domain == NULL || w->domain == &w->book->host) && w->book->first != NULL) {
		walk_say(w, "postmaster", "goes to that of %s", w->book->first);
		address_parse(POSTMASTER, 0, &a);
		add_domain(&a, slice_str(w->book->first));
		w->stage = STAGE_NEXT;
		walk_add(w, &a, false, false, NULL);
	} else if (!w->node->final) {
		w->lists[0] = &w->book->top;
	}
}

void resolve_step(struct walk *w)
{
	switch (w->stage) {
	case STAGE_NEXT:
		next_node(w);
		break;
	case STAGE_USER:
		ask_user(w);
		break;
	case STAGE_POSTMASTER:
		ask_postmaster(w);
		break;
	case STAGE_ALIAS:
	case STAGE_TOP:
	case STAGE_CATCH_ALL:
		ask_alias(w);
		break;
	}
}
