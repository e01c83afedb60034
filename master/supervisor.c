/*
 * The events that change something: signals, the tick, and a daemon's start, readiness,
 * question and end. What each of them means for the house is in a file of its own.
 */
#include "master/supervisor.h"

#include <signal.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/os/clock.h"
#include "common/os/log_output.h"
#include "master/asks.h"
#include "master/courtesy.h"
#include "master/house.h"
#include "master/links.h"
#include "master/notify.h"
#include "master/places.h"
#include "master/settings.h"
#include "master/stop.h"

enum {
	START_TRIES = 5,     /* of one daemon, before the first start is given up */
	TICK_US = 500000,    /* between two looks at the files of tables: three make 2 s at most */
	FILES_WANTED = 65536 /* descriptors that a daemon may have, where we may say so */
};

static bool serving;  /* every daemon was ready once */
static bool settling; /* a reload is under way */
static int exit_code;
static uint64_t born;
static supervisor_ready_call *tell_ready;
static struct loop_timer tick_timer;
static struct loop_signal on_term, on_int, on_hup, on_usr1, on_chld;

uint64_t supervisor_born(void)
{
	return born;
}

bool supervisor_up_to_date(const struct process *p)
{
	return p->state == PROCESS_SERVING && p->generation == house_generation();
}

bool supervisor_settled(void)
{
	struct process *p;
	TAILQ_FOREACH (p, processes(), next) {
		if (!supervisor_up_to_date(p))
			return false;
	}
	return true;
}

/* What happens to daemons */

static void daemon_equip(struct process *p)
{
	house_equip(p);
	links_make(p);
	if (p->starts > 1)
		process_go(p, house_generation());
}

static void daemon_ready(struct process *p)
{
	(void)p;
	asks_go_on();
	if ((serving && !settling) || stop_under_way() || !supervisor_settled())
		return;
	if (!serving)
		tell_ready(NULL);
	log_info(settling ? "every daemon serves with the new settings" : "every daemon serves");
	serving = true;
	settling = false;
	notify_ready();
}

static void daemon_ended(struct process *p)
{
	struct error e = {0};
	asks_forget(p);
	if (stop_under_way()) {
		stop_goes_on();
		return;
	}
	if (serving || p->starts < START_TRIES)
		return;
	error_set(&e, EX_SOFTWARE, "%s has ended %d times at its start; the log says why", p->name,
		  START_TRIES);
	log_error("%s", e.text);
	tell_ready(&e);
	exit_code = e.code;
	supervisor_stop();
}

static void daemon_lost(struct process *p, const struct master_lost *m)
{
	if (!stop_under_way())
		links_lost(p, m);
}

static const struct process_events events = {
    .equip = daemon_equip,
    .ready = daemon_ready,
    .ended = daemon_ended,
    .lost = daemon_lost,
    .ask = asks_take,
    .want = house_want,
};

/* Verbs */

bool supervisor_reload(struct buffer *remarks, struct error *e)
{
	if (stop_under_way())
		return error_set(e, EX_TEMPFAIL, "the master is stopping");
	notify_reloading();
	if (house_reload(remarks, e)) {
		log_info("new settings are given out");
		settling = true;
		return true;
	}
	log_error("the new configuration is refused: %s", e->text);
	notify_ready();
	return false;
}

static void over(void)
{
	place_leave();
	loop_stop();
}

void supervisor_stop(void)
{
	if (stop_under_way())
		return;
	log_info("stopping");
	notify_stopping();
	loop_timer_stop(&tick_timer);
	stop_begin(over);
}

/* Signals and time */

static void signal_stop(void *arg)
{
	(void)arg;
	supervisor_stop();
}

static void signal_reload(void *arg)
{
	struct error e = {0};
	struct buffer remarks;
	(void)arg;
	buffer_init(&remarks, SETTINGS_REMARKS_MAX);
	if (supervisor_reload(&remarks, &e))
		settings_log_remarks(&remarks);
	buffer_free(&remarks);
}

static void signal_reopen(void *arg)
{
	(void)arg;
	house_reopen_log();
}

static void signal_child(void *arg)
{
	(void)arg;
	processes_reap();
}

static void tick(void *arg)
{
	(void)arg;
	house_look_at_tables();
	courtesy_look();
	loop_timer_start(&tick_timer, TICK_US, tick, NULL);
}

static void listen_to_signals(void)
{
	loop_signal_start(&on_term, SIGTERM, signal_stop, NULL);
	loop_signal_start(&on_int, SIGINT, signal_stop, NULL);
	loop_signal_start(&on_hup, SIGHUP, signal_reload, NULL);
	loop_signal_start(&on_usr1, SIGUSR1, signal_reopen, NULL);
	loop_signal_start(&on_chld, SIGCHLD, signal_child, NULL);
}

/* Ten thousand connections need more than the usual limit; the daemons inherit ours. Root may lack
 * the right to raise the upper one: then it is what counts. */
static void raise_limits(void)
{
	struct rlimit has, wanted = {.rlim_cur = FILES_WANTED, .rlim_max = FILES_WANTED};
	if (getrlimit(RLIMIT_NOFILE, &has) < 0)
		return;
	if (has.rlim_max >= FILES_WANTED)
		wanted.rlim_max = has.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &wanted) == 0)
		return;
	has.rlim_cur = has.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &has) < 0 || has.rlim_max < FILES_WANTED)
		log_warning("a process may open only %llu files: that limits the connections",
			    (unsigned long long)has.rlim_max);
}

static void start_all(void)
{
	struct process *p;
	TAILQ_FOREACH (p, processes(), next) {
		process_start(p);
	}
	TAILQ_FOREACH (p, processes(), next) {
		if (p->channel)
			process_go(p, house_generation());
	}
}

int supervisor_run(const char *config_path, supervisor_ready_call *ready)
{
	struct error e = {0};
	tell_ready = ready;
	born = clock_wall_us() / CLOCK_SECOND;
	if (!house_open(config_path, &events, &e)) {
		ready(&e);
		return e.code;
	}
	listen_to_signals();
	raise_limits();
	if (house_one_uid())
		log_warning("started by an ordinary user: every daemon runs as uid %u, and nothing "
			    "that needs root is there",
			    (unsigned)getuid());
	start_all();
	loop_timer_start(&tick_timer, TICK_US, tick, NULL);
	loop_run();
	return exit_code;
}
