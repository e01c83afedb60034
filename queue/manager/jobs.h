/*
 * jobs: what jobs.c, give.c and outcomes.c share: where the jobs are, and the ways between.
 */
#ifndef QUEUE_MANAGER_JOBS_H
#define QUEUE_MANAGER_JOBS_H

#include "queue/manager/manager.h"

/* The jobs at a place; which: the transport of suspects, the agent of those that are out, else 0.
 * Not for JOB_NOWHERE and JOB_QUEUED. */
struct job_list *jobs_at(enum job_place place, unsigned which);
/* How many the agent has, or is about to have. */
size_t jobs_given(unsigned agent);
/* Is a suspect among them? One that goes alone? */
bool jobs_given_suspect(unsigned agent);
bool jobs_given_alone(unsigned agent);
bool job_wants_content(const struct job *j);

/* Only job_move() changes a job's place, with its lists and counts. The agent is set before. */
void job_move(struct job *j, enum job_place place);
/* To its destination's queue. */
void job_queue(struct job *j);
/* One that an agent has died of is tried where it can hurt nobody else; it is nowhere. alone: it
 * may not hurt other suspects either. */
void job_suspect(struct job *j, bool alone);
/* It is back from an agent, or never left: nowhere. */
void job_back(struct job *j, enum schedule_outcome outcome);
/* The attempts do not take place; the recipients are pending, the job is closed. */
void job_take_back(struct job *j);
/* It is over with the job, which is nowhere or queued, and its deliveries; the caller lets the
 * message settle. */
void job_close(struct job *j);
/* NULL: there is none. */
struct delivery *delivery_of(const struct active *a, uint32_t recipient);
/* The name of the destination for the schedule, and for people; key: memory for it. */
struct slice job_key(const struct job *j, char key[DESTINATION_KEY_MAX]);

#endif
