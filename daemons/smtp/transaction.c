/*
 * One message in one session (RFC 5321 3.3). With PIPELINING all commands up to DATA leave in one
 * write, and the next transaction's commands in one write with this one's content (RFC 2920 3.1);
 * each reply is then judged on its own, since any of them may be a refusal.
 *
 * What a job's end in a session means for a recipient: accepted or refused for good, it is done;
 * else it waits for another host, with what this one said.
 */
#include <errno.h>

#include "common/base/error.h"
#include "daemons/smtp/smtp.h"

static bool pipelines(const struct session *s)
{
	return (s->capabilities.offered & OFFERS_PIPELINING) != 0;
}

/* Beginning and end */

static bool only_too_many(const struct job *j)
{
	for (uint32_t i = 0; i < j->count; i++)
		if (j->recipients[i]->job && !j->recipients[i]->too_many)
			return false;
	return j->delivered > 0;
}

static void leave(struct session *s, struct job *j)
{
	TAILQ_REMOVE(&s->jobs, j, link);
	s->job_count--;
	j->session = NULL;
	j->setup_us = j->began = 0;
	body_stop(j);
}

/* What is left of the job goes elsewhere. */
static void finish(struct session *s, struct job *j)
{
	struct destination *d = j->destination;
	leave(s, j);
	if (j->pending == 0) {
		job_free(j);
		destination_touch(d);
		return;
	}
	/* RFC 5321 4.5.3.1.10: a server that takes only so many recipients gets the others next */
	if (only_too_many(j))
		walk_ungreeted(j); /* it has its place with this host still */
	else
		walk_tried(j, &s->host.address);
	destination_return(j);
}

void transaction_unharmed(struct session *s, struct job *j)
{
	leave(s, j);
	walk_ungreeted(j);
	j->walk.lost++;
	destination_return(j);
}

/* Idle for long, or behind chunks that may have been refused: RSET comes first (S49). */
static bool wants_reset(const struct session *s)
{
	const struct job *before = TAILQ_LAST(&s->jobs, job_list);
	return (before && before->chunks) || s->dirty ||
	       (s->idle && loop_now() - s->idle_since > SESSION_STALE);
}

static bool enter(struct session *s, struct job *j)
{
	uint64_t now = loop_now();
	uint64_t looked = j->walk.since ? now - j->walk.since : 0;
	uint32_t said = commands_select(s, j);
	if (s->transactions > 0)
		walk_greeted(j, s->host.name);
	j->step = wants_reset(s) ? STEP_RSET : STEP_MAIL;
	j->session = s;
	TAILQ_INSERT_TAIL(&s->jobs, j, link);
	s->job_count++;
	if (said == 0) {
		finish(s, j);
		return false;
	}
	session_work(s);
	s->transactions++;
	j->next = j->outstanding = j->answered = j->accepted = j->delivered = 0;
	j->said = said;
	j->heard = j->refused = j->decided = false;
	j->chunks = (s->capabilities.offered & OFFERS_CHUNKING) &&
		    (pipelines(s) || j->content.file.number == 0);
	j->content_end = 0;
	j->began = now;
	j->setup_us = looked;
	j->walk.since = 0;
	return true;
}

void transaction_start(struct session *s, struct job *j)
{
	if (enter(s, j) || s->job_count == 0)
		transaction_pump(s);
	if (!s->dead)
		session_clock(s);
}

/* Outcomes */

/* To all recipients that this host may have the message for. */
static void judge(struct job *j, enum recipient_state least, const struct reason *why, bool final)
{
	for (uint32_t i = 0; i < j->count; i++) {
		struct recipient *r = j->recipients[i];
		if (!r->job || r->state < least || r->state == RECIPIENT_LEFT_OUT)
			continue;
		if (final)
			recipient_end(r, why);
		else
			recipient_note(r, why);
	}
}

void transaction_refuse(struct session *s, struct job *j, enum recipient_state least)
{
	struct reason why;
	reason_answer(&why, s, &s->answer);
	j->walk.reached = true;
	judge(j, least, &why, why.status == JOB_FAILED);
	j->decided = true;
}

void transaction_refused(struct session *s, struct job *j, const struct reason *why)
{
	if (!j->decided)
		judge(j, RECIPIENT_WAITING, why, false);
	finish(s, j);
}

static const char *where(const struct job *j)
{
	switch (j->step) {
	case STEP_CONTENT:
		return "sending the content";
	case STEP_SENT:
		return j->content_end ? "sending the content" : "waiting for replies";
	default:
		return "sending the envelope";
	}
}

/* Did the last octet of the content leave us, while somebody may have been accepted? */
static bool may_be_there(const struct session *s, const struct job *j)
{
	return j->content_end > 0 && s->stream && !j->refused &&
	       s->sent - stream_unsent(s->stream) >= j->content_end &&
	       (j->accepted > 0 || j->answered < j->said);
}

void transaction_lost(struct session *s, struct job *j, const char *what)
{
	char text[JOB_TEXT_MAX + 1];
	struct reason why;
	if (j->decided) {
		finish(s, j);
	} else if (may_be_there(s, j)) {
		/* RFC 5321 4.5.3.2.6, S45: whether it was taken can't be known */
		reason_own(&why, 451, "4.4.2", true, text,
			   "%s after the content was sent to %s: the message may be repeated", what,
			   s->relay);
		judge(j, RECIPIENT_SAID, &why, true);
		finish(s, j);
	} else if (!j->heard && s->transactions > 1) {
		transaction_unharmed(s, j); /* the server has ended a session that was used up */
	} else {
		reason_own(&why, 451, "4.4.2", true, text, "%s while %s to %s", what, where(j),
			   s->relay);
		judge(j, RECIPIENT_WAITING, &why, false);
		finish(s, j);
	}
}

/* Sending */

static void say_rcpt(struct session *s, struct job *j)
{
	while (j->next < j->count) {
		struct recipient *r = j->recipients[j->next++];
		if (!r->job || r->state == RECIPIENT_LEFT_OUT)
			continue;
		r->state = RECIPIENT_SAID;
		commands_rcpt(s, r);
		session_expect(s, EXPECT_RCPT, j, j->next - 1);
		return;
	}
	j->step = STEP_DATA;
}

/* Nobody is there to send content for. */
static void give_up(struct session *s, struct job *j)
{
	s->dirty |= !j->refused;
	j->decided = true;
	j->step = STEP_SENT;
}

static void say_data(struct session *s, struct job *j)
{
	bool all_known = j->answered == j->said;
	if (j->refused || (all_known && j->accepted == 0)) {
		give_up(s, j);
	} else if (!j->chunks) {
		session_send(s, SLICE("DATA\r\n"));
		session_expect(s, EXPECT_DATA, j, 0);
		j->step = STEP_GO;
	} else if (all_known || j->content.file.number == 0) {
		j->step = STEP_CONTENT;
		body_send(s, j);
	}
}

/* The next thing; false: it has to wait. */
static bool send_next(struct session *s, struct job *j)
{
	enum step before = j->step;
	uint32_t next = j->next;
	if (!pipelines(s) && s->expected_count > 0)
		return false;
	if (j->refused && j->step < STEP_DATA)
		j->step = STEP_DATA;
	switch (j->step) {
	case STEP_RSET:
		session_say(s, "RSET");
		session_expect(s, EXPECT_RSET, j, 0);
		s->dirty = false;
		j->step = STEP_MAIL;
		break;
	case STEP_MAIL:
		commands_mail(s, j);
		session_expect(s, EXPECT_MAIL, j, 0);
		j->step = STEP_RCPT;
		break;
	case STEP_RCPT:
		say_rcpt(s, j);
		break;
	case STEP_DATA:
		say_data(s, j);
		break;
	case STEP_GO:
	case STEP_CONTENT:
	case STEP_SENT:
		return false;
	}
	return j->step != before || j->next != next;
}

static bool send_jobs(struct session *s)
{
	struct job *j;
	TAILQ_FOREACH (j, &s->jobs, link) {
		while (send_next(s, j))
			;
		if (j->step != STEP_SENT)
			return false;
	}
	return true;
}

static void finish_jobs(struct session *s)
{
	struct job *j;
	while ((j = TAILQ_FIRST(&s->jobs)) && j->step == STEP_SENT && j->outstanding == 0)
		finish(s, j);
}

/* All is sent of what the session has: another job may follow at once. */
static bool take_another(struct session *s)
{
	struct job *j;
	if (s->job_count == 0 || s->job_count >= PIPELINE_DEPTH || !pipelines(s) ||
	    loop_now() - s->opened_at > SESSION_LIFE)
		return false;
	j = destination_take(s->destination, s);
	if (j)
		enter(s, j);
	return j != NULL;
}

/* S46: what is open at the server is ended before anything else. */
static void reset(struct session *s)
{
	if (!s->dirty || s->job_count > 0)
		return;
	s->dirty = false;
	session_say(s, "RSET");
	session_expect(s, EXPECT_RSET, NULL, 0);
}

void transaction_pump(struct session *s)
{
	do {
		bool sent = send_jobs(s);
		finish_jobs(s);
		if (!sent)
			break;
	} while (take_another(s));
	reset(s);
	if (s->job_count == 0)
		session_rest(s);
}

/* Files */

void transaction_content_sent(struct session *s, struct job *j)
{
	j->step = STEP_SENT;
	transaction_pump(s);
	if (!s->dead)
		session_clock(s);
}

/* The server must not take what it has for the whole: no final dot, no last chunk. */
void transaction_content_failed(struct session *s, struct job *j, int error)
{
	char text[JOB_TEXT_MAX + 1];
	struct reason why;
	if (error == EBADMSG)
		reason_own(&why, 451, "4.3.0", false, text,
			   "the content is not what was committed");
	else
		reason_own(&why, 451, "4.3.0", false, text, "reading the content: %s",
			   strerror(error));
	if (error == EBADMSG)
		why.status = JOB_SPOILED;
	job_end(j, &why);
	j->decided = true;
	session_lost(s, "content failed");
	session_drop(s);
}
