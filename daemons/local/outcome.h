/*
 * outcome: what became of a delivery, as the queue manager and at last the sender will read it.
 * The one place that knows which code belongs to which trouble.
 */
#ifndef DAEMONS_LOCAL_OUTCOME_H
#define DAEMONS_LOCAL_OUTCOME_H

#include "common/dialogue/job.h"
#include "daemons/local/letter.h"

enum { OUTCOME_ENHANCED_MAX = 12 };

struct outcome {
	enum job_status status;
	uint32_t code;
	char enhanced[OUTCOME_ENHANCED_MAX + 1]; /* RFC 3463 */
	bool site;		     /* the mailbox is in trouble, not this message alone */
	char text[JOB_TEXT_MAX + 1]; /* no path above the mail directory: senders read it */
};

void outcome_delivered(struct outcome *o, const char *where);
/* 5xx: the sender has to know; 4xx: tried again later. */
void outcome_set(struct outcome *o, uint32_t code, const char *enhanced, bool site,
		 const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The content is not what was committed: the queue sets the message aside. */
void outcome_spoiled(struct outcome *o, const char *text);
/* Why a letter could not be written, when that lies in the letter; false: it does not. */
bool outcome_letter(struct outcome *o, enum letter_fault fault, const struct letter *l);
/* A call of the kernel failed with that errno; format: what was tried. */
void outcome_error(struct outcome *o, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds a remark to the text. */
void outcome_remark(struct outcome *o, const char *remark);

#endif
