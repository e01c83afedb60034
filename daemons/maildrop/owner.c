/*
 * Nothing of the mailbox is opened before the process is its owner (S52). A name is looked up here
 * and not in the daemon, which has no right to, and each time, so that a reload changes it. What
 * the owner links or mounts below the base leads to nothing that he may not open. The base of
 * virtual mailboxes is the master's descriptor, since its path may lead through folders that the
 * owner may not enter; that of a machine's user is opened by its path, as that user.
 */
#include "daemons/maildrop/owner.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "common/os/loop.h"
#include "common/os/sandbox.h"
#include "common/os/user.h"
#include "common/wire/codec.h"
#include "daemons/maildrop/drop.h"
#include "daemons/maildrop/session.h"

enum { FILES_MOST = 32 };

/* Made in the fork server, for all children. */
static struct sandbox_program *program;
static gid_t spool_group = (gid_t)-1; /* -1: there is none */

bool owner_begin(struct error *e)
{
	loop_forget(); /* the daemon's, whose descriptors this process has closed */
	program = sandbox_compile(sandbox_find("maildrop-child"), e);
	if (program && user_is_root() && !user_find_group("mail", &spool_group, NULL))
		spool_group = (gid_t)-1;
	return program != NULL;
}

static bool read_numbers(const struct maildrop_grant *g, struct user_account *a, struct error *e)
{
	char name[USER_NAME_MAX + 1];
	a->uid = g->uid;
	a->gid = g->gid;
	if (g->owner.len > 0 &&
	    (!slice_copy(g->owner, name, sizeof(name)) || !user_find(name, &a->uid, &a->gid, e)))
		return error_prefix(e, "owner of the mailbox");
	for (size_t i = 0; i + 4 <= g->groups.len && a->group_count < USER_GROUPS_MAX; i += 4) {
		gid_t gid = get_u32(g->groups.ptr + i);
		if (gid != 0)
			a->groups[a->group_count++] = gid;
	}
	return (a->uid != 0 && a->gid != 0) ||
	       error_set(e, EPERM, "the mailbox would belong to root");
}

/* The directory of mailboxes belongs to a group that may make files in it: is this one? Asked with
 * no right but to look. */
static bool is_spool(const struct maildrop_grant *g)
{
	struct stat st;
	char *base = memory_string(g->base);
	bool spool = slice_equal(g->kind, SLICE("mbox")) && spool_group != (gid_t)-1 &&
		     spool_group != 0 && disk_stat_at(AT_FDCWD, base, &st) == 0 &&
		     st.st_gid == spool_group && st.st_uid == 0;
	memory_free(base);
	return spool;
}

static bool become_owner(const struct maildrop_grant *g, struct drop *d, struct error *e)
{
	struct user_account a = {0};
	if (!user_is_root()) {
		d->group = getgid();
		return g->uid == 0 || g->uid == getuid() ||
		       error_set(e, EPERM,
				 "this server was started by an ordinary user, and opens that "
				 "user's mailboxes alone");
	}
	if (!read_numbers(g, &a, e))
		return false;
	d->group = is_spool(g) ? spool_group : a.gid;
	return user_become_account(&a, d->group, e);
}

static bool limit_itself(struct error *e)
{
	struct rlimit files = {FILES_MOST, FILES_MOST};
	alarm(OWNER_LIFE_SECONDS);
	return setrlimit(RLIMIT_NOFILE, &files) == 0 ||
	       error_set(e, errno, "limit of descriptors: %s", strerror(errno));
}

static int open_base(const struct maildrop_grant *g, struct error *e)
{
	char *base = memory_string(g->base);
	bool absolute = base[0] == '/';
	int fd = absolute ? disk_open(AT_FDCWD, base, O_PATH | O_DIRECTORY, 0) : -1;
	if (fd < 0)
		error_set(e, absolute ? errno : EINVAL, "the directory of mailboxes: %s",
			  absolute ? strerror(errno) : "is not absolute");
	memory_free(base);
	return fd;
}

/* In a directory that was removed no mailbox is found, which is not the same as none. */
static bool is_base(int fd, struct error *e)
{
	struct stat st;
	if (fd < 0)
		return error_set(e, EINVAL, "the directory of mailboxes was not given");
	if (disk_stat(fd, &st) < 0)
		return error_set(e, errno, "the directory of mailboxes: %s", strerror(errno));
	return st.st_nlink > 0 || error_set(e, ENOENT, "the directory of mailboxes was removed");
}

/* A base that is not there may be a file system that is not mounted: no empty mailbox. */
static bool go_to(const struct maildrop_grant *g, int given, struct drop *d, struct error *e)
{
	bool is_given = maildrop_is_virtual(g);
	int fd = is_given ? given : open_base(g, e);
	if (is_given ? !is_base(fd, e) : fd < 0)
		return false;
	char *path = memory_string(g->path);
	bool good = d->kind->prepare(d, fd, path, e);
	disk_close(fd); /* nothing but the mailbox is in reach of the session */
	memory_free(path);
	return good;
}

static bool make_ready(struct slice request, int given, struct drop *d, struct error *e)
{
	struct maildrop_grant g;
	if (!codec_decode(&maildrop_grant_record, request, &g))
		return error_set(e, EINVAL, "a grant that does not decode");
	d->dir = -1;
	if (slice_equal(g.kind, slice_str(drop_maildir.name)))
		d->kind = &drop_maildir;
	else if (slice_equal(g.kind, slice_str(drop_mbox.name)))
		d->kind = &drop_mbox;
	else
		return error_set(e, EINVAL, "mailbox of a kind that is not known");
	return become_owner(&g, d, e) && limit_itself(e) && go_to(&g, given, d, e) &&
	       sandbox_enter_beneath(program, d->dir, e);
}

void owner_child(struct slice request, int fd, int given)
{
	struct drop d = {0};
	struct error e = {0};
	if (make_ready(request, given, &d, &e))
		session_serve(&d, fd);
	else
		session_refuse(fd, e.text);
}
