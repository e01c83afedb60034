/*
 * Threads that read files of content and hash them: the disk may be slow, and the hash of a large
 * message would keep all sessions waiting. A reading asks for one piece at a time, so that a peer
 * that is slow holds no thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "daemons/smtp/smtp.h"

enum { READERS = 2 };

STAILQ_HEAD(reading_list, reading);

struct reading {
	STAILQ_ENTRY(reading) link;
	struct content content; /* with a descriptor and a trace of its own */
	char *trace;
	struct content_reader *reader;
	reading_done *done;
	void *arg;
	bool asked; /* a thread has it, or will */
	bool gone;  /* nobody wants to know */
	int result, error;
	struct slice piece;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t something = PTHREAD_COND_INITIALIZER;
static struct reading_list waiting = STAILQ_HEAD_INITIALIZER(waiting);	   /* guarded by mutex */
static struct reading_list read_ones = STAILQ_HEAD_INITIALIZER(read_ones); /* guarded by mutex */
static struct loop_wake wake;

static void *work(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&mutex);
	for (;;) {
		struct reading *r = STAILQ_FIRST(&waiting);
		if (!r) {
			pthread_cond_wait(&something, &mutex);
			continue;
		}
		STAILQ_REMOVE_HEAD(&waiting, link);
		pthread_mutex_unlock(&mutex);
		r->result = content_reader_next(r->reader, &r->piece);
		r->error = r->result < 0 ? errno : 0;
		pthread_mutex_lock(&mutex);
		bool first = STAILQ_EMPTY(&read_ones);
		STAILQ_INSERT_TAIL(&read_ones, r, link);
		pthread_mutex_unlock(&mutex);
		if (first) /* not under the lock, for which the loop would wait at once */
			loop_wake_send(&wake);
		pthread_mutex_lock(&mutex);
	}
	return NULL;
}

static void reading_destroy(struct reading *r)
{
	content_reader_free(&r->reader);
	if (r->content.fd >= 0)
		close(r->content.fd);
	memory_free(r->trace);
	memory_free(r);
}

static void take_read(void *arg)
{
	struct reading_list batch = STAILQ_HEAD_INITIALIZER(batch);
	struct reading *r;
	(void)arg;
	pthread_mutex_lock(&mutex);
	STAILQ_CONCAT(&batch, &read_ones);
	pthread_mutex_unlock(&mutex);
	while ((r = STAILQ_FIRST(&batch))) {
		STAILQ_REMOVE_HEAD(&batch, link);
		r->asked = false;
		if (r->gone)
			reading_destroy(r);
		else
			r->done(r->arg, r->result, r->error, r->piece);
	}
}

struct reading *reading_new(const struct content *c, reading_done *done, void *arg)
{
	struct reading *r = memory_zero(1, sizeof(*r));
	r->content = *c;
	r->trace = memory_get(c->trace.len + 1);
	if (c->trace.len > 0)
		memcpy(r->trace, c->trace.ptr, c->trace.len);
	r->content.trace = slice_make(r->trace, c->trace.len);
	r->content.fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 0); /* -1: the reader says so */
	r->reader = content_reader_new(&r->content);
	r->done = done;
	r->arg = arg;
	return r;
}

void reading_next(struct reading *r)
{
	r->asked = true;
	pthread_mutex_lock(&mutex);
	STAILQ_INSERT_TAIL(&waiting, r, link);
	pthread_mutex_unlock(&mutex);
	pthread_cond_signal(&something);
}

void reading_free(struct reading **reading)
{
	struct reading *r = *reading;
	*reading = NULL;
	if (!r)
		return;
	r->gone = true;
	if (!r->asked)
		reading_destroy(r);
}

void readers_start(void)
{
	pthread_t thread;
	loop_wake_start(&wake, take_read, NULL);
	for (int i = 0; i < READERS; i++) {
		int error = pthread_create(&thread, NULL, work, NULL);
		if (error)
			fatal("a thread can't be made: %s", strerror(error));
	}
}
