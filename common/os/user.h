/*
 * user: names to numbers, and becoming another user for good.
 */
#ifndef COMMON_OS_USER_H
#define COMMON_OS_USER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/error.h"
#include "common/base/slice.h"

/* The user's uid and first group; either pointer may be NULL. False with code ENOENT: there is no
 * such user; else the errno of the look-up. May read files and more (NSS): only before the sandbox.
 */
bool user_find(const char *name, uid_t *uid, gid_t *gid, struct error *e);
bool user_find_group(const char *name, gid_t *gid, struct error *e);
/* The name of a uid into name (of size octets); false (name is the number) when it has none. */
bool user_name(uid_t uid, char *name, size_t size);

enum {
	USER_NAME_MAX = 32,   /* octets of a login name */
	USER_HOME_MAX = 4095, /* of a home directory's path */
	USER_GROUPS_MAX = 64, /* that count; the others of somebody with more do not */
};

/* Somebody who may have mail on this machine. */
struct user_account {
	uid_t uid;
	gid_t gid; /* the first group */
	gid_t groups[USER_GROUPS_MAX];
	size_t group_count;
	char home[USER_HOME_MAX + 1];
};

/* As user_find(), but a miss (ENOENT) is told only when every database has said that it does not
 * know the name; E2BIG: the home directory's path is too long. The group 0 is left out of groups.
 */
bool user_account_find(const char *name, struct user_account *account, struct error *e);
/* May this be a login name (useradd(8), and what LDAP and others allow)? No '/', no ':' or control
 * character, not empty, not beginning with '-' or '.', at most USER_NAME_MAX octets. */
bool user_name_valid(struct slice name);

/* True when this process may become another user. */
bool user_is_root(void);
/* Real, effective and saved ids of the whole process, no supplementary groups; checks that there is
 * no way back. code is an errno. On failure the process must end: it may have given up a part. */
bool user_become(uid_t uid, gid_t gid, struct error *e);
/* The same with the account's groups, and with one more that may be taken and given back as the
 * effective one (the saved group id); more is account->gid for none. */
bool user_become_account(const struct user_account *account, gid_t more, struct error *e);
/* Of a root process: it keeps these capabilities only, a mask of 1 << CAP_... (capabilities(7)),
 * and is root in name. Nothing happens to another process. */
bool user_keep_capabilities(uint64_t mask, struct error *e);

#endif
