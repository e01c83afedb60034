/*
 * house: the configuration that is served, everything that was opened for it, and who is given
 * what.
 */
#ifndef MASTER_HOUSE_H
#define MASTER_HOUSE_H

#include "common/base/buffer.h"
#include "master/process.h"

/* Reads the configuration, takes the spool's lock, makes the processes (starts none) and opens what
 * they need. e->code: the exit code. */
bool house_open(const char *config_path, const struct process_events *events, struct error *e);
uint64_t house_generation(void); /* of the settings, from 1 */
bool house_one_uid(void);
/* Everything that a process is given at its start, but its links. */
void house_equip(struct process *p);
/* A whole new configuration, or none: false and e (code 65, 66, 71 or 78) leaves all as it was.
 * remarks gets warnings and what needs a restart. */
bool house_reload(struct buffer *remarks, struct error *e);
/* A daemon asks for a connection. */
void house_want(struct process *p, const struct master_want *m);
void house_look_at_tables(void); /* twice a second: changed files are given again */
void house_reopen_log(void);	 /* after a rotation */

#endif
