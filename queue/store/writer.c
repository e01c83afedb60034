/*
 * writer: leases, ids, and the ways in from the manager and from the threads. A lease is in use,
 * spare, or given up; the writer asks for the next as soon as there is no spare, so that a full
 * segment stops nobody.
 */
#include "queue/store/writer.h"

#include <errno.h>
#include <signal.h>

#include "common/base/memory.h"
#include "common/base/queue_id.h"
#include "common/os/disk.h"
#include "queue/store/writer_private.h"

static const uint32_t IDS_END = UINT32_C(1) << QUEUE_ID_COUNTER_BITS;

void worker_start(struct worker *k, const char *name, void *(*run)(void *arg), void *arg)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_mutex_init(&k->mutex, NULL);
	pthread_cond_init(&k->work, NULL);
	k->stop = false;
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
	int err = pthread_create(&k->thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		fatal("can't make the thread %s: %s", name, strerror(err));
	pthread_setname_np(k->thread, name);
}

void worker_stop(struct worker *k)
{
	pthread_mutex_lock(&k->mutex);
	k->stop = true;
	pthread_cond_signal(&k->work);
	pthread_mutex_unlock(&k->mutex);
	pthread_join(k->thread, NULL);
}

void worker_free(struct worker *k)
{
	pthread_mutex_destroy(&k->mutex);
	pthread_cond_destroy(&k->work);
}

void writer_answer_later(struct writer *w, writer_done *done, void *arg, int err)
{
	if (w->answer_count == w->answer_size) {
		w->answer_size = w->answer_size ? w->answer_size * 2 : 16;
		w->answers = memory_resize(w->answers, w->answer_size, sizeof(*w->answers));
	}
	w->answers[w->answer_count++] = (struct answer){done, arg, err};
	loop_wake_send(&w->wake);
}

/* Only those that are there now: who is answered may cause more. */
static void answer(struct writer *w)
{
	struct answer *answers = w->answers;
	size_t count = w->answer_count;
	w->answers = NULL;
	w->answer_count = w->answer_size = 0;
	for (size_t i = 0; i < count; i++) {
		w->pending--;
		answers[i].done(answers[i].arg, answers[i].err);
	}
	memory_free(answers);
}

static void woken(void *arg)
{
	struct writer *w = arg;
	answer(w);
	commit_finish(w);
	spill_finished(w);
}

struct writer *writer_new(const struct writer_hooks *hooks)
{
	struct writer *w = memory_zero(1, sizeof(*w));
	w->hooks = *hooks;
	w->lost = true;
	w->patience_us = WRITER_PATIENCE_US;
	w->here_us = COMMIT_HERE_US;
	TAILQ_INIT(&w->spares);
	loop_turn_add(&w->turn, commit_turn, w);
	loop_turn_add_blocking(&w->blocking, commit_blocking, w);
	loop_wake_start(&w->wake, woken, w);
	record_warm();
	commit_start(w);
	spill_start(w);
	return w;
}

void lease_free(struct lease *l)
{
	disk_close(l->fd);
	memory_free(l);
}

void writer_free(struct writer **wp)
{
	struct writer *w = *wp;
	if (!w)
		return;
	if (w->drafts)
		panic("writer: freed before %zu of its drafts", w->drafts);
	writer_lost(w);
	commit_stop(w);
	spill_stop(w);
	while (w->answer_count)
		answer(w);
	loop_timer_stop(&w->patience);
	loop_wake_stop(&w->wake);
	loop_turn_remove(&w->turn);
	loop_turn_remove(&w->blocking);
	memory_free(w->answers);
	memory_free(w);
	*wp = NULL;
}

static uint32_t ids_left(const struct writer *w)
{
	return IDS_END - w->counter;
}

static void ask_leases(struct writer *w)
{
	while (!w->lost && w->leases + w->leases_asked < LEASES_WANTED) {
		w->leases_asked++;
		w->hooks.want_lease(w->hooks.arg, false);
	}
}

/* The counter is nearly used up: one lease more than usual, with a new incarnation. */
static void ask_fresh(struct writer *w)
{
	if (w->lost || w->fresh_asked)
		return;
	w->fresh_asked = true;
	w->leases_asked++;
	w->hooks.want_lease(w->hooks.arg, true);
}

void writer_end_lease(struct writer *w)
{
	lease_free(w->lease);
	w->lease = NULL;
	w->leases--;
}

void writer_use_spare(struct writer *w)
{
	if (!w->lease && (w->lease = TAILQ_FIRST(&w->spares)))
		TAILQ_REMOVE(&w->spares, w->lease, link);
	ask_leases(w);
}

static bool waits_for_manager(const struct writer *w)
{
	return !w->lost && (w->waiting_count > 0 || (!w->lease && commit_waits(w)));
}

/* It has not died, or writer_lost() would have come, but it does not answer: whoever waits for it
 * is told to try later, instead of waiting for ever. */
static void patience_ends(void *arg)
{
	struct writer *w = arg;
	if (!waits_for_manager(w))
		return;
	if (!w->lease)
		commit_fail_waiting(w, ETIMEDOUT);
	spill_fail_waiting(w, ETIMEDOUT);
}

void writer_watch(struct writer *w)
{
	if (!waits_for_manager(w))
		loop_timer_stop(&w->patience);
	else if (!loop_timer_active(&w->patience))
		loop_timer_start(&w->patience, w->patience_us, patience_ends, w);
}

void writer_take_lease(struct writer *w, const struct writer_lease *lease, int fd)
{
	if (w->lost) { /* from a manager that is gone */
		disk_close(fd);
		return;
	}
	loop_timer_stop(&w->patience); /* it answers: what waits still waits anew */
	struct lease *l = memory_zero(1, sizeof(*l));
	l->is = *lease;
	l->fd = fd;
	if (w->leases_asked)
		w->leases_asked--;
	w->leases++;
	/* Incarnations only grow: a lease with a lower one was under way when ours was given. */
	if (!w->ids || lease->incarnation > w->incarnation) {
		w->ids = true;
		w->spool = lease->spool;
		w->incarnation = lease->incarnation;
		w->counter = 1;
		w->fresh_asked = false;
	}
	TAILQ_INSERT_TAIL(&w->spares, l, link);
	writer_use_spare(w);
}

void writer_lost(struct writer *w)
{
	if (w->lost)
		return;
	w->lost = true;
	w->full = w->fresh_asked = false;
	if (w->ids)
		w->ids_dead = queue_id_make(w->spool, w->incarnation + 1, 0);
	w->leases = w->leases_asked = 0;
	if (w->lease && w->commit_busy && w->job.lease == w->lease)
		w->lease->given_up = true; /* commit_finish() frees it */
	else if (w->lease)
		lease_free(w->lease);
	w->lease = NULL;
	struct lease *l;
	while ((l = TAILQ_FIRST(&w->spares))) {
		TAILQ_REMOVE(&w->spares, l, link);
		lease_free(l);
	}
	commit_fail_waiting(w, ECONNRESET);
	spill_lost(w);
}

void writer_found(struct writer *w)
{
	if (!w->lost)
		return;
	w->lost = false;
	ask_leases(w);
}

void writer_pressure(struct writer *w, bool full)
{
	w->full = full;
	if (!full)
		return;
	if (!w->lease)
		commit_fail_waiting(w, ENOSPC);
	spill_fail_waiting(w, ENOSPC);
}

enum writer_state writer_state(const struct writer *w)
{
	if (w->memory >= WRITER_MEMORY_MAX || w->full)
		return WRITER_FULL;
	return w->lease && ids_left(w) ? WRITER_READY : WRITER_NO_LEASE;
}

uint64_t writer_draw_id(struct writer *w)
{
	if (!w->lease)
		return 0;
	if (ids_left(w) <= FRESH_AHEAD)
		ask_fresh(w);
	return ids_left(w) ? queue_id_make(w->spool, w->incarnation, w->counter++) : 0;
}

size_t writer_pending(const struct writer *w)
{
	return w->pending;
}
