/*
 * sandbox_profiles: the one place that says which role has which right.
 */
#include "common/os/sandbox.h"

#include <string.h>

const struct sandbox_profile sandbox_profiles[] = {
    {"smtpd", SANDBOX_ACCEPT | SANDBOX_APPEND | SANDBOX_READ,
     "strangers' sockets; segments leased to it; certificates"},
    {"submission", SANDBOX_ACCEPT | SANDBOX_APPEND | SANDBOX_READ,
     "users' sockets; segments leased to it; certificates"},
    {"pop3d", SANDBOX_ACCEPT | SANDBOX_READ, "users' sockets; certificates"},
    {"keys", SANDBOX_READ, "private keys"},
    {"usage", SANDBOX_APPEND | SANDBOX_READ | SANDBOX_FILES | SANDBOX_RESIZE,
     "what users have sent, and who is blocked"},
    {"maildrop", 0, "tickets; a descriptor to the mailbox of nobody"},
    {"maildrop-child",
     SANDBOX_READ | SANDBOX_APPEND | SANDBOX_FILES | SANDBOX_RESIZE | SANDBOX_LIST | SANDBOX_GROUP,
     "one user's mailbox, as its owner"},
    {"pickup", SANDBOX_APPEND | SANDBOX_READ | SANDBOX_FILES | SANDBOX_LIST | SANDBOX_PAIR,
     "the drop directory, where it notes what it reads; sessions with submission"},
    {"queue",
     SANDBOX_APPEND | SANDBOX_READ | SANDBOX_FILES | SANDBOX_RESIZE | SANDBOX_LIST | SANDBOX_LEASE,
     "the spool"},
    {"router", SANDBOX_READ, "tables, read only"},
    {"accounts", SANDBOX_READ, "users and passwords, read only"},
    {"local", SANDBOX_READ | SANDBOX_FILES | SANDBOX_SYNC_ALL, "mailboxes"},
    {"local-system", 0, "jobs; a descriptor to the mailbox of nobody"},
    {"local-child",
     SANDBOX_READ | SANDBOX_FILES | SANDBOX_RESIZE | SANDBOX_GROUP | SANDBOX_SYNC_ALL,
     "one user's mailbox, as that user"},
    {"accounts-system", 0, "names and passwords of the machine's users, and their answer"},
    {"accounts-password",
     SANDBOX_READ | SANDBOX_LIST | SANDBOX_LOOKUP | SANDBOX_CONNECT | SANDBOX_DATAGRAM,
     "one user's password, for PAM; files, read only; servers that PAM asks"},
    {"control", SANDBOX_ACCEPT, "the administrator's socket"},
    {"resolver", SANDBOX_READ | SANDBOX_CONNECT | SANDBOX_DATAGRAM, "name servers"},
    {"smtp", SANDBOX_READ | SANDBOX_CONNECT, "mail servers; content, read only"},
    {"bounce", SANDBOX_APPEND | SANDBOX_READ, "segments leased to it; content, read only"},
    {"log", 0, "log files and the syslog socket, as they were given"},
    {NULL, 0, NULL},
};

const struct sandbox_profile *sandbox_find(const char *role)
{
	for (const struct sandbox_profile *p = sandbox_profiles; p->name; p++)
		if (strcmp(p->name, role) == 0)
			return p;
	return NULL;
}
