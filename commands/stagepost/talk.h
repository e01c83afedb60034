/*
 * talk: the conversation with the running server, through control's socket in the run directory.
 */
#ifndef COMMANDS_STAGEPOST_TALK_H
#define COMMANDS_STAGEPOST_TALK_H

#include "common/base/error.h"
#include "common/dialogue/command.h"

/* Silence of the server after which a question is given up, microseconds. */
#define TALK_USUAL_US  UINT64_C(60000000)
#define TALK_STATUS_US UINT64_C(10000000)   /* a status is there at once, or something hangs */
#define TALK_RELOAD_US UINT64_C(120000000)  /* the master gives its daemons 60 s */
#define TALK_VERIFY_US UINT64_C(3600000000) /* reads the whole spool */

struct talk;

/* What may come before the end of an answer; NULL: not expected, dropped. Slices die after the
 * call. */
struct talk_calls {
	void (*process)(void *arg, const struct master_process *m);
	void (*item)(void *arg, const struct queue_item *m);
	void (*recipient)(void *arg, const struct queue_recipient *m);
	void (*line)(void *arg, const struct queue_line *m);
	void (*destination)(void *arg, const struct queue_destination *m);
	void (*counts)(void *arg, const struct queue_counts *m);
	void (*step)(void *arg, const struct router_step *m);
	void (*usage)(void *arg, const struct usage_listed *m);
	void (*certificate)(void *arg, const struct keys_certificate *m);
};

enum { TALK_TEXT_SIZE = 4097, TALK_ENHANCED_SIZE = 16 };
struct talk_end {
	int code;		       /* exit code */
	unsigned reply;		       /* of a route: 0, 4xx, 5xx */
	uint64_t count;		       /* messages listed or changed */
	char user[LOGIN_USER_MAX + 1]; /* of a password that holds: the canonical address */
	char enhanced[TALK_ENHANCED_SIZE];
	char text[TALK_TEXT_SIZE]; /* why not, or a remark; may be empty */
};

/* The socket `control` in that directory, whose path may be of any length. -1 with code
 * EX_UNAVAILABLE: nobody listens; EX_NOPERM; EX_TEMPFAIL. */
int talk_connect(const char *run, struct error *e);
/* NULL as above. */
struct talk *talk_open(const char *run, struct error *e);
/* On a connected socket. One talk at a time in a process. */
struct talk *talk_begin(int fd);
void talk_free(struct talk **t);
/* Asks; question's first field is filled in here. Returns when the end has come, when the server
 * was silent for too long or has gone (code EX_TEMPFAIL): end->code. */
int talk_ask(struct talk *t, uint16_t number, void *question, uint64_t silence_us,
	     const struct talk_calls *calls, void *arg, struct talk_end *end);

#endif
