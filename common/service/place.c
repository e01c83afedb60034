/*
 * Where a daemon lives: the directories it was given, the one that becomes its root (its only one,
 * or an empty one), the user it becomes, and the profile of its role. Copies of the directories'
 * descriptors are kept until the sandbox knows them, since the daemon may do with its own what it
 * likes.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/os/loop.h"
#include "common/os/sandbox.h"
#include "common/service/parts.h"

static int directories[SANDBOX_DIRS_MAX];
static size_t directory_count;
static int empty = -1;
static bool entered;

static void remember_directory(int fd)
{
	int copy;
	if (entered)
		return;
	if (directory_count == SANDBOX_DIRS_MAX)
		fatal("the master sent more than %d directories", SANDBOX_DIRS_MAX);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		fatal("a directory's descriptor can't be copied: %s", strerror(errno));
	directories[directory_count++] = copy;
}

void place_descriptor(const struct service *s, const struct master_descriptor *m)
{
	struct service_descriptor d = {m->kind, m->name, m->detail, m->fd};
	if (m->fd < 0 && !slice_equal(m->kind, SLICE("no-socket")))
		fatal("no descriptor is free for what the master gave (%.*s)", SLICE_FMT(m->kind));
	if (slice_equal(m->kind, SLICE("empty"))) {
		if (empty >= 0)
			close(empty);
		empty = m->fd;
		return;
	}
	if (slice_equal(m->kind, SLICE("directory")))
		remember_directory(m->fd);
	if (s->descriptor)
		s->descriptor(&d);
	else
		close(m->fd);
}

/* A descriptor of a directory outside of the root leads to the whole disk, by "..": so a daemon
 * with one directory has that for its root. Of one with several, Landlock alone holds the names. */
static int choose_root(const struct master_begin *begin)
{
	if (begin->one_uid)
		return -1;
	return directory_count == 1 ? directories[0] : empty;
}

void place_enter(const struct service *s, const struct master_begin *begin)
{
	const struct sandbox_profile *profile = sandbox_find(s->name);
	struct sandbox_place place = {.uid = begin->uid,
				      .gid = begin->gid,
				      .root_dir = choose_root(begin),
				      .write_dirs = directories,
				      .write_count = directory_count};
	struct error e = {0};
	if (!profile)
		panic("no sandbox profile is named %s", s->name);
	if (!begin->one_uid && empty < 0)
		fatal("the master sent no empty directory to live in");
	loop_now();
	if (!sandbox_enter(profile, &place, &e))
		fatal("the sandbox can't be entered: %s", e.text);
	entered = true;
	for (size_t i = 0; i < directory_count; i++)
		close(directories[i]);
	directory_count = 0;
	if (empty >= 0)
		close(empty);
	empty = -1;
}
