/*
 * A thread takes whose turn it is (base/turns). Jobs that are done come back to the loop in one
 * list.
 */
#include "daemons/accounts/hasher.h"

#include <pthread.h>
#include <signal.h>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/base/turns.h"
#include "common/os/loop.h"
#include "common/password/password.h"

struct job {
	struct turn turn;	/* first; while it waits */
	STAILQ_ENTRY(job) next; /* when it is done */
	hasher_done *done;
	void *arg;
	bool holds;
	size_t entry_len, password_len;
	char entry[PASSWORD_ENTRY_MAX], password[PASSWORD_MAX];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards all below but the wake */
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static struct turns *waiting;
static STAILQ_HEAD(jobs, job) finished = STAILQ_HEAD_INITIALIZER(finished);
static struct loop_wake wake;

/* The next one; the mutex is held. */
static struct job *take(void)
{
	struct turn *t;

	while ((t = turns_take(waiting)) == NULL)
		pthread_cond_wait(&work, &mutex);
	return (struct job *)t;
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

	waiting = turns_new(HASHER_WAITING_MAX, HASHER_STRANGERS_MAX, HASHER_CLIENT_MAX);
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

bool hasher_ask(struct slice client, bool known, struct slice entry, struct slice password,
		hasher_done *done, void *arg)
{
	struct job *j;
	bool fits;

	if (entry.len > PASSWORD_ENTRY_MAX || password.len > PASSWORD_MAX)
		panic("a password of %zu octets, an entry of %zu", password.len, entry.len);
	j = memory_get(sizeof(*j));
	j->done = done;
	j->arg = arg;
	j->entry_len = entry.len;
	j->password_len = password.len;
	memcpy(j->entry, entry.ptr, entry.len);
	memcpy(j->password, password.ptr, password.len);
	pthread_mutex_lock(&mutex);
	fits = turns_add(waiting, client, known, &j->turn);
	if (fits)
		pthread_cond_signal(&work);
	pthread_mutex_unlock(&mutex);
	if (!fits) {
		wipe(j);
		memory_free(j);
	}
	return fits;
}
