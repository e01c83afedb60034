/*
 * The base directories as descriptors: local has no other way to a file, and maildrop's children
 * none to one of a virtual mailbox. They are made with mode
 * 0700 for the owner of the deliver statement; one that is there is left as it is.
 */
#include "master/mailboxes.h"

#include <errno.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/os/disk.h"
#include "common/os/sandbox.h"
#include "common/os/user.h"

struct mailbox {
	char *path;
	int fd;
};

struct mailboxes {
	struct mailbox list[SANDBOX_DIRS_MAX];
	size_t count;
	struct identity owner;
	bool one_uid, owned; /* owned: owner is set */
	struct error *e;     /* while it is opened: the first failure */
	bool good;
};

static bool find_owner(struct mailboxes *m, struct slice name)
{
	char *owner = memory_string(name);
	m->good = user_find(owner, &m->owner.uid, &m->owner.gid, m->e);
	if (!m->good) {
		m->e->code = EX_CONFIG;
		error_prefix(m->e, "owner of mailboxes");
	} else if (m->owner.uid == 0) {
		m->good = error_set(m->e, EX_CONFIG, "mailboxes can't belong to %s (uid 0)", owner);
	}
	memory_free(owner);
	m->owned = true;
	return m->good;
}

static bool known(const struct mailboxes *m, struct slice path)
{
	for (size_t i = 0; i < m->count; i++)
		if (slice_equal(path, slice_str(m->list[i].path)))
			return true;
	return false;
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static void add(void *arg, const struct record *record, const void *value)
{
	const struct settings_deliver *d = value;
	struct mailboxes *m = arg;
	struct mailbox *box = &m->list[m->count];
	const struct identity *give;
	(void)record;
	if (!m->good || !slice_equal(d->kind, SLICE("maildir")) || known(m, d->base))
		return;
	if (!m->one_uid && !m->owned && !find_owner(m, d->owner))
		return;
	if (m->count == SANDBOX_DIRS_MAX) {
		m->good = error_set(m->e, EX_CONFIG,
				    "deliver: more than %d directories; put mailboxes below fewer",
				    SANDBOX_DIRS_MAX);
		return;
	}
	box->path = memory_string(d->base);
	give = m->one_uid || is_there(box->path) ? NULL : &m->owner;
	if (!place_directory(box->path, 0700, give, &box->fd, m->e)) {
		memory_free(box->path);
		m->e->code = EX_OSERR;
		m->good = error_prefix(m->e, "deliver");
		return;
	}
	m->count++;
}

bool mailboxes_open(const struct config *config, bool one_uid, const struct identity *nobody,
		    struct mailboxes **result, struct error *e)
{
	struct mailboxes *m = memory_zero(1, sizeof(*m));
	m->owner = *nobody;
	m->one_uid = one_uid;
	m->e = e;
	m->good = true;
	config_each(config, &settings_deliver_record, add, m);
	m->e = NULL;
	if (!m->good) {
		mailboxes_free(&m);
		return false;
	}
	*result = m;
	return true;
}

void mailboxes_free(struct mailboxes **m)
{
	if (!*m)
		return;
	for (size_t i = 0; i < (*m)->count; i++) {
		disk_close((*m)->list[i].fd);
		memory_free((*m)->list[i].path);
	}
	memory_free(*m);
	*m = NULL;
}

struct identity mailboxes_owner(const struct mailboxes *m)
{
	return m->owner;
}

void mailboxes_each(const struct mailboxes *m, mailboxes_call *call, void *arg)
{
	for (size_t i = 0; i < m->count; i++)
		call(arg, m->list[i].path, m->list[i].fd);
}

/* A path may lead elsewhere since: a file system was mounted, or the directory made anew. */
static bool same_directory(const struct mailbox *a, const struct mailbox *b)
{
	struct stat x, y;
	return strcmp(a->path, b->path) == 0 && disk_stat(a->fd, &x) == 0 &&
	       disk_stat(b->fd, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool mailboxes_same(const struct mailboxes *a, const struct mailboxes *b)
{
	if (a->owner.uid != b->owner.uid || a->owner.gid != b->owner.gid || a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!same_directory(&a->list[i], &b->list[i]))
			return false;
	return true;
}
