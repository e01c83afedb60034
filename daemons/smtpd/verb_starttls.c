/*
 * STARTTLS: all that follows is under TLS (RFC 3207). What the client said before counts for
 * nothing, and what it sends on before its handshake is never seen (S8, CVE-2011-0411).
 */
#include "common/base/memory.h"
#include "daemons/smtpd/smtpd.h"

void verb_starttls(struct session *s, struct slice argument)
{
	if (argument.len > 0)
		session_reply(s, 501, "5.5.4", "STARTTLS takes no argument");
	else if (s->secure)
		session_reply(s, 554, "5.5.1", "TLS has begun already");
	else if (s->local || !smtpd_settings()->tls)
		session_reply(s, 502, "5.5.1", "STARTTLS is not offered here");
	else if (!handshake_offered(s))
		session_reply(s, 454, "4.7.0", "TLS is not there now, try later");
	else {
		session_reply(s, 220, "2.0.0", "Ready to start TLS");
		session_reset(s);
		memory_free(s->helo);
		s->helo = NULL;
		s->esmtp = false;
		s->phase = PHASE_SECURING;
	}
}
