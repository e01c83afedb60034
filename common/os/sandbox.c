/*
 * sandbox: the checklist that a daemon goes through before it meets a stranger, from the step that
 * needs the most rights to the one that takes the last.
 */
#include "common/os/sandbox.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/os/sandbox_parts.h"
#include "common/os/user.h"

/* As many descriptors as the administrator allows, and no core: it would hold people's mail. */
static bool set_limits(struct error *e)
{
	struct rlimit files, core = {0, 0};
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return error_set(e, errno, "getrlimit: %s", strerror(errno));
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return error_set(e, errno, "limit of descriptors: %s", strerror(errno));
	if (setrlimit(RLIMIT_CORE, &core) < 0)
		return error_set(e, errno, "limit of core files: %s", strerror(errno));
	return true;
}

static bool change_root(int dir, struct error *e)
{
	if (dir < 0)
		return true;
	if (fchdir(dir) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return error_set(e, errno, "chroot: %s", strerror(errno));
	return true;
}

static bool leave_root(const struct sandbox_place *place, struct error *e)
{
	if (!user_is_root())
		return true;
	if (place->uid == 0 || place->gid == 0)
		return error_set(e, EINVAL, "this process must have a user and a group of its own");
	return change_root(place->root_dir, e) && user_become(place->uid, place->gid, e);
}

/* No debugger or /proc reader of the same user, no rights from setuid programs. */
bool sandbox_refuse_rights(struct error *e)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_set(e, errno, "not dumpable: %s", strerror(errno));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(e, errno, "no new privileges: %s", strerror(errno));
	return true;
}

bool sandbox_enter(const struct sandbox_profile *profile, const struct sandbox_place *place,
		   struct error *e)
{
	sandbox_build_begin();
	return (set_limits(e) &&	    /* descriptors up, core files off */
		leave_root(place, e) &&	    /* an empty root directory; a user of its own */
		sandbox_refuse_rights(e) && /* not dumpable, no new privileges */
		sandbox_landlock(profile, place, e) && /* no file beyond its directories */
		sandbox_filter(profile, e)) ||	       /* no system call beyond its list */
	       error_prefix(e, "sandbox of %s", profile->name);
}
