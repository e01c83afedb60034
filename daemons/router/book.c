/*
 * A book grows by settings records in any order: a domain's number is enough to begin it.
 */
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/config/pattern.h"
#include "common/mail/idna.h"
#include "daemons/router/book.h"

struct book_name {
	struct domain *domain;
	char *name; /* as the configuration has it, lower case */
	char key[];
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

static void list_free(struct table_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		shelf_release(list->tables[i]);
	memory_free(list->tables);
}

static void name_free(struct book_name *n)
{
	if (n == NULL)
		return;
	memory_free(n->name);
	memory_free(n);
}

static void domain_free(struct domain *d)
{
	list_free(&d->aliases);
	list_free(&d->routes);
	for (size_t i = 0; i < d->deliver_count; i++) {
		memory_free(d->delivers[i].users);
		memory_free(d->delivers[i].next_hop);
	}
	memory_free(d->delivers);
	memory_free(d);
}

static void outbound_free(struct outbound *o)
{
	struct slice key;
	void *value;

	for (size_t at = 0; map_next(o->patterns, &at, &key, &value);) {
		map_remove(o->patterns, key);
		memory_free(value);
	}
	map_free(&o->patterns);
	list_free(&o->tables);
	memory_free(o->via);
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
		name_free(value);
	}
	map_free(&b->names);
	for (size_t at = 0; idmap_next(b->domains, &at, &id, &value);)
		domain_free(value);
	idmap_free(&b->domains);
	for (size_t i = 0; i < b->outbound_count; i++)
		outbound_free(&b->outbounds[i]);
	memory_free(b->outbounds);
	list_free(&b->top);
	list_free(&b->senders);
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

static void list_add(struct table_list *list, struct slice spec, enum table_use use)
{
	list->tables = memory_resize(list->tables, list->count + 1, sizeof(list->tables[0]));
	list->tables[list->count++] = shelf_take(spec, use);
}

static void take_aliases(struct book *b, const struct settings_aliases *s)
{
	list_add(s->domain ? &domain_of(b, s->domain)->aliases : &b->top, s->table, TABLE_ALIASES);
}

static void take_routes(struct book *b, const struct settings_routes *s)
{
	if (s->domain != 0)
		list_add(&domain_of(b, s->domain)->routes, s->table, TABLE_ROUTES);
}

static void take_senders(struct book *b, const struct settings_senders *s)
{
	list_add(&b->senders, s->table, TABLE_PLAIN);
}

static void put_name(struct book *b, struct slice key, struct slice name, struct domain *d)
{
	struct book_name *n = memory_get(sizeof(*n) + key.len);

	n->domain = d;
	n->name = memory_string(name);
	slice_lower(name, n->name);
	memcpy(n->key, key.ptr, key.len);
	name_free(map_put(b->names, slice_make(n->key, key.len), n));
}

static void take_domain(struct book *b, const struct settings_domain *s)
{
	char ascii_text[ADDRESS_SIZE];
	struct slice ascii;

	if (s->number == 0 || s->name.len > HOST_NAME_MAX_OCTETS)
		return;
	if (!idna_ascii(s->name, ascii_text, &ascii)) {
		log_error("domain %.*s is no domain name", SLICE_FMT(s->name));
		return;
	}
	put_name(b, ascii, s->name, domain_of(b, s->number));
	if (b->first == NULL)
		b->first = memory_string(ascii);
}

static enum deliver_kind kind_of(struct slice kind)
{
	if (slice_equal(kind, SLICE("relay")))
		return DELIVER_RELAY;
	return slice_starts(kind, SLICE("system-")) ? DELIVER_SYSTEM : DELIVER_LOCAL;
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
	    .kind = kind_of(s->kind),
	    .any = slice_equal(s->users, SLICE("any")),
	    .users = memory_string(s->users),
	    .next_hop = slice_equal(s->next_hop, SLICE("mx")) || s->next_hop.len == 0
			    ? NULL
			    : memory_string(s->next_hop),
	};
}

static struct outbound *outbound_of(struct book *b, const struct settings_outbound *s)
{
	struct outbound *o;

	if (b->outbound_count > 0 && b->outbounds[b->outbound_count - 1].number == s->number)
		return &b->outbounds[b->outbound_count - 1];
	b->outbounds = memory_resize(b->outbounds, b->outbound_count + 1, sizeof(b->outbounds[0]));
	o = &b->outbounds[b->outbound_count++];
	*o = (struct outbound){
	    .number = s->number,
	    .direction = slice_equal(s->direction, SLICE("from")) ? OUTBOUND_FROM
			 : slice_equal(s->direction, SLICE("to")) ? OUTBOUND_TO
								  : OUTBOUND_ALL,
	    .patterns = map_new(),
	    .via = s->via.len > 0 ? memory_string(s->via) : NULL,
	};
	return o;
}

/* An address, a domain or .domain: what is before the domain, folded, and its A-labels. */
static void take_pattern(struct outbound *o, struct slice pattern)
{
	char *text, ascii_text[ADDRESS_SIZE];
	size_t at = slice_find_last(pattern, '@');
	size_t before = at < pattern.len ? at + 1 : slice_starts(pattern, SLICE(".")) ? 1 : 0;
	struct slice ascii;

	if (!idna_ascii(slice_from(pattern, before), ascii_text, &ascii)) {
		log_error("outbound: %.*s is no address and no domain", SLICE_FMT(pattern));
		return;
	}
	text = memory_get(before + ascii.len);
	slice_lower(slice_sub(pattern, 0, before), text);
	memcpy(text + before, ascii.ptr, ascii.len);
	memory_free(map_put(o->patterns, slice_make(text, before + ascii.len), text));
}

/* One record for each pattern of a statement, all of them in a row. */
static void take_outbound(struct book *b, const struct settings_outbound *s)
{
	struct outbound *o = outbound_of(b, s);

	if (s->pattern.len == 0)
		return;
	if (pattern_is_table(s->pattern))
		list_add(&o->tables, s->pattern, TABLE_PLAIN);
	else
		take_pattern(o, s->pattern);
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
	else if (record == &settings_routes_record)
		take_routes(b, value);
	else if (record == &settings_outbound_record)
		take_outbound(b, value);
	else if (record == &settings_senders_record)
		take_senders(b, value);
}

const struct domain *book_domain(const struct book *b, struct slice name, struct slice *canonical)
{
	char text[ADDRESS_SIZE];
	struct slice ascii;
	const struct book_name *n;

	if (!idna_ascii(name, text, &ascii))
		return NULL;
	n = map_get(b->names, ascii);
	*canonical = slice_str(n != NULL ? n->name : b->hostname);
	if (n != NULL)
		return n->domain;
	return slice_equal_fold(ascii, *canonical) ? &b->host : NULL;
}
