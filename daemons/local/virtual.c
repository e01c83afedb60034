/*
 * A job is copied from its packet into one piece of memory, which the workers have until it is
 * done.
 */
#include "daemons/local/virtual.h"

#include <unistd.h>

#include "common/base/heap.h"
#include "common/base/memory.h"
#include "common/os/loop.h"
#include "daemons/local/jobs.h"
#include "common/mail/mailbox_path.h"
#include "daemons/local/statements.h"
#include "daemons/local/workers.h"

/* What the workers have of a job. */
struct delivery {
	struct maildir_job maildir;
	struct job *job;
	int fd; /* of the large file; -1: none */
	char path[MAILBOX_PATH_SIZE];
	char host[MAILDIR_HOST_MAX + 1];
	char octets[]; /* that the letter's slices point to */
};

static struct maildir *maildir;
static struct workers *workers;

static struct loop_wake wake;
static pthread_mutex_t done_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct maildir_jobs all_done = STAILQ_HEAD_INITIALIZER(all_done); /* guarded by it */

static struct slice keep(char **at, struct slice s)
{
	struct slice kept = slice_make(*at, s.len);
	if (s.len > 0)
		memcpy(*at, s.ptr, s.len);
	*at += s.len;
	return kept;
}

static struct delivery *delivery_new(const struct job_start *m)
{
	size_t len = m->sender.len + m->address.len + m->original.len + m->trace.len +
		     m->header.len + m->body.len;
	struct delivery *d = memory_get(sizeof(*d) + len);
	char *at = d->octets;
	memset(d, 0, sizeof(*d));
	d->fd = m->fd;
	d->maildir = (struct maildir_job){
	    .base = -1,
	    .path = d->path,
	    .host = d->host,
	    .message = m->message,
	    .recipient = m->recipient,
	    .attempt = m->attempt,
	    .retried = m->again,
	    .letter = {.sender = keep(&at, m->sender),
		       .address = keep(&at, m->address),
		       .original = keep(&at, m->original),
		       .content = {.trace = keep(&at, m->trace),
				   .header = keep(&at, m->header),
				   .body = keep(&at, m->body),
				   .file = jobs_file(m),
				   .fd = m->fd}},
	};
	return d;
}

/* Where it goes; false: the outcome says why nowhere. */
static bool find_mailbox(struct delivery *d, const struct job_start *m)
{
	const struct statement *s = statements_find(m->deliver);
	const char *fault;
	if (!s || s->kind != STATEMENT_MAILDIR) {
		outcome_set(&d->maildir.outcome, 451, "4.3.5", true,
			    "the configuration has changed: no deliver statement %u here",
			    m->deliver);
		return false;
	}
	fault = mailbox_path_expand(s->path, m->user, m->domain, d->path);
	if (fault) {
		outcome_set(&d->maildir.outcome, 553, "5.1.3", false, "%s", fault);
		return false;
	}
	d->maildir.base = s->base;
	slice_copy(slice_str(statements_host()), d->host, sizeof(d->host));
	return true;
}

static void delivery_done(struct delivery *d)
{
	if (d->fd >= 0)
		close(d->fd);
	jobs_done(d->job, &d->maildir.outcome);
	memory_free(d);
}

static void take(struct job *j, const struct job_start *m)
{
	struct delivery *d = delivery_new(m);
	d->job = j;
	if (find_mailbox(d, m))
		workers_give(workers, &d->maildir);
	else
		delivery_done(d);
}

/* In a worker's thread. */
static void delivered(void *arg, struct maildir_jobs *done)
{
	bool first;
	(void)arg;
	pthread_mutex_lock(&done_mutex);
	first = STAILQ_EMPTY(&all_done);
	STAILQ_CONCAT(&all_done, done);
	pthread_mutex_unlock(&done_mutex);
	if (first)
		loop_wake_send(&wake);
}

static void take_done(void *arg)
{
	struct maildir_jobs batch = STAILQ_HEAD_INITIALIZER(batch);
	struct maildir_job *job;
	(void)arg;
	pthread_mutex_lock(&done_mutex);
	STAILQ_CONCAT(&batch, &all_done);
	pthread_mutex_unlock(&done_mutex);
	while ((job = STAILQ_FIRST(&batch))) {
		STAILQ_REMOVE_HEAD(&batch, next);
		delivery_done(container_of(job, struct delivery, maildir));
	}
}

void virtual_warm(void)
{
	jobs_warm(take);
}

void virtual_start(void)
{
	loop_wake_start(&wake, take_done, NULL);
	maildir = maildir_new();
	workers = workers_new(maildir, WORKERS, delivered, NULL);
}
