/*
 * services: which daemons there are, who speaks with whom and who is given what.
 */
#ifndef MASTER_SERVICES_H
#define MASTER_SERVICES_H

#include "common/base/slice.h"

/* In the order in which they are started. */
enum role_id {
	ROLE_LOG,
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
	ROLES /* how many there are */
};

/* What a role is given beyond its two channels and the empty directory. */
enum gift {
	GIFT_LOG_ENDS = 1 << 0,	 /* where the lines of all processes arrive, and the output */
	GIFT_LISTENERS = 1 << 1, /* sockets for the network */
	GIFT_CONTROL = 1 << 2,	 /* the socket for commands */
	GIFT_SPOOL = 1 << 3,	 /* the spool's directory */
	GIFT_MAILBOXES = 1 << 4, /* the directories of all deliver statements */
	GIFT_ALIASES = 1 << 5,	 /* table files */
	GIFT_USERS = 1 << 6,	 /* password files */
	GIFT_ASK = 1 << 7,	 /* the right to ask the master */
	GIFT_DNS = 1 << 8,	 /* /etc/resolv.conf and the trust anchor */
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
	bool for_system;       /* only there when the machine's own users may have mail */
};

extern const struct service_row services[ROLES];

bool services_linked(enum role_id a, enum role_id b);

#endif
