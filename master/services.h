/*
 * services: which daemons there are, who speaks with whom and who is given what.
 */
#ifndef MASTER_SERVICES_H
#define MASTER_SERVICES_H

#include "common/base/slice.h"

/* In the order in which they are started. */
enum role_id {
	ROLE_LOG,
	ROLE_KEYS,
	ROLE_USAGE,
	ROLE_ACCOUNTS_SYSTEM,
	ROLE_ACCOUNTS,
	ROLE_ROUTER,
	ROLE_RESOLVER,
	ROLE_QUEUE,
	ROLE_BOUNCE,
	ROLE_LOCAL,
	ROLE_LOCAL_SYSTEM,
	ROLE_SMTP,
	ROLE_CONTROL,
	ROLE_SMTPD,
	ROLE_SUBMISSION,
	ROLE_MAILDROP,
	ROLE_POP3D,
	ROLE_PICKUP,
	ROLES /* how many there are */
};

/* What a role is given beyond its two channels and the empty directory. */
enum gift {
	GIFT_LOG_ENDS = 1 << 0,	    /* where the lines of all processes arrive, and the output */
	GIFT_CONTROL = 1 << 1,	    /* the socket for commands */
	GIFT_SPOOL = 1 << 2,	    /* the spool's directory */
	GIFT_MAILBOXES = 1 << 3,    /* the directories of all deliver statements */
	GIFT_ALIASES = 1 << 4,	    /* table files */
	GIFT_USERS = 1 << 5,	    /* password files */
	GIFT_ASK = 1 << 6,	    /* the right to ask the master */
	GIFT_DNS = 1 << 7,	    /* /etc/resolv.conf and the trust anchor */
	GIFT_KEYS = 1 << 8,	    /* files with private keys */
	GIFT_CERTIFICATES = 1 << 9, /* files with certificates, which hold no private key */
	GIFT_SUBMIT = 1 << 10,	    /* the socket for programs */
	GIFT_DROP = 1 << 11,	    /* the drop directory */
	GIFT_STATE = 1 << 12,	    /* its directory below `state` */
	GIFT_SOCKETS = 1 << 13,	    /* connections to sockets that the settings name, on request */
	GIFT_BASES = 1 << 14,	    /* the directories of all deliver statements, to hand them on */
};

/* Which part of the configuration makes a role needed. */
enum need {
	NEED_ALWAYS,
	NEED_SYSTEM, /* the machine's own users may have mail, or log in */
	NEED_TLS,    /* there is a certificate */
	NEED_LOGIN,  /* there are passwords */
	NEED_POP3,   /* there is a listener for it */
};

enum {
	STOP_STAGES = 4,    /* an orderly stop goes through them from 0 on */
	PROCESSES_MAX = 64, /* of one role */
};

struct service_row {
	const char *name;      /* role, sandbox profile, user's ending */
	const char *program;   /* its file name; NULL: as the role */
	unsigned count;	       /* how many processes; 0: count_key says */
	const char *count_key; /* of the configuration */
	unsigned gifts;	       /* of enum gift */
	unsigned stop;	       /* stage */
	bool as_owner;	       /* runs as the owner of the mailboxes */
	enum need need;	       /* it is there only then */
	const char *listens; /* kinds of listeners that it gets, separated by blanks; NULL: none */
};

extern const struct service_row services[ROLES];

bool services_linked(enum role_id a, enum role_id b);

#endif
