/*
 * Starting, telling and burying one daemon. The master believes nothing that a daemon says beyond
 * the few messages in the table below: a channel that closes for whatever reason means that the
 * process is killed, and its death, seen by waitpid, is the one event that leads to a new start.
 */
#include "master/process.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "common/os/log_output.h"
#include "common/os/spawn.h"
#include "common/os/user.h"
#include "master/courtesy.h"
#include "master/detach.h"
#include "master/last_words.h"

enum { MASTER_FD = 3, LOG_FD = 4, SERVICE_ENVIRONMENT_MAX = 16 };

static struct process_list list = TAILQ_HEAD_INITIALIZER(list);
static const struct process_events *events;
static int master_log = -1;
static bool closed;

static void bury(struct process *p, const char *how, int value);

struct process_list *processes(void)
{
	return &list;
}

struct process *process_find(struct slice role, unsigned instance)
{
	struct process *p;
	TAILQ_FOREACH (p, &list, next) {
		if (p->instance == instance && slice_equal(role, slice_str(services[p->role].name)))
			return p;
	}
	return NULL;
}

int process_master_log(void)
{
	return master_log;
}

/* A pair for log lines. The reader learns from the kernel who wrote each packet. */
static bool log_pair_make(int *end, int *reader, struct error *e)
{
	int fds[2], on = 1;
	if (!channel_pair(fds) || setsockopt(fds[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return error_set(e, EX_OSERR, "a log channel can't be made: %s", strerror(errno));
	*end = fds[0];
	*reader = fds[1];
	return true;
}

bool process_user(enum role_id role, struct identity *as, struct error *e)
{
	char name[ROLE_MAX + 16];
	snprintf(name, sizeof(name), "stagepost-%s", services[role].name);
	if (!user_find(name, &as->uid, &as->gid, e)) {
		return error_set(e, EX_CONFIG,
				 "%s: the system users are missing; make them with "
				 "\"systemd-sysusers stagepost.conf\", or without systemd as "
				 "INSTALL says",
				 e->text);
	}
	if (as->uid == 0)
		return error_set(e, EX_CONFIG, "user %s must not have the uid 0", name);
	return true;
}

static struct process *process_new(enum role_id role, unsigned instance, bool one_uid,
				   struct error *e)
{
	struct process *p = memory_zero(1, sizeof(*p));
	p->role = role;
	p->instance = instance;
	if (instance > 0)
		snprintf(p->name, sizeof(p->name), "%s-%u", services[role].name, instance);
	else
		snprintf(p->name, sizeof(p->name), "%s", services[role].name);
	p->as = (struct identity){getuid(), getgid()};
	if ((one_uid || process_user(role, &p->as, e)) &&
	    log_pair_make(&p->log_end, &p->log_reader, e))
		return p;
	memory_free(p);
	return NULL;
}

static void drop(struct process_list *fresh)
{
	struct process *p;
	while ((p = TAILQ_FIRST(fresh))) {
		TAILQ_REMOVE(fresh, p, next);
		close(p->log_end);
		close(p->log_reader);
		memory_free(p);
	}
}

bool processes_add(const unsigned counts[ROLES], bool one_uid, struct error *e)
{
	struct process_list fresh = TAILQ_HEAD_INITIALIZER(fresh);
	for (unsigned role = 0; role < ROLES; role++)
		for (unsigned i = 0; i < counts[role]; i++) {
			struct process *p;
			if (process_find(slice_str(services[role].name), i))
				continue;
			p = process_new((enum role_id)role, i, one_uid, e);
			if (!p) {
				drop(&fresh);
				return false;
			}
			TAILQ_INSERT_TAIL(&fresh, p, next);
		}
	TAILQ_CONCAT(&list, &fresh, next);
	return true;
}

bool processes_make(const unsigned counts[ROLES], bool one_uid, const struct process_events *ev,
		    struct error *e)
{
	int own = -1;
	events = ev;
	if (!processes_add(counts, one_uid, e))
		return false;
	if (!log_pair_make(&own, &master_log, e))
		return false;
	log_output_channel(own, "master", LOG_LEVEL_INFO);
	return true;
}

/* What a daemon says */

static void on_ready(struct channel *c, const void *record)
{
	const struct master_ready *m = record;
	struct process *p = channel_owner(c);
	if (m->generation == 0 || m->generation > p->told) {
		channel_break(c, "ready with settings that it was not given");
		return;
	}
	p->generation = m->generation;
	if (p->state == PROCESS_STARTING) {
		p->state = PROCESS_SERVING;
		p->serving_since = clock_boot_us();
	}
	/* the answer to an earlier set leaves the time for the newest running */
	if (p->state == PROCESS_SERVING && p->generation == p->told)
		loop_timer_stop(&p->timer);
	events->ready(p);
}

/* Its end follows by itself; that it came from a drain is known from the state. */
static void on_drained(struct channel *c, const void *record)
{
	(void)c;
	(void)record;
}

static void on_lost(struct channel *c, const void *record)
{
	events->lost(channel_owner(c), record);
}

static void on_ask(struct channel *c, const void *record)
{
	events->ask(channel_owner(c), record);
}

static void on_want(struct channel *c, const void *record)
{
	events->want(channel_owner(c), record);
}

/* One of them: no daemon has two such rights. */
enum { MAY_SPEAK = 1, MAY_ASK = 2, MAY_WANT = 4 };
static const struct route routes[] = {
    {MASTER_READY, ROUTE_ALWAYS, on_ready},	/* serves with these settings */
    {MASTER_DRAINED, ROUTE_ALWAYS, on_drained}, /* is about to end */
    {MASTER_LOST, ROUTE_ALWAYS, on_lost},	/* a peer's channel closed */
    {MASTER_ASK, MAY_ASK, on_ask},		/* an administrator's verb, by control alone */
    {MASTER_WANT, MAY_WANT, on_want},		/* a connection, by accounts alone */
    {0},
};

static void on_closed(struct channel *c)
{
	struct process *p = channel_owner(c);
	channel_free(&p->channel);
	if (p->pid > 0)
		kill(p->pid, SIGKILL);
}

/* Starting */

static void late(void *arg)
{
	struct process *p = arg;
	log_warning("%s is not ready in time, and is ended", p->name);
	process_kill(p);
}

static void overdue(void *arg)
{
	struct process *p = arg;
	log_warning("%s has not stopped in time, and is ended", p->name);
	process_kill(p);
}

static void start_now(void *arg)
{
	struct process *p = arg;
	process_start(p);
}

/* The folder of our own program holds the others. */
static bool program_path(const char *name, char path[PATH_MAX], struct error *e)
{
	char own[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", own, sizeof(own));
	size_t dir;
	int n;
	if (len <= 0 || (size_t)len >= sizeof(own))
		return error_set(e, EX_OSERR, "/proc/self/exe can't be read");
	dir = slice_find_last(slice_make(own, (size_t)len), '/');
	n = snprintf(path, PATH_MAX, "%.*s/%s", (int)dir, own, name);
	return (n > 0 && n < PATH_MAX) ||
	       error_set(e, EX_OSERR, "the path of %s is too long", name);
}

static const char *program_of(enum role_id role)
{
	return services[role].program ? services[role].program : services[role].name;
}

/* The few variables that mean something to a daemon; the rest of the world is none of its. */
static void environment(char *list_out[SERVICE_ENVIRONMENT_MAX + 1])
{
	static const char *const names[] = {"TZ",
					    "STAGEPOST_FAULTS",
					    "STAGEPOST_TRAP",
					    "STAGEPOST_DISK_TRACE",
					    "STAGEPOST_DISK_RECORD",
					    "STAGEPOST_TAKEN_OVER",
					    "STAGEPOST_CLOCK",
					    "STAGEPOST_SPOOL_SIZES",
					    "ASAN_OPTIONS",
					    "UBSAN_OPTIONS",
					    "LSAN_OPTIONS"};
	size_t count = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);
		char *text;
		if (value && asprintf(&text, "%s=%s", names[i], value) > 0)
			list_out[count++] = text;
	}
	list_out[count] = NULL;
}

static pid_t exec(struct process *p, int channel, struct error *e)
{
	char path[PATH_MAX];
	char title[ROLE_MAX + 16]; /* also all the room that the daemon's own title has */
	char *argv[] = {title, NULL};
	char *vars[SERVICE_ENVIRONMENT_MAX + 1];
	struct spawn_fd fds[] = {{channel, MASTER_FD}, {p->log_end, LOG_FD}, {2, 2}};
	struct spawn s = {.path = path,
			  .batch = courtesy_batch(),
			  .argv = argv,
			  .environment = vars,
			  .fds = fds,
			  .fd_count = last_words_heard() && !detach_done() ? 3 : 2};
	pid_t pid;
	if (!program_path(program_of(p->role), path, e))
		return -1;
	snprintf(title, sizeof(title), "stagepost: %s", p->name);
	environment(vars);
	pid = spawn_start(&s, e);
	for (char **v = vars; *v; v++)
		free(*v);
	return pid;
}

static void tell_started(const struct process *p)
{
	struct log_line l;
	log_start(&l, LOG_LEVEL_INFO, 0, "daemon-started");
	log_text(&l, "role", "%s", p->name);
	log_number(&l, "pid", (uint64_t)p->pid);
	log_end(&l);
}

void process_start(struct process *p)
{
	struct error e = {0};
	int fds[2];
	if (closed)
		return;
	p->starts++;
	p->told = p->generation = p->serving_since = 0;
	p->renewed = false;
	if (!channel_pair(fds)) {
		log_error("%s: no channel can be made: %s", p->name, strerror(errno));
		bury(p, "code", EX_OSERR);
		return;
	}
	p->pid = exec(p, fds[1], &e);
	close(fds[1]);
	if (p->pid < 0) {
		p->pid = 0;
		close(fds[0]);
		log_error("%s can't be started: %s", p->name, e.text);
		bury(p, "code", EX_UNAVAILABLE);
		return;
	}
	p->state = PROCESS_STARTING;
	p->started = clock_wall_us() / CLOCK_SECOND;
	p->channel = channel_open(fds[0], &master_dialogue, routes, on_closed, p);
	channel_set_state(p->channel, services[p->role].gifts & GIFT_ASK       ? MAY_ASK
				      : services[p->role].gifts & GIFT_SOCKETS ? MAY_WANT
									       : MAY_SPEAK);
	tell_started(p);
	events->equip(p);
}

/* Telling */

bool process_send(struct process *p, uint16_t number, const void *record)
{
	if (!p->channel)
		return false;
	if (channel_send(p->channel, number, record))
		return true;
	process_kill(p);
	return false;
}

void process_send_fd(struct process *p, const char *kind, const char *name, const char *detail,
		     int fd)
{
	struct master_descriptor m = {.kind = slice_str(kind),
				      .name = slice_str(name),
				      .detail = slice_str(detail),
				      .fd = fd};
	process_send(p, MASTER_DESCRIPTOR, &m);
}

void process_go(struct process *p, uint64_t generation)
{
	struct master_go m = {.generation = generation};
	p->told = generation;
	if (process_send(p, MASTER_GO, &m))
		loop_timer_start(&p->timer, READY_LIMIT_US, late, p);
}

void process_drain(struct process *p, uint64_t limit_us, bool renew)
{
	struct master_drain m = {.limit = limit_us};
	if (p->pid == 0 || p->state == PROCESS_DRAINING)
		return;
	p->state = PROCESS_DRAINING;
	p->renewed = renew;
	if (process_send(p, MASTER_DRAIN, &m))
		loop_timer_start(&p->timer, limit_us, overdue, p);
	else
		process_kill(p);
}

void process_kill(struct process *p)
{
	if (p->pid > 0)
		kill(p->pid, SIGKILL);
}

void processes_close(void)
{
	struct process *p;
	closed = true;
	TAILQ_FOREACH (p, &list, next) {
		if (p->pid == 0) {
			loop_timer_stop(&p->timer);
			p->state = PROCESS_ENDED;
		}
	}
}

/* Burying */

static void tell_ended(const struct process *p, pid_t pid, const char *how, int value,
		       const uint64_t *wait)
{
	struct log_line l;
	bool orderly = p->state == PROCESS_DRAINING && strcmp(how, "code") == 0 && value == 0;
	log_start(&l, orderly ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, 0, "daemon-ended");
	log_text(&l, "role", "%s", p->name);
	log_number(&l, "pid", (uint64_t)pid);
	log_number(&l, how, (uint64_t)value);
	if (wait)
		log_number(&l, "next", *wait / 1000);
	log_end(&l);
}

static void bury(struct process *p, const char *how, int value)
{
	uint64_t served = p->serving_since ? clock_boot_us() - p->serving_since : 0;
	uint64_t wait = p->renewed ? 0 : backoff_next(&p->backoff, served);
	pid_t pid = p->pid;
	channel_free(&p->channel);
	loop_timer_stop(&p->timer);
	p->pid = 0;
	tell_ended(p, pid, how, value, closed ? NULL : &wait);
	p->state = closed ? PROCESS_ENDED : PROCESS_WAITING;
	if (!closed)
		loop_timer_start(&p->timer, wait, start_now, p);
	events->ended(p);
}

void processes_reap(void)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct process *p;
		TAILQ_FOREACH (p, &list, next) {
			if (p->pid == pid)
				break;
		}
		if (p && WIFSIGNALED(status))
			bury(p, "signal", WTERMSIG(status));
		else if (p)
			bury(p, "code", WEXITSTATUS(status));
	}
}

const char *process_state_name(const struct process *p)
{
	static const char *const names[] = {
	    [PROCESS_WAITING] = "waiting", [PROCESS_STARTING] = "starting",
	    [PROCESS_SERVING] = "serving", [PROCESS_DRAINING] = "draining",
	    [PROCESS_ENDED] = "ended",
	};
	return names[p->state];
}
