/*
 * TLS begins: at once where it comes from the first octet, else when the reply to STARTTLS has
 * left. Until it is done nothing that the client sends is read as SMTP. A handshake that is never
 * finished costs its connection, for so long and no longer.
 */
#include "common/service/secure.h"
#include "daemons/smtpd/smtpd.h"

bool handshake_offered(const struct session *s)
{
	return !s->local && !s->secure && secure_ready();
}

/* A client has no longer for it than for a command. */
static uint64_t patience(void)
{
	uint64_t idle = smtpd_settings()->limits.idle;

	return idle < HANDSHAKE_TIMEOUT_US ? idle : HANDSHAKE_TIMEOUT_US;
}

void handshake_begin(struct session *s)
{
	stream_consume(s->stream, stream_input(s->stream).len);
	stream_flush(s->stream);
	if (stream_unsent(s->stream) > 0)
		return; /* again when it has left */
	s->begun = true;
	stream_deadline(s->stream, patience());
	if (secure_start(s->stream))
		return;
	session_log_unsecured(s, "no certificate is ready");
	session_close(s, "unsafe");
}

void handshake_done(struct session *s)
{
	s->secure = true;
	session_log_secured(s);
	stream_deadline(s->stream, smtpd_settings()->limits.idle);
	line_reader_init(&s->lines, s->kind->login ? LINE_LOGIN_MAX : LINE_COMMAND_MAX);
	if (s->kind->wrapped)
		session_greet(s);
	else
		s->phase = PHASE_COMMAND;
}
