/*
 * bounce: what the files of this room share.
 *
 *	questions.c  what the queue manager asks, and the answers
 *	report.c     reads the content, writes the notification, puts it into the queue
 */
#ifndef DAEMONS_BOUNCE_BOUNCE_H
#define DAEMONS_BOUNCE_BOUNCE_H

#include <bsd/sys/queue.h>

#include "common/base/arena.h"
#include "common/dialogue/bounce.h"
#include "common/mail/dsn.h"
#include "common/os/loop.h"
#include "common/service/service.h"
#include "queue/store/content.h"
#include "queue/store/writer.h"

enum {
	QUESTIONS_MAX = 1000,			  /* at once */
	QUESTION_RECIPIENTS_MAX = 11000,	  /* the manager tells of fewer */
	QUESTION_MEMORY_MAX = 64 * 1024 * 1024,	  /* octets of one */
	QUESTIONS_MEMORY_MAX = 256 * 1024 * 1024, /* of all */
	REPORT_MAX = 128 * 1024 * 1024,		  /* octets of a notification */
	REPORT_PATIENCE_US = 30 * 1000 * 1000,	  /* for a segment to write to */
};

/* Where a question is. */
enum stage {
	STAGE_ASKED,   /* recipients are still to come */
	STAGE_READING, /* its large file */
	STAGE_WAITING, /* for a segment */
	STAGE_WRITING, /* the draft takes no more for now */
	STAGE_COMMITTING,
	STAGE_COMMITTED, /* the answer goes behind the notice */
};

struct question {
	TAILQ_ENTRY(question) link;
	enum stage stage;
	bool orphan; /* who asked has gone */
	struct arena arena;
	size_t memory; /* as it counts for QUESTIONS_MEMORY_MAX */
	uint64_t request, parent, arrived;
	uint32_t mark, kind, flags, expected;
	struct slice to, sender, envid;
	struct dsn_recipient *recipients;
	uint32_t recipient_count;
	/* The content; of a file: what of it is attached, once it is read. */
	struct content content;
	struct content_reader *reader;
	bool headers_only;
	struct buffer kept;	 /* of a file: trace, header, and body when it is attached */
	struct loop_timer timer; /* the next step, or the end of patience */
	/* The notification. */
	uint64_t id;
	struct dsn_plan plan;
	struct buffer header, body;
	struct draft *draft;
	size_t given; /* octets of body that the draft has */
};

/* questions.c */
extern const struct route questions_routes[];
void questions_up(struct channel *c, unsigned instance);
void questions_down(struct channel *c);
void questions_warm(void);
void questions_start(void);
void questions_drain(void);
/* Answers and forgets: id 0 with why it was not made. */
void question_fail(struct question *q, bool spoiled, const char *why);
/* It is durable; its notice follows at once. */
void question_committed(struct question *q);

/* report.c */
extern const struct record *const report_settings[];
void report_settings_begin(void);
void report_setting(const struct record *record, const void *value);
void report_settings_end(void);
/* The question is complete: to its end by itself. */
void report_begin(struct question *q);
/* A segment is there: a waiting one goes on. */
void report_go_on(struct question *q);
/* Gives up what is under way; not in STAGE_COMMITTING. */
void report_end(struct question *q);

#endif
