/*
 * A loop that stops when something has come true. Included once per test program.
 */
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/os/loop.h"

static const bool *run_flag;

static void run_check(void *arg)
{
	(void)arg;
	if (*run_flag)
		loop_stop();
}

static void run_late(void *arg)
{
	(void)arg;
	ck_abort_msg("it did not come true within 10 seconds");
}

/* Runs turns until *flag is true. */
static inline void run_until(const bool *flag)
{
	struct loop_turn check = {0};
	struct loop_timer late = {0};
	run_flag = flag;
	loop_turn_add_last(&check, run_check, NULL);
	loop_timer_start(&late, 10 * 1000000, run_late, NULL);
	if (!*flag)
		loop_run();
	loop_timer_stop(&late);
	loop_turn_remove(&check);
}

static bool run_over;

static void run_end(void *arg)
{
	(void)arg;
	run_over = true;
}

/* Runs turns for that long: to show that something does not happen. */
static inline void run_for(uint64_t us)
{
	struct loop_timer end = {0};
	run_over = false;
	loop_timer_start(&end, us, run_end, NULL);
	run_until(&run_over);
}
