/*
 * tree: lays the schema over the statements. Refuses what the schema lacks, with the nearest word
 * it has, and what is given twice; then fills in the defaults.
 */
#include <sysexits.h>

#include "common/config/tree.h"

static bool out_of_memory(struct error *e)
{
	return error_set(e, EX_CONFIG, "the configuration is too large");
}

static bool unknown_directive(enum schema_place place, const struct text_value *name,
			      struct error *e)
{
	enum schema_place elsewhere;
	const struct schema *near = schema_nearest(place, name->text, &elsewhere);
	struct slice shown = slice_sub(name->text, 0, 80);
	if (near && elsewhere == PLACE_TOP)
		return text_error(e, name->place, "`%.*s` stands outside of all blocks",
				  SLICE_FMT(shown));
	if (near && elsewhere != PLACE_NONE)
		return text_error(e, name->place, "`%.*s` stands inside `%s { }`", SLICE_FMT(shown),
				  schema_opener(elsewhere)->name);
	if (near)
		return text_error(e, name->place, "unknown directive `%.*s`; did you mean `%s`?",
				  SLICE_FMT(shown), near->name);
	return text_error(e, name->place, "unknown directive `%.*s`; see stagepost.conf(5)",
			  SLICE_FMT(shown));
}

static struct node *new_node(struct config *c, const struct schema *s,
			     const struct text_statement *statement)
{
	struct node *n = arena_get(&c->arena, sizeof(*n));
	if (!n)
		return NULL;
	*n = (struct node){.schema = s, .statement = statement};
	TAILQ_INIT(&n->block);
	return n;
}

static bool check_shape(const struct schema *s, const struct text_statement *t,
			const struct node_list *list, struct error *e)
{
	if (t->has_block && s->opens == PLACE_NONE)
		return text_error(e, t->name.place, "`%s` takes no block", s->name);
	if (!t->has_block && s->type == TYPE_NOTHING)
		return text_error(e, t->name.place, "`%s` needs a block: %s { ... }", s->name,
				  s->name);
	const struct node *first = s->list ? NULL : node_find(list, s->name);
	if (!first)
		return true;
	struct text_place place = first->statement->name.place;
	return text_error(e, t->name.place, "`%s` is given twice; first at %s:%u:%u", s->name,
			  place.file, place.line, place.column);
}

static bool apply(struct config *c, enum schema_place place, const struct text_list *statements,
		  struct node_list *list, struct error *e);

static bool apply_one(struct config *c, enum schema_place place, const struct text_statement *t,
		      struct node_list *list, struct error *e)
{
	const struct schema *s = schema_find(place, t->name.text);
	if (!s)
		return unknown_directive(place, &t->name, e);
	if (!check_shape(s, t, list, e))
		return false;
	struct node *n = new_node(c, s, t);
	if (!n)
		return out_of_memory(e);
	if (!value_read(c, n, t->values, t->value_count, t->name.place, e))
		return false;
	TAILQ_INSERT_TAIL(list, n, link);
	return s->opens == PLACE_NONE || apply(c, s->opens, &t->block, &n->block, e);
}

/* The text of an error begins with its place: "file:line:column: ". */
static void report(struct config *c, const char *file, const struct error *e)
{
	char place[ERROR_TEXT_SIZE];
	size_t at = strncmp(e->text, file, strlen(file)) == 0 ? strlen(file) : 0;
	const char *end = strstr(e->text + at, ": ");
	slice_copy(slice_make(e->text, end ? (size_t)(end - e->text) : 0), place, sizeof(place));
	c->report(c->report_arg, CONFIG_ERROR, place, end ? end + 2 : e->text);
}

/* With a report all statements are looked at; e keeps the last fault. */
static bool apply(struct config *c, enum schema_place place, const struct text_list *statements,
		  struct node_list *list, struct error *e)
{
	const struct text_statement *t;
	bool good = true;
	TAILQ_FOREACH (t, statements, link) {
		unsigned before = c->faults;
		if (apply_one(c, place, t, list, e))
			continue;
		good = false;
		if (!c->report || c->faults == CONFIG_FAULTS_MAX)
			return false;
		if (c->faults > before)
			continue; /* inside of its block, and reported there */
		c->faults++;
		report(c, t->name.place.file, e);
	}
	return good;
}

bool node_is(const struct node *n, const char *name)
{
	return strcmp(n->schema->name, name) == 0;
}

const struct node *node_find(const struct node_list *list, const char *name)
{
	const struct node *n;
	TAILQ_FOREACH (n, list, link)
		if (node_is(n, name))
			return n;
	return NULL;
}

const struct node *node_users(const struct node *domain, const struct node *n)
{
	const struct node *own = node_find(&n->block, "users");
	return own ? own : node_find(&domain->block, "users");
}

/* The default as a node: its words are read as if they stood in the file. */
static struct node *default_node(struct config *c, const struct schema *s, struct error *e)
{
	enum { FALLBACK_WORDS = 4 };
	struct text_value values[FALLBACK_WORDS];
	size_t count = 0;
	struct text_place place = {c->path, 0, 0};
	struct slice text = slice_str(s->machine ? c->machine[s->machine] : s->fallback);
	struct node *n = new_node(c, s, NULL);
	if (!n) {
		out_of_memory(e);
		return NULL;
	}
	if (s->type == TYPE_WORD)
		values[count++] = (struct text_value){text, place};
	else
		for (struct slice word; (word = slice_word(&text)).len > 0;)
			values[count++] = (struct text_value){word, place};
	return value_read(c, n, values, count, place, e) ? n : NULL;
}

static bool has_key(const struct schema *s)
{
	char key[128];
	schema_key(s, key, sizeof(key));
	return !s->list && schema_by_key(slice_str(key)) == s;
}

static bool fill_key(struct config *c, size_t at, struct error *e)
{
	const struct schema *s = &schema[at];
	const struct node_list *list = &c->nodes;
	if (!has_key(s) || s->type == TYPE_NOTHING)
		return true;
	if (!(s->in & PLACE_TOP)) {
		const struct node *block = node_find(&c->nodes, schema_opener(s->in)->name);
		list = block ? &block->block : NULL;
	}
	if (s->fallback || s->machine) {
		c->defaults[at] = default_node(c, s, e);
		if (!c->defaults[at])
			return false;
	}
	const struct node *given = list ? node_find(list, s->name) : NULL;
	c->by_key[at] = given ? given : c->defaults[at];
	return true;
}

bool tree_build(struct config *c, const struct text_list *statements, struct error *e)
{
	TAILQ_INIT(&c->nodes);
	if (!apply(c, PLACE_TOP, statements, &c->nodes, e))
		return false;
	for (size_t i = 0; i < schema_count; i++)
		if (!fill_key(c, i, e))
			return false;
	return true;
}
