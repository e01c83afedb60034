/*
 * user: the user database, asked before the sandbox, and the way down from root.
 */
#include "common/os/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"

enum { ENTRY_SIZE_FIRST = 4096, ENTRY_SIZE_MAX = 1 << 20 };

/* The three look-ups differ in one call; each returns 0 or an errno, and whether it found one. */
struct lookup {
	const char *name;
	uid_t uid;
	struct passwd passwd;
	struct group group;
	bool found;
};

static int by_user_name(struct lookup *l, char *text, size_t size)
{
	struct passwd *found = NULL;
	int error = getpwnam_r(l->name, &l->passwd, text, size, &found);
	l->found = found != NULL;
	return error;
}

static int by_uid(struct lookup *l, char *text, size_t size)
{
	struct passwd *found = NULL;
	int error = getpwuid_r(l->uid, &l->passwd, text, size, &found);
	l->found = found != NULL;
	return error;
}

static int by_group_name(struct lookup *l, char *text, size_t size)
{
	struct group *found = NULL;
	int error = getgrnam_r(l->name, &l->group, text, size, &found);
	l->found = found != NULL;
	return error;
}

/* Repeats with more room until the entry fits. *text is the caller's to free; 0 or an errno. */
static int look_up(struct lookup *l, int (*ask)(struct lookup *, char *, size_t), char **text)
{
	*text = NULL;
	for (size_t size = ENTRY_SIZE_FIRST; size <= ENTRY_SIZE_MAX; size *= 2) {
		*text = memory_resize(*text, size, 1);
		int error = ask(l, *text, size);
		if (error != ERANGE && error != EINTR)
			return error;
	}
	return ERANGE;
}

bool user_find(const char *name, uid_t *uid, gid_t *gid, struct error *e)
{
	struct lookup l = {.name = name};
	char *text;
	int error = look_up(&l, by_user_name, &text);
	memory_free(text);
	if (!l.found && (error == 0 || error == ENOENT || error == ESRCH))
		return error_set(e, ENOENT, "there is no user %s", name);
	if (error)
		return error_set(e, error, "user %s can't be looked up: %s", name, strerror(error));
	if (uid)
		*uid = l.passwd.pw_uid;
	if (gid)
		*gid = l.passwd.pw_gid;
	return true;
}

bool user_find_group(const char *name, gid_t *gid, struct error *e)
{
	struct lookup l = {.name = name};
	char *text;
	int error = look_up(&l, by_group_name, &text);
	memory_free(text);
	if (!l.found && (error == 0 || error == ENOENT || error == ESRCH))
		return error_set(e, ENOENT, "there is no group %s", name);
	if (error)
		return error_set(e, error, "group %s can't be looked up: %s", name,
				 strerror(error));
	*gid = l.group.gr_gid;
	return true;
}

bool user_name(uid_t uid, char *name, size_t size)
{
	struct lookup l = {.uid = uid};
	char *text;
	bool found = look_up(&l, by_uid, &text) == 0 && l.found &&
		     slice_copy(slice_str(l.passwd.pw_name), name, size);
	memory_free(text);
	if (!found)
		snprintf(name, size, "%u", (unsigned)uid);
	return found;
}

bool user_is_root(void)
{
	return geteuid() == 0;
}

bool user_become(uid_t uid, gid_t gid, struct error *e)
{
	/* The order matters: only root may change groups. */
	if (setgroups(0, NULL) < 0)
		return error_set(e, errno, "setgroups: %s", strerror(errno));
	if (setresgid(gid, gid, gid) < 0)
		return error_set(e, errno, "setresgid %u: %s", (unsigned)gid, strerror(errno));
	if (setresuid(uid, uid, uid) < 0)
		return error_set(e, errno, "setresuid %u: %s", (unsigned)uid, strerror(errno));
	uid_t r, f, s;
	gid_t rg, fg, sg;
	if (getresuid(&r, &f, &s) < 0 || r != uid || f != uid || s != uid ||
	    getresgid(&rg, &fg, &sg) < 0 || rg != gid || fg != gid || sg != gid ||
	    getgroups(0, NULL) != 0)
		return error_set(e, EPERM, "the kernel did not make this process user %u group %u",
				 (unsigned)uid, (unsigned)gid);
	if (uid != 0 && (setresuid(0, 0, 0) == 0 || (gid != 0 && setresgid(0, 0, 0) == 0)))
		return error_set(e, EPERM, "user %u could become root again", (unsigned)uid);
	return true;
}
