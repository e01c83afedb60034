/*
 * One address through the order of look-ups. Each stage asks one source after the other; an answer
 * either moves on to the next source or settles the address.
 */
#include "daemons/router/walk_parts.h"

static const struct slice POSTMASTER = {"postmaster", 10}, ROOT = {"root", 4};

bool resolve_is_postmaster(const struct walk *w)
{
	return slice_equal_fold(address_local(&w->address), POSTMASTER);
}

bool resolve_is_root(const struct walk *w)
{
	return w->node->parent == NULL;
}

/* The key of a domain's last resort. */
static void key_catch_all(struct walk *w)
{
	w->key_text[0] = '@';
	memcpy(w->key_text + 1, w->domain_name.ptr, w->domain_name.len);
	w->key = slice_make(w->key_text, w->domain_name.len + 1);
}

void resolve_enter(struct walk *w, enum stage stage)
{
	w->stage = stage;
	w->list = w->index = 0;
	w->lists[0] = w->lists[1] = NULL;
	if (stage == STAGE_ALIAS)
		lists_aliases(w);
	if (w->domain == NULL)
		return;
	if (stage == STAGE_CATCH_ALL)
		key_catch_all(w);
	if (stage == STAGE_CATCH_ALL && !w->node->final)
		w->lists[0] = &w->domain->aliases;
	if (stage == STAGE_ROUTE || stage == STAGE_ROUTE_ALL)
		w->lists[0] = &w->domain->routes;
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
	owners_reached(w);
}

void resolve_accept(struct walk *w)
{
	walk_accept(w);
}

/* root never has a mailbox of the machine's: uid 0 reads no mail of strangers. */
static bool is_machines_root(const struct walk *w)
{
	if (w->domain == NULL || !slice_equal(w->user, ROOT))
		return false;
	for (size_t i = 0; i < w->domain->deliver_count; i++)
		if (w->domain->delivers[i].kind == DELIVER_SYSTEM)
			return true;
	return false;
}

void resolve_no_user(struct walk *w)
{
	/* the client needs no more; `stagepost route` and the queue's log do */
	bool advice = w->kind != WALK_CHECK && is_machines_root(w);

	walk_fail(w, 550, "5.1.1", "<%.*s>: Recipient address rejected: User unknown%s",
		  SLICE_FMT(w->node->text),
		  advice ? " (root has mail by an alias alone: set `root: NAME`)" : "");
}

void resolve_trouble(struct walk *w, struct slice what, struct slice why)
{
	/* A stranger needs no path of ours, nor does a user; the queue's log does. */
	if (w->kind == WALK_OWNER)
		walk_end(w, 451, "4.3.0", "<%.*s>: Sender can't be looked up now, try later",
			 SLICE_FMT(w->node->text));
	else if (w->kind == WALK_CHECK)
		walk_end(w, 451, "4.3.0", "<%.*s>: Recipient can't be looked up now, try later",
			 SLICE_FMT(w->node->text));
	else
		walk_end(w, 451, "4.3.0", "<%.*s>: look-up failed: %.*s: %.*s",
			 SLICE_FMT(w->node->text), SLICE_FMT(slice_sub(what, 0, 100)),
			 SLICE_FMT(slice_sub(why, 0, 100)));
}

void resolve_begin(struct walk *w)
{
	struct slice text = w->node->text, base, extension, name = SLICE_EMPTY;

	address_parse(text, ADDRESS_UTF8 | ADDRESS_DOMAINLESS, &w->address);
	if (owners_senders(w))
		return;
	w->domain = w->address.kind == ADDRESS_NAME
			? book_domain(w->book, address_domain(&w->address), &name)
			: NULL;
	if (w->domain == NULL && !w->node->bare) {
		if (w->kind == WALK_OWNER)
			owners_elsewhere(w);
		else
			onward_begin(w);
		return;
	}
	if (resolve_is_root(w) && resolve_is_postmaster(w)) {
		w->for_postmaster = true;
		if (w->kind == WALK_CHECK) { /* RFC 5321 4.5.1, S19 */
			resolve_accept(w);
			return;
		}
	}
	/* one spelling of a domain for all look-ups, whichever labels the address has */
	if (name.len > 0 && w->address.local_len + 3 + name.len <= ADDRESS_MAX)
		walk_domain(&w->address, name);
	slice_lower(address_domain(&w->address), w->domain_text);
	w->domain_name = slice_make(w->domain_text, w->address.domain_len);
	w->has_extension = address_extension(address_local(&w->address), '+', &base, &extension);
	form_set(w, false);
	if (w->node->final)
		walk_say(w, "alias", "named by its own alias: the user is meant");
	resolve_enter(w, w->node->final ? STAGE_ROUTE : STAGE_ALIAS);
}

static void next_node(struct walk *w)
{
	w->node = TAILQ_FIRST(&w->todo);
	if (w->node == NULL) {
		w->over = true;
		return;
	}
	TAILQ_REMOVE(&w->todo, w->node, link);
	resolve_begin(w);
}

/* No deliver statement knew the user: without the extension then, at last without a user. */
static void without_user(struct walk *w)
{
	if (w->has_extension && !w->base) {
		form_set(w, true);
		walk_say(w, "extension", "%.*s is looked up without it", SLICE_FMT(w->key));
		resolve_enter(w, w->node->final ? STAGE_ROUTE : STAGE_ALIAS);
	} else if (w->expanded && resolve_is_root(w)) {
		w->expanded = false; /* no such user: an alias may say more */
		resolve_begin(w);
	} else {
		resolve_enter(w, STAGE_POSTMASTER);
	}
}

void resolve_without(struct walk *w)
{
	switch (w->stage) {
	case STAGE_ALIAS:
		resolve_enter(w, STAGE_ROUTE);
		break;
	case STAGE_ROUTE:
		resolve_enter(w, STAGE_USER);
		break;
	case STAGE_USER:
		without_user(w);
		break;
	case STAGE_TOP:
		resolve_enter(w, STAGE_CATCH_ALL);
		break;
	case STAGE_CATCH_ALL:
		resolve_enter(w, STAGE_ROUTE_ALL);
		break;
	case STAGE_SENDERS:
		owners_without(w);
		break;
	default:
		if (w->domain == NULL)
			onward_begin(w); /* a name without a domain, and origin is not ours */
		else
			resolve_no_user(w);
		break;
	}
}

/* Postmaster, who always is somebody (RFC 5321 4.5.1) */

static void ask_postmaster(struct walk *w)
{
	struct slice configured = slice_str(w->book->postmaster);
	struct address a;
	char key[ADDRESS_SIZE];

	resolve_enter(w, STAGE_TOP);
	if (!resolve_is_postmaster(w))
		return;
	if (address_parse(configured, ADDRESS_UTF8 | ADDRESS_DOMAINLESS, &a) == ADDRESS_FINE &&
	    !slice_equal(address_key(&a, key), w->node->key)) {
		walk_say(w, "postmaster", "goes to the configured %.*s", SLICE_FMT(configured));
		w->stage = STAGE_NEXT;
		walk_add(w, &a, a.kind == ADDRESS_NO_DOMAIN, false, NULL);
	} else if ((w->domain == NULL || w->domain == &w->book->host) && w->book->first != NULL) {
		walk_say(w, "postmaster", "goes to that of %s", w->book->first);
		address_parse(POSTMASTER, 0, &a);
		walk_domain(&a, slice_str(w->book->first));
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
		mailboxes_ask(w);
		break;
	case STAGE_POSTMASTER:
		ask_postmaster(w);
		break;
	case STAGE_OUTBOUND:
		onward_ask(w);
		break;
	case STAGE_ALIAS:
	case STAGE_ROUTE:
	case STAGE_TOP:
	case STAGE_CATCH_ALL:
	case STAGE_ROUTE_ALL:
	case STAGE_SENDERS:
		lists_ask(w);
		break;
	}
}
