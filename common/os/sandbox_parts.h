/*
 * sandbox_parts: what sandbox.c is made of; for the files sandbox_*.c alone.
 */
#ifndef COMMON_OS_SANDBOX_PARTS_H
#define COMMON_OS_SANDBOX_PARTS_H

#include <seccomp.h>

#include "common/os/sandbox.h"

/* Restricts this thread, and what it makes, to the place's directories, and keeps it from TCP
 * unless the profile has SANDBOX_CONNECT. False on failure; a kernel without Landlock is success.
 */
bool sandbox_landlock(const struct sandbox_profile *profile, const struct sandbox_place *place,
		      struct error *e);
/* Loads the profile's allow-list for all threads of the process. */
bool sandbox_filter(const struct sandbox_profile *profile, struct error *e);
/* The same, not loaded; `self` may send itself signals. The caller's to release; NULL: e says why.
 */
scmp_filter_ctx sandbox_filter_build(const struct sandbox_profile *profile, pid_t self,
				     struct error *e);
/* A step of the checklist: not dumpable, no new privileges. */
bool sandbox_refuse_rights(struct error *e);
/* Calls that the build needs beyond the profile: none, or those of the sanitizers. */
void sandbox_build_begin(void);
int sandbox_build_rules(scmp_filter_ctx filter);

#endif
