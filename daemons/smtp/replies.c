/*
 * What each reply of a transaction means (RFC 5321 4.2, 4.3.2). One that its command can't have is
 * the end of the session: those behind it would be taken for others' (S50).
 */
#include "daemons/smtp/smtp.h"

static void on_rset(struct session *s, const struct expected *e)
{
	(void)e;
	if (s->answer.code / 100 != 2)
		session_lost(s, "RSET was refused");
}

static void on_mail(struct session *s, const struct expected *e)
{
	struct job *j = e->job;
	unsigned class = s->answer.code / 100;
	if (class == 3) {
		session_lost(s, "replies are out of step");
	} else if (s->answer.code == 503 && s->transactions > 1) {
		/* the server has not ended the one before (S6): that is no fault of this message */
		session_closed_by(s, EXPECT_MAIL, j, &s->answer);
	} else if (class != 2) {
		j->refused = true;
		transaction_refuse(s, j, RECIPIENT_WAITING);
	}
}

/* RFC 5321 4.5.3.1.10: 552 for too many recipients is to be taken for 452; for all else that it may
 * mean it is permanent (S48). */
static bool is_too_many(const struct job *j, const struct answer *a)
{
	if (a->code == 452)
		return a->enhanced[0] == '\0' || strcmp(a->enhanced, "4.5.3") == 0;
	return a->code == 552 &&
	       (strcmp(a->enhanced, "5.5.3") == 0 || (a->enhanced[0] == '\0' && j->accepted > 0));
}

static void on_rcpt(struct session *s, const struct expected *e)
{
	struct job *j = e->job;
	struct recipient *r = j->recipients[e->recipient];
	struct reason why;
	unsigned class = s->answer.code / 100;
	j->answered++;
	if (class == 3) {
		session_lost(s, "replies are out of step");
		return;
	}
	j->accepted += class == 2;
	if (j->refused || !r->job)
		return;
	if (class == 2) {
		r->state = RECIPIENT_ACCEPTED;
		return;
	}
	reason_answer(&why, s, &s->answer);
	j->walk.reached = true;
	r->too_many = is_too_many(j, &s->answer);
	r->state = RECIPIENT_WAITING;
	if (r->too_many) {
		why.status = JOB_DEFERRED;
		why.code = 452;
		why.enhanced[0] = '4';
	}
	if (why.status == JOB_FAILED)
		recipient_end(r, &why);
	else
		recipient_note(r, &why);
}

static void on_data(struct session *s, const struct expected *e)
{
	struct job *j = e->job;
	unsigned class = s->answer.code / 100;
	if (class == 2) {
		session_lost(s, "replies are out of step");
	} else if (class == 3 && j->accepted > 0 && !j->refused) {
		j->step = STEP_CONTENT;
		body_send(s, j);
	} else if (class == 3 && j->accepted > 0) {
		/* a lone dot would deliver nothing at all to them */
		session_lost(s, "replies are out of step");
	} else if (class == 3) { /* RFC 2920 3.1: a lone dot, and it fails */
		session_send(s, SLICE(".\r\n"));
		session_expect(s, EXPECT_EMPTY_DOT, j, 0);
		j->decided = true;
		j->step = STEP_SENT;
	} else {
		if (!j->decided)
			transaction_refuse(s, j, RECIPIENT_ACCEPTED);
		s->dirty = true;
		j->decided = true;
		j->step = STEP_SENT;
	}
}

static void delivered(struct session *s, struct job *j)
{
	struct reason why;
	reason_answer(&why, s, &s->answer);
	j->walk.reached = true;
	for (uint32_t i = 0; i < j->count; i++) {
		struct recipient *r = j->recipients[i];
		if (!r->job || r->state != RECIPIENT_ACCEPTED)
			continue;
		recipient_end(r, &why);
		j->delivered++;
	}
}

static void on_dot(struct session *s, const struct expected *e)
{
	struct job *j = e->job;
	unsigned class = s->answer.code / 100;
	/* a refusal that comes before it has all of the content: the rest would be commands */
	bool early = stream_unsent(s->stream) > 0 && class != 2 && !j->decided;
	if (class == 3) {
		session_lost(s, "replies are out of step");
		return;
	}
	if (!j->decided && class == 2)
		delivered(s, j);
	else if (!j->decided)
		transaction_refuse(s, j, RECIPIENT_ACCEPTED);
	j->decided = true;
	s->dirty |= j->chunks && class != 2; /* RFC 3030 2: RSET, or so it may be */
	if (early)
		session_lost(s, "refused early");
}

/* RFC 3030 2: a chunk that fails fails the message; those behind it fail too. */
static void on_chunk(struct session *s, const struct expected *e)
{
	struct job *j = e->job;
	unsigned class = s->answer.code / 100;
	if (class == 3)
		session_lost(s, "replies are out of step");
	if (class <= 3 || j->decided)
		return;
	transaction_refuse(s, j, RECIPIENT_ACCEPTED);
	s->dirty = true;
	body_stop(j);
	j->step = STEP_SENT;
}

static void on_empty_dot(struct session *s, const struct expected *e)
{
	(void)e;
	if (s->answer.code / 100 == 3)
		session_lost(s, "replies are out of step");
}

void transaction_reply(struct session *s, const struct expected *e)
{
	static void (*const handlers[EXPECT_KINDS])(struct session *, const struct expected *) = {
	    [EXPECT_RSET] = on_rset,	       [EXPECT_MAIL] = on_mail, [EXPECT_RCPT] = on_rcpt,
	    [EXPECT_DATA] = on_data,	       [EXPECT_DOT] = on_dot,	[EXPECT_CHUNK] = on_chunk,
	    [EXPECT_EMPTY_DOT] = on_empty_dot,
	};
	if (e->job) {
		e->job->outstanding--;
		e->job->heard |= e->kind != EXPECT_RSET;
	}
	handlers[e->kind](s, e);
}

/* RFC 5321 3.3 has no such reply, but servers do so and close (S45): it is the last word. */
void transaction_early_reply(struct session *s, struct job *j)
{
	if (s->answer.code == 421) {
		session_closed_by(s, EXPECT_DOT, j, &s->answer);
		return;
	}
	if (s->answer.code / 100 >= 4)
		transaction_refuse(s, j, RECIPIENT_ACCEPTED);
	session_lost(s, "replies are out of step");
}
