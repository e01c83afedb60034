/*
 * trap: octets that end the process which looks at them. In a normal build nothing does. In a
 * build with FAULTS=1 the environment names places and a text, so that a test can have poison:
 *
 *	STAGEPOST_TRAP="role:place:TEXT,..."
 *		role	as set by disk_faults_role(), or *
 *		place	message (of a channel), read (of a file), scan and envelope (of a record, in
 *			the manager), log (a line of somebody else), or *
 *		TEXT	ends the process when it is anywhere in what is looked at
 */
#ifndef COMMON_OS_TRAP_H
#define COMMON_OS_TRAP_H

#include "common/base/slice.h"

void trap_see(const char *place, struct slice octets);
void trap_role(const char *name); /* by disk_faults_role() */

#endif
