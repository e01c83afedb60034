/*
 * print: the tree as text again, every value canonical, in the schema's order.
 */
#include <sysexits.h>

#include "common/config/tree.h"

enum { LINE_MAX_OCTETS = 16 * 1024 * 1024 }; /* of one statement with its block */

struct printing {
	const struct config *c;
	bool changed; /* only what is not as by default */
	struct buffer text;
	config_text_call *call;
	void *arg;
};

static void hand_over(struct printing *p)
{
	if (p->text.len > 0)
		p->call(p->arg, buffer_slice(&p->text));
	buffer_reset(&p->text);
}

static void add(struct printing *p, const char *text)
{
	buffer_append(&p->text, slice_str(text));
}

static void print_indent(struct printing *p, unsigned depth)
{
	while (depth-- > 0)
		add(p, "\t");
}

static void print_head(struct printing *p, const struct node *n)
{
	add(p, n->schema->name);
	for (size_t i = 0; i < n->text_count; i++) {
		if (n->schema->type == TYPE_LOG && n->texts[i].len == 0)
			continue; /* the path of what is no file */
		add(p, " ");
		value_print(n, i, &p->text);
	}
}

/* A statement as it was given, with its block. */
static void print_node(struct printing *p, const struct node *n, unsigned depth)
{
	const struct node *inside;
	print_indent(p, depth);
	print_head(p, n);
	if (!TAILQ_EMPTY(&n->block)) {
		add(p, " {\n");
		TAILQ_FOREACH (inside, &n->block, link)
			print_node(p, inside, depth + 1);
		print_indent(p, depth);
		add(p, "}");
	}
	add(p, "\n");
}

static bool same_values(const struct node *a, const struct node *b)
{
	if (a->text_count != b->text_count)
		return false;
	for (size_t i = 0; i < a->text_count; i++)
		if (!slice_equal(a->texts[i], b->texts[i]))
			return false;
	return true;
}

/* The node of a directive with a key, when it is to be printed; else NULL. */
static const struct node *shown(const struct printing *p, const struct schema *s)
{
	const struct node *n = p->c->by_key[s - schema], *usual = p->c->defaults[s - schema];
	return n && p->changed && usual && same_values(n, usual) ? NULL : n;
}

static void print_one(struct printing *p, const struct schema *opener, const struct node *n,
		      const struct schema *only, bool *open)
{
	if (!*open) {
		add(p, opener->name);
		add(p, only ? " { " : " {\n");
	}
	*open = true;
	print_indent(p, only ? 0 : 1);
	print_head(p, n);
	add(p, !only ? "\n" : n->schema->list ? "; " : " ");
}

/* A directive of a block that has keys; of a list, all its statements. */
static void print_inside(struct printing *p, const struct schema *opener, const struct schema *s,
			 const struct schema *only, bool *open)
{
	const struct node *block = node_find(&p->c->nodes, opener->name), *n;
	if (!s->list && shown(p, s))
		print_one(p, opener, shown(p, s), only, open);
	if (!s->list || !block)
		return;
	TAILQ_FOREACH (n, &block->block, link)
		if (n->schema == s)
			print_one(p, opener, n, only, open);
}

/* A block whose directives have keys: on lines of its own, or, for one key, on one line. */
static void print_single_block(struct printing *p, const struct schema *opener,
			       const struct schema *only)
{
	bool open = false;
	for (size_t i = 0; i < schema_count; i++) {
		const struct schema *s = &schema[i];
		if ((s->in & opener->opens) && (!only || s == only))
			print_inside(p, opener, s, only, &open);
	}
	if (open)
		add(p, "}\n");
}

static void print_top(struct printing *p, const struct schema *s)
{
	const struct node *n;
	if (s->list) {
		TAILQ_FOREACH (n, &p->c->nodes, link) {
			if (n->schema == s && (n->text_count > 0 || s->opens != PLACE_NONE))
				print_node(p, n, 0);
			hand_over(p);
		}
	} else if (s->opens != PLACE_NONE) {
		print_single_block(p, s, NULL);
	} else if (shown(p, s)) {
		print_head(p, shown(p, s));
		add(p, "\n");
	}
	hand_over(p);
}

static bool unknown_key(const char *key, struct error *e)
{
	char nearest[128];
	if (schema_nearest_key(slice_str(key), nearest, sizeof(nearest)))
		return error_set(e, EX_USAGE, "there is no directive `%.80s`; did you mean `%s`?",
				 key, nearest);
	return error_set(e, EX_USAGE, "there is no directive `%.80s`; see stagepost.conf(5)", key);
}

bool config_print(const struct config *config, const char *key, bool changed,
		  config_text_call *call, void *arg, struct error *e)
{
	struct printing p = {.c = config, .changed = changed, .call = call, .arg = arg};
	const struct schema *only = key ? schema_by_key(slice_str(key)) : NULL;
	if (key && !only)
		return unknown_key(key, e);
	buffer_init(&p.text, LINE_MAX_OCTETS);
	if (only && !(only->in & PLACE_TOP)) {
		print_single_block(&p, schema_opener(only->in), only);
		hand_over(&p);
	}
	for (size_t i = 0; i < schema_count; i++)
		if ((schema[i].in & PLACE_TOP) && (!only || only == &schema[i]))
			print_top(&p, &schema[i]);
	buffer_free(&p.text);
	return true;
}
