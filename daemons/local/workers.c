/*
 * A queue with a mutex and a condition; its length is bounded by who gives.
 */
#include "daemons/local/workers.h"

#include "common/base/memory.h"

struct workers {
	struct maildir *maildir;
	pthread_mutex_t mutex;
	pthread_cond_t something;
	struct maildir_jobs waiting;
	bool ending;
	unsigned count;
	pthread_t threads[];
};

/* NULL: there will be no more. */
static struct maildir_job *next_job(struct workers *w)
{
	struct maildir_job *j;
	pthread_mutex_lock(&w->mutex);
	while (STAILQ_EMPTY(&w->waiting) && !w->ending)
		pthread_cond_wait(&w->something, &w->mutex);
	j = STAILQ_FIRST(&w->waiting);
	if (j)
		STAILQ_REMOVE_HEAD(&w->waiting, next);
	pthread_mutex_unlock(&w->mutex);
	return j;
}

static void *work(void *arg)
{
	struct workers *w = arg;
	struct letter_room *room = letter_room_new();
	struct maildir_job *j;
	while ((j = next_job(w)))
		maildir_deliver(w->maildir, room, j);
	letter_room_free(&room);
	return NULL;
}

struct workers *workers_new(struct maildir *m, unsigned count)
{
	struct workers *w = memory_zero(1, sizeof(*w) + count * sizeof(w->threads[0]));
	w->maildir = m;
	w->count = count;
	pthread_mutex_init(&w->mutex, NULL);
	pthread_cond_init(&w->something, NULL);
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
	pthread_mutex_lock(&w->mutex);
	STAILQ_INSERT_TAIL(&w->waiting, job, next);
	pthread_mutex_unlock(&w->mutex);
	pthread_cond_signal(&w->something);
}

void workers_free(struct workers **workers)
{
	struct workers *w = *workers;
	if (!w)
		return;
	pthread_mutex_lock(&w->mutex);
	w->ending = true;
	pthread_mutex_unlock(&w->mutex);
	pthread_cond_broadcast(&w->something);
	for (unsigned i = 0; i < w->count; i++)
		pthread_join(w->threads[i], NULL);
	pthread_cond_destroy(&w->something);
	pthread_mutex_destroy(&w->mutex);
	memory_free(w);
	*workers = NULL;
}
