/*
 * What the files of walk share: walk.c keeps the addresses still to be looked at and what came of
 * the others, resolve.c takes one address through the order of look-ups, which are in lists.c
 * (aliases and routes), mailboxes.c (users), onward.c (what is not ours) and owners.c (who may send
 * as it).
 */
#ifndef DAEMONS_ROUTER_WALK_PARTS_H
#define DAEMONS_ROUTER_WALK_PARTS_H

#include <bsd/sys/queue.h>

#include "common/base/arena.h"
#include "common/mail/address.h"
#include "common/os/loop.h"
#include "daemons/router/walk.h"

/* An address to be looked at; in the walk's arena. */
struct node {
	TAILQ_ENTRY(node) link;
	const struct node *parent; /* the one whose alias led here */
	unsigned depth;
	bool bare;	   /* it was a name without a domain; text is completed with origin */
	bool final;	   /* its own alias names it: deliver to the user */
	struct slice text; /* canonical, letters as given */
	struct slice key;  /* folded */
};

struct outcome {
	TAILQ_ENTRY(outcome) link;
	struct walk_delivery delivery;
};

enum stage {
	STAGE_NEXT,	  /* take the next address */
	STAGE_ALIAS,	  /* alias tables, one after the other */
	STAGE_ROUTE,	  /* routes tables */
	STAGE_USER,	  /* deliver statements */
	STAGE_POSTMASTER, /* the configured postmaster */
	STAGE_TOP,	  /* postmaster in the tables for names without a domain */
	STAGE_CATCH_ALL,  /* @domain in the domain's alias tables */
	STAGE_ROUTE_ALL,  /* and in its routes tables */
	STAGE_OUTBOUND,	  /* outbound statements */
	STAGE_SENDERS,	  /* tables of who may send as an address */
};

enum { SEEN_FEW = 8 }; /* addresses that are compared one by one; more are in a map */

enum { SUBJECT_SIZE = ADDRESS_MAX + ADDRESS_SIZE + 1 }; /* A-labels may be longer */

struct walk {
	struct book *book;
	enum walk_kind kind;
	const struct walk_hooks *hooks;
	users_lookup *users;
	void *arg;
	struct slice sender;
	bool trusted, expanded;
	bool alone;   /* asked as the result of an alias: what else that named has its mail */
	bool running; /* in walk_run */
	bool waiting; /* for a look-up, or for its next turn */
	struct loop_timer rest;
	bool over, gone;
	bool for_postmaster; /* the recipient is postmaster of one of our domains */
	bool ended;	     /* as a whole, by walk_end() */
	bool owned;	     /* WALK_OWNER: it is his */
	bool senders_asked;

	struct arena arena;
	TAILQ_HEAD(, node) todo; /* depth first */
	TAILQ_HEAD(, outcome) outcomes;
	size_t nodes, outcome_count;
	bool failed; /* result is that of the first failure */
	/* addresses looked at, and found; `seen` has all of them when it is there */
	struct slice few[SEEN_FEW];
	size_t few_count;
	struct map *seen;
	struct walk_result result;

	/* the address under way */
	struct node *node;
	struct address address;
	const struct domain *domain; /* NULL: a bare name, and origin is not ours */
	enum stage stage;
	const struct table_list *lists[2];
	size_t list, index;	  /* of the look-up: a table of a list, or a deliver statement */
	size_t statement;	  /* outbound; its tables are lists[0] */
	size_t pattern;		  /* the address from this octet on is looked up */
	bool has_extension, base; /* base: without the extension now */
	struct slice user, key, domain_name; /* folded: local part, look-up key, domain */
	/* of outbound statements: sender and recipient, folded, with A-labels; empty: none fits */
	struct slice from, to;
	struct slice login; /* folded, its domain spelled as the book does */

	/* what those point to; not cleared at the start, as all before is */
	char user_text[ADDRESS_SIZE], key_text[ADDRESS_SIZE], domain_text[ADDRESS_SIZE];
	char from_text[SUBJECT_SIZE], to_text[SUBJECT_SIZE];
	char login_text[ADDRESS_SIZE];
};

/* resolve.c: one step of the address under way, and to the next source. */
void resolve_step(struct walk *w);
void resolve_begin(struct walk *w); /* the order of look-ups from its front */
void resolve_enter(struct walk *w, enum stage stage);
/* A source knows nothing more of the address. */
void resolve_without(struct walk *w);
bool resolve_is_root(const struct walk *w); /* the recipient that was asked for */
bool resolve_is_postmaster(const struct walk *w);
void resolve_accept(struct walk *w); /* WALK_CHECK: it may have mail */
void resolve_no_user(struct walk *w);
/* A source could not be asked (S55). */
void resolve_trouble(struct walk *w, struct slice what, struct slice why);

/* The sources. Each asks one thing; the answer, now or later, settles the address or moves on. */
void lists_ask(struct walk *w);	    /* lists.c: the tables in lists */
void lists_aliases(struct walk *w); /* which alias tables are asked, in order */
void mailboxes_ask(struct walk *w); /* mailboxes.c */
void onward_begin(struct walk *w);  /* onward.c: it is on another server */
void onward_ask(struct walk *w);
void onward_route(struct walk *w, struct slice value); /* a routes table has said this */
/* owners.c: keeps who has logged in. */
void owners_login(struct walk *w, struct slice login);
/* WALK_OWNER: is the key that is looked up now the login itself? Then the walk is over. */
bool owners_reached(struct walk *w);
/* Asks the tables of senders before anything else of the recipient; false: there are none, or it
 * was done. */
bool owners_senders(struct walk *w);
/* Does what such a table says name the login? Then the walk is over. */
bool owners_listed(struct walk *w, struct slice users);
void owners_without(struct walk *w); /* the tables do not know this key */
void owners_finish(struct walk *w);
void owners_elsewhere(struct walk *w); /* the address is of no domain of ours */
/* Begins or goes on until a look-up is waited for or all is over. */
void walk_run(struct walk *w);

/* Gives the address this domain; there is room for it. */
void walk_domain(struct address *a, struct slice domain);
/* Puts an address that an alias of the one under way led to into the queue, behind `after` (NULL:
 * first), unless it was there before. text is canonical and has a domain. The node, or `after` when
 * there is none to add. */
struct node *walk_add(struct walk *w, const struct address *a, bool bare, bool final,
		      struct node *after);
/* What came of the address under way: a mailbox, another server, or a failure of this address
 * alone. */
void walk_deliver(struct walk *w, const struct deliver *d);
void walk_send(struct walk *w, struct slice next_hop, uint32_t deliver);
void walk_fail(struct walk *w, unsigned code, const char *enhanced, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Ends the walk as a whole: the first without a fault. */
void walk_accept(struct walk *w);
void walk_end(struct walk *w, unsigned code, const char *enhanced, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void walk_say(struct walk *w, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
