/*
 * VRFY: we do not tell who exists, and take mail to find out (RFC 5321 3.5.3, 7.3; S18). A
 * transaction under way is not touched.
 */
#include "daemons/smtpd/smtpd.h"

void verb_vrfy(struct session *s, struct slice argument)
{
	if (argument.len == 0) {
		session_reply(s, 501, "5.5.4", "Syntax: VRFY address");
		return;
	}
	session_reply(s, 252, "2.5.2", "Send some mail, I'll try to deliver it");
}
