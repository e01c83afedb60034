/*
 * A queue with a mutex and a condition; its length is bounded by who gives. Of those that have
 * nothing to do one at most watches how long the others let a job wait; the rest sleep until they
 * are called.
 */
#include "daemons/local/workers.h"

#include <time.h>

#include "common/base/memory.h"
#include "common/os/clock.h"

struct workers {
	struct maildir *maildir;
	workers_done *done;
	void *arg;
	pthread_mutex_t mutex;
	pthread_cond_t something; /* on CLOCK_MONOTONIC */
	struct maildir_jobs waiting;
	unsigned waiting_count;
	unsigned busy; /* have a batch */
	bool called;   /* somebody was woken up, and has not looked yet */
	bool watched;  /* somebody looks how long the others take */
	bool ending;
	unsigned count;
	pthread_t threads[];
};

/* How long the first job waits, with so many at work, until one more takes a batch; who watches
 * already looks WORKERS_STEP_IN_US after it came at the latest. */
static uint64_t patience(const struct workers *w)
{
	if (w->busy == 0)
		return 0;
	if (w->busy >= WORKERS_BUSY)
		return WORKERS_STEP_IN_US;
	return w->waiting_count >= WORKERS_MANY ? 0 : WORKERS_GATHER_US;
}

/* Until the first job has waited long enough. */
static void watch(struct workers *w)
{
	uint64_t until = STAILQ_FIRST(&w->waiting)->since + patience(w);
	struct timespec t = {(time_t)(until / CLOCK_SECOND), (long)(until % CLOCK_SECOND) * 1000};
	w->watched = true;
	pthread_cond_timedwait(&w->something, &w->mutex, &t);
	w->watched = false;
}

static bool may_begin(const struct workers *w)
{
	const struct maildir_job *first = STAILQ_FIRST(&w->waiting);
	uint64_t wait = patience(w);
	return first && (wait == 0 || clock_monotonic_us() - first->since >= wait);
}

/* Is there something that another one has to look at? */
static void call(struct workers *w)
{
	if (!STAILQ_EMPTY(&w->waiting) && !w->called && (patience(w) == 0 || !w->watched)) {
		w->called = true;
		pthread_cond_signal(&w->something);
	}
}

/* Takes a batch; false: there will be no more. */
static bool next_batch(struct workers *w, struct maildir_jobs *batch)
{
	w->called = false;
	while (!may_begin(w)) {
		if (STAILQ_EMPTY(&w->waiting) && w->ending) {
			pthread_cond_broadcast(&w->something);
			return false;
		}
		if (STAILQ_EMPTY(&w->waiting) || w->watched)
			pthread_cond_wait(&w->something, &w->mutex);
		else
			watch(w);
		w->called = false;
	}
	for (int i = 0; i < MAILDIR_BATCH_MAX && !STAILQ_EMPTY(&w->waiting); i++) {
		struct maildir_job *j = STAILQ_FIRST(&w->waiting);
		STAILQ_REMOVE_HEAD(&w->waiting, next);
		w->waiting_count--;
		STAILQ_INSERT_TAIL(batch, j, next);
	}
	return true;
}

static void *work(void *arg)
{
	struct workers *w = arg;
	struct maildir_room *room = maildir_room_new();
	struct maildir_jobs batch = STAILQ_HEAD_INITIALIZER(batch);
	struct maildir_jobs done = STAILQ_HEAD_INITIALIZER(done);
	pthread_mutex_lock(&w->mutex);
	while (next_batch(w, &batch)) {
		w->busy++;
		call(w);
		pthread_mutex_unlock(&w->mutex);
		maildir_deliver(w->maildir, room, &batch, &done);
		w->done(w->arg, &done);
		pthread_mutex_lock(&w->mutex);
		w->busy--;
	}
	pthread_mutex_unlock(&w->mutex);
	maildir_room_free(&room);
	return NULL;
}

struct workers *workers_new(struct maildir *m, unsigned count, workers_done *done, void *arg)
{
	struct workers *w = memory_zero(1, sizeof(*w) + count * sizeof(w->threads[0]));
	pthread_condattr_t attributes;
	w->maildir = m;
	w->done = done;
	w->arg = arg;
	w->count = count;
	pthread_mutex_init(&w->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&w->something, &attributes);
	pthread_condattr_destroy(&attributes);
	STAILQ_INIT(&w->waiting);
	for (unsigned i = 0; i < count; i++) {
		int error = pthread_create(&w->threads[i], NULL, work, w);
		if (error)
			fatal("a thread can't be made: %s", strerror(error));
	}
	return w;
}

void workers_give(struct workers *w, struct maildir_job *job)
{
	job->since = clock_monotonic_us();
	pthread_mutex_lock(&w->mutex);
	STAILQ_INSERT_TAIL(&w->waiting, job, next);
	w->waiting_count++;
	call(w);
	pthread_mutex_unlock(&w->mutex);
}

void workers_free(struct workers **workers)
{
	struct workers *w = *workers;
	if (!w)
		return;
	pthread_mutex_lock(&w->mutex);
	w->ending = true;
	pthread_cond_broadcast(&w->something);
	pthread_mutex_unlock(&w->mutex);
	for (unsigned i = 0; i < w->count; i++)
		pthread_join(w->threads[i], NULL);
	pthread_cond_destroy(&w->something);
	pthread_mutex_destroy(&w->mutex);
	memory_free(w);
	*workers = NULL;
}
