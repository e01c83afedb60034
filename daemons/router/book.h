/*
 * book: the settings as router looks things up in them: domains with their alias tables, routes
 * tables and deliver statements in order, and the outbound statements. Built anew for each set of
 * settings; whoever is in the middle of a question holds the book that it began with.
 */
#ifndef DAEMONS_ROUTER_BOOK_H
#define DAEMONS_ROUTER_BOOK_H

#include "common/base/map.h"
#include "common/config/settings.h"
#include "daemons/router/shelf.h"

struct table_list {
	struct shelf_table **tables;
	size_t count;
};

enum deliver_kind { DELIVER_LOCAL, DELIVER_SYSTEM, DELIVER_RELAY };

struct deliver {
	uint32_t number;
	enum deliver_kind kind;
	bool any;	/* every name is a user */
	char *users;	/* spec of the table, when not any; system: the machine's users */
	char *next_hop; /* of relay, as in dialogue/router.h; NULL: the domain's own MX hosts */
};

/* A `domain` statement; it may have several names. */
struct domain {
	uint32_t number;
	struct table_list aliases, routes;
	struct deliver *delivers;
	size_t deliver_count;
};

enum direction { OUTBOUND_ALL, OUTBOUND_FROM, OUTBOUND_TO };

/* An `outbound` statement. */
struct outbound {
	uint32_t number;
	enum direction direction;
	struct map *patterns;	  /* address, domain or .domain -> its text */
	struct table_list tables; /* whose keys are such patterns */
	char *via;		  /* next hop; NULL: the MX hosts of the recipient's domain */
};

struct book {
	unsigned holders;
	char *hostname, *origin, *postmaster; /* never NULL */
	char *first;			      /* name of the first domain; NULL: there is none */
	struct table_list top;		      /* aliases of names without a domain */
	struct table_list senders;	      /* ADDRESS or @DOMAIN -> who else may send as it */
	struct domain host;		      /* hostname, when it is no `domain` itself */
	struct map *names;		      /* folded name -> entry of book.c */
	struct idmap *domains;		      /* number -> struct domain */
	struct outbound *outbounds;	      /* in the order of the file */
	size_t outbound_count;
};

struct book *book_new(void); /* held once */
struct book *book_hold(struct book *b);
void book_release(struct book **b); /* NULL is fine */

/* One settings record of the kinds that concern routing; others are passed over. */
void book_setting(struct book *b, const struct record *record, const void *value);

/* The domain of that name, in any case of letters and with U-labels or A-labels: a `domain`, or the
 * host itself. canonical: as the configuration has it, lower case. NULL: not ours. */
const struct domain *book_domain(const struct book *b, struct slice name, struct slice *canonical);

#endif
