/*
 * A daemon's life, as the master leads it: each of its messages is one line in the table of routes.
 * The process ends by _exit only: helper threads may run, and everything that matters is durable.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/log_output.h"
#include "common/os/loop.h"
#include "common/os/process.h"
#include "common/os/sandbox.h"
#include "common/service/parts.h"

enum {
	LAST_WORDS_US = 200000,	  /* for what is queued when the process ends */
	TIDY_EVERY_US = 15000000, /* memory that a crowd has left behind */
};

enum life { LIFE_BORN = 1, LIFE_BEGUN = 2, LIFE_SERVING = 4, LIFE_DRAINING = 8 };

static const struct service *self;
static struct channel *master;
static struct master_begin begun; /* role points nowhere after its message */
static enum life life = LIFE_BORN;
static uint64_t generation; /* of the settings that came last */
static uint64_t in_use;	    /* that of the settings in use */
static struct loop_timer tidier;

static _Noreturn void end(int code)
{
	log_output_flush();
	_exit(code);
}

static void live(enum life next)
{
	life = next;
	channel_set_state(master, next);
}

static void on_begin(struct channel *c, const void *record)
{
	(void)c;
	begun = *(const struct master_begin *)record;
	if (!slice_equal(begun.role, slice_str(self->name)))
		fatal("the master takes this daemon for %.*s", SLICE_FMT(begun.role));
	if (begun.instance > 0)
		process_title("%s-%u", self->name, begun.instance);
	else
		process_title("%s", self->name);
	begun.role = slice_str(self->name);
	live(LIFE_BEGUN);
}

static void on_settings_begin(struct channel *c, const void *record)
{
	(void)c;
	(void)record;
	if (self->settings_begin)
		self->settings_begin();
}

static void on_setting(struct channel *c, const void *record)
{
	(void)c;
	if (!setting_decode(self, record))
		fatal("settings of another build of the master");
}

static void take_settings(void)
{
	in_use = generation;
	if (self->settings_end)
		self->settings_end();
}

/* A process that serves takes a new set when all that belongs to it, such as the files of its
 * tables, is there too: with the GO. */
static void on_settings_end(struct channel *c, const void *record)
{
	const struct master_settings_end *m = record;
	(void)c;
	generation = m->generation;
	if (life == LIFE_BEGUN)
		take_settings();
}

static void on_link(struct channel *c, const void *record)
{
	(void)c;
	peers_link(record);
}

static void on_descriptor(struct channel *c, const void *record)
{
	(void)c;
	place_descriptor(self, record);
}

static void tidy(void *arg)
{
	(void)arg;
	memory_tidy();
	loop_timer_start(&tidier, TIDY_EVERY_US, tidy, NULL);
}

/* The first one opens the house; a later one follows a new set of settings. */
static void on_go(struct channel *c, const void *record)
{
	struct master_ready ready = {.generation = generation};
	(void)record;
	if (life == LIFE_BEGUN) {
		if (self->warm)
			self->warm();
		place_enter(self, &begun);
		live(LIFE_SERVING);
		tidy(NULL);
		if (self->start)
			self->start();
		peers_open();
	} else {
		take_settings();
	}
	channel_send(c, MASTER_READY, &ready);
}

static void on_drain(struct channel *c, const void *record)
{
	bool serving = life == LIFE_SERVING;
	(void)c;
	(void)record;
	live(LIFE_DRAINING);
	if (serving && self->drain)
		self->drain();
	else
		service_drained();
}

/* Settings may come while a daemon drains: they change nothing any more, and harm nothing. */
enum {
	WHEN_BEGUN = LIFE_BEGUN | LIFE_SERVING | LIFE_DRAINING,
};
static const struct route skeleton_routes[] = {
    {MASTER_BEGIN, LIFE_BORN, on_begin}, /* who we are */
    {MASTER_SETTINGS_BEGIN, WHEN_BEGUN, on_settings_begin},
    {MASTER_SETTING, WHEN_BEGUN, on_setting},
    {MASTER_SETTINGS_END, WHEN_BEGUN, on_settings_end},
    {MASTER_LINK, WHEN_BEGUN, on_link}, /* a peer was started (again) */
    {MASTER_DESCRIPTOR, WHEN_BEGUN, on_descriptor},
    {MASTER_GO, WHEN_BEGUN, on_go},		      /* all is there */
    {MASTER_DRAIN, LIFE_BORN | WHEN_BEGUN, on_drain}, /* stop in good order */
    {0},
};

/* The skeleton's routes and the daemon's own as one table; it lives as long as the process. */
static const struct route *all_routes(const struct route *more)
{
	size_t own = sizeof(skeleton_routes) / sizeof(skeleton_routes[0]) - 1, count = 0;
	struct route *routes;
	if (!more)
		return skeleton_routes;
	while (more[count].number)
		count++;
	routes = memory_zero(own + count + 1, sizeof(*routes));
	memcpy(routes, skeleton_routes, own * sizeof(*routes));
	memcpy(routes + own, more, count * sizeof(*routes));
	return routes;
}

static void master_gone(struct channel *c)
{
	(void)c;
	if (self->orphaned)
		self->orphaned();
	end(EX_OK);
}

static bool is_packet_socket(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);
	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

int service_run(const struct service *s, int argc, char **argv)
{
	if (!is_packet_socket(SERVICE_MASTER_FD) || !is_packet_socket(SERVICE_LOG_FD)) {
		fprintf(stderr, "%s is started by the master of stagepost, not by hand\n", s->name);
		return EX_USAGE;
	}
	process_begin(argc, argv);
	signal(SIGTERM, SIG_IGN); /* the master decides; when it has gone, its channel says so */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	self = s;
	disk_faults_role(s->name);
	clock_warm();
	log_output_channel(SERVICE_LOG_FD, s->name, LOG_LEVEL_INFO);
	peers_begin(s->links);
	master = channel_open(SERVICE_MASTER_FD, &master_dialogue, all_routes(s->master_routes),
			      master_gone, NULL);
	loop_run();
	end(EX_SOFTWARE);
}

void service_drained(void)
{
	struct master_drained drained = {.generation = generation};
	if (life != LIFE_DRAINING)
		panic("drained without a word of the master");
	peers_flush(LAST_WORDS_US);
	channel_send(master, MASTER_DRAINED, &drained);
	channel_flush(master, LAST_WORDS_US);
	end(EX_OK);
}

struct channel *service_master(void)
{
	return master;
}

struct channel *service_peer(const char *peer)
{
	return peers_find(peer);
}

uint64_t service_generation(void)
{
	return in_use;
}

bool service_one_uid(void)
{
	return begun.one_uid;
}
