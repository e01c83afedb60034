/*
 * A job is copied from its packet into one piece of memory, which the workers have until it is
 * done; what stays of it then is its outcome. When the manager has gone, deliveries go on.
 */
#include "daemons/local/jobs.h"

#include <signal.h>
#include <unistd.h>

#include "common/base/heap.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/dialogue/job.h"
#include "common/os/loop.h"
#include "daemons/local/path.h"
#include "daemons/local/statements.h"
#include "daemons/local/workers.h"

/* What names a job; all of its octets are set. */
struct job_key {
	uint64_t message;
	uint32_t recipient, attempt;
};

struct job {
	struct job_key key;
	struct delivery *delivery; /* NULL: done, and the outcome is kept */
	struct outcome outcome;
};

/* What the workers have of it. */
struct delivery {
	struct maildir_job maildir;
	struct job *job;
	int fd; /* of the large file; -1: none */
	char path[MAILBOX_PATH_SIZE];
	char host[MAILDIR_HOST_MAX + 1];
	char octets[]; /* that the letter's slices point to */
};

static struct map *held; /* by key */
static size_t under_way;
static struct channel *manager;
static struct maildir *maildir;
static struct workers *workers;
static bool draining;

static struct loop_wake wake;
static pthread_mutex_t done_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct maildir_jobs done = STAILQ_HEAD_INITIALIZER(done); /* guarded by it */

static struct slice key_slice(const struct job_key *key)
{
	return slice_make(key, sizeof(*key));
}

static void send_outcome(const struct job *j)
{
	struct job_outcome m = {
	    .message = j->key.message,
	    .recipient = j->key.recipient,
	    .attempt = j->key.attempt,
	    .status = j->outcome.status,
	    .code = j->outcome.code,
	    .enhanced = slice_str(j->outcome.enhanced),
	    .text = slice_str(j->outcome.text),
	    .site = j->outcome.site,
	};
	if (manager) /* else, or when it can't be queued, it goes with the next fresh channel */
		channel_send(manager, JOB_OUTCOME, &m);
}

static struct slice keep(char **at, struct slice s)
{
	struct slice kept = slice_make(*at, s.len);
	if (s.len > 0)
		memcpy(*at, s.ptr, s.len);
	*at += s.len;
	return kept;
}

static struct stored_file file_of(const struct job_start *m)
{
	struct stored_file f = {
	    .number = m->file,
	    .length = m->header_offset + m->header_length,
	    .body_offset = m->body_offset,
	    .body_length = m->body_length,
	    .header_offset = m->header_offset,
	    .header_length = m->header_length,
	};
	if (m->file_nonce.len == NONCE_SIZE && m->file_digest.len == DIGEST_SIZE) {
		memcpy(f.nonce, m->file_nonce.ptr, NONCE_SIZE);
		memcpy(f.digest, m->file_digest.ptr, DIGEST_SIZE);
	}
	return f;
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
	    .letter = {.sender = keep(&at, m->sender),
		       .address = keep(&at, m->address),
		       .original = keep(&at, m->original),
		       .content = {.trace = keep(&at, m->trace),
				   .header = keep(&at, m->header),
				   .body = keep(&at, m->body),
				   .file = file_of(m),
				   .fd = m->fd}},
	};
	return d;
}

/* Where it goes; false: the outcome says why nowhere. */
static bool find_mailbox(struct delivery *d, const struct job_start *m)
{
	const struct statement *s = statements_find(m->deliver);
	const char *fault;
	if (!s) {
		outcome_set(&d->maildir.outcome, 451, "4.3.5", true,
			    "the configuration has changed: no deliver statement %u here",
			    m->deliver);
		return false;
	}
	fault = path_expand(s->path, m->user, m->domain, d->path);
	if (fault) {
		outcome_set(&d->maildir.outcome, 553, "5.1.3", false, "%s", fault);
		return false;
	}
	d->maildir.base = s->base;
	slice_copy(slice_str(statements_host()), d->host, sizeof(d->host));
	return true;
}

/* A large file and all that belongs to it, or none. */
static bool file_is_whole(const struct job_start *m)
{
	if (m->file == 0)
		return m->fd < 0;
	return m->fd >= 0 && m->file_nonce.len == NONCE_SIZE && m->file_digest.len == DIGEST_SIZE &&
	       m->header_length <= HEADER_BLOCK_MAX &&
	       m->header_offset <= UINT64_MAX - m->header_length;
}

/* Only a manager that errs gives such a job; it gets an answer all the same. */
static bool possible(struct delivery *d, const struct job_start *m)
{
	struct outcome *o = &d->maildir.outcome;
	if (!file_is_whole(m))
		outcome_set(o, 451, "4.3.0", false, "the job's large file did not come with it");
	else if (under_way > 2 * JOBS_MOST)
		outcome_set(o, 452, "4.3.0", false, "too many deliveries at once");
	else
		return true;
	return false;
}

static void job_free(struct job *j)
{
	map_remove(held, key_slice(&j->key));
	memory_free(j);
}

static void job_done(struct job *j)
{
	struct delivery *d = j->delivery;
	j->outcome = d->maildir.outcome;
	j->delivery = NULL;
	if (d->fd >= 0)
		close(d->fd);
	memory_free(d);
	under_way--;
	send_outcome(j);
}

static void on_start(struct channel *c, const void *record)
{
	const struct job_start *m = record;
	struct job_key key = {m->message, m->recipient, m->attempt};
	bool known = map_get(held, key_slice(&key));
	struct job *j;
	(void)c;
	if (known || map_count(held) >= JOBS_HELD_MAX) {
		if (!known)
			log_error("the queue manager notes no outcomes: a job is not taken");
		if (m->fd >= 0)
			close(m->fd);
		return;
	}
	j = memory_zero(1, sizeof(*j));
	j->key = key;
	map_put(held, key_slice(&j->key), j);
	j->delivery = delivery_new(m);
	j->delivery->job = j;
	under_way++;
	if (possible(j->delivery, m) && find_mailbox(j->delivery, m))
		workers_give(workers, &j->delivery->maildir);
	else
		job_done(j);
}

static void on_noted(struct channel *c, const void *record)
{
	const struct job_noted *m = record;
	struct job_key key = {m->message, m->recipient, m->attempt};
	struct job *j = map_get(held, key_slice(&key));
	(void)c;
	if (j && !j->delivery)
		job_free(j);
}

const struct route jobs_routes[] = {
    {JOB_START, ROUTE_ALWAYS, on_start}, /* deliver this */
    {JOB_NOTED, ROUTE_ALWAYS, on_noted}, /* the outcome is in the ledger */
    {0, 0, NULL},
};

/* What is held: under way, or done and not noted. */
void jobs_up(struct channel *c, unsigned instance)
{
	struct job_holding_end end = {.most = JOBS_MOST};
	struct slice key;
	void *value;
	(void)instance;
	manager = c;
	for (size_t at = 0; map_next(held, &at, &key, &value);) {
		const struct job *j = value;
		struct job_holding m = {j->key.message, j->key.recipient, j->key.attempt};
		if (j->delivery)
			channel_send(c, JOB_HOLDING, &m);
	}
	for (size_t at = 0; map_next(held, &at, &key, &value);) {
		const struct job *j = value;
		if (!j->delivery)
			send_outcome(j);
	}
	channel_send(c, JOB_HOLDING_END, &end);
}

void jobs_down(struct channel *c)
{
	if (manager == c)
		manager = NULL;
}

static void check_drained(void)
{
	if (draining && under_way == 0)
		service_drained();
}

/* In a worker's thread. */
static void delivered(void *arg, struct maildir_job *job)
{
	bool first;
	(void)arg;
	pthread_mutex_lock(&done_mutex);
	first = STAILQ_EMPTY(&done);
	STAILQ_INSERT_TAIL(&done, job, next);
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
	STAILQ_CONCAT(&batch, &done);
	pthread_mutex_unlock(&done_mutex);
	while ((job = STAILQ_FIRST(&batch))) {
		STAILQ_REMOVE_HEAD(&batch, next);
		job_done(container_of(job, struct delivery, maildir)->job);
	}
	check_drained();
}

void jobs_warm(void)
{
	held = map_new();
	record_warm();
	/* A file over the largest that is allowed shows as EFBIG, not as a signal. */
	signal(SIGXFSZ, SIG_IGN);
}

void jobs_start(void)
{
	loop_wake_start(&wake, take_done, NULL);
	maildir = maildir_new(delivered, NULL);
	workers = workers_new(maildir, WORKERS);
}

/* What comes meanwhile is delivered too: the manager stops first, and then nothing does. */
void jobs_drain(void)
{
	draining = true;
	check_drained();
}
