/*
 * sandbox_landlock: Landlock by its three system calls. The header of the system that builds may be
 * older than the kernel that runs, so the rights are numbered here (Linux, uapi/linux/landlock.h);
 * what this kernel does not know is left out.
 */
#include <errno.h>
#include <linux/types.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/os/sandbox_parts.h"

enum {
	RULESET_VERSION = 1 << 0, /* flag: create nothing, tell the version */
	RULE_PATH_BENEATH = 1,
	ABI_REFER = 2,	  /* may link and rename across directories; before, that is refused */
	ABI_TRUNCATE = 3, /* knows truncation */
	ABI_NET = 4,	  /* knows TCP */
	ABI_IOCTL = 5,	  /* knows ioctl of devices */
	ABI_SCOPE = 6,	  /* knows signals and abstract sockets */
};

enum {
	FS_EXECUTE = 1 << 0,
	FS_WRITE_FILE = 1 << 1,
	FS_READ_FILE = 1 << 2,
	FS_READ_DIR = 1 << 3,
	FS_REMOVE_DIR = 1 << 4,
	FS_REMOVE_FILE = 1 << 5,
	FS_MAKE_CHAR = 1 << 6,
	FS_MAKE_DIR = 1 << 7,
	FS_MAKE_REG = 1 << 8,
	FS_MAKE_SOCK = 1 << 9,
	FS_MAKE_FIFO = 1 << 10,
	FS_MAKE_BLOCK = 1 << 11,
	FS_MAKE_SYM = 1 << 12,
	FS_REFER = 1 << 13,
	FS_TRUNCATE = 1 << 14,
	FS_IOCTL_DEV = 1 << 15,
	FS_ALL_FIRST = (1 << 13) - 1, /* what version 1 knows */
	FS_READING = FS_READ_FILE | FS_READ_DIR,
	FS_CHANGING = FS_READING | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR |
		      FS_MAKE_REG | FS_REFER | FS_TRUNCATE,
	NET_BIND_TCP = 1 << 0,
	NET_CONNECT_TCP = 1 << 1,
	SCOPE_ABSTRACT_UNIX = 1 << 0,
	SCOPE_SIGNAL = 1 << 1,
};

/* An older kernel takes the longer struct when what it does not know is zero. */
struct ruleset {
	__u64 fs, net, scoped;
};

struct path_rule {
	__u64 allowed;
	__s32 dir;
} __attribute__((packed));

int sandbox_landlock_abi(void)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION);
	return version < 0 ? 0 : (int)version;
}

static struct ruleset handled(int abi, unsigned flags)
{
	struct ruleset r = {.fs = FS_ALL_FIRST};
	if (abi >= ABI_REFER)
		r.fs |= FS_REFER;
	if (abi >= ABI_TRUNCATE)
		r.fs |= FS_TRUNCATE;
	if (abi >= ABI_NET && !(flags & SANDBOX_CONNECT))
		r.net = NET_BIND_TCP | NET_CONNECT_TCP;
	if (abi >= ABI_IOCTL)
		r.fs |= FS_IOCTL_DEV;
	if (abi >= ABI_SCOPE)
		r.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
	return r;
}

static bool allow(int rules, const int *dirs, size_t count, __u64 rights, struct error *e)
{
	for (size_t i = 0; i < count; i++) {
		struct path_rule rule = {rights, dirs[i]};
		if (syscall(SYS_landlock_add_rule, rules, RULE_PATH_BENEATH, &rule, 0) < 0)
			return error_set(e, errno, "Landlock directory: %s", strerror(errno));
	}
	return true;
}

bool sandbox_landlock(const struct sandbox_profile *profile, const struct sandbox_place *place,
		      struct error *e)
{
	if (place->read_count > SANDBOX_DIRS_MAX || place->write_count > SANDBOX_DIRS_MAX)
		return error_set(e, E2BIG, "over %d directories", SANDBOX_DIRS_MAX);
	int abi = sandbox_landlock_abi();
	/* Version 1 refuses every link and rename across directories, which a spool needs. */
	if (abi == 0 || (abi < ABI_REFER && place->write_count > 0))
		return true;
	struct ruleset r = handled(abi, profile->flags);
	int rules = (int)syscall(SYS_landlock_create_ruleset, &r, sizeof(r), 0);
	if (rules < 0)
		return error_set(e, errno, "Landlock: %s", strerror(errno));
	bool done = allow(rules, place->read_dirs, place->read_count, FS_READING & r.fs, e) &&
		    allow(rules, place->write_dirs, place->write_count, FS_CHANGING & r.fs, e);
	if (done && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		done = error_set(e, errno, "Landlock: %s", strerror(errno));
	close(rules);
	return done;
}
