/*
 * service: the skeleton every daemon runs in: arguments, settings, log, links to its peers,
 * descriptors, sandbox, loop, drain. A daemon's main.c fills one struct service and returns
 * service_run().
 *
 * Order of a life: exec by the master with its channel as descriptor 3 -> settings, links, files,
 * listeners arrive -> warm() -> sandbox -> start() -> the loop -> drain() -> service_drained().
 * When the master's channel closes, the process ends at once: everything that matters is durable.
 */
#ifndef COMMON_SERVICE_SERVICE_H
#define COMMON_SERVICE_SERVICE_H

#include "common/base/error.h"
#include "common/base/record.h"
#include "common/wire/channel.h"

/* A peer this daemon talks with. The master makes the socket pair; the channel is fresh again
 * whenever one of the two was restarted. */
struct service_link {
	const char *peer; /* role: "router" */
	const struct dialogue *dialogue;
	const struct route *routes;
	/* A fresh channel, owned by the service; instance: which process of that role. The master
	 * runs local twice: instance 0 for all mail, instance 1 for suspects alone. */
	void (*up)(struct channel *c, unsigned instance);
	void (*down)(struct channel *c); /* it has died; do not use it after this */
};

/* A descriptor from the master. kind "listener": name is the address (host:port or unix:path),
 * detail the listener's kind (smtp). kind "file": name is the table spec (file:users), detail
 * empty; or the path of a file that says how the DNS is asked, detail resolv.conf or anchor; sent
 * again when the file has changed. kind "directory": name is the directory's role or path, the
 * daemon may work in it. kind "base": the same to be handed on, by a descriptor (O_PATH) that opens
 * nothing for the daemon; again at each reload. kind "log": name is the role whose lines arrive on
 * it. kind "output": name is stderr, file or syslog. kind "socket" and "no-socket": what was asked
 * for by MASTER_WANT. The daemon owns fd. */
struct service_descriptor {
	struct slice kind, name, detail;
	int fd;
};

struct service {
	const char *name;		      /* role; the sandbox profile has the same name */
	const struct service_link *links;     /* ends with peer NULL */
	const struct record *const *settings; /* settings records it wants; ends with NULL */
	/* One settings record (decoded; slices die after the call), in the file's order. Between
	 * settings_begin and settings_end: a whole new set, at the start and at each reload. At a
	 * reload settings_end comes after the descriptors that belong to the set. */
	void (*settings_begin)(void);
	void (*setting)(const struct record *record, const void *value);
	void (*settings_end)(void);
	void (*descriptor)(const struct service_descriptor *d);
	/* Before the sandbox: load what libraries load late. May be NULL. Threads are started
	 * later: one that is older than the sandbox is not held by Landlock. */
	void (*warm)(void);
	/* Sandboxed; from here on strangers. The links come up after it. */
	void (*start)(void);
	/* Orderly stop: refuse new work, finish what is under way, then service_drained(). NULL:
	 * nothing to finish. The master ends the process when its time is over. */
	void (*drain)(void);
	/* The master has gone: what must be done before the process ends, at once; may be NULL. */
	void (*orphaned)(void);
	/* Messages of the master beyond the skeleton's own (control only); may be NULL. */
	const struct route *master_routes;
};

/* Returns only when it was not started by a master. */
int service_run(const struct service *s, int argc, char **argv);
/* Ends the process: what is queued on the channels is sent first. Only when the master has asked
 * for a drain; else panic. */
void service_drained(void);
/* The channel to the master, for daemons that speak with it beyond the skeleton. */
struct channel *service_master(void);
/* The current channel to a peer; NULL when it is not there now. */
struct channel *service_peer(const char *peer);
/* Of the settings in use, counted by the master: the same number in each process that uses them. */
uint64_t service_generation(void);
bool service_one_uid(void); /* run by an ordinary user: no root-only parts */

#endif
