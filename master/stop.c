/*
 * First who takes mail in, then the queue, which waits for the outcomes of what it has given out,
 * then the rest, and last the log. What does not end within the limit is killed: everything that
 * matters is on the disk.
 */
#include "master/stop.h"

#include "common/base/log.h"
#include "common/os/clock.h"
#include "master/process.h"

static bool under_way;
static unsigned stage;
static uint64_t end;
static struct loop_timer limit;
static void (*when_over)(void);

static void kill_all(void *arg)
{
	struct process *p;
	(void)arg;
	log_warning("the stop has taken too long: what is left is killed");
	TAILQ_FOREACH (p, processes(), next) {
		process_kill(p);
	}
}

/* How many of a stage are there still; each is told to drain, once. */
static unsigned drain_stage(unsigned which)
{
	struct process *p;
	uint64_t now = clock_boot_us();
	unsigned left = 0;
	TAILQ_FOREACH (p, processes(), next) {
		if (p->pid == 0 || services[p->role].stop != which)
			continue;
		left++;
		process_drain(p, now < end ? end - now : 0, false);
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
	loop_timer_start(&limit, STOP_LIMIT_US, kill_all, NULL);
	stop_goes_on();
}

bool stop_under_way(void)
{
	return under_way;
}
