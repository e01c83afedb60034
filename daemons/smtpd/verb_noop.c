/*
 * NOOP: says that we are there; an argument is ignored (RFC 5321 4.1.1.9).
 */
#include "daemons/smtpd/smtpd.h"

void verb_noop(struct session *s, struct slice argument)
{
	(void)argument;
	session_reply(s, 250, "2.0.0", "Ok");
}
