/*
 * records: the tree as settings records, in the order of the file. Directives that fill one field
 * say so in the schema; the lists are done here, one function a kind.
 */
#include <sysexits.h>

#include "common/config/tree.h"

/* What is counted over the whole file. */
struct building {
	struct config *c;
	uint32_t domains, delivers; /* numbers given so far */
	struct error *e;
};

static void *add_item(struct building *b, const struct record *record)
{
	struct arena *a = &b->c->arena;
	struct item *item = arena_get(a, sizeof(*item));
	void *value = arena_get(a, record->size);
	if (!item || !value) {
		error_set(b->e, EX_CONFIG, "the configuration is too large");
		return NULL;
	}
	memset(value, 0, record->size);
	*item = (struct item){.record = record, .value = value};
	TAILQ_INSERT_TAIL(&b->c->items, item, link);
	return value;
}

static void set_field(const struct schema *s, const struct node *n, void *value)
{
	for (size_t i = 0; i < s->record->field_count; i++) {
		const struct record_field *field = &s->record->fields[i];
		char *at = (char *)value + field->offset;
		if (strcmp(field->name, s->field) != 0)
			continue;
		if (field->kind == RECORD_U64)
			memcpy(at, &n->number, sizeof(n->number));
		else if (field->kind == RECORD_U32)
			memcpy(at, &(uint32_t){(uint32_t)n->number}, sizeof(uint32_t));
		else
			memcpy(at, &n->texts[0], sizeof(n->texts[0]));
		return;
	}
	panic("the schema's field %s.%s is not there", s->record->name, s->field);
}

/* A record whose fields the schema names. */
static void *add_by_schema(struct building *b, const struct record *record)
{
	void *value = add_item(b, record);
	for (size_t i = 0; value && i < schema_count; i++)
		if (schema[i].record == record && b->c->by_key[i])
			set_field(&schema[i], b->c->by_key[i], value);
	return value;
}

static bool add_log(struct building *b)
{
	struct settings_log *log = add_by_schema(b, &settings_log_record);
	if (!log)
		return false;
	for (size_t i = 0; i < schema_count; i++) {
		if (schema[i].type == TYPE_LOG) {
			const struct slice *texts = b->c->by_key[i]->texts;
			log->target = texts[0];
			log->path = texts[1];
			log->format = texts[2];
		}
	}
	return true;
}

static bool add_listen(struct building *b, const struct node *n)
{
	struct settings_listen *listen = add_item(b, &settings_listen_record);
	const struct node *newline = node_find(&n->block, "bare-newline");
	if (!listen)
		return false;
	listen->address = n->texts[0];
	listen->kind = n->texts[1];
	listen->normalize = newline && slice_equal(newline->texts[0], SLICE("normalize"));
	return true;
}

static bool add_trust(struct building *b, const struct node *n)
{
	for (size_t i = 0; i < n->text_count; i++) {
		struct settings_network *network = add_item(b, &settings_network_record);
		if (!network)
			return false;
		network->role = SLICE("trust");
		network->network = n->texts[i];
	}
	return true;
}

static bool add_aliases(struct building *b, const struct node *n, uint32_t domain)
{
	for (size_t i = 0; i < n->text_count; i++) {
		struct settings_aliases *aliases = add_item(b, &settings_aliases_record);
		if (!aliases)
			return false;
		aliases->domain = domain;
		aliases->table = n->texts[i];
	}
	return true;
}

static bool add_deliver(struct building *b, const struct node *n, uint32_t domain)
{
	struct settings_deliver *deliver = add_item(b, &settings_deliver_record);
	const struct node *users = node_find(&n->block, "users");
	const struct node *owner = node_find(&n->block, "owner");
	if (!deliver)
		return false;
	deliver->number = ++b->delivers;
	deliver->domain = domain;
	deliver->kind = n->texts[0];
	template_split(n->texts[1], &deliver->base, &deliver->path); /* check judges it */
	deliver->base = arena_copy(&b->c->arena, deliver->base);
	deliver->users = users ? users->texts[0] : SLICE("");
	deliver->owner = owner ? owner->texts[0] : SLICE("");
	return deliver->base.ptr || error_set(b->e, EX_CONFIG, "the configuration is too large");
}

static bool add_domain(struct building *b, const struct node *n)
{
	uint32_t number = ++b->domains;
	for (size_t i = 0; i < n->text_count; i++) {
		struct settings_domain *domain = add_item(b, &settings_domain_record);
		if (!domain)
			return false;
		domain->number = number;
		domain->name = n->texts[i];
	}
	const struct node *inside;
	TAILQ_FOREACH (inside, &n->block, link) {
		bool deliver = inside->schema->type == TYPE_DELIVER;
		if (!(deliver ? add_deliver(b, inside, number) : add_aliases(b, inside, number)))
			return false;
	}
	return true;
}

bool records_build(struct config *c, struct error *e)
{
	struct building b = {.c = c, .e = e};
	const struct node *n;
	TAILQ_INIT(&c->items);
	if (!add_by_schema(&b, &settings_server_record) || !add_log(&b) ||
	    !add_by_schema(&b, &settings_limits_record) ||
	    !add_by_schema(&b, &settings_retry_record))
		return false;
	TAILQ_FOREACH (n, &c->nodes, link) {
		bool good = true;
		if (n->schema->type == TYPE_LISTEN)
			good = add_listen(&b, n);
		else if (n->schema->type == TYPE_NETWORKS)
			good = add_trust(&b, n);
		else if (n->schema->type == TYPE_TABLES)
			good = add_aliases(&b, n, 0);
		else if (n->schema->type == TYPE_DOMAINS)
			good = add_domain(&b, n);
		if (!good)
			return false;
	}
	return true;
}
