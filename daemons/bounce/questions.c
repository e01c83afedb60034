/*
 * The queue manager's questions: gathered, handed to report.c, answered. A question is forgotten
 * when its asker has gone: the next one asks again. Only what is being committed lives on until the
 * disk has answered; whoever scans the segment will refuse it.
 */
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/queue_id.h"
#include "common/os/clock.h"
#include "daemons/bounce/bounce.h"
#include "queue/writing/writing.h"

static TAILQ_HEAD(questions, question) questions = TAILQ_HEAD_INITIALIZER(questions);
static const char too_much[] = "too much is to be reported at once";
static size_t question_count, memory;
static bool draining;

static struct question *question_of(uint64_t request)
{
	struct question *q;
	TAILQ_FOREACH_REVERSE(q, &questions, questions, link) /* most often the last */
	if (!q->orphan && q->request == request)
		return q;
	return NULL;
}

static void check_drained(void)
{
	if (draining && question_count == 0)
		service_drained();
}

static void question_free(struct question *q)
{
	report_end(q);
	if (q->content.fd >= 0)
		close(q->content.fd);
	TAILQ_REMOVE(&questions, q, link);
	question_count--;
	memory -= q->memory;
	buffer_free(&q->kept);
	buffer_free(&q->header);
	buffer_free(&q->body);
	arena_free(&q->arena);
	memory_free(q);
	check_drained();
}

static void answer(uint64_t request, uint64_t id, bool spoiled, const char *why)
{
	struct bounce_done m = {
	    .request = request, .id = id, .spoiled = spoiled, .text = slice_str(why)};
	writing_tell(BOUNCE_DONE, &m);
}

void question_fail(struct question *q, bool spoiled, const char *why)
{
	struct log_line log;
	if (!q->orphan) {
		log_start(&log, LOG_LEVEL_WARNING, q->parent, "unreported");
		log_pair(&log, "to", q->to);
		log_pair(&log, "reason", slice_str(why));
		log_end(&log);
		answer(q->request, 0, spoiled, why);
	}
	question_free(q);
}

static void log_bounced(const struct question *q)
{
	struct log_line log;
	char id[QUEUE_ID_LEN + 1];
	queue_id_text(q->id, id);
	log_start(&log, LOG_LEVEL_INFO, q->parent, "bounced");
	log_pair(&log, "dsn-id", slice_str(id));
	log_pair(&log, "to", q->to);
	log_pair(&log, "kind",
		 q->kind == BOUNCE_TO_POSTMASTER ? SLICE("postmaster")
		 : q->plan.only_success		 ? SLICE("success")
						 : SLICE("failure"));
	log_end(&log);
}

void question_committed(struct question *q)
{
	if (q->orphan) /* no notice follows: its lease is given up */
		question_free(q);
	else
		q->stage = STAGE_COMMITTED;
}

/* The notice has left, or can't any more. */
static void noticed(void)
{
	struct question *q, *next;
	TAILQ_FOREACH_SAFE (q, &questions, link, next) {
		if (q->stage != STAGE_COMMITTED)
			continue;
		log_bounced(q);
		answer(q->request, q->id, false, "");
		question_free(q);
	}
}

static void lent(void)
{
	struct question *q, *next;
	TAILQ_FOREACH_SAFE (q, &questions, link, next)
		if (q->stage == STAGE_WAITING)
			report_go_on(q);
}

/* Counts what the question takes by now. False: it, or all of them, take too much. */
static bool count_memory(struct question *q)
{
	size_t now = sizeof(*q) + q->arena.used;
	memory += now - q->memory;
	q->memory = now;
	return memory <= QUESTIONS_MEMORY_MAX;
}

static bool copy_all(struct question *q, const struct bounce_start *m)
{
	const struct {
		struct slice from, *to;
	} parts[] = {{m->to, &q->to},
		     {m->sender, &q->sender},
		     {m->envid, &q->envid},
		     {m->trace, &q->content.trace},
		     {m->header, &q->content.header},
		     {m->body, &q->content.body}};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		*parts[i].to = arena_copy(&q->arena, parts[i].from);
		if (!parts[i].to->ptr)
			return false;
	}
	q->recipients = arena_get(&q->arena, (m->recipients + 1) * sizeof(*q->recipients));
	return q->recipients;
}

static struct stored_file file_of(const struct bounce_start *m)
{
	struct stored_file f = {.number = m->file,
				.length = m->header_offset + m->header_length,
				.body_offset = m->body_offset,
				.body_length = m->body_length,
				.header_offset = m->header_offset,
				.header_length = m->header_length};
	if (m->file_nonce.len == NONCE_SIZE && m->file_digest.len == DIGEST_SIZE) {
		memcpy(f.nonce, m->file_nonce.ptr, NONCE_SIZE);
		memcpy(f.digest, m->file_digest.ptr, DIGEST_SIZE);
	}
	return f;
}

/* What only a manager that errs asks. */
static const char *impossible(const struct bounce_start *m)
{
	if (question_of(m->request))
		return "asks twice at once";
	if (m->recipients == 0 || m->recipients > QUESTION_RECIPIENTS_MAX)
		return "asks for a report on too few or too many recipients";
	if (!queue_id_possible(m->parent) || m->kind == 0)
		return "asks for a report on nothing";
	if ((m->file == 0 && m->fd >= 0) || m->header_length > HEADER_BLOCK_MAX ||
	    m->header_offset > UINT64_MAX - m->header_length)
		return "asks with half a file";
	return NULL;
}

static void on_start(struct channel *c, const void *record)
{
	const struct bounce_start *m = record;
	const char *wrong = impossible(m);
	/* we had no descriptor for it */
	bool lacks_file = m->file != 0 && m->fd < 0;
	if (wrong || lacks_file || question_count >= QUESTIONS_MAX) {
		if (wrong)
			channel_break(c, "%s", wrong);
		else
			answer(m->request, 0, false,
			       lacks_file ? "its large file did not come with it" : too_much);
		if (m->fd >= 0)
			close(m->fd);
		return;
	}
	struct question *q = memory_zero(1, sizeof(*q));
	q->request = m->request;
	q->parent = m->parent;
	q->arrived = m->arrived;
	q->mark = m->mark;
	q->kind = m->kind;
	q->flags = m->flags;
	q->expected = m->recipients;
	q->content.file = file_of(m);
	q->content.fd = m->fd;
	arena_init(&q->arena, QUESTION_MEMORY_MAX);
	buffer_init(&q->kept, JOB_TRACE_MAX + HEADER_BLOCK_MAX + DSN_CONTENT_MAX);
	buffer_init(&q->header, HEADER_BLOCK_MAX);
	buffer_init(&q->body, REPORT_MAX);
	TAILQ_INSERT_TAIL(&questions, q, link);
	question_count++;
	if (!copy_all(q, m) || !count_memory(q))
		question_fail(q, false, too_much);
}

static enum dsn_action action_of(uint32_t action)
{
	switch ((enum bounce_action)action) {
	case BOUNCE_DELIVERED:
		return DSN_DELIVERED;
	case BOUNCE_RELAYED:
		return DSN_RELAYED;
	case BOUNCE_EXPANDED:
		return DSN_EXPANDED;
	case BOUNCE_FAILED:
		break;
	}
	return DSN_FAILED;
}

/* A question that was answered already (too much at once) is not here any more. */
static void on_recipient(struct channel *c, const void *record)
{
	const struct bounce_recipient *m = record;
	struct question *q = question_of(m->request);
	if (!q)
		return;
	if (q->stage != STAGE_ASKED || q->recipient_count == q->expected) {
		channel_break(c, "names more recipients than it said");
		return;
	}
	struct dsn_recipient *r = &q->recipients[q->recipient_count++];
	*r = (struct dsn_recipient){.address = arena_copy(&q->arena, m->address),
				    .original = arena_copy(&q->arena, m->original),
				    .orcpt = arena_copy(&q->arena, m->orcpt),
				    .action = action_of(m->action),
				    .code = m->code,
				    .enhanced = arena_copy(&q->arena, m->enhanced),
				    .text = arena_copy(&q->arena, m->text),
				    .relay = arena_copy(&q->arena, m->relay)};
	if (!r->relay.ptr || !count_memory(q))
		question_fail(q, false, too_much);
}

static void on_end(struct channel *c, const void *record)
{
	const struct bounce_end *m = record;
	struct question *q = question_of(m->request);
	if (!q)
		return;
	if (q->stage != STAGE_ASKED || q->recipient_count != q->expected)
		channel_break(c, "names fewer recipients than it said");
	else
		report_begin(q);
}

const struct route questions_routes[] = {
    WRITING_ROUTES,
    {BOUNCE_START, ROUTE_ALWAYS, on_start},	    /* report on this message */
    {BOUNCE_RECIPIENT, ROUTE_ALWAYS, on_recipient}, /* and this one of its recipients */
    {BOUNCE_END, ROUTE_ALWAYS, on_end},		    /* that is all */
    {0, 0, NULL},
};

void questions_up(struct channel *c, unsigned instance)
{
	writing_up(c, instance);
}

void questions_down(struct channel *c)
{
	struct question *q, *next;
	TAILQ_FOREACH_SAFE (q, &questions, link, next) {
		q->orphan = true;
		if (q->stage != STAGE_COMMITTING)
			question_free(q);
	}
	writing_down(c);
}

void questions_warm(void)
{
	clock_warm();
	record_warm();
}

void questions_start(void)
{
	static const struct writing_calls calls = {.lent = lent, .noticed = noticed};
	writing_start(&calls);
}

/* What comes meanwhile is made too: the manager stops first, and then nothing does. */
void questions_drain(void)
{
	draining = true;
	check_drained();
}
