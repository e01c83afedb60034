/*
 * Outcomes: each recipient of a job has one, which comes back once; the destination's is that of
 * the job as a whole. An agent that died makes its jobs suspect.
 */
#include <stdio.h>

#include "queue/manager/jobs.h"

static struct delivery *find_out(const struct job_outcome *o, unsigned agent)
{
	struct entry *e = spool_get(manager.spool, o->message);
	struct active *a = e != NULL ? stub_of(e)->active : NULL;
	struct delivery *d = a != NULL ? delivery_of(a, o->recipient) : NULL;

	return d != NULL && d->job != NULL && d->job->place == JOB_OUT && d->job->agent == agent &&
		       d->attempt == o->attempt
		   ? d
		   : NULL;
}

enum recipient_status job_status_of(const struct job_outcome *o)
{
	switch (o->status) {
	case JOB_DELIVERED:
		return RECIPIENT_DELIVERED;
	case JOB_FAILED:
		return RECIPIENT_FAILED;
	default:
		return RECIPIENT_DEFERRED;
	}
}

/* Of several recipients: one that was delivered shows that the destination works, whatever came
 * before or after; else trouble of the whole counts more than a refusal of one (S47). */
static void outcome_add(struct job *j, const struct job_outcome *o)
{
	if (o->status == JOB_DELIVERED)
		j->outcome = OUTCOME_SUCCESS;
	else if (o->status == JOB_SPOILED || j->outcome == OUTCOME_SUCCESS)
		return;
	else if (o->site)
		j->outcome = OUTCOME_SITE;
	else if (j->outcome == OUTCOME_NONE)
		j->outcome = OUTCOME_MESSAGE;
}

static void say(struct job *j, const struct job_outcome *o)
{
	char text[SCHEDULE_REPLY_MAX];
	int len = snprintf(text, sizeof(text), "%u %.*s %.*s", o->code, SLICE_FMT(o->enhanced),
			   SLICE_FMT(o->text));

	destination_said(
	    j->scheduled.destination,
	    slice_make(text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1));
}

/* What a dead destination did not take waits for its return, too. */
static void park(struct active *a, struct job *j, struct slice key)
{
	struct destination *d = schedule_destination(manager.schedule, j->transport, key);

	if (destination_dead_until(d, manager_now()) == 0)
		return;
	a->parked = arena_copy(&a->arena, key);
	a->parked_at = j->transport;
}

/* The last outcome of a job has come. */
static void job_over(struct job *j, struct slice key)
{
	enum schedule_outcome outcome = j->outcome;

	job_back(j, outcome);
	if (outcome == OUTCOME_SITE && !j->suspect)
		park(j->active, j, key);
	job_close(j);
}

void job_outcome(unsigned agent, const struct job_outcome *o)
{
	struct delivery *d = find_out(o, agent);
	char key_text[DESTINATION_KEY_MAX];
	struct active *a;
	struct job *j;

	if (d == NULL) {
		orphan_outcome(agent, o);
		return;
	}
	j = d->job;
	a = d->active;
	struct slice key = job_key(j, key_text);
	struct result r = {
	    .recipient = d->recipient,
	    .address = d->address,
	    .original = d->original,
	    .status = job_status_of(o),
	    .reply = reply_of(o->code, o->enhanced, o->text),
	    .outcome = o,
	    .transport = j->transport,
	};

	a->tried = true;
	outcome_add(j, o);
	if (o->site && !j->suspect)
		say(j, o);
	delivery_close(d);
	if (j->count == 0)
		job_over(j, key);
	result_take(a, &r);
	agent_note(agent, o->message, o->recipient, o->attempt);
	if (o->status == JOB_SPOILED)
		active_corrupt(a, "its content is not what was committed");
	active_settle(a);
}

/* What the dead agent held: alone it counts against the message. Of several suspects each goes
 * alone from now on. */
void job_agent_died(unsigned agent)
{
	struct job *j = TAILQ_FIRST(jobs_at(JOB_OUT, agent));
	bool single = j != NULL && TAILQ_NEXT(j, link) == NULL;
	struct delivery *d;

	while ((j = TAILQ_FIRST(jobs_at(JOB_OUT, agent))) != NULL) {
		struct active *a = j->active;
		bool alone = j->suspect && single;
		bool again = !a->hold && !a->remove && !a->bounce && a->corrupt == NULL &&
			     !(alone && a->entry->deaths + 1 >= DEATHS_MAX);

		job_back(j, OUTCOME_NONE);
		TAILQ_FOREACH (d, &j->deliveries, link)
			spool_result(manager.spool, a->entry, d->recipient, RECIPIENT_PENDING, 0,
				     NULL);
		if (again)
			job_suspect(j, j->suspect);
		else
			job_close(j);
		if (alone)
			active_killed(a, "agents die of it");
		if (!again)
			active_settle(a);
	}
}
