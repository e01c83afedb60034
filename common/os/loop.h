/*
 * loop: the one event loop of a process, over libev with epoll. There is no loop to pass around.
 *
 * A turn: every ready watch, timer, signal and wake is called; then the turn's end (struct
 * loop_turn), which is where a batch is committed; then the process sleeps. Nothing called from
 * here may wait, but for what loop_turn_add_blocking() adds. All structs here must be zero before
 * their first start; the owner keeps them where they are until they are stopped. Stopping what was
 * never started, or twice, is fine; so is stopping, starting again or freeing a watch from its own
 * call.
 *
 * Not thread-safe, but for loop_wake_send().
 */
#ifndef COMMON_OS_LOOP_H
#define COMMON_OS_LOOP_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <bsd/sys/queue.h>

enum { LOOP_READ = EV_READ, LOOP_WRITE = EV_WRITE };

/* what: LOOP_READ, LOOP_WRITE or both. A hang-up or error of the descriptor shows as what was asked
 * for; a descriptor that can't be watched (a regular file) is called with both, and then stopped.
 */
typedef void loop_watch_call(void *arg, unsigned what);
typedef void loop_call(void *arg);

struct loop_watch {
	struct ev_io io;
	loop_watch_call *call;
	void *arg;
};

/* what may be 0: known, but waiting for nothing. The descriptor stays the caller's, who stops the
 * watch before closing it. */
void loop_watch_start(struct loop_watch *w, int fd, unsigned what, loop_watch_call *call,
		      void *arg);
/* Waits for something else from now on (0: nothing). Only after loop_watch_start. */
void loop_watch_set(struct loop_watch *w, unsigned what);
void loop_watch_stop(struct loop_watch *w);

struct loop_timer {
	struct ev_timer timer;
	loop_call *call;
	void *arg;
};

/* Calls once, `us` microseconds after the beginning of this turn (0: in the next turn). Started
 * again before that, it begins anew. Time while the machine is suspended does not count. */
void loop_timer_start(struct loop_timer *t, uint64_t us, loop_call *call, void *arg);
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_active(const struct loop_timer *t);

struct loop_signal {
	struct ev_signal signal;
	LIST_ENTRY(loop_signal) link;
	loop_call *call;
	void *arg;
};

/* Several deliveries may show as one call: with SIGCHLD, waitpid() until there is none left (the
 * loop itself waits for no child). */
void loop_signal_start(struct loop_signal *s, int number, loop_call *call, void *arg);
void loop_signal_stop(struct loop_signal *s);

struct loop_wake {
	struct ev_async async;
	loop_call *call;
	void *arg;
};

/* Lets another thread (or a signal handler) have `call` run in the loop; several sends before the
 * loop gets there are one call. A started wake keeps loop_run() from returning. */
void loop_wake_start(struct loop_wake *w, loop_call *call, void *arg);
void loop_wake_send(struct loop_wake *w);
void loop_wake_stop(struct loop_wake *w);

struct loop_turn {
	TAILQ_ENTRY(loop_turn) link;
	loop_call *call;
	void *arg;
	bool added;
	unsigned place; /* which of the three orders below */
};

/* Called at the end of each turn, and once more when loop_run() ends, in the order of adding. */
void loop_turn_add(struct loop_turn *t, loop_call *call, void *arg);
/* The same, after all of the above: for what gathers from them, as the log does. */
void loop_turn_add_last(struct loop_turn *t, loop_call *call, void *arg);
/* The same, when all of them have sent what they had: for what may block for a moment, so that
 * nobody's answer waits for it. */
void loop_turn_add_blocking(struct loop_turn *t, loop_call *call, void *arg);
void loop_turn_remove(struct loop_turn *t); /* not from inside another turn's call */
/* From any call of a turn: don't sleep, look for events with no waiting and come back. */
void loop_turn_again(void);

/* Lets events gather while there are many: when more than `burst` turns came faster than one in
 * `us`, a turn begins no sooner than `us` after the one before it, and finds all that came
 * meanwhile; nobody wakes this process for it. Timers are called when they are due, and a turn that
 * was asked for by loop_turn_again() is not delayed. Called again it changes both; us 0: no more.
 */
void loop_gather(uint64_t us, unsigned burst);

/* Until loop_stop(), or until nothing is left to wait for. */
void loop_run(void);
void loop_stop(void);
/* clock_boot_us() as it was when this turn began: use it wherever a turn's precision is enough. */
uint64_t loop_now(void);
/* In a child after fork(): forgets the parent's loop whole. Its watches are then zeroed, not
 * stopped. */
void loop_forget(void);

#endif
