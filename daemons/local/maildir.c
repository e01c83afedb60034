/*
 * The path of a delivery: a file in tmp/ made, written, synced, closed; renamed to new/NAME without
 * replacing anything; new/ synced. A crash before the rename leaves a file in tmp/, which the next
 * attempt takes away: it is named after the attempt alone. A crash after the rename leaves a whole
 * message in new/ that may come again. Whoever finds nobody at work on a mailbox syncs its new/ for
 * all, as long as there is something to sync: so its threads wait for no more than two syncs.
 */
#include "daemons/local/maildir.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/base/queue_id.h"
#include "common/os/clock.h"
#include "common/os/disk.h"

enum {
	FILE_MODE = 0600,
	NAME_TRIES = 5,	      /* when a name is taken, which only another host's clock can cause */
	MAILBOX_TRIES = 2,    /* when the mailbox was removed while it was open */
	ATTEMPTS_CLEARED = 8, /* before this one, whose files in tmp/ are looked for */
};

struct maildir {
	struct mailboxes *boxes;
	int pid;
	maildir_done *done;
	void *arg;
};

struct file {
	struct maildir_job *job;
	char name[MAILDIR_NAME_SIZE]; /* in tmp/ */
	int fd;			      /* -1: not made */
	const char *doing;
};

void maildir_host(struct slice hostname, char host[MAILDIR_HOST_MAX + 1])
{
	size_t len = 0;
	for (size_t i = 0; i < hostname.len; i++) {
		unsigned char c = (unsigned char)hostname.ptr[i];
		bool plain = c > 32 && c != 127 && c != '/' && c != ':';
		if (len + (plain ? 1 : 4) > MAILDIR_HOST_MAX)
			break;
		if (plain)
			host[len++] = (char)c;
		else
			len += (size_t)snprintf(host + len, 5, "\\%03o", c);
	}
	host[len] = '\0';
}

struct maildir *maildir_new(maildir_done *done, void *arg)
{
	struct maildir *m = memory_zero(1, sizeof(*m));
	m->boxes = mailboxes_new();
	m->pid = (int)getpid();
	m->done = done;
	m->arg = arg;
	return m;
}

void maildir_free(struct maildir **m)
{
	if (!*m)
		return;
	mailboxes_free(&(*m)->boxes);
	memory_free(*m);
	*m = NULL;
}

/* The time alone orders a mailbox; the rest makes the name unique among hosts, processes, messages
 * and attempts, so that it rests neither on a clock nor on a process id. */
static void draw_name(struct maildir_job *j, int pid)
{
	char id[QUEUE_ID_LEN + 1];
	uint64_t now = clock_wall_us();
	queue_id_text(j->message, id);
	snprintf(j->name, sizeof(j->name), "%llu.M%lluP%dQ%sR%uA%u.%s",
		 (unsigned long long)(now / CLOCK_SECOND), (unsigned long long)(now % CLOCK_SECOND),
		 pid, id, j->recipient, j->attempt, j->host);
}

/* The same for the same attempt, which no other is at work on at any time. */
static void draft_name(const struct maildir_job *j, uint32_t attempt, char name[MAILDIR_NAME_SIZE])
{
	char id[QUEUE_ID_LEN + 1];
	queue_id_text(j->message, id);
	snprintf(name, MAILDIR_NAME_SIZE, "Q%sR%uA%u.%s", id, j->recipient, attempt, j->host);
}

/* What attempts left that died before they could take it back. */
static void clear_attempts(const struct maildir_job *j)
{
	char name[MAILDIR_NAME_SIZE];
	for (uint32_t n = 1; n <= ATTEMPTS_CLEARED && n < j->attempt; n++) {
		draft_name(j, j->attempt - n, name);
		(void)disk_unlink(j->box->tmp, name);
	}
}

static bool make_file(struct file *f)
{
	struct maildir_job *j = f->job;
	clear_attempts(j);
	draft_name(j, j->attempt, f->name);
	f->fd = disk_create(j->box->tmp, f->name, O_WRONLY, FILE_MODE);
	if (f->fd < 0 && errno == EEXIST && disk_unlink(j->box->tmp, f->name) == 0)
		f->fd = disk_create(j->box->tmp, f->name, O_WRONLY, FILE_MODE);
	return f->fd >= 0;
}

static bool put(void *arg, struct slice octets)
{
	struct file *f = arg;
	f->doing = "can't be written to";
	return (f->fd >= 0 || make_file(f)) && disk_write(f->fd, octets.ptr, octets.len) == 0;
}

static void explain(struct file *f, enum letter_fault fault)
{
	struct maildir_job *j = f->job;
	int error = errno;
	if (!outcome_letter(&j->outcome, fault, &j->letter))
		outcome_error(&j->outcome, error, "mailbox %s %s", j->path, f->doing);
}

static void remove_file(struct maildir_job *j, int dir, const char *name)
{
	if (disk_unlink(dir, name) < 0 && errno != ENOENT)
		outcome_remark(&j->outcome, "; a file is left behind");
}

/* The whole letter, durable, in tmp/; false: nothing is left of it, and outcome says why. *gone:
 * the mailbox is not there any more. */
static bool write_file(struct file *f, struct letter_room *room, bool *gone)
{
	struct maildir_job *j = f->job;
	enum letter_fault fault = letter_write(&j->letter, room, put, f);
	if (!fault && disk_fsync(f->fd) < 0) { /* never again on the same file */
		f->doing = "can't be synced";
		fault = LETTER_TROUBLE;
	}
	if (fault)
		explain(f, fault);
	*gone = fault == LETTER_TROUBLE && f->fd < 0 && errno == ENOENT;
	if (f->fd < 0)
		return false;
	if (disk_close(f->fd) < 0 && !fault) {
		explain(f, LETTER_TROUBLE);
		fault = LETTER_TROUBLE;
	}
	if (fault)
		remove_file(j, j->box->tmp, f->name);
	return !fault;
}

/* Nothing in new/ is ever replaced. Where the file system can't rename so, a link does it. */
static int move_to(const struct mailbox *box, const char *from, const char *to)
{
	if (disk_rename_new(box->tmp, from, box->new, to) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (disk_link(box->tmp, from, box->new, to) < 0)
		return -1;
	(void)disk_unlink(box->tmp, from); /* it is delivered; readers clear what is old in tmp/ */
	return 0;
}

static bool move_file(const struct maildir *m, const struct file *f)
{
	struct maildir_job *j = f->job;
	int tries = 1;
	do {
		draw_name(j, m->pid);
		if (move_to(j->box, f->name, j->name) == 0)
			return true;
	} while (errno == EEXIST && ++tries <= NAME_TRIES);
	return false;
}

/* Puts the message into new/; as above. */
static bool place(const struct maildir *m, struct maildir_job *j, struct letter_room *room,
		  bool *gone)
{
	struct file f = {.job = j, .fd = -1, .doing = "can't take what can't be read"};
	if (!write_file(&f, room, gone))
		return false;
	if (move_file(m, &f))
		return true;
	*gone = errno == ENOENT;
	outcome_error(&j->outcome, errno, "mailbox %s can't be written to", j->path);
	remove_file(j, j->box->tmp, f.name);
	return false;
}

/* The same in the mailbox that the path means now; j holds it when true. */
static bool place_somewhere(struct maildir *m, struct maildir_job *j, struct letter_room *room)
{
	for (int tries = 1;; tries++) {
		bool gone = false;
		j->box = mailboxes_get(m->boxes, j->base, j->path, &j->outcome);
		if (!j->box)
			return false;
		if (place(m, j, room, &gone))
			return true;
		if (gone)
			mailboxes_forget(m->boxes, j->box);
		mailboxes_put(m->boxes, j->box);
		if (!gone || tries == MAILBOX_TRIES)
			return false;
	}
}

/* What could not be made durable is taken back: it will come again. */
static void commit_batch(struct maildir *m, struct mailbox *box, struct maildir_jobs *batch)
{
	struct maildir_job *j;
	int error = disk_fsync_dir(box->new) < 0 ? errno : 0;
	if (error)
		mailboxes_forget(m->boxes, box);
	while ((j = STAILQ_FIRST(batch))) {
		STAILQ_REMOVE_HEAD(batch, next);
		outcome_delivered(&j->outcome, "maildir");
		if (error) {
			outcome_error(&j->outcome, error, "mailbox %s can't be synced", j->path);
			remove_file(j, box->new, j->name);
		}
		m->done(m->arg, j);
	}
}

/* One who commits holds the mailbox for all whose jobs it does. */
static void commit(struct maildir *m, struct maildir_job *j)
{
	struct mailbox *box = j->box;
	bool first;
	pthread_mutex_lock(&box->mutex);
	STAILQ_INSERT_TAIL(&box->placed, j, next); /* from here on somebody else's, perhaps done */
	first = !box->committing;
	box->committing = true;
	while (first && !STAILQ_EMPTY(&box->placed)) {
		struct maildir_jobs batch = STAILQ_HEAD_INITIALIZER(batch);
		STAILQ_CONCAT(&batch, &box->placed);
		pthread_mutex_unlock(&box->mutex);
		commit_batch(m, box, &batch);
		pthread_mutex_lock(&box->mutex);
	}
	if (first)
		box->committing = false;
	pthread_mutex_unlock(&box->mutex);
	mailboxes_put(m->boxes, box);
}

void maildir_deliver(struct maildir *m, struct letter_room *room, struct maildir_job *j)
{
	if (j->base < 0) {
		outcome_set(&j->outcome, 451, "4.2.1", true,
			    "the mail directory is not there: is its file system mounted?");
		m->done(m->arg, j);
	} else if (place_somewhere(m, j, room)) {
		commit(m, j);
	} else {
		m->done(m->arg, j);
	}
}
