/*
 * walk: the way of one recipient through aliases and users to its deliveries. It knows no channel:
 * user look-ups are passed in and may answer later, what it finds goes to the hooks.
 *
 * Order for an address (DESIGN 5; semantics.md S32): exact alias, user; both without `+extension`;
 * for postmaster the configured address; then the catch-all `@domain`. An address that an alias
 * leads to walks the same way, but one that the alias itself names is delivered to the user (S29,
 * S33).
 */
#ifndef DAEMONS_ROUTER_WALK_H
#define DAEMONS_ROUTER_WALK_H

#include "common/dialogue/accounts.h"
#include "common/dialogue/router.h"
#include "daemons/router/book.h"

enum {
	WALK_RESULTS_MAX = 1000,	   /* addresses that a recipient may lead to (S34) */
	WALK_DEPTH_MAX = 100,		   /* nesting of aliases (S29) */
	WALK_NODES_MAX = 4000,		   /* addresses looked at */
	WALK_MEMORY_MAX = 2 * 1024 * 1024, /* octets for them */
	WALK_USER_MAX = 64,		   /* octets of a local part that can be a user */
};

enum walk_kind {
	WALK_CHECK,   /* may the recipient have mail? Looks at its own entries, expands nothing */
	WALK_ROUTE,   /* where does it go? */
	WALK_EXPLAIN, /* the same for a human: an address that RCPT refuses is refused */
};

/* An address that the recipient leads to. */
struct walk_delivery {
	struct slice address; /* canonical, letters as they were given */
	bool none;	      /* it can't be delivered; asked alone (expanded) it says why */
	uint32_t deliver;
	struct slice user, domain; /* folded, of the mailbox */
};

struct walk_step {
	unsigned depth;
	struct slice address;
	const char *what;
	struct slice text;
};

struct walk_result {
	unsigned code; /* 0: accepted, or the deliveries hold */
	char enhanced[ENHANCED_MAX + 1];
	char text[ROUTER_TEXT_MAX + 1];
};

struct walk_hooks {
	void (*step)(void *arg, const struct walk_step *step); /* NULL: nobody wants the words */
	void (*delivery)(void *arg, const struct walk_delivery *d);
	/* Once, after all deliveries, which come only with code 0. The walk may be freed in it. */
	void (*done)(void *arg, const struct walk_result *result);
};

/* text: what is the trouble, when it is ACCOUNTS_TROUBLE. */
typedef void users_done(void *arg, enum accounts_result result, struct slice text);
/* Is there that user? Answers once, before it returns or later. */
typedef void users_lookup(struct slice table, struct slice user, struct slice domain,
			  users_done *done, void *arg);

struct walk;

/* Holds the book. expanded: the recipient is the result of an alias, so a user of that name goes
 * before an alias. hooks must outlive the walk. */
struct walk *walk_new(struct book *book, enum walk_kind kind, struct slice recipient, bool expanded,
		      const struct walk_hooks *hooks, users_lookup *users, void *arg);
void walk_start(struct walk *w); /* may be done before this returns */
/* Ends it without done(); a look-up that is under way is waited for behind the scenes. */
void walk_free(struct walk **w);

#endif
