/*
 * schema: every directive, described once. Parsing, printing, keys and the manual come from it.
 */
#ifndef COMMON_CONFIG_SCHEMA_H
#define COMMON_CONFIG_SCHEMA_H

#include "common/base/record.h"

/* Where a directive may stand: the file's top, or inside a block. */
enum schema_place {
	PLACE_NONE = 0,
	PLACE_TOP = 1,
	PLACE_LISTEN = 2,
	PLACE_DOMAIN = 4,
	PLACE_DELIVER = 8,
	PLACE_RETRY = 16,
	PLACE_LIMITS = 32,
	PLACE_PROCESSES = 64,
	PLACE_RELAY = 128,
	PLACE_OUTBOUND = 256,
	PLACE_RESOLVER = 512,
	PLACE_TLS = 1024,
	PLACE_AUTH = 2048,
	PLACE_SUBMISSION = 4096,
	PLACE_TIMEOUTS = 8192,
};

/* What its values are; value.c reads each. */
enum schema_type {
	TYPE_NOTHING,	/* only a block */
	TYPE_WORD,	/* one text of at most `most` octets */
	TYPE_PATH,	/* made absolute */
	TYPE_NUMBER,	/* least..most */
	TYPE_SIZE,	/* octets, least..most */
	TYPE_TIME,	/* microseconds, least..most */
	TYPE_CHOICE,	/* one of `choices` */
	TYPE_NETWORKS,	/* any number of address[/bits] */
	TYPE_HOSTS,	/* addresses, as networks of one */
	TYPE_DOMAINS,	/* domain names, made lower case */
	TYPE_TABLES,	/* table specs; file paths made absolute */
	TYPE_USERS,	/* one table spec, system or any */
	TYPE_LISTEN,	/* host:port and one of `choices` */
	TYPE_LOG,	/* target [path] [format] */
	TYPE_DELIVER,	/* maildir, and a path with % letters; or system, maildir or mbox, a path */
	TYPE_NEXT_HOPS, /* as table/next_hop; or the one word of `choices` */
	TYPE_OUTBOUND,	/* nothing; or from or to, and patterns */
	TYPE_SERVERS,	/* addresses with a port, that of the DNS when there is none */
	TYPE_CHOICES,	/* one or more of `choices` */
	TYPE_PASSWORDS, /* table specs; or pam SERVICE; or dovecot unix:PATH */
	TYPE_RATES,	/* one or two of NUMBER/h and NUMBER/d */
	TYPE_COUNT
};

/* A default that this machine gives. */
enum schema_machine { MACHINE_NONE, MACHINE_HOSTNAME, MACHINE_MAILNAME };

struct schema {
	const char *name;
	unsigned in;		 /* places, or-ed */
	enum schema_place opens; /* the place inside its block; PLACE_NONE: takes no block */
	enum schema_type type;
	bool list;	      /* may be repeated, and adds up */
	const char *fallback; /* as it would be written; NULL: none, or the machine's */
	enum schema_machine machine;
	uint64_t least, most;
	const char *choices;	     /* words separated by blanks; of a bool: yes no */
	const struct record *record; /* settings record that it fills one field of; may be NULL */
	const char *field;
	const char *help; /* one sentence, of the manual too */
};

enum { SCHEMA_MAX = 128 }; /* more than there are */
extern const struct schema schema[];
extern const size_t schema_count;

/* NULL: no such directive there. */
const struct schema *schema_find(enum schema_place place, struct slice name);
/* By key, "limits.message-size"; a directive of a block that is a list has no key. */
const struct schema *schema_by_key(struct slice key);
/* The directive that opens a place; NULL for PLACE_TOP. */
const struct schema *schema_opener(enum schema_place place);
/* The name that was probably meant: of that place, else of another (*elsewhere is that place);
 * NULL: nothing is near. */
const struct schema *schema_nearest(enum schema_place place, struct slice name,
				    enum schema_place *elsewhere);
/* The nearest key to a wrong one, as text; false: nothing is near. */
bool schema_nearest_key(struct slice key, char *nearest, size_t size);
/* The key of a directive at a place that has keys: "name", "block.name". */
void schema_key(const struct schema *s, char *key, size_t size);

/* Edit distance (insert, delete, replace, swap two neighbours); case does not count. Larger than
 * limit: limit + 1. */
unsigned edit_distance(struct slice a, struct slice b, unsigned limit);
/* How many edits a word of that length may be away to be offered. */
unsigned edit_tolerance(size_t len);

#endif
