/*
 * Each client has a queue of its own; the queues stand in a ring, and a thread takes the first job
 * of the first queue and puts that queue last. Jobs that are done come back to the loop in one
 * list.
 */
#include "daemons/accounts/hasher.h"

#include <pthread.h>
#include <signal.h>
#include <bsd/sys/queue.h>

#include "common/base/error.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/os/loop.h"
#include "common/password/password.h"

enum { CLIENT_KEY_MAX = 16 };

struct job {
	STAILQ_ENTRY(job) next;
	hasher_done *done;
	void *arg;
	bool holds;
	size_t entry_len, password_len;
	char entry[PASSWORD_ENTRY_MAX], password[PASSWORD_MAX];
};

struct client {
	TAILQ_ENTRY(client) link;
	STAILQ_HEAD(, job) jobs; /* never empty */
	unsigned count;
	size_t key_len;
	char key[CLIENT_KEY_MAX];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards all below but the wake */
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static TAILQ_HEAD(, client) ring = TAILQ_HEAD_INITIALIZER(ring);
static struct map *clients;
static unsigned waiting; /* not done yet */
static STAILQ_HEAD(jobs, job) finished = STAILQ_HEAD_INITIALIZER(finished);
static struct loop_wake wake;

/* The next one; the mutex is held. */
static struct job *take(void)
{
	struct client *c;
	struct job *j;

	while ((c = TAILQ_FIRST(&ring)) == NULL)
		pthread_cond_wait(&work, &mutex);
	j = STAILQ_FIRST(&c->jobs);
	STAILQ_REMOVE_HEAD(&c->jobs, next);
	TAILQ_REMOVE(&ring, c, link);
	if (--c->count > 0) {
		TAILQ_INSERT_TAIL(&ring, c, link);
		return j;
	}
	map_remove(clients, slice_make(c->key, c->key_len));
	memory_free(c);
	return j;
}

static void wipe(struct job *j)
{
	explicit_bzero(j->entry, sizeof(j->entry));
	explicit_bzero(j->password, sizeof(j->password));
}

static void *run(void *arg)
{
	pthread_mutex_lock(&mutex);
	for (;;) {
		struct job *j = take();

		pthread_mutex_unlock(&mutex);
		j->holds = password_check(slice_make(j->entry, j->entry_len),
					  slice_make(j->password, j->password_len));
		wipe(j);
		pthread_mutex_lock(&mutex);
		STAILQ_INSERT_TAIL(&finished, j, next);
		loop_wake_send(&wake);
	}
	return arg;
}

static void woken(void *arg)
{
	struct jobs done = STAILQ_HEAD_INITIALIZER(done);
	struct job *j;

	(void)arg;
	pthread_mutex_lock(&mutex);
	STAILQ_CONCAT(&done, &finished);
	STAILQ_FOREACH (j, &done, next)
		waiting--;
	pthread_mutex_unlock(&mutex);
	while ((j = STAILQ_FIRST(&done)) != NULL) {
		STAILQ_REMOVE_HEAD(&done, next);
		j->done(j->arg, j->holds);
		memory_free(j);
	}
}

void hasher_start(void)
{
	sigset_t all, before;
	pthread_t thread;

	clients = map_new();
	loop_wake_start(&wake, woken, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
	for (unsigned i = 0; i < HASHER_THREADS; i++) {
		int error = pthread_create(&thread, NULL, run, NULL);

		if (error != 0)
			fatal("no thread for passwords: %s", strerror(error));
		pthread_setname_np(thread, "passwords");
		pthread_detach(thread);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Its client's queue, new when there is none; NULL: it has enough. The mutex is held. */
static struct client *queue_of(struct slice key)
{
	struct client *c = map_get(clients, key);

	if (c != NULL)
		return c->count < HASHER_CLIENT_MAX ? c : NULL;
	c = memory_zero(1, sizeof(*c));
	STAILQ_INIT(&c->jobs);
	c->key_len = key.len;
	memcpy(c->key, key.ptr, key.len);
	map_put(clients, slice_make(c->key, c->key_len), c);
	TAILQ_INSERT_TAIL(&ring, c, link);
	return c;
}

bool hasher_ask(struct slice client, struct slice entry, struct slice password, hasher_done *done,
		void *arg)
{
	struct client *c;
	struct job *j;

	if (client.len > CLIENT_KEY_MAX || entry.len > PASSWORD_ENTRY_MAX ||
	    password.len > PASSWORD_MAX)
		panic("a password of %zu octets, an entry of %zu", password.len, entry.len);
	pthread_mutex_lock(&mutex);
	c = waiting < HASHER_WAITING_MAX ? queue_of(client) : NULL;
	if (c == NULL) {
		pthread_mutex_unlock(&mutex);
		return false;
	}
	j = memory_get(sizeof(*j));
	j->done = done;
	j->arg = arg;
	j->entry_len = entry.len;
	j->password_len = password.len;
	memcpy(j->entry, entry.ptr, entry.len);
	memcpy(j->password, password.ptr, password.len);
	STAILQ_INSERT_TAIL(&c->jobs, j, next);
	c->count++;
	waiting++;
	pthread_cond_signal(&work);
	pthread_mutex_unlock(&mutex);
	return true;
}
