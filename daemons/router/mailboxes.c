/*
 * Mailboxes: the deliver and relay statements of a domain, one after the other. The first that
 * knows the user takes the address.
 */
#include "common/table/next_hop.h"
#include "daemons/router/walk_parts.h"

/* An item for the MX hosts of the domain itself, when the statement names no host. */
static void relay(struct walk *w, const struct deliver *d)
{
	char own[NEXT_HOP_ITEM_SIZE];

	if (d->next_hop != NULL)
		walk_send(w, slice_str(d->next_hop), d->number);
	else if (next_hop_item(w->domain_name, own) == NULL)
		walk_send(w, slice_str(own), d->number);
	else
		walk_fail(w, 451, "4.3.5", "<%.*s>: its domain has no MX hosts",
			  SLICE_FMT(w->node->text));
}

static void user_found(struct walk *w, const struct deliver *d)
{
	if (w->kind == WALK_CHECK) {
		resolve_accept(w);
		return;
	}
	walk_say(w, "user", "%.*s@%.*s is a user of %s", SLICE_FMT(w->user),
		 SLICE_FMT(w->domain_name), d->users);
	if (d->kind == DELIVER_RELAY) {
		relay(w, d);
		return;
	}
	walk_say(w, "deliver", "to the mailbox%s, by deliver statement %u",
		 d->kind == DELIVER_SYSTEM ? " of a user of this machine" : "", d->number);
	walk_deliver(w, d);
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
		resolve_trouble(w, slice_str(w->domain->delivers[w->index].users), text);
		break;
	}
	walk_run(w);
}

/* Can the local part be asked for, and become part of a path? Nothing of a relayed address becomes
 * part of one. */
static bool may_have(const struct walk *w, const struct deliver *d)
{
	if (d->kind == DELIVER_RELAY)
		return d->any || w->user.len <= WALK_USER_MAX;
	return w->user.len <= WALK_USER_MAX && address_path_safe(w->user);
}

void mailboxes_ask(struct walk *w)
{
	const struct deliver *d;

	if (w->domain == NULL || w->index >= w->domain->deliver_count) {
		resolve_without(w);
		return;
	}
	d = &w->domain->delivers[w->index];
	if (!may_have(w, d)) {
		w->index++;
	} else if (d->any && w->has_extension && !w->base) {
		w->index++; /* any takes every name, so none is the user's own: cut it first */
	} else if (d->any) {
		user_found(w, d);
	} else {
		w->waiting = true;
		w->users(slice_str(d->users), w->user, w->domain_name, user_heard, w);
	}
}
