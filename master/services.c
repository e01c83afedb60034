/*
 * The picture of the house. Each line of `services` is a daemon, each line of `pairs` a channel
 * between every process of the one and every process of the other. Local and smtp run twice:
 * instance 0 for all mail, instance 1 for what an agent held when it died.
 */
#include "master/services.h"

/* clang-format off */
const struct service_row services[ROLES] = {
    /*                name     program count  or key        gifts                         stop owner  for_system */
    [ROLE_LOG]      = {"log", NULL,      1, NULL,              GIFT_LOG_ENDS,                   3, false, false},
    [ROLE_ACCOUNTS_SYSTEM] = {"accounts-system", NULL, 1, NULL, 0,                              2, false, true},
    [ROLE_ACCOUNTS] = {"accounts", NULL, 1, NULL,              GIFT_USERS,                      2, false, false},
    [ROLE_ROUTER]   = {"router", NULL,   1, NULL,              GIFT_ALIASES,                    2, false, false},
    [ROLE_RESOLVER] = {"resolver", NULL, 1, NULL,              GIFT_DNS,                        2, false, false},
    [ROLE_QUEUE]    = {"queue", NULL,    1, NULL,              GIFT_SPOOL,                      1, false, false},
    [ROLE_BOUNCE]   = {"bounce", NULL,   1, NULL,              0,                               2, false, false},
    [ROLE_LOCAL]    = {"local", NULL,    2, NULL,              GIFT_MAILBOXES,                  2, true,  false},
    [ROLE_LOCAL_SYSTEM] = {"local-system", "local", 1, NULL,   0,                               2, false, true},
    [ROLE_SMTP]     = {"smtp", NULL,     2, NULL,              0,                               2, false, false},
    [ROLE_CONTROL]  = {"control", NULL,  1, NULL,              GIFT_CONTROL | GIFT_ASK,         2, false, false},
    [ROLE_SMTPD]    = {"smtpd", NULL,    0, "processes.smtpd", GIFT_LISTENERS,                  0, false, false},
};

static const struct { enum role_id a, b; } pairs[] = {
    {ROLE_SMTPD,   ROLE_ROUTER},   /* may this recipient have mail? */
    {ROLE_SMTPD,   ROLE_QUEUE},	   /* segments, and notices of what is durable */
    {ROLE_SMTPD,   ROLE_RESOLVER}, /* what is the client's name? */
    {ROLE_QUEUE,   ROLE_ROUTER},   /* deliveries of each recipient */
    {ROLE_QUEUE,   ROLE_RESOLVER}, /* which MX site is a domain of? */
    {ROLE_QUEUE,   ROLE_BOUNCE},   /* reports on what failed, and their notices */
    {ROLE_QUEUE,   ROLE_LOCAL},	   /* jobs and their outcomes */
    {ROLE_QUEUE,   ROLE_LOCAL_SYSTEM}, /* the same for the machine's users */
    {ROLE_QUEUE,   ROLE_SMTP},	   /* the same for other servers */
    {ROLE_SMTP,    ROLE_RESOLVER}, /* addresses of their hosts */
    {ROLE_ROUTER,  ROLE_ACCOUNTS}, /* is this a user, where is the mailbox */
    {ROLE_ACCOUNTS, ROLE_ACCOUNTS_SYSTEM}, /* is this a user of the machine */
    {ROLE_LOCAL_SYSTEM, ROLE_ACCOUNTS},	   /* the numbers and the home of one */
    {ROLE_CONTROL, ROLE_QUEUE},	   /* an administrator's verbs */
    {ROLE_CONTROL, ROLE_ROUTER},   /* explain a route */
};
/* clang-format on */

bool services_linked(enum role_id a, enum role_id b)
{
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if ((pairs[i].a == a && pairs[i].b == b) || (pairs[i].a == b && pairs[i].b == a))
			return true;
	return false;
}
