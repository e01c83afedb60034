/*
 * book: the settings as router looks things up in them: domains, their alias tables in order, their
 * deliver statements in order. Built anew for each set of settings; whoever is in the middle of a
 * question holds the book that it began with.
 */
#ifndef DAEMONS_ROUTER_BOOK_H
#define DAEMONS_ROUTER_BOOK_H

#include "common/base/map.h"
#include "common/config/settings.h"
#include "daemons/router/shelf.h"

struct alias_list {
	struct shelf_table **tables;
	size_t count;
};

struct deliver {
	uint32_t number;
	bool any;    /* every name is a user */
	char *users; /* spec of the table, when not any */
};

/* A `domain` statement; it may have several names. */
struct domain {
	uint32_t number;
	struct alias_list aliases;
	struct deliver *delivers;
	size_t deliver_count;
};

struct book {
	unsigned holders;
	char *hostname, *origin, *postmaster; /* never NULL */
	char *first;			      /* name of the first domain; NULL: there is none */
	struct alias_list top;		      /* for names without a domain */
	struct domain host;		      /* hostname, when it is no `domain` itself */
	struct map *names;		      /* folded name -> entry of book.c */
	struct idmap *domains;		      /* number -> struct domain */
};

struct book *book_new(void); /* held once */
struct book *book_hold(struct book *b);
void book_release(struct book **b); /* NULL is fine */

/* One settings record of the kinds that concern routing; others are passed over. */
void book_setting(struct book *b, const struct record *record, const void *value);

/* The domain of that name, in any case of letters: a `domain`, or the host itself. NULL: not ours.
 */
const struct domain *book_domain(const struct book *b, struct slice name);

#endif
