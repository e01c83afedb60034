/*
 * records: the tree as settings records, in the order of the file. Directives that fill one field
 * say so in the schema; the lists are done here and in records_domain.c, one function a kind.
 */
#include <sysexits.h>

#include "common/config/records.h"

bool records_full(struct building *b)
{
	return error_set(b->e, EX_CONFIG, "the configuration is too large");
}

void *records_add(struct building *b, const struct record *record)
{
	struct arena *a = &b->c->arena;
	struct item *item = arena_get(a, sizeof(*item));
	void *value = arena_get(a, record->size);
	if (!item || !value) {
		records_full(b);
		return NULL;
	}
	memset(value, 0, record->size);
	*item = (struct item){.record = record, .value = value};
	TAILQ_INSERT_TAIL(&b->c->items, item, link);
	return value;
}

bool records_join(struct building *b, const struct node *n, size_t from, size_t most,
		  struct slice *joined)
{
	size_t len = joined->len;
	for (size_t i = from; i < n->text_count; i++)
		len += n->texts[i].len + 1;
	char *text = arena_get(&b->c->arena, len + 1);
	if (!text)
		return records_full(b);
	size_t at = joined->len;
	if (at > 0)
		memcpy(text, joined->ptr, at);
	for (size_t i = from; i < n->text_count; i++) {
		if (at > 0)
			text[at++] = ' ';
		memcpy(text + at, n->texts[i].ptr, n->texts[i].len);
		at += n->texts[i].len;
	}
	text[at] = '\0';
	*joined = slice_make(text, at);
	return at <= most || text_error(b->e, n->statement->name.place, "`%s`: at most %zu octets",
					n->schema->name, most);
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
		else if (field->kind == RECORD_BOOL)
			memcpy(at, &(bool){slice_equal(n->texts[0], SLICE("yes"))}, sizeof(bool));
		else
			memcpy(at, &n->texts[0], sizeof(n->texts[0]));
		return;
	}
	panic("the schema's field %s.%s is not there", s->record->name, s->field);
}

/* A record whose fields the schema names. */
static void *add_by_schema(struct building *b, const struct record *record)
{
	void *value = records_add(b, record);
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
	struct settings_listen *listen = records_add(b, &settings_listen_record);
	const struct node *newline = node_find(&n->block, "bare-newline");
	if (!listen)
		return false;
	listen->address = n->texts[0];
	listen->kind = n->texts[1];
	listen->normalize = newline && slice_equal(newline->texts[0], SLICE("normalize"));
	return true;
}

static bool add_networks(struct building *b, const struct node *n)
{
	for (size_t i = 0; i < n->text_count; i++) {
		struct settings_network *network = records_add(b, &settings_network_record);
		if (!network)
			return false;
		network->role = slice_str(n->schema->name);
		network->network = n->texts[i];
	}
	return true;
}

/* One record a pattern; a statement without one is for all mail. */
static bool add_outbound(struct building *b, const struct node *n)
{
	const struct node *via = node_find(&n->block, "via");
	struct slice hops = SLICE("");
	uint32_t number = ++b->outbounds;
	if (via && !records_join(b, via, 0, NEXT_HOP_MAX, &hops))
		return false;
	for (size_t i = 1; i < n->text_count || i == 1; i++) {
		struct settings_outbound *outbound = records_add(b, &settings_outbound_record);
		bool all = n->text_count == 0;
		if (!outbound)
			return false;
		outbound->number = number;
		outbound->direction = all ? SLICE("") : n->texts[0];
		outbound->pattern = all ? SLICE("") : n->texts[i];
		outbound->via = hops;
	}
	return true;
}

static bool add_resolver(struct building *b)
{
	struct settings_resolver *resolver = add_by_schema(b, &settings_resolver_record);
	const struct node *block = node_find(&b->c->nodes, "resolver"), *n;
	if (!resolver)
		return false;
	resolver->servers = resolver->insecure = resolver->anchor = SLICE("");
	if (!block)
		return true;
	TAILQ_FOREACH (n, &block->block, link) {
		bool good = true;
		if (node_is(n, "server"))
			good = records_join(b, n, 0, SERVERS_MAX, &resolver->servers);
		else if (node_is(n, "insecure"))
			good = records_join(b, n, 0, INSECURE_MAX, &resolver->insecure);
		else if (node_is(n, "anchor"))
			resolver->anchor = n->texts[0];
		if (!good)
			return false;
	}
	return true;
}

static bool add_retry(struct building *b)
{
	struct settings_retry *retry = add_by_schema(b, &settings_retry_record);
	if (!retry)
		return false;
	if (retry->give_up_bounces > retry->give_up)
		retry->give_up_bounces = retry->give_up;
	return true;
}

/* What is there only when its block is. */
static bool add_blocks(struct building *b)
{
	const struct node *tls = node_find(&b->c->nodes, "tls");
	const struct node *auth = node_find(&b->c->nodes, "auth");
	const struct node *submission = node_find(&b->c->nodes, "submission");
	if (tls && !records_tls(b, tls))
		return false;
	if (auth) {
		struct settings_auth *record = add_by_schema(b, &settings_auth_record);
		if (!record || !records_auth(b, auth, record))
			return false;
	}
	struct settings_submission *record = add_by_schema(b, &settings_submission_record);
	return record && (!submission || records_submission(b, submission, record));
}

static bool add_statement(struct building *b, const struct node *n)
{
	switch (n->schema->type) {
	case TYPE_LISTEN:
		return add_listen(b, n);
	case TYPE_NETWORKS:
	case TYPE_HOSTS:
		return add_networks(b, n);
	case TYPE_TABLES:
		return records_aliases(b, n, 0);
	case TYPE_DOMAINS:
		return records_domain(b, n);
	case TYPE_OUTBOUND:
		return add_outbound(b, n);
	default:
		return true;
	}
}

bool records_build(struct config *c, struct error *e)
{
	struct building b = {.c = c, .e = e};
	const struct node *n;
	TAILQ_INIT(&c->items);
	if (!add_by_schema(&b, &settings_server_record) || !add_log(&b) ||
	    !add_by_schema(&b, &settings_limits_record) || !add_retry(&b) ||
	    !add_by_schema(&b, &settings_timeouts_record) || !add_resolver(&b) || !add_blocks(&b))
		return false;
	TAILQ_FOREACH (n, &c->nodes, link)
		if (!add_statement(&b, n))
			return false;
	return true;
}
