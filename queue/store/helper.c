/*
 * helper: two queues, one thread, and a list of what is finished, under one mutex. The loop is
 * woken once for all that finished meanwhile.
 */
#include "queue/store/helper.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/os/loop.h"

STAILQ_HEAD(job_queue, helper_job);

struct helper {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t work, finished_one;
	struct job_queue urgent, ordinary, finished; /* under the mutex */
	size_t ordinary_count;			     /* under the mutex */
	bool stop;				     /* under the mutex */
	size_t pending;				     /* the loop's alone */
	struct loop_wake wake;
};

static struct helper_job *take(struct helper *h)
{
	struct job_queue *q = STAILQ_EMPTY(&h->urgent) ? &h->ordinary : &h->urgent;
	struct helper_job *job = STAILQ_FIRST(q);
	if (!job)
		return NULL;
	STAILQ_REMOVE_HEAD(q, link);
	if (q == &h->ordinary)
		h->ordinary_count--;
	return job;
}

static void *helper_main(void *arg)
{
	struct helper *h = arg;
	pthread_mutex_lock(&h->mutex);
	for (;;) {
		struct helper_job *job = take(h);
		if (!job) {
			if (h->stop)
				break;
			pthread_cond_wait(&h->work, &h->mutex);
			continue;
		}
		pthread_mutex_unlock(&h->mutex);
		job->run(job);
		pthread_mutex_lock(&h->mutex);
		bool first = STAILQ_EMPTY(&h->finished);
		STAILQ_INSERT_TAIL(&h->finished, job, link);
		pthread_cond_signal(&h->finished_one);
		if (first)
			loop_wake_send(&h->wake);
	}
	pthread_mutex_unlock(&h->mutex);
	return NULL;
}

/* What is finished now; done() may submit more. */
static void call_done(void *arg)
{
	struct helper *h = arg;
	struct job_queue done = STAILQ_HEAD_INITIALIZER(done);
	pthread_mutex_lock(&h->mutex);
	STAILQ_CONCAT(&done, &h->finished);
	pthread_mutex_unlock(&h->mutex);
	struct helper_job *job;
	while ((job = STAILQ_FIRST(&done))) {
		STAILQ_REMOVE_HEAD(&done, link);
		h->pending--;
		job->done(job);
	}
}

struct helper *helper_new(void)
{
	struct helper *h = memory_zero(1, sizeof(*h));
	STAILQ_INIT(&h->urgent);
	STAILQ_INIT(&h->ordinary);
	STAILQ_INIT(&h->finished);
	pthread_mutex_init(&h->mutex, NULL);
	pthread_cond_init(&h->work, NULL);
	pthread_cond_init(&h->finished_one, NULL);
	loop_wake_start(&h->wake, call_done, h);
	/* Signals are the loop's. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&h->thread, NULL, helper_main, h);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		fatal("the store's thread can't be made: %s", strerror(error));
	return h;
}

void helper_free(struct helper **hp)
{
	struct helper *h = *hp;
	if (!h)
		return;
	helper_drain(h);
	pthread_mutex_lock(&h->mutex);
	h->stop = true;
	pthread_cond_signal(&h->work);
	pthread_mutex_unlock(&h->mutex);
	pthread_join(h->thread, NULL);
	loop_wake_stop(&h->wake);
	pthread_cond_destroy(&h->work);
	pthread_cond_destroy(&h->finished_one);
	pthread_mutex_destroy(&h->mutex);
	memory_free(h);
	*hp = NULL;
}

bool helper_submit(struct helper *h, struct helper_job *job)
{
	pthread_mutex_lock(&h->mutex);
	bool room = h->ordinary_count < HELPER_QUEUE_MAX;
	if (room) {
		STAILQ_INSERT_TAIL(&h->ordinary, job, link);
		h->ordinary_count++;
		pthread_cond_signal(&h->work);
	}
	pthread_mutex_unlock(&h->mutex);
	h->pending += room;
	return room;
}

void helper_submit_urgent(struct helper *h, struct helper_job *job)
{
	pthread_mutex_lock(&h->mutex);
	STAILQ_INSERT_TAIL(&h->urgent, job, link);
	pthread_cond_signal(&h->work);
	pthread_mutex_unlock(&h->mutex);
	h->pending++;
}

void helper_drain(struct helper *h)
{
	while (h->pending > 0) {
		pthread_mutex_lock(&h->mutex);
		while (STAILQ_EMPTY(&h->finished))
			pthread_cond_wait(&h->finished_one, &h->mutex);
		pthread_mutex_unlock(&h->mutex);
		call_done(h);
	}
}

size_t helper_pending(const struct helper *h)
{
	return h->pending;
}
