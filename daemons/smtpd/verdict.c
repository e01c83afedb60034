/*
 * Verdicts: at each step of a session whoever has a say is asked, and the session waits for the
 * answer. The router is asked at RCPT, and at MAIL whether a user may send as that address; at the
 * other steps nobody has a say yet, and the session goes on at once. A verdict for a whole domain
 * is kept while the settings are those that it comes from: most recipients of clients in trust cost
 * no question.
 */
#include "common/base/memory.h"
#include "common/mail/domains.h"
#include "common/wire/call.h"
#include "daemons/smtpd/smtpd.h"

enum { VERDICTS_PENDING_MAX = 65536 };

struct question {
	struct session *session;
	verdict_done *done;
};

static struct caller *router;
static struct domains *open_domains; /* to which a client in trust may send */

static const struct router_verdict go_on = {.action = VERDICT_CONTINUE};
static const struct router_verdict later = {
    .action = VERDICT_REPLY,
    .code = 451,
    .enhanced = {"4.3.0", 5},
    .text = {"Recipients can't be looked up now, try later", 44},
};

/* For the router, who is local is in trust. */
static bool is_trusted(const struct session *s)
{
	return s->trusted || s->local;
}

static struct slice domain_of(struct slice recipient)
{
	return slice_from(recipient, slice_find_last(recipient, '@') + 1);
}

static void keep(const struct session *s, const struct router_verdict *v)
{
	if (v->whole == 0 || v->whole != service_generation())
		return;
	domains_of(open_domains, v->whole);
	if (v->action == VERDICT_CONTINUE && is_trusted(s) && s->transaction)
		domains_put(open_domains, domain_of(recipient_address(&s->transaction->asked)),
			    SLICE_EMPTY);
}

static bool is_kept(const struct session *s, struct slice recipient)
{
	struct slice nothing;

	domains_of(open_domains, service_generation());
	return is_trusted(s) && domains_find(open_domains, domain_of(recipient), &nothing);
}

static void router_answered(void *arg, const void *answer)
{
	struct question *q = arg;
	struct session *s = q->session;
	verdict_done *done = q->done;

	if (answer != NULL)
		keep(s, answer);
	memory_free(q);
	s->verdict = 0;
	s->question = NULL;
	done(s, answer ? answer : &later);
	session_resume(s);
}

static void router_ask(struct session *s, enum verdict_step step, struct slice recipient,
		       verdict_done *done)
{
	struct router_check check = {
	    .step = step,
	    .client = slice_str(s->address),
	    .name = slice_str(s->name),
	    .listener = slice_str(s->kind->name),
	    .trusted = s->trusted,
	    .helo = slice_str(s->helo),
	    .user = slice_str(s->user),
	    .sender = s->transaction ? s->transaction->sender : SLICE_EMPTY,
	    .recipient = recipient,
	};
	struct question *q = memory_get(sizeof(*q));

	q->session = s;
	q->done = done;
	s->question = q;
	stream_pause(s->stream);
	s->verdict = caller_ask(router, ROUTER_CHECK, &router_check_record, &check,
				VERDICT_TIMEOUT_US, router_answered, q);
	if (s->verdict == 0)
		router_answered(q, NULL);
}

void verdict_ask(struct session *s, enum verdict_step step, struct slice recipient,
		 verdict_done *done)
{
	bool asks = step == STEP_RCPT || (step == STEP_MAIL && s->kind->login);

	if (asks && !(step == STEP_RCPT && is_kept(s, recipient)))
		router_ask(s, step, recipient, done);
	else
		done(s, &go_on);
}

void verdict_cancel(struct session *s)
{
	if (s->verdict == 0)
		return;
	caller_cancel(router, s->verdict);
	memory_free(s->question);
	s->verdict = 0;
	s->question = NULL;
}

static void on_verdict(struct channel *c, const void *record)
{
	const struct router_verdict *v = record;

	(void)c;
	caller_answered(router, v->request, v);
}

const struct route verdict_routes[] = {
    {ROUTER_VERDICT, ROUTE_ALWAYS, on_verdict},
    {0, 0, NULL},
};

void verdict_up(struct channel *c, unsigned instance)
{
	(void)instance;
	domains_forget(open_domains);
	caller_use(router, c);
}

void verdict_down(struct channel *c)
{
	(void)c;
	domains_forget(open_domains);
	caller_use(router, NULL);
}

void verdict_warm(void)
{
	router = caller_new(VERDICTS_PENDING_MAX);
	open_domains = domains_new();
}
