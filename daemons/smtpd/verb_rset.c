/*
 * RSET: forgets the transaction, nothing else (RFC 5321 4.1.1.5, S7).
 */
#include "daemons/smtpd/smtpd.h"

void verb_rset(struct session *s, struct slice argument)
{
	if (argument.len > 0) {
		session_reply(s, 501, "5.5.4", "RSET takes no argument");
		return;
	}
	session_reset(s);
	session_reply(s, 250, "2.0.0", "Ok");
}
