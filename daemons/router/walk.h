/*
 * walk: the way of one recipient through aliases and users to its deliveries. It knows no channel:
 * user look-ups are passed in and may answer later, what it finds goes to the hooks.
 *
 * Order for an address of ours (S32): exact alias, route, user; all three without `+extension`; for
 * postmaster the configured address; then `@domain` of the aliases, then of the routes. Any other
 * address goes by the outbound statements. An address that an alias leads to walks the same way,
 * but one that the alias itself names passes the aliases by (S29, S33).
 *
 * Whose an address is (WALK_OWNER) is seen by the same walk: it is his to whom its mail goes.
 */
#ifndef DAEMONS_ROUTER_WALK_H
#define DAEMONS_ROUTER_WALK_H

#include "common/dialogue/accounts.h"
#include "common/dialogue/router.h"
#include "daemons/router/book.h"

enum {
	WALK_RESULTS_MAX = 10000,	    /* addresses that a recipient may lead to (S34) */
	WALK_DEPTH_MAX = 100,		    /* nesting of aliases (S29) */
	WALK_NODES_MAX = 40000,		    /* addresses looked at */
	WALK_OWNER_NODES_MAX = 1000,	    /* the same, to see whose an address is */
	WALK_MEMORY_MAX = 16 * 1024 * 1024, /* octets for them */
	WALK_USER_MAX = 64,		    /* octets of a local part that can be a user */
};

enum walk_kind {
	WALK_CHECK,   /* may the recipient have mail? Looks at its own entries, expands nothing */
	WALK_ROUTE,   /* where does it go? */
	WALK_EXPLAIN, /* the same for a human: an address that RCPT refuses is refused */
	WALK_OWNER,   /* may `login` send as the recipient? Yes when it leads to him */
};

struct walk_question {
	enum walk_kind kind;
	struct slice recipient;
	struct slice sender; /* reverse-path; empty: null */
	struct slice login;  /* WALK_OWNER: address of who has logged in */
	bool expanded;	     /* the recipient is the result of an alias: that is passed by */
	bool trusted;	     /* who asks may send to every domain */
};

enum walk_transport {
	WALK_NONE,   /* it can't be delivered; asked alone (expanded) it says why */
	WALK_LOCAL,  /* a mailbox */
	WALK_SYSTEM, /* a mailbox of the machine's users */
	WALK_SMTP,   /* another server */
};

/* An address that the recipient leads to. */
struct walk_delivery {
	struct slice address; /* canonical, letters as they were given (S41) */
	enum walk_transport transport;
	struct slice next_hop;	   /* WALK_SMTP: as in dialogue/router.h */
	uint32_t deliver;	   /* of a deliver statement; else 0 */
	struct slice user, domain; /* folded, of the mailbox; WALK_SMTP: empty */
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
	bool whole; /* as in dialogue/router.h */
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

/* Holds the book; copies the question's texts. hooks must outlive the walk. */
struct walk *walk_new(struct book *book, const struct walk_question *question,
		      const struct walk_hooks *hooks, users_lookup *users, void *arg);
void walk_start(struct walk *w); /* may be done before this returns */
/* Ends it without done(); a look-up that is under way is waited for behind the scenes. */
void walk_free(struct walk **w);
/* How many addresses all walks but checks have looked at, or will, that are not freed. */
size_t walk_addresses(void);

#endif
