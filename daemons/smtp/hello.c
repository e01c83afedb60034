/*
 * From the connection to the first MAIL: greeting, EHLO or HELO (RFC 5321 3.2), STARTTLS where it
 * is offered (RFC 3207), which must not make mail worse than it was: a host whose handshake fails
 * is spoken to without TLS, at once and for a while.
 */
#include <stdio.h>

#include "common/base/error.h"
#include "common/base/log.h"
#include "daemons/smtp/smtp.h"

enum { CODE_TEMPORARY = 451 };

static struct tls_client *tls;
static struct {
	struct net_address address;
	uint64_t until;
} plain_hosts[PLAIN_HOSTS_MAX];
static size_t plain_next;

void hello_warm(void)
{
	struct error e;
	tls = tls_client_new(&e);
	if (!tls)
		fatal("%s", e.text);
}

static bool is_plain(const struct net_address *a)
{
	for (size_t i = 0; i < PLAIN_HOSTS_MAX; i++)
		if (plain_hosts[i].until > loop_now() && plain_hosts[i].address.port == a->port &&
		    net_address_same_host(&plain_hosts[i].address, a))
			return true;
	return false;
}

static void keep_plain(const struct net_address *a)
{
	plain_hosts[plain_next].address = *a;
	plain_hosts[plain_next].until = loop_now() + PLAIN_FOR;
	plain_next = (plain_next + 1) % PLAIN_HOSTS_MAX;
}

void hello_begin(struct session *s)
{
	s->phase = PHASE_GREETING;
	session_expect(s, EXPECT_GREETING, NULL, 0);
}

static void say_ehlo(struct session *s)
{
	s->phase = PHASE_EHLO;
	s->capabilities = (struct capabilities){0}; /* what was said without TLS is void (S8) */
	session_say(s, "EHLO %s", smtp_hostname());
	session_expect(s, EXPECT_EHLO, NULL, 0);
}

static void say_helo(struct session *s)
{
	s->phase = PHASE_HELO;
	s->capabilities = (struct capabilities){0};
	session_say(s, "HELO %s", smtp_hostname());
	session_expect(s, EXPECT_HELO, NULL, 0);
}

/* The host serves nobody now, or not us. */
static void refused(struct session *s)
{
	struct reason why;
	reason_answer(&why, s, &s->answer);
	why.site = why.status == JOB_DEFERRED;
	session_quit(s);
	session_unfit(s, &why);
}

/* A host that greets with 5xx is one that can't serve now: the next one may (S44). */
static void greeting_refused(struct session *s)
{
	char text[JOB_TEXT_MAX + 1];
	const struct answer *a = &s->answer;
	struct reason why;
	reason_answer(&why, s, a);
	why.site = true;
	if (a->code >= 500) {
		snprintf(text, sizeof(text), "%u %s%s%.300s", a->code, a->enhanced,
			 a->enhanced[0] ? " " : "", a->text);
		why.text = slice_str(text);
		why.status = JOB_DEFERRED;
		why.code = CODE_TEMPORARY;
		why.enhanced[0] = '4';
	}
	session_quit(s);
	session_unfit(s, &why);
}

/* S43: we have connected to ourselves, by the name. Only where mail follows MX records: a relay
 * that was configured may be another server of this machine. */
static bool is_loop(const struct session *s)
{
	return (s->host.by_mx || s->host.address.port == NEXT_HOP_PORT) &&
	       slice_equal_fold(slice_str(s->capabilities.name), slice_str(smtp_hostname()));
}

static void looped(struct session *s)
{
	char text[JOB_TEXT_MAX + 1];
	struct reason why;
	struct job *j = s->opener;
	if (s->host.best)
		reason_own(&why, 554, "5.4.6", false, text, "mail loops back to us: %s is %s",
			   s->relay, smtp_hostname());
	else
		reason_own(&why, 451, "4.4.6", true, text, "mail loops back to us: %s is %s",
			   s->relay, smtp_hostname());
	session_quit(s);
	if (s->host.best) /* no other host may have it: it is we who should */
		job_end(j, &why);
	session_unfit(s, &why);
}

static bool wants_tls(const struct session *s)
{
	return !s->tls && (s->capabilities.offered & OFFERS_STARTTLS) &&
	       !is_plain(&s->host.address);
}

static void greeted(struct session *s)
{
	walk_greeted(s->opener, s->host.name);
	if (s->answer.code == 220)
		say_ehlo(s);
	else if (s->answer.code >= 400)
		greeting_refused(s);
	else
		session_lost(s, "replies are out of step");
}

static void said_hello(struct session *s)
{
	if (is_loop(s)) {
		looped(s);
	} else if (wants_tls(s)) {
		s->phase = PHASE_STARTTLS;
		session_say(s, "STARTTLS");
		session_expect(s, EXPECT_STARTTLS, NULL, 0);
	} else {
		session_ready(s);
	}
}

static void answered(struct session *s, bool ehlo)
{
	unsigned class = s->answer.code / 100;
	if (class == 2)
		said_hello(s);
	else if (class == 5 && ehlo && !s->tls)
		say_helo(s); /* RFC 5321 3.2: a server that does not know EHLO */
	else if (class == 3)
		session_lost(s, "replies are out of step");
	else
		refused(s);
}

static void secure(struct session *s)
{
	if (s->answer.code / 100 != 2) { /* it offers what it does not do: go on without */
		session_ready(s);
		return;
	}
	/* RFC 3207 6, S8: what came before the handshake may be another's */
	if (stream_input(s->stream).len > 0) {
		session_lost(s, "octets between STARTTLS and the handshake");
		return;
	}
	s->phase = PHASE_HANDSHAKE;
	if (!tls_client_start(tls, s->stream, slice_str(s->host.name), slice_str(s->relay)))
		session_lost(s, "no memory");
	else
		stream_deadline(s->stream, smtp_timeouts()->starttls);
}

void hello_secured(struct session *s)
{
	s->tls = true;
	say_ehlo(s);
	session_clock(s);
}

void hello_unsafe(struct session *s)
{
	struct job *j = s->opener;
	struct log_line l;
	keep_plain(&s->host.address);
	log_start(&l, LOG_LEVEL_WARNING, j->message, "no-tls");
	log_pair(&l, "relay", slice_str(s->relay));
	log_pair(&l, "text", slice_str(stream_fault(s->stream)));
	log_end(&l);
	s->opener = NULL;
	j->session = NULL;
	session_drop(s);
	walk_again(j);
}

void hello_line(struct session *s, struct slice line)
{
	if (s->answer.code / 100 == 2)
		capabilities_line(&s->capabilities, s->answer.lines, line);
}

void hello_reply(struct session *s, enum expected_kind kind)
{
	switch (kind) {
	case EXPECT_GREETING:
		greeted(s);
		break;
	case EXPECT_EHLO:
		answered(s, true);
		break;
	case EXPECT_HELO:
		answered(s, false);
		break;
	case EXPECT_STARTTLS:
		secure(s);
		break;
	default:
		panic("smtp: a reply of kind %d before MAIL", kind);
	}
}
