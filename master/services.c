/*
 * The picture of the house. Each line of `services` is a daemon, each line of `pairs` a channel
 * between every process of the one and every process of the other. Local and smtp run twice:
 * instance 0 for all mail, instance 1 for what an agent held when it died.
 * submission is the program smtpd with passwords and the socket for programs.
 */
#include "master/services.h"

/* clang-format off */
const struct service_row services[ROLES] = {
    /*                       name         program    count  or key           gifts               stop  owner  need         listens */
    [ROLE_LOG]             = {"log",        NULL,      1, NULL,                GIFT_LOG_ENDS,        3, false, NEED_ALWAYS, NULL},
    [ROLE_KEYS]            = {"keys",       NULL,      1, NULL,                GIFT_KEYS | GIFT_CERTIFICATES,
                                                                                                     2, false, NEED_TLS,    NULL},
    [ROLE_USAGE]           = {"usage",      NULL,      1, NULL,                GIFT_STATE,           2, false, NEED_LOGIN,  NULL},
    [ROLE_ACCOUNTS_SYSTEM] = {"accounts-system", NULL, 1, NULL,                0,                    2, false, NEED_SYSTEM, NULL},
    [ROLE_ACCOUNTS]        = {"accounts",   NULL,      1, NULL,                GIFT_USERS | GIFT_SOCKETS,
                                                                                                     2, false, NEED_ALWAYS, NULL},
    [ROLE_ROUTER]          = {"router",     NULL,      1, NULL,                GIFT_ALIASES,         2, false, NEED_ALWAYS, NULL},
    [ROLE_RESOLVER]        = {"resolver",   NULL,      1, NULL,                GIFT_DNS,             2, false, NEED_ALWAYS, NULL},
    [ROLE_QUEUE]           = {"queue",      NULL,      1, NULL,                GIFT_SPOOL,           1, false, NEED_ALWAYS, NULL},
    [ROLE_BOUNCE]          = {"bounce",     NULL,      1, NULL,                0,                    2, false, NEED_ALWAYS, NULL},
    [ROLE_LOCAL]           = {"local",      NULL,      2, NULL,                GIFT_MAILBOXES,       2, true,  NEED_ALWAYS, NULL},
    [ROLE_LOCAL_SYSTEM]    = {"local-system", "local", 1, NULL,                0,                    2, false, NEED_SYSTEM, NULL},
    [ROLE_SMTP]            = {"smtp",       NULL,      2, NULL,                0,                    2, false, NEED_ALWAYS, NULL},
    [ROLE_CONTROL]         = {"control",    NULL,      1, NULL,                GIFT_CONTROL | GIFT_ASK,
                                                                                                     2, false, NEED_ALWAYS, NULL},
    [ROLE_SMTPD]           = {"smtpd",      NULL,      0, "processes.smtpd",   GIFT_CERTIFICATES,    0, false, NEED_ALWAYS, "smtp"},
    [ROLE_SUBMISSION]      = {"submission", "smtpd",   0, "processes.submission", GIFT_CERTIFICATES | GIFT_SUBMIT,
                                                                                                     0, false, NEED_ALWAYS, "submission submissions"},
    [ROLE_MAILDROP]        = {"maildrop",   NULL,      1, NULL,                GIFT_BASES,           2, false, NEED_POP3,   NULL},
    [ROLE_POP3D]           = {"pop3d",      NULL,      1, NULL,                GIFT_CERTIFICATES,    0, false, NEED_POP3,   "pop3 pop3s"},
    [ROLE_PICKUP]          = {"pickup",     NULL,      1, NULL,                GIFT_DROP,            0, false, NEED_ALWAYS, NULL},
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
    {ROLE_SUBMISSION, ROLE_ROUTER},   /* the same as of smtpd, and: may this user send as that address? */
    {ROLE_SUBMISSION, ROLE_QUEUE},
    {ROLE_SUBMISSION, ROLE_RESOLVER},
    {ROLE_SUBMISSION, ROLE_ACCOUNTS}, /* who is this, and does the password hold? */
    {ROLE_SUBMISSION, ROLE_USAGE},    /* may this user send so much? */
    {ROLE_PICKUP, ROLE_SUBMISSION},   /* mail from the drop directory */
    {ROLE_SMTPD, ROLE_KEYS},	      /* signatures for TLS, and keys for tickets */
    {ROLE_SUBMISSION, ROLE_KEYS},
    {ROLE_POP3D, ROLE_KEYS},
    {ROLE_POP3D, ROLE_ACCOUNTS},      /* who is this, and does the password hold? */
    {ROLE_POP3D, ROLE_MAILDROP},      /* the maildrop of a ticket */
    {ROLE_ACCOUNTS, ROLE_MAILDROP},   /* tickets */
    {ROLE_ACCOUNTS, ROLE_USAGE},      /* who is blocked? */
    {ROLE_CONTROL, ROLE_ACCOUNTS},    /* would this login hold? */
    {ROLE_CONTROL, ROLE_USAGE},	      /* block and list users */
    {ROLE_CONTROL, ROLE_KEYS},	      /* when do certificates end? */
};
/* clang-format on */

bool services_linked(enum role_id a, enum role_id b)
{
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if ((pairs[i].a == a && pairs[i].b == b) || (pairs[i].a == b && pairs[i].b == a))
			return true;
	return false;
}
