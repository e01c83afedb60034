/*
 * A job is copied from its packet into one piece of memory; each recipient has another one, which
 * stays until the manager has noted the outcome. When the manager has gone, deliveries go on.
 */
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "daemons/smtp/smtp.h"

static struct map *held; /* recipients, by key */
static size_t under_way; /* jobs */
static struct channel *manager;
static struct job *incoming; /* its JOB_MORE are still to come */
static uint64_t incoming_message;
static uint32_t incoming_more;
static bool draining;

static struct slice key_slice(const struct recipient_key *key)
{
	return slice_make(key, sizeof(*key));
}

static void check_drained(void)
{
	if (!draining || under_way > 0)
		return;
	destinations_quit();
	service_drained();
}

void jobs_recipient_done(struct recipient *r)
{
	if (manager)
		outcome_send(manager, r);
}

/* Not while a job has it in its list: replies to the others still look there. */
static void recipient_free(struct recipient *r)
{
	outcome_free(&r->outcome);
	memory_free(r);
}

/* It is held no more. */
static void recipient_let_go(struct recipient *r)
{
	r->noted = true;
	if (!r->listed)
		recipient_free(r);
}

/* Who is noted ends with the list; the others are held until they are. */
static void list_free(struct job *j)
{
	for (uint32_t i = 0; i < j->count; i++) {
		j->recipients[i]->listed = NULL;
		if (j->recipients[i]->noted)
			recipient_free(j->recipients[i]);
	}
	memory_free(j->recipients);
}

void job_free(struct job *j)
{
	if (j->pending > 0 || j->session || j->queued)
		panic("smtp: a job ends before its time");
	walk_free(&j->walk);
	body_stop(j);
	if (j->fd >= 0)
		close(j->fd);
	list_free(j);
	memory_free(j);
	under_way--;
	check_drained();
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

static struct job *job_new(const struct job_start *m)
{
	size_t len = m->sender.len + m->envid.len + m->next_hop.len + m->trace.len + m->header.len +
		     m->body.len;
	struct job *j = memory_get(sizeof(*j) + len);
	char *at = j->octets;
	memset(j, 0, sizeof(*j));
	j->fd = m->fd;
	j->message = m->message;
	j->room = m->more + 1;
	j->recipients = memory_zero(j->room, sizeof(j->recipients[0]));
	j->flags = m->flags;
	j->content_flags = content_flags_unpack(m->content);
	j->sender = keep(&at, m->sender);
	j->envid = keep(&at, m->envid);
	j->next_hop = keep(&at, m->next_hop);
	j->content = (struct content){.trace = keep(&at, m->trace),
				      .header = keep(&at, m->header),
				      .body = keep(&at, m->body),
				      .file = file_of(m),
				      .fd = m->fd};
	j->size = content_size(&j->content);
	j->walk.items = j->next_hop;
	under_way++;
	return j;
}

/* What is known already is not taken twice. */
static void recipient_add(struct job *j, const struct job_more *m)
{
	struct recipient_key key = {m->message, m->recipient, m->attempt};
	size_t len = m->address.len + m->original.len + m->orcpt.len;
	if (j->count == j->room)
		return;
	if (map_count(held) >= HELD_MAX) {
		log_error("the queue manager notes no outcomes: a recipient is not taken");
		return;
	}
	struct recipient *r = memory_get(sizeof(*r) + len);
	char *at = (char *)(r + 1);
	*r = (struct recipient){.key = key, .job = j, .listed = j, .notify = m->notify};
	r->address = keep(&at, m->address);
	r->original = keep(&at, m->original);
	r->orcpt = keep(&at, m->orcpt);
	struct recipient *former = map_put(held, key_slice(&r->key), r);
	if (former) {
		map_put(held, key_slice(&former->key), former);
		memory_free(r);
		return;
	}
	j->recipients[j->count++] = r;
	j->pending++;
}

/* A large file and all that belongs to it, or none. */
static bool file_is_whole(const struct job *j, const struct job_start *m)
{
	if (m->file == 0)
		return m->fd < 0;
	return m->fd >= 0 && m->file_nonce.len == NONCE_SIZE && m->file_digest.len == DIGEST_SIZE &&
	       m->header_length <= HEADER_BLOCK_MAX &&
	       m->header_offset <= UINT64_MAX - m->header_length && j->size >= m->body_length;
}

/* An octet that would end a command's line can't have come by SMTP. */
static bool sendable(struct slice address)
{
	for (size_t i = 0; i < address.len; i++)
		if ((unsigned char)address.ptr[i] < ' ' || address.ptr[i] == 0x7f)
			return false;
	return true;
}

static bool addresses_sendable(const struct job *j)
{
	for (uint32_t i = 0; i < j->count; i++)
		if (!sendable(j->recipients[i]->address) || !sendable(j->recipients[i]->orcpt))
			return false;
	return sendable(j->sender) && sendable(j->envid);
}

/* Whole, with all of its recipients. */
static void job_begin(struct job *j, struct slice destination)
{
	char text[JOB_TEXT_MAX + 1];
	struct reason why = {0};
	if (j->fd == -1 && j->content.file.number)
		reason_own(&why, 451, "4.3.0", false, text,
			   "the job's large file did not come with it");
	else if (under_way > 2 * JOBS_MOST)
		reason_own(&why, 452, "4.3.0", false, text, "too many deliveries at once");
	else if (!addresses_sendable(j))
		reason_own(&why, 501, "5.1.3", false, text,
			   "an address with a control character can't be sent");
	if (j->pending > 0 && why.code == 0) {
		destination_add(destination, j);
		return;
	}
	job_end(j, &why);
	job_free(j);
}

static char incoming_destination[JOB_DESTINATION_MAX];
static size_t incoming_destination_len;

static void incoming_end(void)
{
	struct job *j = incoming;
	incoming = NULL;
	job_begin(j, slice_make(incoming_destination, incoming_destination_len));
}

static void on_start(struct channel *c, const void *record)
{
	const struct job_start *m = record;
	struct job_more first = {m->message,  m->recipient, m->attempt, m->address,
				 m->original, m->notify,    m->orcpt};
	if (incoming) {
		channel_break(c, "a job before the recipients of the last one");
		if (m->fd >= 0)
			close(m->fd);
		return;
	}
	incoming = job_new(m);
	incoming_message = m->message;
	incoming_more = m->more;
	if (!file_is_whole(incoming, m) && m->fd >= 0) {
		close(m->fd);
		incoming->fd = -1;
		incoming->content.file.number = 1;
	}
	incoming_destination_len = m->destination.len;
	if (m->destination.len > 0)
		memcpy(incoming_destination, m->destination.ptr, m->destination.len);
	recipient_add(incoming, &first);
	if (incoming_more == 0)
		incoming_end();
}

static void on_more(struct channel *c, const void *record)
{
	const struct job_more *m = record;
	if (!incoming || m->message != incoming_message) {
		channel_break(c, "a recipient of no job");
		return;
	}
	recipient_add(incoming, m);
	if (--incoming_more == 0)
		incoming_end();
}

static void on_noted(struct channel *c, const void *record)
{
	const struct job_noted *m = record;
	struct recipient_key key = {m->message, m->recipient, m->attempt};
	struct recipient *r = map_remove(held, key_slice(&key));
	(void)c;
	if (r && r->job)
		map_put(held, key_slice(&r->key), r); /* no outcome yet: the manager errs */
	else if (r)
		recipient_let_go(r);
}

const struct route jobs_routes[] = {
    {JOB_START, ROUTE_ALWAYS, on_start}, /* deliver this */
    {JOB_MORE, ROUTE_ALWAYS, on_more},	 /* to this recipient too */
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
		const struct recipient *r = value;
		struct job_holding m = {r->key.message, r->key.recipient, r->key.attempt};
		if (r->job)
			channel_send(c, JOB_HOLDING, &m);
	}
	for (size_t at = 0; map_next(held, &at, &key, &value);) {
		const struct recipient *r = value;
		if (!r->job)
			outcome_send(c, r);
	}
	channel_send(c, JOB_HOLDING_END, &end);
}

/* A job that has not come whole was never begun. */
static void incoming_drop(void)
{
	struct job *j = incoming;
	incoming = NULL;
	if (!j)
		return;
	for (uint32_t i = 0; i < j->count; i++) {
		map_remove(held, key_slice(&j->recipients[i]->key));
		recipient_let_go(j->recipients[i]);
	}
	j->pending = 0;
	job_free(j);
}

void jobs_down(struct channel *c)
{
	if (manager != c)
		return;
	manager = NULL;
	incoming_drop();
}

void jobs_warm(void)
{
	held = map_new();
	record_warm();
	lookup_warm();
	destinations_warm();
	hello_warm();
}

void jobs_start(void)
{
	destinations_start(); /* its turn's end may end sessions */
	sessions_start();
	readers_start();
}

/* What comes meanwhile is delivered too: the manager stops first, and then nothing does. */
void jobs_drain(void)
{
	draining = true;
	check_drained();
}
