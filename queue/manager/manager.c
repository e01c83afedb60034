/*
 * The manager's life: it opens the spool, fills the schedule from the index, and at each turn's end
 * makes messages active and gives jobs. Nothing here waits for the disk.
 */
#include <bsd/stdlib.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/loop.h"
#include "queue/manager/manager.h"

enum {
	PRESSURE_LOOK_US = 1000000,
	BOOT_ID_READ_MAX = 128,
	BUFFER_MAPPED = 1024 * 1024,
	/* Under load notices, answers and outcomes gather, so that a turn's cost (the kernel's, a
	 * write to the ledger, a packet to each peer) is shared by many messages. One message alone
	 * is through before that begins. */
	GATHER_US = 1000,
	GATHER_BURST = 6,
};

#define MINUTE_US (UINT64_C(60) * 1000000)

/* Windows count jobs. */
static const struct schedule_transport transports[TRANSPORTS] = {
    /* One mailbox takes many at once: an agent syncs what comes together in one go. */
    [TRANSPORT_LOCAL] = {.window_first = 100,
			 .window_most = 400,
			 .dead_first = MINUTE_US,
			 .dead_longest = 10 * MINUTE_US},
    /* smtp has at most 20 connections to a site. With more jobs than connections the next MAIL can
     * stand behind the content of the one before it; 5 for each keep them busy. A site that is dead
     * is tried again after a minute, as long as a restart takes, and every ten minutes later: that
     * is soon for who waits, and one connection for who does not answer. */
    [TRANSPORT_SMTP] = {.window_first = 20,
			.window_most = 100,
			.wary = true,
			.dead_first = MINUTE_US,
			.dead_longest = 10 * MINUTE_US},
    /* A mailbox of a system user is a mailbox, whose owner's process takes what waits together. */
    [TRANSPORT_SYSTEM] = {.window_first = 50,
			  .window_most = 100,
			  .dead_first = MINUTE_US,
			  .dead_longest = 10 * MINUTE_US},
};

struct manager manager;

static struct settings_limits limits_coming;
static struct settings_retry retry_coming;
static bool system_users_coming;
static struct {
	char postmaster[ADDRESS_MAX_OCTETS + 1]; /* as configured; may be empty */
	char hostname[HOST_NAME_MAX_OCTETS + 1], origin[HOST_NAME_MAX_OCTETS + 1];
	char domain[HOST_NAME_MAX_OCTETS + 1]; /* the first of ours; empty: none */
	bool hostname_ours, origin_ours;
} names_coming;
static int spool_directory = -1;
static char boot_id[BOOT_ID_SIZE];
static struct helper *helper;
static struct loop_turn turn;
static struct loop_timer due_timer, look_timer;

static void at_turn_end(void *arg);

uint64_t manager_now(void)
{
	return spool_now(manager.spool);
}

uint64_t manager_arrived(const struct entry *e)
{
	return (uint64_t)e->arrived * CLOCK_SECOND;
}

uint64_t manager_wall(uint64_t queue_time)
{
	uint64_t now = manager_now(), wall = clock_wall_us();

	return queue_time > now ? (wall + (queue_time - now)) / CLOCK_SECOND
				: (wall - (now - queue_time)) / CLOCK_SECOND;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* No destination is left alone for longer than a message would wait by itself. */
static void set_transports(void)
{
	for (unsigned i = 0; i < TRANSPORTS; i++) {
		struct schedule_transport t = transports[i];

		t.dead_first = least(t.dead_first, manager.retry.first);
		t.dead_longest = least(t.dead_longest, manager.retry.longest);
		schedule_transport(manager.schedule, i, &t);
	}
	agents_windows();
}

static struct schedule_settings schedule_settings_now(void)
{
	return (struct schedule_settings){
	    .retry_first = manager.retry.first,
	    .retry_longest = manager.retry.longest,
	    .give_up = manager.retry.give_up,
	    .give_up_bounces = manager.retry.give_up_bounces,
	};
}

void manager_settings_begin(void)
{
	limits_coming = (struct settings_limits){0};
	retry_coming = (struct settings_retry){0};
	system_users_coming = false;
	memset(&names_coming, 0, sizeof(names_coming));
}

/* system-maildir, system-mbox */
static bool is_system(const struct settings_deliver *d)
{
	return slice_equal(slice_sub(d->kind, 0, 7), SLICE("system-"));
}

static void take_server(const struct settings_server *s)
{
	slice_copy(s->postmaster, names_coming.postmaster, sizeof(names_coming.postmaster));
	slice_copy(s->hostname, names_coming.hostname, sizeof(names_coming.hostname));
	slice_copy(s->origin, names_coming.origin, sizeof(names_coming.origin));
}

static void take_domain(const struct settings_domain *d)
{
	if (names_coming.domain[0] == '\0')
		slice_copy(d->name, names_coming.domain, sizeof(names_coming.domain));
	names_coming.origin_ours |= slice_equal_fold(d->name, slice_str(names_coming.origin));
	names_coming.hostname_ours |= slice_equal_fold(d->name, slice_str(names_coming.hostname));
}

/* At a domain of ours, where there is one: every such has a postmaster (RFC 5321 4.5.1). */
static void name_postmaster(void)
{
	const char *at = names_coming.origin_ours     ? names_coming.origin
			 : names_coming.hostname_ours ? names_coming.hostname
			 : names_coming.domain[0]     ? names_coming.domain
			 : names_coming.origin[0]     ? names_coming.origin
						      : names_coming.hostname;

	if (names_coming.postmaster[0] != '\0')
		memcpy(manager.postmaster, names_coming.postmaster, sizeof(manager.postmaster));
	else
		snprintf(manager.postmaster, sizeof(manager.postmaster), "postmaster@%s", at);
}

void manager_setting(const struct record *record, const void *value)
{
	if (record == &settings_limits_record)
		limits_coming = *(const struct settings_limits *)value;
	else if (record == &settings_retry_record)
		retry_coming = *(const struct settings_retry *)value;
	else if (record == &settings_deliver_record)
		system_users_coming |= is_system(value);
	else if (record == &settings_server_record)
		take_server(value);
	else if (record == &settings_domain_record)
		take_domain(value);
}

void manager_settings_end(void)
{
	manager.limits = limits_coming;
	manager.retry = retry_coming;
	manager.system_users = system_users_coming;
	name_postmaster();
	agents_expect();
	if (manager.spool != NULL)
		spool_limit(manager.spool, manager.limits.spool_size, manager.limits.spool_free);
	if (manager.schedule != NULL) {
		struct schedule_settings s = schedule_settings_now();

		schedule_set(manager.schedule, &s);
		set_transports();
	}
}

void manager_descriptor(const struct service_descriptor *d)
{
	if (slice_equal(d->kind, SLICE("directory")) && spool_directory < 0) {
		spool_directory = d->fd;
		return;
	}
	log_warning("the queue manager was given a descriptor it has no use for: %.*s",
		    SLICE_FMT(d->kind));
	close(d->fd);
}

static void read_boot_id(void)
{
	struct buffer text;
	int fd = disk_open(AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY, 0);

	buffer_init(&text, BOOT_ID_READ_MAX);
	if (fd >= 0 && disk_read_whole(fd, BOOT_ID_READ_MAX, &text) == 0)
		slice_copy(slice_trim(buffer_slice(&text)), boot_id, sizeof(boot_id));
	else
		log_warning("the boot id can't be read: queue time goes on by the wall clock");
	if (fd >= 0)
		disk_close(fd);
	buffer_free(&text);
}

void manager_warm(void)
{
	read_boot_id();
	record_warm();
	routes_warm();
	sites_warm();
	reports_warm();
}

static void spool_became(void *arg, bool safe)
{
	(void)arg;
	if (safe)
		log_warning("the ledger is whole again: deliveries go on");
	else
		log_error(
		    "the ledger can't be written: no delivery begins until it is whole again; "
		    "look at the disk of the spool");
}

static void place(void *arg, struct entry *e)
{
	(void)arg;
	/* A former version kept what failed: its senders are told now. */
	if (e->disposition == MESSAGE_UNDELIVERABLE)
		spool_dispose(manager.spool, e, MESSAGE_QUEUED, manager_now());
	active_place(e, TRANSPORT_NONE, SLICE_EMPTY);
}

static void look(void *arg)
{
	(void)arg;
	writers_pressure();
	writers_serve();
	routes_look();
	sites_look();
	reports_look();
	agents_look();
	loop_timer_start(&look_timer, PRESSURE_LOOK_US, look, NULL);
}

static void open_spool(void)
{
	struct error error;
	struct spool_setup setup = {
	    .dirfd = spool_directory,
	    .helper = helper,
	    .boot_id = boot_id,
	    .extra = sizeof(struct stub),
	    .spool_size = manager.limits.spool_size,
	    .spool_free = manager.limits.spool_free,
	    .arrived = active_arrived,
	    .welcome = report_welcome,
	    .ended = active_ended,
	    .safe = spool_became,
	};

	manager.spool = spool_open(&setup, &error);
	if (manager.spool == NULL)
		fatal("the spool can't be opened: %s", error.text);
	manager.started = spool_now(manager.spool);
}

void manager_start(void)
{
	struct schedule_settings settings = schedule_settings_now();
	size_t cursor = 0;
	uint64_t seed;

	if (spool_directory < 0)
		fatal("the master gave no spool directory");
	/* Buffers of a whole file, for replay and scans, go back to the system when they are freed;
	 * left to itself the C library keeps the last one. */
	mallopt(M_MMAP_THRESHOLD, BUFFER_MAPPED);
	helper = helper_new();
	open_spool();
	arc4random_buf(&seed, sizeof(seed));
	manager.schedule = schedule_new(&settings, seed);
	set_transports();
	while (spool_walk(manager.spool, &cursor, place, NULL))
		;
	loop_turn_add(&turn, at_turn_end, NULL);
	loop_gather(GATHER_US, GATHER_BURST);
	look(NULL);
}

/* Every call of the loop is followed by a turn's end: to be woken is enough. */
static void due(void *arg)
{
	(void)arg;
}

static bool may_activate(void)
{
	return !manager.draining && manager.agents_known && spool_safe(manager.spool);
}

static void set_due_timer(void)
{
	uint64_t wake = schedule_wake(manager.schedule), now = manager_now();

	if (wake == UINT64_MAX || !may_activate())
		loop_timer_stop(&due_timer);
	else if (wake <= now)
		loop_turn_again();
	else
		loop_timer_start(&due_timer, wake - now, due, NULL);
}

/* Recipients count, for each is a question to the router. */
static bool activate_some(void)
{
	bool more;
	uint32_t recipients = 0;

	if (!may_activate())
		return false;
	more = schedule_due(manager.schedule, manager_now());
	while (recipients < ACTIVATE_STEP) {
		struct schedule_message *m = schedule_activate(manager.schedule);

		if (m == NULL)
			return more;
		recipients += entry_of(m)->alive;
		active_begin(entry_of(m));
	}
	return true;
}

static void at_turn_end(void *arg)
{
	bool more = orphans_step();

	(void)arg;
	more |= activate_some();
	more |= !manager.draining && feeds_step();
	routes_pump();
	sites_pump();
	reports_pump();
	jobs_pump();
	more |= admin_step();
	if (spool_flush(manager.spool))
		agents_send_notes();
	set_due_timer();
	if (more)
		loop_turn_again();
	if (manager.draining && jobs_out() == 0 && reports_out() == 0) {
		spool_close(&manager.spool);
		service_drained();
	}
}

void manager_drain(void)
{
	manager.draining = true;
	jobs_recall();
}

void manager_orphaned(void)
{
	if (manager.spool != NULL)
		spool_flush(manager.spool);
}
