/*
 * What the two files of walk share: walk.c keeps the addresses still to be looked at and what came
 * of the others, resolve.c takes one address through the order of look-ups.
 */
#ifndef DAEMONS_ROUTER_WALK_PARTS_H
#define DAEMONS_ROUTER_WALK_PARTS_H

#include <bsd/sys/queue.h>

#include "common/base/arena.h"
#include "common/mail/address.h"
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
	STAGE_USER,	  /* deliver statements, one after the other */
	STAGE_POSTMASTER, /* the configured postmaster */
	STAGE_TOP,	  /* postmaster in the tables for names without a domain */
	STAGE_CATCH_ALL,  /* @domain in the domain's tables */
};

struct walk {
	struct book *book;
	enum walk_kind kind;
	const struct walk_hooks *hooks;
	users_lookup *users;
	void *arg;
	bool expanded;
	bool alone;   /* asked as the result of an alias: what else that named has its mail */
	bool running; /* in walk_run */
	bool waiting; /* for a look-up */
	bool over, gone;
	bool for_postmaster; /* the recipient is postmaster of one of our domains */

	struct arena arena;
	TAILQ_HEAD(, node) todo; /* depth first */
	TAILQ_HEAD(, outcome) outcomes;
	size_t nodes, outcome_count;
	bool failed; /* result is that of the first failure */
	struct map *seen;
	struct walk_result result;

	/* the address under way */
	struct node *node;
	struct address address;
	const struct domain *domain; /* NULL: a bare name, and origin is not ours */
	enum stage stage;
	const struct alias_list *lists[2];
	size_t list, index;	  /* of the look-up */
	bool has_extension, base; /* base: without the extension now */
	char user_text[ADDRESS_SIZE], key_text[ADDRESS_SIZE], domain_text[ADDRESS_SIZE];
	struct slice user, key, domain_name; /* folded: local part, look-up key, domain */
};

/* resolve.c: one step of the address under way. */
void resolve_step(struct walk *w);
/* Begins or goes on until a look-up is waited for or all is over. */
void walk_run(struct walk *w);

/* Puts an address that an alias of the one under way led to into the queue, behind `after` (NULL:
 * first), unless it was there before. text is canonical and has a domain. The node, or `after` when
 * there is none to add. */
struct node *walk_add(struct walk *w, const struct address *a, bool bare, bool final,
		      struct node *after);
/* What came of the address under way: a mailbox, or a failure of this address alone. */
void walk_deliver(struct walk *w, uint32_t deliver);
void walk_fail(struct walk *w, unsigned code, const char *enhanced, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Ends the walk as a whole. */
void walk_end(struct walk *w, unsigned code, const char *enhanced, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void walk_say(struct walk *w, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
