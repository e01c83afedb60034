/*
 * What a host said is kept for each recipient in one piece of memory until another host says
 * something else or the manager has noted it. What may pass is worth more than what may not: one
 * host that was down may have taken what another one can't take.
 */
#include <stdarg.h>
#include <stdio.h>

#include "common/base/memory.h"
#include "daemons/smtp/smtp.h"

enum { CODE_PERMANENT = 500, CODE_SUCCESS_MAX = 299 };

struct outcome {
	struct reason reason; /* its slices point behind this struct */
	uint64_t setup_us, transfer_us;
	char octets[];
};

static enum job_status status_of(uint32_t code)
{
	if (code <= CODE_SUCCESS_MAX)
		return JOB_DELIVERED;
	return code >= CODE_PERMANENT ? JOB_FAILED : JOB_DEFERRED;
}

void reason_own(struct reason *r, uint32_t code, const char *enhanced, bool site,
		char text[JOB_TEXT_MAX + 1], const char *format, ...)
{
	va_list ap;
	*r = (struct reason){.status = status_of(code), .code = code, .site = site};
	slice_copy(slice_str(enhanced), r->enhanced, sizeof(r->enhanced));
	va_start(ap, format);
	int n = vsnprintf(text, JOB_TEXT_MAX + 1, format, ap);
	va_end(ap);
	r->text = slice_make(text, n < 0 ? 0 : n > JOB_TEXT_MAX ? JOB_TEXT_MAX : (size_t)n);
}

void reason_answer(struct reason *r, const struct session *s, const struct answer *a)
{
	*r = (struct reason){
	    .status = status_of(a->code),
	    .code = a->code,
	    .dsn = s->capabilities.offered & OFFERS_DSN,
	    .tls = s->tls,
	    .text = slice_make(a->text, a->len),
	    .relay = slice_str(s->relay),
	};
	answer_enhanced(a, r->enhanced);
}

static struct outcome *outcome_new(const struct reason *r, const struct job *j)
{
	struct slice text = slice_sub(r->text, 0, JOB_TEXT_MAX);
	struct slice relay = slice_sub(r->relay, 0, JOB_RELAY_MAX);
	struct outcome *o = memory_get(sizeof(*o) + text.len + relay.len);
	o->reason = *r;
	o->reason.site &= !j->strayed;
	o->reason.text = slice_make(o->octets, text.len);
	o->reason.relay = slice_make(o->octets + text.len, relay.len);
	if (text.len > 0)
		memcpy(o->octets, text.ptr, text.len);
	if (relay.len > 0)
		memcpy(o->octets + text.len, relay.ptr, relay.len);
	o->setup_us = j->setup_us;
	o->transfer_us = 0;
	if (j->walk.looking)
		o->setup_us += loop_now() - j->walk.since;
	else if (j->began)
		o->transfer_us = loop_now() - j->began;
	return o;
}

void outcome_free(struct outcome **o)
{
	memory_free(*o);
	*o = NULL;
}

bool outcome_is_site(const struct outcome *o)
{
	return o && o->reason.site;
}

void outcome_reason(const struct outcome *o, struct reason *r)
{
	*r = o->reason;
}

void recipient_note(struct recipient *r, const struct reason *why)
{
	if (r->outcome && r->outcome->reason.status == JOB_DEFERRED && why->status != JOB_DEFERRED)
		return;
	outcome_free(&r->outcome);
	r->outcome = outcome_new(why, r->job);
}

void job_note(struct job *j, const struct reason *why)
{
	for (uint32_t i = 0; i < j->count; i++)
		if (j->recipients[i]->job)
			recipient_note(j->recipients[i], why);
}

static void end_with_kept(struct recipient *r)
{
	struct job *j = r->job;
	/* A host that has judged the message is there: the site is not in trouble (S47). */
	if (j->walk.reached)
		r->outcome->reason.site = false;
	r->job = NULL;
	j->pending--;
	jobs_recipient_done(r);
}

void recipient_end(struct recipient *r, const struct reason *why)
{
	outcome_free(&r->outcome);
	r->outcome = outcome_new(why, r->job);
	end_with_kept(r);
}

void job_end(struct job *j, const struct reason *why)
{
	for (uint32_t i = 0; i < j->count; i++)
		if (j->recipients[i]->job)
			recipient_end(j->recipients[i], why);
}

void job_end_noted(struct job *j)
{
	for (uint32_t i = 0; i < j->count; i++) {
		struct recipient *r = j->recipients[i];
		if (!r->job)
			continue;
		if (!r->outcome)
			panic("smtp: a job ends without a reason");
		end_with_kept(r);
	}
}

void outcome_send(struct channel *c, const struct recipient *r)
{
	const struct outcome *o = r->outcome;
	struct job_outcome m = {
	    .message = r->key.message,
	    .recipient = r->key.recipient,
	    .attempt = r->key.attempt,
	    .status = o->reason.status,
	    .code = o->reason.code,
	    .enhanced = slice_str(o->reason.enhanced),
	    .text = o->reason.text,
	    .site = o->reason.site,
	    .relay = o->reason.relay,
	    .dsn = o->reason.status == JOB_DELIVERED && o->reason.dsn,
	    .tls = o->reason.tls,
	    .setup_us = o->setup_us,
	    .transfer_us = o->transfer_us,
	};
	channel_send(c, JOB_OUTCOME, &m); /* else it goes with the next fresh channel */
}
