/*
 * The first smtpd stands for all: it is what strangers wait for, and it never waits on purpose.
 */
#include "master/courtesy.h"

#include "common/base/log.h"
#include "master/process.h"

static struct courtesy ours = {.batch = true};

bool courtesy_judge(struct courtesy *c, const struct policy_waits *now)
{
	bool same = c->before.times > 0 && now->times >= c->before.times &&
		    now->waited_ns >= c->before.waited_ns;
	uint64_t times = same ? now->times - c->before.times : 0;
	uint64_t waited_us = same ? (now->waited_ns - c->before.waited_ns) / 1000 : 0;
	c->before = *now;
	if (!c->batch) {
		c->batch = --c->pause == 0;
		return c->batch;
	}
	if (times < COURTESY_TIMES_MIN || waited_us / times < COURTESY_WAIT_US)
		return false;
	c->batch = false;
	c->pause = COURTESY_PAUSE_S;
	return true;
}

bool courtesy_batch(void)
{
	return ours.batch;
}

void courtesy_look(void)
{
	struct process *smtpd = process_find(slice_str("smtpd"), 0), *p;
	struct policy_waits now;
	if (!smtpd || smtpd->pid == 0 || !policy_waits(smtpd->pid, &now) ||
	    !courtesy_judge(&ours, &now))
		return;
	if (ours.batch)
		log_info("daemons run under SCHED_BATCH again");
	else
		log_info(
		    "other programs keep the processors busy: for %d s daemons do not run under "
		    "SCHED_BATCH",
		    COURTESY_PAUSE_S);
	TAILQ_FOREACH (p, processes(), next) {
		if (p->pid != 0)
			policy_set(p->pid, ours.batch);
	}
}
