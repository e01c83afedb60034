/*
 * A book grows by settings records in any order: a domain's number is enough to begin it.
 */
#include "common/base/memory.h"
#include "daemons/router/book.h"

struct book_name {
	struct domain *domain;
	char name[];
};

struct book *book_new(void)
{
	struct book *b = memory_zero(1, sizeof(*b));

	b->holders = 1;
	b->hostname = memory_string(SLICE_EMPTY);
	b->origin = memory_string(SLICE_EMPTY);
	b->postmaster = memory_string(SLICE_EMPTY);
	b->names = map_new();
	b->domains = idmap_new();
	return b;
}

struct book *book_hold(struct book *b)
{
	b->holders++;
	return b;
}

static void list_free(struct alias_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		shelf_release(list->tables[i]);
	memory_free(list->tables);
}

static void domain_free(struct domain *d)
{
	list_free(&d->aliases);
	for (size_t i = 0; i < d->deliver_count; i++)
		memory_free(d->delivers[i].users);
	memory_free(d->delivers);
	memory_free(d);
}

void book_release(struct book **book)
{
	struct book *b = *book;
	struct slice key;
	void *value;
	uint64_t id;

	*book = NULL;
	if (b == NULL || --b->holders > 0)
		return;
	for (size_t at = 0; map_next(b->names, &at, &key, &value);) {
		map_remove(b->names, key);
		memory_free(value);
	}
	map_free(&b->names);
	for (size_t at = 0; idmap_next(b->domains, &at, &id, &value);)
		domain_free(value);
	idmap_free(&b->domains);
	list_free(&b->top);
	memory_free(b->hostname);
	memory_free(b->origin);
	memory_free(b->postmaster);
	memory_free(b->first);
	memory_free(b);
}

static void text_set(char **text, struct slice value)
{
	memory_free(*text);
	*text = memory_string(value);
}

static struct domain *domain_of(struct book *b, uint32_t number)
{
	struct domain *d = idmap_get(b->domains, number);

	if (d == NULL) {
		d = memory_zero(1, sizeof(*d));
		d->number = number;
		idmap_put(b->domains, number, d);
	}
	return d;
}

static void take_server(struct book *b, const struct settings_server *s)
{
	text_set(&b->hostname, s->hostname);
	text_set(&b->origin, s->origin);
	text_set(&b->postmaster, s->postmaster);
}

static void take_aliases(struct book *b, const struct settings_aliases *s)
{
	struct alias_list *list = s->domain ? &domain_of(b, s->domain)->aliases : &b->top;

	list->tables = memory_resize(list->tables, list->count + 1, sizeof(list->tables[0]));
	list->tables[list->count++] = shelf_take(s->table);
}

static void take_domain(struct book *b, const struct settings_domain *s)
{
	struct book_name *n;

	if (s->number == 0)
		return;
	n = memory_zero(1, sizeof(*n) + s->name.len + 1);
	n->domain = domain_of(b, s->number);
	slice_lower(s->name, n->name);
	if (b->first == NULL)
		b->first = memory_string(slice_str(n->name));
	memory_free(map_put(b->names, slice_str(n->name), n));
}

static void take_deliver(struct book *b, const struct settings_deliver *s)
{
	struct domain *d;

	if (s->domain == 0)
		return;
	d = domain_of(b, s->domain);
	d->delivers = memory_resize(d->delivers, d->deliver_count + 1, sizeof(d->delivers[0]));
	d->delivers[d->deliver_count++] = (struct deliver){
	    .number = s->number,
	    .any = slice_equal(s->users, SLICE("any")),
	    .users = memory_string(s->users),
	};
}

void book_setting(struct book *b, const struct record *record, const void *value)
{
	if (record == &settings_server_record)
		take_server(b, value);
	else if (record == &settings_aliases_record)
		take_aliases(b, value);
	else if (record == &settings_domain_record)
		take_domain(b, value);
	else if (record == &settings_deliver_record)
		take_deliver(b, value);
}

const struct domain *book_domain(const struct book *b, struct slice name)
{
	char lower[HOST_NAME_MAX_OCTETS];
	const struct book_name *n;

	if (name.len == 0 || name.len > sizeof(lower))
		return NULL;
	slice_lower(name, lower);
	n = map_get(b->names, slice_make(lower, name.len));
	if (n != NULL)
		return n->domain;
	return slice_equal_fold(name, slice_str(b->hostname)) ? &b->host : NULL;
}
