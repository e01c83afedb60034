/*
 * control: what the files of this folder say to each other.
 *
 * An asker is one connection of a command; it may ask several questions at once. A question goes
 * on to the partner that knows, under a number of ours, and its answers come back to the asker.
 */
#ifndef DAEMONS_CONTROL_CONTROL_H
#define DAEMONS_CONTROL_CONTROL_H

#include <bsd/sys/queue.h>

#include "common/dialogue/command.h"
#include "common/os/loop.h"
#include "common/service/service.h"

enum {
	ASKERS_MAX = 64,	    /* connections at once; more wait in the kernel */
	ASKERS_OTHERS_MAX = 16,	    /* of them by who is no administrator; more are closed */
	QUESTIONS_MAX = 8,	    /* of one asker at once */
	ASKER_IDLE_US = 10000000,   /* a connection without a question is closed after that */
	ASKER_LAST_WORDS_US = 20000 /* for an answer when this process ends */
};

/* rights.c: who may ask what. */
enum right { RIGHT_UNKNOWN, RIGHT_EVERYONE, RIGHT_ADMIN };
/* What a verb asks for. message: of dialogue/command.h; verb 0 where it has none. RIGHT_UNKNOWN:
 * there is no such verb. */
enum right rights_needed(uint16_t message, uint32_t verb);
/* Finds the group of administrators; before the sandbox. */
void rights_warm(void);
/* Is the peer of this socket an administrator: root, the user this process runs as when it was
 * started by an ordinary one, or a member of the group? */
bool rights_is_admin(int fd, unsigned uid, unsigned gid);

/* askers.c: the connections. */
TAILQ_HEAD(question_list, question);
struct asker {
	TAILQ_ENTRY(asker) link;
	struct channel *channel;
	struct question_list questions;
	unsigned question_count;
	bool admin;
	struct loop_timer idle; /* runs while there is no question */
};
void askers_descriptor(const struct service_descriptor *d);
void askers_start(void);
void askers_drain(void);
/* A connection, as the listener gives it; NULL: closed at once. */
struct asker *asker_open(int fd);
void asker_close(struct asker *a);
unsigned askers_count(void);

/* relay.c: questions and answers. */
enum partner {
	PARTNER_MASTER,
	PARTNER_QUEUE,
	PARTNER_ROUTER,
	PARTNER_ACCOUNTS,
	PARTNER_USAGE,
	PARTNER_KEYS,
	PARTNERS
};
struct question {
	TAILQ_ENTRY(question) link;
	uint64_t request; /* ours */
	uint64_t asked;	  /* the asker's */
	struct asker *asker;
	enum partner partner;
	bool waits; /* the walk was told to wait */
};
extern const struct route relay_asker_routes[], relay_master_routes[], relay_queue_routes[],
    relay_router_routes[], relay_accounts_routes[], relay_usage_routes[], relay_keys_routes[];
/* The channel to a partner from now on; NULL: it has gone, its open questions are answered so. */
void relay_use(enum partner partner, struct channel *c);
/* The asker reads again: its walks go on. */
void relay_room(struct asker *a);
/* Forgets the asker's questions; walks are cancelled. */
void relay_forget(struct asker *a);
/* Answers each of the asker's questions with this code and text; the asker is then closed. */
void relay_refuse_all(struct asker *a, unsigned code, const char *text);

/* partners.c: the links' ends. */
#define PARTNER_LINK(name)                                              \
	void partner_##name##_up(struct channel *c, unsigned instance); \
	void partner_##name##_down(struct channel *c);
PARTNER_LINK(queue)
PARTNER_LINK(router)
PARTNER_LINK(accounts)
PARTNER_LINK(usage)
PARTNER_LINK(keys)

#endif
