/*
 * Reports: when nothing of a message is under way and some of it is to be told (what failed for
 * good, or was reached and the sender asked to hear of it), bounce is asked for a notification. It
 * comes as any mail does, by a writer's notice that names the message and the mark of what it
 * tells; in the same frame of the ledger those recipients are told. So there is one, whoever dies
 * when.
 */
#include <stdio.h>

#include "common/base/memory.h"
#include "common/dialogue/bounce.h"
#include "queue/manager/asking.h"
#include "queue/manager/jobs.h"

enum {
	REPORTS_MAX = 50,	    /* under way */
	REPORTS_WAITING_MAX = 1000, /* beside them; more come again a moment later */
	/* Of a report on more recipients than this the texts are cut, so that all fit the channel.
	 */
	RECIPIENTS_IN_FULL = 1000,
	TEXT_CUT = 100,
	RELAY_CUT = 64,
};

enum report_place { REPORT_WAITS, REPORT_READING, REPORT_ASKED, REPORT_TAKEN };

struct report {
	struct inquiry inquiry; /* ASKED */
	TAILQ_ENTRY(report) link;
	struct active *active;
	uint64_t parent, notification;
	uint32_t mark;
	uint32_t kind; /* enum bounce_kind */
	uint8_t place; /* enum report_place */
};
TAILQ_HEAD(report_list, report);

static struct asking *bounce;
static struct report_list waiting = TAILQ_HEAD_INITIALIZER(waiting);
static struct report_list taken = TAILQ_HEAD_INITIALIZER(taken);
static size_t waiting_count, under_way;
static struct report *arriving; /* its notification is the next message to arrive */

size_t reports_out(void)
{
	return asking_has_peer(bounce) ? under_way : 0;
}

/* Who is told what */

static uint32_t kind_of(const struct active *a)
{
	if (a->sender.len > 0)
		return BOUNCE_TO_SENDER;
	/* Nobody is left to be told (S27). */
	return a->m.parent_kind == BOUNCE_TO_POSTMASTER ? 0 : BOUNCE_TO_POSTMASTER;
}

static struct slice address_of(const struct active *a, uint32_t i)
{
	return i < a->entry->state->received ? a->recipients[i].address
					     : a->entry->state->recipients[i].address;
}

static struct slice original_of(const struct active *a, uint32_t i)
{
	return i < a->entry->state->received ? a->recipients[i].address
					     : a->entry->state->recipients[i].original;
}

/* Why a failure is not told; NULL: it is. RFC 3461 4.1, 6. */
static const char *untold(struct active *a, uint32_t i)
{
	const struct stored_recipient *r = active_received(a, i, original_of(a, i));
	uint32_t notify = r != NULL ? r->notify : 0;

	if (notify & NOTIFY_NEVER)
		return "NOTIFY=NEVER was said";
	if (notify != 0 && !(notify & NOTIFY_FAILURE))
		return "NOTIFY was said without FAILURE";
	if (kind_of(a) == 0)
		return "it is a notification to the postmaster: nobody is left to be told";
	return NULL;
}

bool report_wants_success(struct active *a, uint32_t recipient, struct slice original)
{
	const struct stored_recipient *r = active_received(a, recipient, original);

	return a->sender.len > 0 && r != NULL && (r->notify & NOTIFY_SUCCESS);
}

/* All that is known: it is the last that anybody hears of it. */
static void log_untold(const struct active *a, uint32_t i, const char *why)
{
	const struct recipient_state *r = &a->entry->state->recipients[i];
	struct log_line line;

	log_start(&line, LOG_LEVEL_WARNING, a->entry->id, "not-reported");
	log_pair(&line, "from", a->sender);
	log_pair(&line, "to", address_of(a, i));
	if (!slice_equal(address_of(a, i), original_of(a, i)))
		log_pair(&line, "orig-to", original_of(a, i));
	log_text(&line, "dsn", "%u.%u.%u", r->reply.enhanced[0], r->reply.enhanced[1],
		 r->reply.enhanced[2]);
	log_text(&line, "reply", "%u %.*s", r->reply.code, SLICE_FMT(r->reply.text));
	log_pair(&line, "why", slice_str(why));
	if (a->m.parent != 0) {
		char parent[QUEUE_ID_LEN + 1];

		queue_id_text(a->m.parent, parent);
		log_pair(&line, "about", slice_str(parent));
	}
	log_end(&line);
}

/* Recipients of whom nobody is told end. */
static void end_untold(struct active *a)
{
	for (uint32_t i = 0; a->entry != NULL && i < a->entry->state->count; i++) {
		const struct recipient_state *r = &a->entry->state->recipients[i];
		enum recipient_status status = RECIPIENT_BOUNCED;
		struct reply reply = r->reply;
		const char *why;

		if (r->status == RECIPIENT_REACHED &&
		    !report_wants_success(a, i, original_of(a, i)))
			status = RECIPIENT_DELIVERED;
		else if (r->status == RECIPIENT_FAILED && (why = untold(a, i)) != NULL)
			log_untold(a, i, why);
		else
			continue;
		if (spool_result(manager.spool, a->entry, i, status, 0, &reply))
			result_log_removed(a->id);
	}
}

/* Life */

static void put(struct report *r, struct report_list *list, enum report_place place)
{
	r->place = (uint8_t)place;
	waiting_count += place == REPORT_WAITS;
	under_way += place == REPORT_READING || place == REPORT_ASKED;
	if (list != NULL)
		TAILQ_INSERT_TAIL(list, r, link);
}

static void take(struct report *r)
{
	waiting_count -= r->place == REPORT_WAITS;
	under_way -= r->place == REPORT_READING || r->place == REPORT_ASKED;
	if (r->place == REPORT_WAITS)
		TAILQ_REMOVE(&waiting, r, link);
	else if (r->place == REPORT_TAKEN)
		TAILQ_REMOVE(&taken, r, link);
	else if (r->place == REPORT_ASKED)
		asking_end(bounce, &r->inquiry);
}

/* The message goes on without it; a report that was not made is begun again a moment later. */
static void report_over(struct report *r)
{
	struct active *a = r->active;

	a->told_later = r->notification == 0;
	if (r->place == REPORT_READING || r->place == REPORT_ASKED)
		a->content--;
	take(r);
	a->report = NULL;
	memory_free(r);
	active_settle(a);
}

bool report_begin(struct active *a)
{
	struct report *r;

	if (a->told_later || spool_told_mark(a->entry) == 0)
		return false;
	end_untold(a);
	if (a->entry == NULL || spool_told_mark(a->entry) == 0)
		return false;
	if (manager.draining || !asking_has_peer(bounce) || waiting_count >= REPORTS_WAITING_MAX)
		return false;
	r = memory_zero(1, sizeof(*r));
	r->active = a;
	r->parent = a->entry->id;
	r->mark = spool_told_mark(a->entry);
	r->kind = kind_of(a);
	a->report = r;
	put(r, &waiting, REPORT_WAITS);
	return true;
}

void report_withdraw(struct active *a)
{
	if (a->report != NULL && a->report->place == REPORT_WAITS) {
		take(a->report);
		memory_free(a->report);
		a->report = NULL;
	}
}

/* Asking */

static void ask(struct report *r)
{
	take(r);
	put(r, NULL, REPORT_ASKED);
	asking_begin(bounce, &r->inquiry, r->active->entry->deaths > 0);
}

void report_content_came(struct active *a, int err)
{
	struct report *r = a->report;

	if (r == NULL || r->place != REPORT_READING)
		return;
	if (err == 0 && a->entry != NULL)
		ask(r);
	else
		report_over(r);
}

static void read_next(struct report *r)
{
	struct active *a = r->active;

	take(r);
	put(r, NULL, REPORT_READING);
	a->content++;
	if (content_there(a))
		ask(r);
	else
		content_fetch(a);
}

static bool send_start(struct channel *c, const struct report *r, uint32_t recipients)
{
	const struct active *a = r->active;
	struct job_start content = {.fd = -1};
	struct bounce_start m = {
	    .request = r->inquiry.number,
	    .parent = r->parent,
	    .mark = r->mark,
	    .kind = r->kind,
	    .to = r->kind == BOUNCE_TO_SENDER ? a->sender : slice_str(manager.postmaster),
	    .sender = a->sender,
	    .arrived = a->m.arrived,
	    .size = a->m.content_size,
	    .flags = a->m.flags,
	    .envid = a->envid,
	    .content = a->m.content_flags,
	    .recipients = recipients,
	    .trace = a->trace,
	};

	content_describe(a, &content);
	m.header = content.header;
	m.body = content.body;
	m.file = content.file;
	m.file_nonce = content.file_nonce;
	m.file_digest = content.file_digest;
	m.body_offset = content.body_offset;
	m.body_length = content.body_length;
	m.header_offset = content.header_offset;
	m.header_length = content.header_length;
	m.fd = content.fd;
	return channel_send(c, BOUNCE_START, &m);
}

static bool send_recipient(struct channel *c, struct report *r, uint32_t i, bool cut)
{
	struct active *a = r->active;
	const struct recipient_state *s = &a->entry->state->recipients[i];
	const struct stored_recipient *received = active_received(a, i, original_of(a, i));
	char enhanced[20];
	struct bounce_recipient m = {
	    .request = r->inquiry.number,
	    .address = address_of(a, i),
	    .original = original_of(a, i),
	    .orcpt = received != NULL ? received->orcpt : SLICE_EMPTY,
	    .action = s->status == RECIPIENT_FAILED ? BOUNCE_FAILED
		      : s->reply.relay.len > 0	    ? BOUNCE_RELAYED
						    : BOUNCE_DELIVERED,
	    .code = s->reply.code,
	    .enhanced = slice_str(enhanced),
	    .text = cut ? slice_sub(s->reply.text, 0, TEXT_CUT) : s->reply.text,
	    .relay = cut ? slice_sub(s->reply.relay, 0, RELAY_CUT) : s->reply.relay,
	};

	snprintf(enhanced, sizeof(enhanced), "%u.%u.%u", s->reply.enhanced[0] % 10U,
		 s->reply.enhanced[1] % 1000U, s->reply.enhanced[2] % 1000U);
	m.enhanced = slice_str(enhanced);
	return channel_send(c, BOUNCE_RECIPIENT, &m);
}

static bool is_told(const struct active *a, uint32_t i)
{
	uint8_t status = a->entry->state->recipients[i].status;

	return status == RECIPIENT_FAILED || status == RECIPIENT_REACHED;
}

static bool send_question(struct channel *c, struct inquiry *q)
{
	struct report *r = container_of(q, struct report, inquiry);
	struct active *a = r->active;
	struct bounce_end end = {.request = q->number};
	uint32_t count = 0, below = spool_told_below(a->entry);
	bool sent = true;

	for (uint32_t i = 0; i < below; i++)
		count += is_told(a, i);
	if (channel_queued(c) > (count > RECIPIENTS_IN_FULL ? 0 : CHANNEL_QUEUE_MAX / 4) ||
	    !send_start(c, r, count))
		return false;
	for (uint32_t i = 0; sent && i < below; i++)
		if (is_told(a, i))
			sent = send_recipient(c, r, i, count > RECIPIENTS_IN_FULL);
	if (!sent || !channel_send(c, BOUNCE_END, &end))
		channel_break(c, "has no room for the rest of a report");
	return true;
}

/* Answers */

static struct report *asked_about(uint64_t parent)
{
	struct entry *e = spool_get(manager.spool, parent);
	struct active *a = e != NULL ? stub_of(e)->active : NULL;
	struct report *r = a != NULL ? a->report : NULL;

	return r != NULL && r->place == REPORT_ASKED ? r : NULL;
}

bool report_welcome(void *arg, uint64_t parent, uint32_t mark)
{
	struct report *r = asked_about(parent);

	(void)arg;
	if (r == NULL || r->mark != mark || spool_told_mark(r->active->entry) != mark)
		return false;
	r->active->content--;
	take(r);
	put(r, &taken, REPORT_TAKEN);
	arriving = r;
	spool_told(manager.spool, r->active->entry); /* before anything else: one frame */
	return true;
}

void report_arrived(uint64_t id)
{
	if (arriving != NULL)
		arriving->notification = id;
	arriving = NULL;
}

/* Bounce has said so, too: here it is true in the ledger. */
static void log_notified(const struct report *r)
{
	const struct active *a = r->active;
	char id[QUEUE_ID_LEN + 1];
	struct log_line line;

	queue_id_text(r->notification, id);
	log_start(&line, LOG_LEVEL_DEBUG, r->parent, "notified");
	log_pair(&line, "to",
		 r->kind == BOUNCE_TO_SENDER ? a->sender : slice_str(manager.postmaster));
	log_pair(&line, "by", slice_str(id));
	log_end(&line);
	if (a->entry == NULL)
		result_log_removed(r->parent);
}

static void not_made(struct report *r, struct slice why)
{
	struct log_line line;

	log_start(&line, LOG_LEVEL_WARNING, r->parent, "not-notified");
	log_pair(&line, "why", why);
	log_end(&line);
	report_over(r);
}

/* Of one that was taken nobody waits for the answer. */
void report_done(struct channel *c, const void *record)
{
	const struct bounce_done *m = record;
	struct inquiry *q = asking_find(bounce, m->request);
	struct report *r;

	(void)c;
	if (q == NULL)
		return;
	r = container_of(q, struct report, inquiry);
	if (m->spoiled)
		active_corrupt(r->active, "its content is not what was committed");
	not_made(r, m->id != 0 ? SLICE("its notification did not arrive") : m->text);
}

static void question_late(struct inquiry *q)
{
	struct report *r = container_of(q, struct report, inquiry);

	/* it has left the list of questions already */
	under_way--;
	put(r, &taken, REPORT_TAKEN);
	r->active->content--;
	not_made(r, SLICE("bounce does not answer"));
}

static void question_killed(struct inquiry *q)
{
	struct report *r = container_of(q, struct report, inquiry);
	struct active *a = r->active;

	active_killed(a, "bounce dies of it");
	if (a->corrupt != NULL)
		report_over(r);
}

/* The peer */

void reports_warm(void)
{
	static const struct asking_calls calls = {
	    .send = send_question,
	    .killed = question_killed,
	    .late = question_late,
	    .timeout_us = UINT64_C(120) * 1000000,
	    .most = REPORTS_MAX,
	};

	bounce = asking_new(&calls);
}

void reports_up(struct channel *c, unsigned instance)
{
	writers_up(c, instance);
	asking_up(bounce, c);
}

void reports_down(struct channel *c)
{
	struct report *r;

	writers_down(c);
	asking_down(bounce);
	/* Nobody knows how long it is away: they are not to fill the place of others. */
	while ((r = TAILQ_FIRST(&waiting)) != NULL)
		report_over(r);
}

void reports_pump(void)
{
	struct report *r;

	while ((r = TAILQ_FIRST(&taken)) != NULL) {
		log_notified(r);
		report_over(r);
	}
	while (asking_has_peer(bounce) && under_way < REPORTS_MAX &&
	       (r = TAILQ_FIRST(&waiting)) != NULL)
		read_next(r);
	asking_pump(bounce);
}

void reports_look(void)
{
	asking_look(bounce);
}
