/*
 * status: what `stagepost status` has heard, as text or as JSON.
 */
#ifndef COMMANDS_STAGEPOST_STATUS_H
#define COMMANDS_STAGEPOST_STATUS_H

#include <jansson.h>
#include <stdio.h>

#include "common/dialogue/command.h"

enum { STATUS_PROCESSES_MAX = 1024, STATUS_CERTIFICATES_MAX = 1024, STATUS_SOON_DAYS = 14 };

struct status;

/* landlock: the kernel's version of it, 0: it has none. now: Unix seconds. */
struct status *status_new(int landlock, uint64_t now);
void status_free(struct status **s);
void status_process(struct status *s, const struct master_process *m);
void status_counts(struct status *s, const struct queue_counts *m);
/* Does a process of this name run? */
bool status_runs(const struct status *s, const char *name);
void status_certificate(struct status *s, const struct keys_certificate *m);
/* keys does not answer; why. */
void status_certificates_missing(struct status *s, const char *why);
/* The queue manager does not answer; why. */
void status_queue_missing(struct status *s, const char *why);
/* Nobody answers; why. */
void status_stopped(struct status *s, const char *why);
const char *status_trouble(const struct status *s);

/* state: "running"; "degraded": not every process serves; "stopped" (code EX_UNAVAILABLE);
 * "unknown": it does not answer. queue is null when the manager does not answer,
 * certificates when keys does not; a certificate's state: "fine"; "ending" within 14 days; "ended";
 * "missing": none is in use. */
json_t *status_json(const struct status *s, int code);
/* What the manager has to say beside its counts; may be empty. */
void status_remark(struct status *s, const char *text);
void status_text(const struct status *s, FILE *to);

#endif
