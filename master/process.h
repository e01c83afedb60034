/*
 * process: one daemon that the master keeps alive, from its start to the next one.
 */
#ifndef MASTER_PROCESS_H
#define MASTER_PROCESS_H

#include <sys/types.h>
#include <bsd/sys/queue.h>

#include "common/dialogue/master.h"
#include "common/os/loop.h"
#include "common/wire/channel.h"
#include "master/backoff.h"
#include "master/places.h"
#include "master/services.h"

#define READY_LIMIT_US UINT64_C(120000000) /* from the start, or from new settings, to ready */

enum process_state {
	PROCESS_WAITING,  /* not there: to be started at its time */
	PROCESS_STARTING, /* runs, is not ready yet */
	PROCESS_SERVING,
	PROCESS_DRAINING, /* was told to stop */
	PROCESS_ENDED,	  /* not there, and not to be started again */
};

struct process {
	TAILQ_ENTRY(process) next;
	enum role_id role;
	unsigned instance;
	char name[ROLE_MAX]; /* "smtpd", "smtpd-1" */
	struct identity as;
	pid_t pid; /* 0: not there */
	enum process_state state;
	struct channel *channel; /* NULL: none */
	uint64_t told;		 /* generation of the settings that it was last told to use */
	uint64_t generation;	 /* of the settings that it serves with; 0: none yet */
	uint64_t serving_since;	 /* on the boot clock; 0: not yet */
	uint64_t started;	 /* Unix seconds */
	uint64_t starts;	 /* since the master's own */
	struct backoff backoff;
	struct loop_timer timer; /* to be started, to be ready, or to be gone */
	int log_end;		 /* the daemon writes its lines here, whichever process it is */
	int log_reader;		 /* and the log daemon reads them here */
	bool renewed;		 /* drains to be started anew at once */
};

TAILQ_HEAD(process_list, process);

/* What a process tells, handled where it belongs (supervisor.c, asks.c, links.c, sockets.c). */
struct process_events {
	void (*ready)(struct process *p); /* serving with p->generation */
	void (*ended)(struct process *p); /* pid is 0; state WAITING or ENDED */
	void (*lost)(struct process *p, const struct master_lost *m);
	void (*ask)(struct process *p, const struct master_ask *m);
	void (*want)(struct process *p, const struct master_want *m);
	/* Everything that it needs but go, right after its start. */
	void (*equip)(struct process *p);
};

/* All processes, in the order of their start; made once. one_uid: every one runs as we do. code 78:
 * a user is missing. */
bool processes_make(const unsigned counts[ROLES], bool one_uid, const struct process_events *events,
		    struct error *e);
/* Adds what counts has beyond those that are there, all of it or none; none is started. */
bool processes_add(const unsigned counts[ROLES], bool one_uid, struct error *e);
/* Whom a role's processes run as when root starts them. code 78: there is no such user. */
bool process_user(enum role_id role, struct identity *as, struct error *e);
struct process_list *processes(void);
struct process *process_find(struct slice role, unsigned instance);
/* The name and the end to read of the master's own log channel. */
int process_master_log(void);

void process_start(struct process *p); /* and equip; a failure counts as an end */
bool process_send(struct process *p, uint16_t number, const void *record); /* ends it if it can't */
void process_send_fd(struct process *p, const char *kind, const char *name, const char *detail,
		     int fd);
void process_go(struct process *p, uint64_t generation);
/* Orderly: it has so long, then it is killed. renew: starts it again at once when it is gone. */
void process_drain(struct process *p, uint64_t limit_us, bool renew);
void process_kill(struct process *p);
/* No process is started any more. */
void processes_close(void);
void processes_reap(void); /* after SIGCHLD */
const char *process_state_name(const struct process *p);

#endif
