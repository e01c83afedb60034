/*
 * sandbox: what a daemon gives up before it reads a byte from a stranger. One named profile for
 * each role, all in one table (sandbox_profiles.c).
 *
 * A call that a profile lacks fails with EPERM and does nothing. Every profile allows to read and
 * write open descriptors, to pass and receive them on channels, the event loop, memory, the clock,
 * and threads of this process; none allows exec, new processes, ptrace, signals to others, new
 * executable memory or files mapped into memory.
 */
#ifndef COMMON_OS_SANDBOX_H
#define COMMON_OS_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/base/error.h"

enum sandbox_flag {
	SANDBOX_ACCEPT = 1 << 0,  /* accept connections on listening sockets it was given */
	SANDBOX_APPEND = 1 << 1,  /* write at positions and sync files it was given */
	SANDBOX_READ = 1 << 2,	  /* read at positions, stat files it was given */
	SANDBOX_FILES = 1 << 3,	  /* open, make, link, rename and remove names in its directories */
	SANDBOX_RESIZE = 1 << 4,  /* allocate and truncate files; lock them */
	SANDBOX_LIST = 1 << 5,	  /* list its directories */
	SANDBOX_CONNECT = 1 << 6, /* make TCP sockets, IPv4 and IPv6, and connect them */
	SANDBOX_DATAGRAM = 1 << 7, /* make UDP sockets, IPv4 and IPv6, and send anywhere */
	SANDBOX_GROUP = 1 << 8,	   /* go to and fro between the groups that it has */
	SANDBOX_SYNC_ALL = 1 << 9, /* sync a file system whole */
	SANDBOX_PAIR = 1 << 10,	   /* make pairs of connected local stream sockets */
	SANDBOX_LEASE = 1 << 12,   /* ask whether others have a file open, by a lease on it */
	SANDBOX_LOOKUP = 1 << 11,  /* what libraries do to ask who somebody is: open any file for
				    * reading, map it so, call servers by local sockets */
};

struct sandbox_profile {
	const char *name;    /* the role */
	unsigned flags;	     /* of enum sandbox_flag */
	const char *meaning; /* what for, in a few words */
};

/* NULL: there is no such role. The table ends with a row whose name is NULL. */
extern const struct sandbox_profile sandbox_profiles[];
const struct sandbox_profile *sandbox_find(const char *role);

enum { SANDBOX_DIRS_MAX = 16 };

/* Where the process lives from then on. All descriptors stay the caller's. */
struct sandbox_place {
	uid_t uid; /* taken by a root process; else nothing changes */
	gid_t gid;
	int root_dir;	       /* directory that becomes "/" (root only); -1: none */
	const int *write_dirs; /* directories below which files may be made, changed, removed */
	size_t write_count;    /* at most SANDBOX_DIRS_MAX */
	const int *read_dirs;  /* directories below which files may be opened for reading */
	size_t read_count;
};

/* Gives everything up; warm the libraries, open what is needed and touch the loop (loop_now())
 * before. Threads made before are held by the filter but not by Landlock: make them after this.
 * False with code an errno: the process must end, since a part may be done. A kernel without
 * Landlock is no failure: the filter suffices alone. */
bool sandbox_enter(const struct sandbox_profile *profile, const struct sandbox_place *place,
		   struct error *e);

/* For a process that forks others (os/fork_server): a profile's filter, built once. Not freed. */
struct sandbox_program;
struct sandbox_program *sandbox_compile(const struct sandbox_profile *profile, struct error *e);
/* In a child with one thread that is already who it shall be: not dumpable, no new privileges, no
 * core, an end with its parent, the filter. Its files are all that its user may reach. */
bool sandbox_enter_compiled(const struct sandbox_program *program, struct error *e);
/* The same; and where the kernel has Landlock its files are those below this directory alone, and
 * what is open. dir < 0: nothing but what is open. */
bool sandbox_enter_beneath(const struct sandbox_program *program, int dir, struct error *e);

/* The kernel's Landlock version; 0: has none, or it is off. Ask before sandbox_enter. */
int sandbox_landlock_abi(void);

#endif
