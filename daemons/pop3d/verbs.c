/*
 * Verbs that need nobody else. What a session has deleted is a mark; QUIT alone makes it true
 * (RFC 1939 6).
 */
#include "common/base/buffer.h"
#include "common/service/secure.h"
#include "daemons/pop3d/pop3d.h"

enum { CAPABILITIES_MAX = 1024 };

/* RFC 2449 6; what is not true now is not there: no password without TLS. */
void verb_capa(struct session *s, const struct pop3_command *c)
{
	struct buffer b;
	unsigned mechanisms = s->user ? 0 : login_mechanisms(s);
	(void)c;
	buffer_init(&b, CAPABILITIES_MAX);
	buffer_append(&b, SLICE("+OK\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"
				"PIPELINING\r\nEXPIRE NEVER\r\nIMPLEMENTATION Stagepost\r\n"));
	if (!s->user)
		buffer_append(&b, SLICE("UTF8 USER\r\n"));
	if (!s->user && !s->secured && secure_ready())
		buffer_append(&b, SLICE("STLS\r\n"));
	if (!s->user && login_by_password(s))
		buffer_append(&b, SLICE("USER\r\n"));
	if (mechanisms) {
		buffer_append(&b, SLICE("SASL "));
		sasl_offer(mechanisms, &b);
		buffer_append(&b, SLICE("\r\n"));
	}
	buffer_append(&b, SLICE(".\r\n"));
	session_say(s, buffer_slice(&b));
	buffer_free(&b);
}

void verb_stls(struct session *s, const struct pop3_command *c)
{
	(void)c;
	if (s->secured) {
		session_err(s, NULL, "TLS is there already");
	} else if (!secure_ready()) {
		session_err(s, "SYS/TEMP", "there is no TLS now");
	} else {
		session_ok(s, "begin TLS");
		login_forget(s);
		s->discard = true;
	}
}

/* Nothing changes: content goes as it is, and names may be UTF-8 in any case (RFC 6856 2.1). */
void verb_utf8(struct session *s, const struct pop3_command *c)
{
	(void)c;
	session_ok(s, "UTF-8");
}

void verb_stat(struct session *s, const struct pop3_command *c)
{
	(void)c;
	session_ok(s, "%zu %llu", s->box.count - s->box.deleted, (unsigned long long)s->box.octets);
}

void verb_dele(struct session *s, const struct pop3_command *c)
{
	struct entry *e = box_entry(s, c->number);
	if (!e)
		return;
	e->deleted = true;
	s->box.deleted++;
	s->box.octets -= e->octets;
	session_ok(s, "message %u deleted", c->number);
}

void verb_rset(struct session *s, const struct pop3_command *c)
{
	(void)c;
	for (size_t i = 0; i < s->box.count; i++) {
		struct entry *e = &s->box.entries[i];
		if (e->deleted)
			s->box.octets += e->octets;
		e->deleted = false;
	}
	s->box.deleted = 0;
	session_ok(s, "%zu messages", s->box.count);
}

void verb_noop(struct session *s, const struct pop3_command *c)
{
	(void)c;
	session_ok(s, "here");
}

void verb_quit(struct session *s, const struct pop3_command *c)
{
	(void)c;
	s->quits = true;
	if (s->user) {
		box_update(s);
		return;
	}
	session_ok(s, "bye");
	session_close(s, "quit");
}
