/*
 * records_domain: what stands in a domain, as settings records. Deliver and relay are one sequence,
 * numbered over the whole file.
 */
#include "common/config/records.h"

bool records_aliases(struct building *b, const struct node *n, uint32_t domain)
{
	for (size_t i = 0; i < n->text_count; i++) {
		struct settings_aliases *aliases = records_add(b, &settings_aliases_record);
		if (!aliases)
			return false;
		aliases->domain = domain;
		aliases->table = n->texts[i];
	}
	return true;
}

static bool add_routes(struct building *b, const struct node *n, uint32_t domain)
{
	for (size_t i = 0; i < n->text_count; i++) {
		struct settings_routes *routes = records_add(b, &settings_routes_record);
		if (!routes)
			return false;
		routes->domain = domain;
		routes->table = n->texts[i];
	}
	return true;
}

/* What deliver and relay have in common. */
static struct settings_deliver *add_way(struct building *b, const struct node *domain,
					const struct node *n)
{
	struct settings_deliver *way = records_add(b, &settings_deliver_record);
	const struct node *users = node_users(domain, n);
	if (!way)
		return NULL;
	way->number = ++b->delivers;
	way->domain = b->domains;
	way->kind = way->base = way->path = way->owner = way->next_hop = SLICE("");
	way->users = users ? users->texts[0] : SLICE("");
	return way;
}

static bool add_deliver(struct building *b, const struct node *domain, const struct node *n)
{
	struct settings_deliver *deliver = add_way(b, domain, n);
	const struct node *owner = node_find(&n->block, "owner");
	if (!deliver)
		return false;
	if (slice_equal(n->texts[0], SLICE("system"))) {
		bool mbox = slice_equal(n->texts[1], SLICE("mbox"));
		deliver->kind = mbox ? SLICE("system-mbox") : SLICE("system-maildir");
		deliver->path = n->texts[2];
		return true;
	}
	deliver->kind = n->texts[0];
	template_split(n->texts[1], &deliver->base, &deliver->path); /* check judges it */
	deliver->base = arena_copy(&b->c->arena, deliver->base);
	deliver->owner = owner ? owner->texts[0] : SLICE("");
	return deliver->base.ptr || records_full(b);
}

static bool add_relay(struct building *b, const struct node *domain, const struct node *n)
{
	struct settings_deliver *relay = add_way(b, domain, n);
	if (!relay)
		return false;
	relay->kind = SLICE("relay");
	return records_join(b, n, 0, NEXT_HOP_MAX, &relay->next_hop);
}

bool records_domain(struct building *b, const struct node *n)
{
	uint32_t number = ++b->domains;
	for (size_t i = 0; i < n->text_count; i++) {
		struct settings_domain *domain = records_add(b, &settings_domain_record);
		if (!domain)
			return false;
		domain->number = number;
		domain->name = n->texts[i];
	}
	const struct node *inside;
	TAILQ_FOREACH (inside, &n->block, link) {
		bool good = true;
		if (node_is(inside, "deliver"))
			good = add_deliver(b, n, inside);
		else if (node_is(inside, "relay"))
			good = add_relay(b, n, inside);
		else if (node_is(inside, "routes"))
			good = add_routes(b, inside, number);
		else if (node_is(inside, "aliases"))
			good = records_aliases(b, inside, number);
		if (!good)
			return false;
	}
	return true;
}
