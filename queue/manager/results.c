/*
 * What becomes of a recipient: the log line, and the line in the ledger. The attempt that fails
 * after `give-up` was the last.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/encode.h"
#include "common/os/clock.h"
#include "queue/manager/manager.h"

struct reply reply_of(unsigned code, struct slice enhanced, struct slice text)
{
	struct reply r = {.code = (uint16_t)code, .text = text};
	struct slice rest = enhanced, part;
	uint64_t number;

	for (int i = 0; i < 3; i++) {
		slice_split(rest, '.', &part, &rest);
		if (slice_number(part, 999, &number))
			r.enhanced[i] = (uint16_t)number;
	}
	return r;
}

static const char *event_of(enum recipient_status status)
{
	switch (status) {
	case RECIPIENT_DELIVERED:
		return "delivered";
	case RECIPIENT_DEFERRED:
		return "deferred";
	default:
		return "failed";
	}
}

/* relay: the server that said it; local: an agent for mailboxes did; none: nobody did. */
static void log_agent(struct log_line *line, const struct result *r)
{
	const struct job_outcome *o = r->outcome;

	if (o != NULL && o->relay.len > 0)
		log_pair(line, "relay", o->relay);
	else if (o != NULL && r->transport != TRANSPORT_SMTP)
		log_pair(line, "relay", SLICE("local"));
	else
		log_pair(line, "relay", SLICE("none"));
	if (o != NULL && o->tls)
		log_pair(line, "tls", SLICE("yes"));
}

/* These are in each delivery's line: without printf, which costs more than the rest of it. */

/* "1.234" */
static void log_seconds(struct log_line *line, const char *key, uint64_t us)
{
	char text[DECIMAL_MAX + 4];
	size_t len = decimal_write(us / CLOCK_SECOND, text);
	uint64_t rest = us % CLOCK_SECOND / 1000;

	text[len++] = '.';
	text[len++] = (char)('0' + rest / 100);
	text[len++] = (char)('0' + rest / 10 % 10);
	text[len++] = (char)('0' + rest % 10);
	log_pair(line, key, slice_make(text, len));
}

/* "2.0.0" */
static void log_dsn(struct log_line *line, const uint16_t enhanced[3])
{
	char text[3 * DECIMAL_MAX + 2];
	size_t len = 0;

	for (int i = 0; i < 3; i++) {
		if (i > 0)
			text[len++] = '.';
		len += decimal_write(enhanced[i], text + len);
	}
	log_pair(line, "dsn", slice_make(text, len));
}

/* "250 queued as 1234" */
static void log_reply(struct log_line *line, const struct reply *reply)
{
	char text[DECIMAL_MAX + 1 + LOG_LINE_MAX];
	size_t len = decimal_write(reply->code, text);
	struct slice said = slice_sub(reply->text, 0, LOG_LINE_MAX); /* more is no line */

	text[len++] = ' ';
	if (said.len > 0)
		memcpy(text + len, said.ptr, said.len);
	log_pair(line, "reply", slice_make(text, len + said.len));
}

static void log_times(struct log_line *line, const struct active *a, const struct job_outcome *o)
{
	uint64_t now = clock_wall_us();

	log_seconds(line, "delay", now > a->m.arrived ? now - a->m.arrived : 0);
	if (o == NULL || o->setup_us + o->transfer_us == 0)
		return;
	log_seconds(line, "setup", o->setup_us);
	log_seconds(line, "transfer", o->transfer_us);
}

static void log_result(const struct active *a, const struct result *r, uint64_t next)
{
	struct log_line line;

	log_start(&line, LOG_LEVEL_INFO, a->entry->id, event_of(r->status));
	log_pair(&line, "to", r->address);
	if (!slice_equal(r->address, r->original))
		log_pair(&line, "orig-to", r->original);
	log_agent(&line, r);
	log_times(&line, a, r->outcome);
	log_dsn(&line, r->reply.enhanced);
	log_reply(&line, &r->reply);
	if (next > 0)
		log_number(&line, "next", (next - manager_now()) / CLOCK_SECOND);
	log_end(&line);
}

void result_log_removed(uint64_t id)
{
	struct log_line line;

	log_start(&line, LOG_LEVEL_INFO, id, "removed");
	log_end(&line);
}

/* That no way was found just now is no attempt, unless all had time to be tried since the start
 * (S60). */
static bool may_give_up(const struct active *a)
{
	return a->tried || manager_now() - manager.started > manager.retry.longest;
}

/* "given up after 5d 2h: REPLY": the codes stay those of the last reply (RFC 3464 2.3.4). */
static struct slice given_up_text(uint64_t age, struct slice reply, char *text, size_t size)
{
	uint64_t minutes = age / (60 * CLOCK_SECOND);
	char tried[40];
	int len;

	if (minutes >= 48 * 60)
		snprintf(tried, sizeof(tried), "%" PRIu64 " days", minutes / (24 * 60));
	else if (minutes >= 120)
		snprintf(tried, sizeof(tried), "%" PRIu64 " hours", minutes / 60);
	else if (minutes >= 2)
		snprintf(tried, sizeof(tried), "%" PRIu64 " minutes", minutes);
	else
		snprintf(tried, sizeof(tried), "%" PRIu64 " seconds", age / CLOCK_SECOND);
	len = snprintf(text, size, "given up after it was tried for %s: %.*s", tried,
		       SLICE_FMT(reply));
	return slice_make(text, (size_t)len < size ? (size_t)len : size - 1);
}

/* The same for all of a message that fail within a second: they are tried together again, and a
 * STATE line has one entry for many. */
static uint64_t retry_at(struct active *a, uint64_t arrived, uint64_t now)
{
	if (a->retry_drawn == 0 || now - a->retry_drawn > CLOCK_SECOND) {
		a->retry_drawn = now;
		a->retry_at = schedule_retry_at(manager.schedule, arrived, now);
	}
	return a->retry_at;
}

bool result_take(struct active *a, const struct result *given)
{
	char text[REPLY_TEXT_MAX + 1];
	struct entry *e = a->entry;
	struct result r = *given;
	uint64_t id = e->id, now = manager_now(), arrived = manager_arrived(e), next = 0;

	if (r.status == RECIPIENT_DEFERRED && may_give_up(a) &&
	    schedule_give_up(manager.schedule, arrived, a->sender.len == 0, now)) {
		r.status = RECIPIENT_FAILED;
		r.reply.text = given_up_text(now - arrived, r.reply.text, text, sizeof(text));
	}
	r.reply.relay = r.outcome != NULL ? r.outcome->relay : SLICE_EMPTY;
	if (r.status == RECIPIENT_DEFERRED)
		next = retry_at(a, arrived, now);
	if (next > 0 && next < r.not_before)
		next = r.not_before;
	log_result(a, &r, next);
	/* A server that offers DSN tells the sender itself (RFC 3461 5.2.2). */
	if (r.status == RECIPIENT_DELIVERED && !(r.outcome != NULL && r.outcome->dsn) &&
	    report_wants_success(a, r.recipient, r.original))
		r.status = RECIPIENT_REACHED;
	if (!spool_result(manager.spool, e, r.recipient, r.status, next, &r.reply))
		return false;
	result_log_removed(id);
	return true;
}

void result_fail_rest(struct active *a)
{
	struct result r = {
	    .status = RECIPIENT_FAILED,
	    .reply = {.code = 554,
		      .enhanced = {5, 0, 0},
		      .text = SLICE("returned by the administrator")},
	};

	for (uint32_t i = 0; i < a->entry->state->count; i++) {
		const struct recipient_state *s = &a->entry->state->recipients[i];
		bool added = i >= a->entry->state->received;

		if (s->status != RECIPIENT_PENDING && s->status != RECIPIENT_ATTEMPT &&
		    s->status != RECIPIENT_DEFERRED)
			continue;
		r.recipient = i;
		r.address = added ? s->address : a->recipients[i].address;
		r.original = added ? s->original : a->recipients[i].address;
		result_take(a, &r);
	}
}
