/*
 * A job is here as long as the manager may ask for it: under way with whoever delivers, or done,
 * with its outcome. When the manager has gone, deliveries go on.
 */
#include "daemons/local/jobs.h"

#include <signal.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/memory.h"

/* What names a job; all of its octets are set. */
struct job_key {
	uint64_t message;
	uint32_t recipient, attempt;
};

struct job {
	struct job_key key;
	bool done; /* the outcome is kept */
	struct outcome outcome;
};

static struct map *held; /* by key */
static size_t under_way;
static struct channel *manager;
static jobs_take *deliver;
static bool draining;

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

struct stored_file jobs_file(const struct job_start *m)
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
static bool possible(const struct job_start *m, struct outcome *o)
{
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

static void check_drained(void)
{
	if (draining && under_way == 0)
		service_drained();
}

void jobs_done(struct job *j, const struct outcome *o)
{
	j->outcome = *o;
	j->done = true;
	under_way--;
	send_outcome(j);
	check_drained();
}

static void on_start(struct channel *c, const void *record)
{
	const struct job_start *m = record;
	struct job_key key = {m->message, m->recipient, m->attempt};
	bool known = map_get(held, key_slice(&key));
	struct outcome refused;
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
	under_way++;
	if (possible(m, &refused)) {
		deliver(j, m);
		return;
	}
	if (m->fd >= 0)
		close(m->fd);
	jobs_done(j, &refused);
}

static void on_noted(struct channel *c, const void *record)
{
	const struct job_noted *m = record;
	struct job_key key = {m->message, m->recipient, m->attempt};
	struct job *j = map_get(held, key_slice(&key));
	(void)c;
	if (j && j->done)
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
		if (!j->done)
			channel_send(c, JOB_HOLDING, &m);
	}
	for (size_t at = 0; map_next(held, &at, &key, &value);) {
		const struct job *j = value;
		if (j->done)
			send_outcome(j);
	}
	channel_send(c, JOB_HOLDING_END, &end);
}

void jobs_down(struct channel *c)
{
	if (manager == c)
		manager = NULL;
}

void jobs_warm(jobs_take *take)
{
	deliver = take;
	held = map_new();
	record_warm();
	/* A file over the largest that is allowed shows as EFBIG, not as a signal. */
	signal(SIGXFSZ, SIG_IGN);
}

/* What comes meanwhile is delivered too: the manager stops first, and then nothing does. */
void jobs_drain(void)
{
	draining = true;
	check_drained();
}
