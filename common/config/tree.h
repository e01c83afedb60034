/*
 * tree: the statements after the schema has been laid over them: each node knows its directive and
 * its values in canonical form; defaults are filled in.
 */
#ifndef COMMON_CONFIG_TREE_H
#define COMMON_CONFIG_TREE_H

#include "common/base/buffer.h"
#include "common/config/config.h"
#include "common/config/schema.h"
#include "common/config/text.h"

TAILQ_HEAD(node_list, node);
struct node {
	TAILQ_ENTRY(node) link;
	const struct schema *schema;
	const struct text_statement *statement; /* NULL: a default */
	struct slice *texts;			/* canonical values, NUL-terminated */
	size_t text_count;
	uint64_t number; /* of TYPE_NUMBER, SIZE, TIME */
	struct node_list block;
};

/* One settings record. */
TAILQ_HEAD(item_list, item);
struct item {
	TAILQ_ENTRY(item) link;
	const struct record *record;
	void *value;
};

enum { CONFIG_MEMORY_MAX = 64 * 1024 * 1024 }; /* octets of everything below */

struct config {
	struct arena arena;
	const char *path, *directory; /* absolute; directory ends with '/' */
	size_t text_size;	      /* read so far, of all files */
	const char *machine[MACHINE_MAILNAME + 1];
	struct node_list nodes;
	/* Those that have a key, by their place in the schema: what the file says, else the
	 * default; NULL: neither. */
	const struct node *by_key[SCHEMA_MAX];
	const struct node *defaults[SCHEMA_MAX];
	struct item_list items;
	config_report_call *report; /* hears what the schema refuses; NULL: the first ends it */
	void *report_arg;
	unsigned faults;
};

bool tree_build(struct config *c, const struct text_list *statements, struct error *e);
/* The one node of that directive in a block; NULL: not given. */
const struct node *node_find(const struct node_list *list, const char *name);
bool node_is(const struct node *n, const char *name);
/* Who exists for a deliver or relay: what it says itself, else its domain; NULL: nobody says. */
const struct node *node_users(const struct node *domain, const struct node *n);
/* Where a node stands; of a default: the file as a whole. */
void node_place(const struct config *c, const struct node *n, char place[CONFIG_PLACE_SIZE]);

/* value.c: fills n->texts and n->number from the values. */
bool value_read(struct config *c, struct node *n, const struct text_value *values, size_t count,
		struct text_place place, struct error *e);
/* One value as it is written in the file, quoted where it must be. */
bool value_print(const struct node *n, size_t at, struct buffer *out);
const char *value_syntax(const struct schema *s); /* "SIZE", of the manual */
bool size_parse(struct slice text, uint64_t *octets);
bool time_parse(struct slice text, uint64_t *us);
void size_text(uint64_t octets, char *text, size_t size);
void time_text(uint64_t us, char *text, size_t size);

/* network.c: "address/bits" in canonical form; NULL, or what is wrong. */
enum { NETWORK_TEXT_SIZE = 64 };
const char *network_parse(struct slice text, char canonical[NETWORK_TEXT_SIZE]);
bool network_is_host(const char *canonical); /* are all its bits given? */
/* A DNS server's address as address:port; NULL, or what is wrong. */
const char *server_parse(struct slice text, char canonical[NETWORK_TEXT_SIZE]);
/* host:port of a listener: *, IPv4 or [IPv6]; NULL, or what is wrong. */
const char *listen_fault(struct slice text);

/* Does `users` name a table, not any or system? */
bool users_is_table(struct slice users);

/* template.c: the path of a deliver, split at the directory before the first %; NULL, or why mail
 * must not be delivered there. */
const char *template_split(struct slice path, struct slice *base, struct slice *rest);
/* The same for the users of this machine: ~/ and a path below, or a path with %n or %u. */
const char *template_system_fault(struct slice path);

/* records.c */
bool records_build(struct config *c, struct error *e);
/* A directory's absolute path without "." and "//"; NULL: memory. */
const char *path_absolute(struct arena *a, const char *directory, struct slice path);

#endif
