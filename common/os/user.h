/*
 * user: names to numbers, and becoming another user for good.
 */
#ifndef COMMON_OS_USER_H
#define COMMON_OS_USER_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/error.h"

/* The user's uid and first group; either pointer may be NULL. False with code ENOENT: there is no
 * such user; else the errno of the look-up. May read files and more (NSS): only before the sandbox.
 */
bool user_find(const char *name, uid_t *uid, gid_t *gid, struct error *e);
bool user_find_group(const char *name, gid_t *gid, struct error *e);
/* The name of a uid into name (of size octets); false (name is the number) when it has none. */
bool user_name(uid_t uid, char *name, size_t size);
/* True when this process may become another user. */
bool user_is_root(void);
/* Real, effective and saved ids of the whole process, no supplementary groups; checks that there is
 * no way back. code is an errno. On failure the process must end: it may have given up a part. */
bool user_become(uid_t uid, gid_t gid, struct error *e);

#endif
