/*
 * user: the user database, asked before the sandbox, and the way down from root.
 */
#include "common/os/user.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
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

bool user_name_valid(struct slice name)
{
	if (name.len == 0 || name.len > USER_NAME_MAX || name.ptr[0] == '-' || name.ptr[0] == '.')
		return false;
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.ptr[i];
		if (c <= ' ' || c == 127 || c == '/' || c == ':' || c == ',' || c == '\\')
			return false;
	}
	return true;
}

/* Those that the account has, but root's. */
static void find_groups(const char *name, struct user_account *account)
{
	gid_t all[USER_GROUPS_MAX + 1];
	int count = USER_GROUPS_MAX + 1;
	if (getgrouplist(name, account->gid, all, &count) < 0)
		count = USER_GROUPS_MAX + 1; /* has more: those that fitted are there */
	account->group_count = 0;
	for (int i = 0; i < count && account->group_count < USER_GROUPS_MAX; i++)
		if (all[i] != 0)
			account->groups[account->group_count++] = all[i];
}

bool user_account_find(const char *name, struct user_account *account, struct error *e)
{
	struct lookup l = {.name = name};
	char *text;
	int error = look_up(&l, by_user_name, &text);
	bool good = false;
	if (error) {
		/* ENOENT is no miss here: so says a database whose own file or socket is missing */
		error_set(e, error == ENOENT ? EIO : error, "user %s can't be looked up: %s", name,
			  strerror(error));
	} else if (!l.found) {
		error_set(e, ENOENT, "there is no user %s", name);
	} else if (!slice_copy(slice_str(l.passwd.pw_dir), account->home, sizeof(account->home))) {
		error_set(e, E2BIG, "the path of user %s's home directory is too long", name);
	} else {
		account->uid = l.passwd.pw_uid;
		account->gid = l.passwd.pw_gid;
		find_groups(name, account);
		good = true;
	}
	memory_free(text);
	return good;
}

/* Root is not to be had again by any call; the order matters: only root may change groups. */
static bool become(uid_t uid, gid_t gid, gid_t saved, const gid_t *groups, size_t count,
		   struct error *e)
{
	if (setgroups(count, groups) < 0)
		return error_set(e, errno, "setgroups: %s", strerror(errno));
	if (setresgid(gid, gid, saved) < 0)
		return error_set(e, errno, "setresgid %u: %s", (unsigned)gid, strerror(errno));
	if (setresuid(uid, uid, uid) < 0)
		return error_set(e, errno, "setresuid %u: %s", (unsigned)uid, strerror(errno));
	uid_t r, f, s;
	gid_t rg, fg, sg;
	if (getresuid(&r, &f, &s) < 0 || r != uid || f != uid || s != uid ||
	    getresgid(&rg, &fg, &sg) < 0 || rg != gid || fg != gid || sg != saved ||
	    getgroups(0, NULL) != (int)count)
		return error_set(e, EPERM, "the kernel did not make this process user %u group %u",
				 (unsigned)uid, (unsigned)gid);
	if (uid != 0 && (setresuid(0, 0, 0) == 0 || (gid != 0 && setresgid(0, 0, 0) == 0)))
		return error_set(e, EPERM, "user %u could become root again", (unsigned)uid);
	return true;
}

bool user_become(uid_t uid, gid_t gid, struct error *e)
{
	return become(uid, gid, gid, NULL, 0, e);
}

bool user_become_account(const struct user_account *account, gid_t more, struct error *e)
{
	if (account->uid == 0 || account->gid == 0 || more == 0)
		return error_set(e, EPERM, "nothing is done as root");
	return become(account->uid, account->gid, more, account->groups, account->group_count, e);
}

/* By its system call: the library would be one more for one line. */
bool user_keep_capabilities(uint64_t mask, struct error *e)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};
	if (!user_is_root())
		return true;
	if (syscall(SYS_capget, &head, data) < 0)
		return error_set(e, errno, "capget: %s", strerror(errno));
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].permitted &= (uint32_t)(mask >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &head, data) < 0)
		return error_set(e, errno, "capset: %s", strerror(errno));
	return true;
}
