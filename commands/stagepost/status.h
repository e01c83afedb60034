/*
 * status: what `stagepost status` has heard, as text or as JSON.
 */
#ifndef COMMANDS_STAGEPOST_STATUS_H
#define COMMANDS_STAGEPOST_STATUS_H

#include <jansson.h>
#include <stdio.h>

#include "common/dialogue/command.h"

enum { STATUS_PROCESSES_MAX = 1024 };

struct status;

/* landlock: the kernel's version of it, 0: it has none. */
struct status *status_new(int landlock);
void status_free(struct status **s);
void status_process(struct status *s, const struct master_process *m);
void status_counts(struct status *s, const struct queue_counts *m);
/* The queue manager does not answer; why. */
void status_queue_missing(struct status *s, const char *why);
/* Nobody answers; why. */
void status_stopped(struct status *s, const char *why);
const char *status_trouble(const struct status *s);

/* state: "running"; "degraded": not every process serves; "stopped" (code EX_UNAVAILABLE);
 * "unknown": it does not answer. queue is null when the manager does not answer. */
json_t *status_json(const struct status *s, int code);
/* What the manager has to say beside its counts; may be empty. */
void status_remark(struct status *s, const char *text);
void status_text(const struct status *s, FILE *to);

#endif
