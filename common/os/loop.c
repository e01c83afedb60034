/*
 * loop: a thin coat over libev. What it adds: no loop pointer, whole microseconds, an order for
 * what runs at the end of a turn, and a turn's end also when the loop stops.
 *
 * The loop is one of ev_loop_new(), not libev's default loop, because that one waits for every
 * child of the process and so takes their exit states away from the master and from local.
 */
#include "common/os/loop.h"

#include "common/base/error.h"
#include "common/os/clock.h"

TAILQ_HEAD(turn_list, loop_turn);
LIST_HEAD(signal_list, loop_signal);

static struct ev_loop *the_loop;
static struct ev_prepare turn_end;
static struct ev_check turn_begin;
static struct ev_idle again;
/* In the order in which they are called. */
enum turn_place { TURN_WORK, TURN_LAST, TURN_BLOCKING, TURN_PLACES };
static struct turn_list turns[TURN_PLACES] = {
    TAILQ_HEAD_INITIALIZER(turns[TURN_WORK]),
    TAILQ_HEAD_INITIALIZER(turns[TURN_LAST]),
    TAILQ_HEAD_INITIALIZER(turns[TURN_BLOCKING]),
};
static struct signal_list signals = LIST_HEAD_INITIALIZER(signals);
static uint64_t now;	/* of the turn that runs */
static bool running;	/* inside loop_run() */
static bool stop_asked; /* loop_stop() was called, before or in loop_run() */
/* Each turn costs gather_us of a credit that grows with the time, up to that of a burst. */
static uint64_t gather_us, gather_most, gather_credit, gather_since;

/* libev sleeps before it asks the kernel, but for timers that are due; the time since the turn
 * before counts. */
static void gather_or_not(void)
{
	gather_credit += now - gather_since;
	gather_since = now;
	if (gather_credit > gather_most)
		gather_credit = gather_most;
	gather_credit -= gather_credit < gather_us ? gather_credit : gather_us;
	ev_set_io_collect_interval(the_loop,
				   gather_credit < gather_us ? (double)gather_us / 1e6 : 0.);
}

static void at_turn_end(struct ev_loop *l, struct ev_prepare *w, int events)
{
	struct loop_turn *t, *next;
	(void)l, (void)w, (void)events;
	for (int place = 0; place < TURN_PLACES; place++)
		TAILQ_FOREACH_SAFE (t, &turns[place], link, next)
			t->call(t->arg);
	if (gather_us > 0)
		gather_or_not();
}

/* Right after the kernel was asked, before any other call of the turn. */
static void at_turn_begin(struct ev_loop *l, struct ev_check *w, int events)
{
	(void)w, (void)events;
	now = clock_boot_us();
	ev_idle_stop(l, &again);
}

static void at_idle(struct ev_loop *l, struct ev_idle *w, int events)
{
	(void)l, (void)w, (void)events;
}

static void at_warm(struct ev_loop *l, struct ev_async *w, int events)
{
	(void)l, (void)w, (void)events;
}

static struct ev_loop *loop(void)
{
	if (the_loop)
		return the_loop;
	the_loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	if (!the_loop)
		fatal("the event loop can't be made (epoll)");
	/* The two watchers of the turn don't count as something to wait for. */
	ev_prepare_init(&turn_end, at_turn_end);
	ev_prepare_start(the_loop, &turn_end);
	ev_unref(the_loop);
	ev_check_init(&turn_begin, at_turn_begin);
	ev_set_priority(&turn_begin, EV_MAXPRI);
	ev_check_start(the_loop, &turn_begin);
	ev_unref(the_loop);
	ev_idle_init(&again, at_idle);
	/* The first async makes the descriptor that wakes and signals go through: before the
	 * sandbox. */
	struct ev_async warm;
	ev_async_init(&warm, at_warm);
	ev_async_start(the_loop, &warm);
	ev_async_stop(the_loop, &warm);
	return the_loop;
}

static void watch_called(struct ev_loop *l, struct ev_io *io, int events)
{
	(void)l;
	struct loop_watch *w = (struct loop_watch *)io;
	w->call(w->arg, (unsigned)events & (LOOP_READ | LOOP_WRITE));
}

void loop_watch_start(struct loop_watch *w, int fd, unsigned what, loop_watch_call *call, void *arg)
{
	loop_watch_stop(w);
	w->call = call;
	w->arg = arg;
	ev_io_init(&w->io, watch_called, fd, (int)what);
	if (what)
		ev_io_start(loop(), &w->io);
}

void loop_watch_set(struct loop_watch *w, unsigned what)
{
	if (ev_is_active(&w->io) ? (unsigned)(w->io.events & (EV_READ | EV_WRITE)) == what : !what)
		return;
	ev_io_stop(loop(), &w->io);
	ev_io_modify(&w->io, (int)what); /* no call of the kernel when it comes back in this turn */
	if (what)
		ev_io_start(loop(), &w->io);
}

void loop_watch_stop(struct loop_watch *w)
{
	if (ev_is_active(&w->io) || ev_is_pending(&w->io))
		ev_io_stop(loop(), &w->io);
}

static void timer_called(struct ev_loop *l, struct ev_timer *timer, int events)
{
	(void)l, (void)events;
	struct loop_timer *t = (struct loop_timer *)timer;
	t->call(t->arg);
}

void loop_timer_start(struct loop_timer *t, uint64_t us, loop_call *call, void *arg)
{
	loop_timer_stop(t);
	t->call = call;
	t->arg = arg;
	if (!running)
		ev_now_update(loop());
	ev_timer_init(&t->timer, timer_called, (double)us / 1e6, 0.);
	ev_timer_start(loop(), &t->timer);
}

void loop_timer_stop(struct loop_timer *t)
{
	if (loop_timer_active(t))
		ev_timer_stop(loop(), &t->timer);
}

bool loop_timer_active(const struct loop_timer *t)
{
	/* One that is due in this turn is no longer active for libev, but pending. */
	return ev_is_active(&t->timer) || ev_is_pending(&t->timer);
}

static void signal_called(struct ev_loop *l, struct ev_signal *signal, int events)
{
	(void)l, (void)events;
	struct loop_signal *s = (struct loop_signal *)signal;
	s->call(s->arg);
}

void loop_signal_start(struct loop_signal *s, int number, loop_call *call, void *arg)
{
	loop_signal_stop(s);
	s->call = call;
	s->arg = arg;
	ev_signal_init(&s->signal, signal_called, number);
	ev_signal_start(loop(), &s->signal);
	LIST_INSERT_HEAD(&signals, s, link);
}

void loop_signal_stop(struct loop_signal *s)
{
	if (!ev_is_active(&s->signal))
		return;
	ev_signal_stop(loop(), &s->signal);
	LIST_REMOVE(s, link);
}

static void wake_called(struct ev_loop *l, struct ev_async *async, int events)
{
	(void)l, (void)events;
	struct loop_wake *w = (struct loop_wake *)async;
	w->call(w->arg);
}

void loop_wake_start(struct loop_wake *w, loop_call *call, void *arg)
{
	loop_wake_stop(w);
	w->call = call;
	w->arg = arg;
	ev_async_init(&w->async, wake_called);
	ev_async_start(loop(), &w->async);
}

void loop_wake_send(struct loop_wake *w)
{
	ev_async_send(the_loop, &w->async);
}

void loop_wake_stop(struct loop_wake *w)
{
	if (ev_is_active(&w->async))
		ev_async_stop(loop(), &w->async);
}

static void turn_add(enum turn_place place, struct loop_turn *t, loop_call *call, void *arg)
{
	loop();
	loop_turn_remove(t);
	t->call = call;
	t->arg = arg;
	t->place = place;
	t->added = true;
	TAILQ_INSERT_TAIL(&turns[place], t, link);
}

void loop_turn_add(struct loop_turn *t, loop_call *call, void *arg)
{
	turn_add(TURN_WORK, t, call, arg);
}

void loop_turn_add_last(struct loop_turn *t, loop_call *call, void *arg)
{
	turn_add(TURN_LAST, t, call, arg);
}

void loop_turn_add_blocking(struct loop_turn *t, loop_call *call, void *arg)
{
	turn_add(TURN_BLOCKING, t, call, arg);
}

void loop_turn_remove(struct loop_turn *t)
{
	if (!t->added)
		return;
	TAILQ_REMOVE(&turns[t->place], t, link);
	t->added = false;
}

void loop_turn_again(void)
{
	ev_idle_start(loop(), &again);
}

void loop_gather(uint64_t us, unsigned burst)
{
	ev_set_io_collect_interval(loop(), 0.);
	gather_us = us;
	gather_most = us * burst;
}

void loop_run(void)
{
	struct ev_loop *l = loop();
	ev_now_update(l);
	now = clock_boot_us();
	running = true;
	if (!stop_asked)
		ev_run(l, 0);
	ev_idle_stop(l, &again);
	at_turn_end(l, &turn_end, 0);
	running = false;
	stop_asked = false;
}

void loop_stop(void)
{
	stop_asked = true;
	ev_break(loop(), EVBREAK_ALL);
}

uint64_t loop_now(void)
{
	if (running)
		return now;
	loop();
	return clock_boot_us();
}

void loop_forget(void)
{
	if (!the_loop)
		return;
	while (!LIST_EMPTY(&signals))
		loop_signal_stop(LIST_FIRST(&signals));
	ev_loop_destroy(the_loop);
	the_loop = NULL;
	for (int place = 0; place < TURN_PLACES; place++)
		TAILQ_INIT(&turns[place]);
	running = stop_asked = false;
	gather_us = 0;
}
