/*
 * An event of libunbound is a descriptor that is watched, or a time, or both, whichever comes
 * first. Without PERSIST it is called once. The struct may be freed in its own call: `alive` tells.
 */
#include "daemons/resolver/events.h"

#include <sys/time.h>
#include <unbound-event.h>

#include "common/base/memory.h"
#include "common/os/loop.h"

struct event {
	struct ub_event super; /* first: libunbound knows this part */
	struct loop_watch watch;
	struct loop_timer timer;
	int fd;
	short bits;
	uint64_t wait; /* microseconds; 0: for ever */
	bool *alive;   /* during its call; becomes false when it is freed */
	void (*call)(int fd, short bits, void *arg);
	void *arg;
};

static void (*after_event)(void);

static struct event *event_of(struct ub_event *e)
{
	return (struct event *)e;
}

static int event_del(struct ub_event *super)
{
	struct event *e = event_of(super);
	loop_watch_stop(&e->watch);
	loop_timer_stop(&e->timer);
	return 0;
}

static void happened(struct event *e, short bits);

static void timed_out(void *arg)
{
	happened(arg, UB_EV_TIMEOUT);
}

static void ready(void *arg, unsigned what)
{
	happened(arg, (short)((what & LOOP_READ ? UB_EV_READ : 0) |
			      (what & LOOP_WRITE ? UB_EV_WRITE : 0)));
}

static void start(struct event *e)
{
	unsigned what =
	    (e->bits & UB_EV_READ ? LOOP_READ : 0U) | (e->bits & UB_EV_WRITE ? LOOP_WRITE : 0U);
	if (what && e->fd >= 0)
		loop_watch_start(&e->watch, e->fd, what, ready, e);
	if (e->wait > 0)
		loop_timer_start(&e->timer, e->wait, timed_out, e);
}

static void happened(struct event *e, short bits)
{
	bool alive = true;
	if (!(e->bits & UB_EV_PERSIST))
		event_del(&e->super);
	else if (e->wait > 0)
		loop_timer_start(&e->timer, e->wait, timed_out, e);
	e->alive = &alive;
	e->call(e->fd, bits, e->arg);
	if (alive)
		e->alive = NULL;
	after_event();
}

/* At least one: no time at all is written as no timeval. */
static uint64_t microseconds(const struct timeval *t)
{
	uint64_t us = (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
	return us > 0 ? us : 1;
}

static int event_add(struct ub_event *super, struct timeval *wait)
{
	struct event *e = event_of(super);
	event_del(super);
	e->wait = wait ? microseconds(wait) : 0;
	start(e);
	return 0;
}

static int event_add_timer(struct ub_event *super, struct ub_event_base *base,
			   void (*call)(int, short, void *), void *arg, struct timeval *wait)
{
	struct event *e = event_of(super);
	(void)base;
	e->call = call;
	e->arg = arg;
	return event_add(super, wait);
}

static void event_add_bits(struct ub_event *super, short bits)
{
	event_of(super)->bits |= bits;
}

static void event_del_bits(struct ub_event *super, short bits)
{
	event_of(super)->bits &= (short)~bits;
}

static void event_set_fd(struct ub_event *super, int fd)
{
	event_of(super)->fd = fd;
}

static void event_free(struct ub_event *super)
{
	struct event *e = event_of(super);
	event_del(super);
	if (e->alive)
		*e->alive = false;
	memory_free(e);
}

/* Signals are the daemon unbound's, other systems' sockets nobody's. */
static int no_signal(struct ub_event *e, struct timeval *wait)
{
	(void)e, (void)wait;
	return -1;
}

static int no_signal_del(struct ub_event *e)
{
	(void)e;
	return -1;
}

static void no_unregister(struct ub_event *e)
{
	(void)e;
}

static void no_block(struct ub_event *e, int bits)
{
	(void)e, (void)bits;
}

static struct ub_event *event_new(struct ub_event_base *base, int fd, short bits,
				  void (*call)(int, short, void *), void *arg)
{
	static struct ub_event_vmt table = {
	    .add_bits = event_add_bits,
	    .del_bits = event_del_bits,
	    .set_fd = event_set_fd,
	    .free = event_free,
	    .add = event_add,
	    .del = event_del,
	    .add_timer = event_add_timer,
	    .del_timer = event_del,
	    .add_signal = no_signal,
	    .del_signal = no_signal_del,
	    .winsock_unregister_wsaevent = no_unregister,
	    .winsock_tcp_wouldblock = no_block,
	};
	struct event *e = memory_zero(1, sizeof(*e));
	(void)base;
	e->super = (struct ub_event){.magic = UB_EVENT_MAGIC, .vmt = &table};
	e->fd = fd;
	e->bits = bits;
	e->call = call;
	e->arg = arg;
	return &e->super;
}

static void base_free(struct ub_event_base *base)
{
	(void)base;
}

static int base_dispatch(struct ub_event_base *base)
{
	(void)base;
	return -1; /* the loop is run by the service */
}

static int base_exit(struct ub_event_base *base, struct timeval *wait)
{
	(void)base, (void)wait;
	return 0;
}

static struct ub_event *base_signal(struct ub_event_base *base, int number,
				    void (*call)(int, short, void *), void *arg)
{
	(void)base, (void)number, (void)call, (void)arg;
	return NULL;
}

static struct ub_event *base_register(struct ub_event_base *base, void *event,
				      void (*call)(int, short, void *), void *arg)
{
	(void)base, (void)event, (void)call, (void)arg;
	return NULL;
}

struct ub_event_base *events_base(void (*after)(void))
{
	static struct ub_event_base_vmt table = {
	    .free = base_free,
	    .dispatch = base_dispatch,
	    .loopexit = base_exit,
	    .new_event = event_new,
	    .new_signal = base_signal,
	    .winsock_register_wsaevent = base_register,
	};
	static struct ub_event_base base = {.magic = UB_EVENT_MAGIC, .vmt = &table};
	after_event = after;
	return &base;
}
