/*
 * First who takes mail in, then the queue, which waits for the outcomes of what it has given out,
 * then the rest, and last the log. What does not end within its stage's limit is killed: everything
 * that matters is on the disk.
 */
#include "master/stop.h"

#include "common/base/log.h"
#include "common/os/clock.h"
#include "master/process.h"

enum { LAST_STAGE = STOP_STAGES - 1, STAGE_LIMIT_US = 10000000, LAST_LIMIT_US = 2000000 };

static bool under_way;
static unsigned stage;
static uint64_t end;
static struct loop_timer limit;
static void (*when_over)(void);

/* All but the log, which has their last lines to write. */
static void kill_rest(void *arg)
{
	struct process *p;
	(void)arg;
	log_warning("the stop has taken too long: what is left is killed");
	TAILQ_FOREACH (p, processes(), next) {
		if (services[p->role].stop != LAST_STAGE)
			process_kill(p);
	}
}

/* How many of a stage are there still; each is told to drain, once. */
static unsigned drain_stage(unsigned which)
{
	struct process *p;
	uint64_t now = clock_boot_us(), time = now < end ? end - now : 0;
	unsigned left = 0;
	if (time > STAGE_LIMIT_US)
		time = STAGE_LIMIT_US;
	if (which == LAST_STAGE && time < LAST_LIMIT_US)
		time = LAST_LIMIT_US;
	TAILQ_FOREACH (p, processes(), next) {
		if (p->pid == 0 || services[p->role].stop != which)
			continue;
		left++;
		process_drain(p, time, false);
	}
	return left;
}

void stop_goes_on(void)
{
	if (!under_way)
		return;
	for (; stage < STOP_STAGES; stage++)
		if (drain_stage(stage) > 0)
			return;
	loop_timer_stop(&limit);
	when_over();
}

void stop_begin(void (*over)(void))
{
	if (under_way)
		return;
	under_way = true;
	when_over = over;
	end = clock_boot_us() + STOP_LIMIT_US;
	processes_close();
	loop_timer_start(&limit, STOP_LIMIT_US, kill_rest, NULL);
	stop_goes_on();
}

bool stop_under_way(void)
{
	return under_way;
}
