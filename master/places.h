/*
 * places: the spool and the state directory with their locks, the run directory, the directories
 * of mailboxes.
 */
#ifndef MASTER_PLACES_H
#define MASTER_PLACES_H

#include <sys/types.h>

#include "common/base/error.h"
#include "common/config/config.h"

/* Whom a role's processes run as. */
struct identity {
	uid_t uid;
	gid_t gid;
};

/* Opens the directory, and makes it and what is missing above it. A directory that is made gets the
 * mode; with `owner` it is given to that user, made or not. code: an errno. */
bool place_directory(const char *path, mode_t mode, const struct identity *owner, int *fd,
		     struct error *e);

/* The spool's directory, the lock in it, and the directory `drop` in it, where `sendmail` leaves
 * mail while nobody listens. They are given to these two, and get the modes that let `sendmail` in,
 * by the group that both have there; NULL: all is one user's. code 75 (EX_TEMPFAIL): another master
 * has it, the text names its process id; 77 (EX_NOPERM) it is another's; 71 (EX_OSERR) anything
 * else. */
bool place_spool(const char *path, const struct identity *queue, const struct identity *pickup,
		 struct error *e);
int place_spool_fd(void);
int place_drop_fd(void);

/* A role's directory below the state directory, on the first call with the lock there. code as
 * place_spool(). */
bool place_state(const char *path, const char *role, const struct identity *owner, int *fd,
		 struct error *e);

/* The run directory with a lock and the empty directory in it, the socket for commands and
 * the one on which programs of this machine submit mail (SMTP). code
 * 75: another master has it, and keeps its socket; 77; 71. */
bool place_run(const char *path, struct error *e);
int place_empty_fd(void);
int place_control_fd(void);
int place_submit_fd(void);
void place_leave(void); /* takes the sockets' names away */

#endif
