/*
 * The path of a delivery: a file in tmp/ made, written, synced, closed; renamed to new/NAME without
 * replacing anything; new/ synced. A crash before the rename leaves a file in tmp/, which the next
 * attempt takes away: it is named after the attempt alone. A crash after the rename leaves a whole
 * message in new/ that may come again.
 *
 * Of several, where the file system can, a file has no name until it gets the one in new/: that
 * saves the two changes of tmp/. Its link count changes then, so the file itself is synced again
 * with its directory: without a journal the name could survive alone.
 *
 * A batch goes this path in step. The two syncs stay two, since no file system promises that a name
 * is not durable before the octets that it stands for: with one sync behind the rename a crash
 * could leave an empty message in new/, beside the one that comes again. What fails on the way
 * fails alone.
 */
#include "daemons/local/maildir.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/base/queue_id.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "daemons/local/sync.h"

enum {
	FILE_MODE = 0600,
	NAME_TRIES = 5,	      /* when a name is taken, which only another host's clock can cause */
	MAILBOX_TRIES = 2,    /* when the mailbox was removed while it was open */
	ATTEMPTS_CLEARED = 8, /* before this one, whose files in tmp/ are looked for */
};

struct maildir {
	struct mailboxes *boxes;
	struct sync_costs *costs;
	int pid;
};

struct maildir_room {
	struct letter_room *letter;
	struct maildir_job *jobs[MAILDIR_BATCH_MAX];
	size_t count;
	struct sync_batch sync;
	struct sync_item items[2 * MAILDIR_BATCH_MAX]; /* directories, and files again */
	struct mailbox *boxes[MAILDIR_BATCH_MAX];
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

struct maildir *maildir_new(void)
{
	struct maildir *m = memory_zero(1, sizeof(*m));
	m->boxes = mailboxes_new();
	m->costs = sync_costs_new();
	m->pid = (int)getpid();
	return m;
}

void maildir_free(struct maildir **m)
{
	if (!*m)
		return;
	mailboxes_free(&(*m)->boxes);
	sync_costs_free(&(*m)->costs);
	memory_free(*m);
	*m = NULL;
}

struct maildir_room *maildir_room_new(void)
{
	struct maildir_room *room = memory_zero(1, sizeof(*room));
	room->letter = letter_room_new();
	return room;
}

void maildir_room_free(struct maildir_room **room)
{
	if (!*room)
		return;
	letter_room_free(&(*room)->letter);
	memory_free(*room);
	*room = NULL;
}

/* The time alone orders a mailbox; the rest makes the name unique among hosts, processes, messages
 * and attempts, so that it rests neither on a clock nor on a process id. What follows tells readers
 * the size, as it is and with CRLF, so that they need not look at the file (Dovecot's form). */
static void draw_name(struct maildir_job *j, int pid)
{
	char id[QUEUE_ID_LEN + 1];
	uint64_t now = clock_wall_us();
	queue_id_text(j->message, id);
	snprintf(j->name, sizeof(j->name), "%llu.M%lluP%dQ%sR%uA%u.%s,S=%llu,W=%llu",
		 (unsigned long long)(now / CLOCK_SECOND), (unsigned long long)(now % CLOCK_SECOND),
		 pid, id, j->recipient, j->attempt, j->host, (unsigned long long)j->size,
		 (unsigned long long)octets_end(&j->octets));
}

/* The same for the same attempt, which no other is at work on at any time. */
static void draft_name(const struct maildir_job *j, uint32_t attempt, char name[MAILDIR_NAME_SIZE])
{
	char id[QUEUE_ID_LEN + 1];
	queue_id_text(j->message, id);
	snprintf(name, MAILDIR_NAME_SIZE, "Q%sR%uA%u.%s", id, j->recipient, attempt, j->host);
}

/* What attempts left that died before they could take it back. To look for a name that is not there
 * costs, so a first attempt, as most are, looks for none. */
static void clear_attempts(const struct maildir_job *j)
{
	char name[MAILDIR_NAME_SIZE];
	for (uint32_t n = j->retried ? 0 : 1; n <= ATTEMPTS_CLEARED && n < j->attempt; n++) {
		draft_name(j, j->attempt - n, name);
		(void)disk_unlink(j->box->tmp, name);
	}
}

static bool make_file(struct maildir_job *j)
{
	char name[MAILDIR_NAME_SIZE];
	clear_attempts(j);
	if (j->unnamed) {
		j->fd = disk_create_unnamed(j->box->new, O_WRONLY, FILE_MODE);
		if (j->fd >= 0 || errno != EPERM) /* what ext4 says of a removed directory */
			return j->fd >= 0;
		j->unnamed = false;
	}
	draft_name(j, j->attempt, name);
	j->fd = disk_create(j->box->tmp, name, O_WRONLY, FILE_MODE);
	if (j->fd < 0 && errno == EEXIST && disk_unlink(j->box->tmp, name) == 0)
		j->fd = disk_create(j->box->tmp, name, O_WRONLY, FILE_MODE);
	return j->fd >= 0;
}

static bool put(void *arg, struct slice octets)
{
	struct maildir_job *j = arg;
	j->doing = "can't be written to";
	j->size += octets.len;
	octets_add(&j->octets, octets);
	return (j->fd >= 0 || make_file(j)) && disk_write(j->fd, octets.ptr, octets.len) == 0;
}

static void remove_file(struct maildir_job *j, int dir, const char *name)
{
	if (disk_unlink(dir, name) < 0 && errno != ENOENT)
		outcome_remark(&j->outcome, "; a file is left behind");
}

static void drop_draft(struct maildir_job *j)
{
	char name[MAILDIR_NAME_SIZE];
	if (j->fd >= 0)
		disk_close(j->fd);
	j->fd = -1;
	if (j->unnamed)
		return;
	draft_name(j, j->attempt, name);
	remove_file(j, j->box->tmp, name);
}

static void fail(struct maildir_job *j, int error, const char *what)
{
	j->good = false;
	outcome_error(&j->outcome, error, "mailbox %s %s", j->path, what);
}

/* Its directories are not there any more: it may have been removed, and is made again. */
static void box_is_gone(struct maildir *m, struct maildir_job *j)
{
	mailboxes_forget(m->boxes, j->box);
	j->again = j->tries < MAILBOX_TRIES;
}

/* The whole letter in tmp/, or nothing of it. */
static void write_letter(struct maildir *m, struct maildir_room *room, struct maildir_job *j)
{
	j->doing = "can't take what can't be read";
	enum letter_fault fault = letter_write(&j->letter, room->letter, put, j);
	int error = errno;
	j->good = !fault;
	if (!fault)
		return;
	if (!outcome_letter(&j->outcome, fault, &j->letter))
		fail(j, error, j->doing);
	if (j->fd < 0) {
		if (fault == LETTER_TROUBLE && error == ENOENT)
			box_is_gone(m, j);
		return;
	}
	drop_draft(j);
}

static void write_one(struct maildir *m, struct maildir_room *room, struct maildir_job *j)
{
	j->fd = -1;
	j->box = NULL;
	j->good = j->again = false;
	j->size = 0;
	j->octets = (struct octets_count){0};
	j->tries++;
	if (j->base < 0) {
		outcome_set(&j->outcome, 451, "4.2.1", true,
			    "the mail directory is not there: is its file system mounted?");
		return;
	}
	j->box = mailboxes_get(m->boxes, j->base, j->path, &j->outcome);
	if (!j->box)
		return;
	j->unnamed = room->count >= SYNC_MANY && j->box->disk->unnamed;
	if (room->count >= SYNC_MANY && j->box->disk->sync_tells)
		sync_place(&room->sync, j->box->disk->device, j->box->new);
	write_letter(m, room, j);
}

static struct sync_item item_of(int fd, const struct mailbox *box)
{
	return (struct sync_item){fd, box->disk->device, 0};
}

static void close_letter(struct maildir_job *j)
{
	if (disk_close(j->fd) < 0)
		fail(j, errno, "can't be written to");
	j->fd = -1;
}

/* After a sync that failed nothing is synced again on the same file. */
static void sync_letters(struct maildir_room *room)
{
	size_t count = 0, at = 0;
	for (size_t i = 0; i < room->count; i++) {
		const struct maildir_job *j = room->jobs[i];
		if (j->good)
			room->items[count++] = item_of(j->fd, j->box);
	}
	sync_run(&room->sync, SYNC_FILES, room->items, count);
	for (size_t i = 0; i < room->count; i++) {
		struct maildir_job *j = room->jobs[i];
		if (!j->good)
			continue;
		int error = room->items[at++].error;
		if (error)
			fail(j, error, "can't be synced");
		else if (!j->unnamed)
			close_letter(j);
		if (!j->good)
			drop_draft(j);
	}
}

/* Nothing in new/ is ever replaced. Where the file system can't rename so, a link does it. */
static int move_to(const struct maildir_job *j, const char *from)
{
	const struct mailbox *box = j->box;
	const char *to = j->name;
	if (j->unnamed)
		return disk_link_unnamed(j->fd, box->new, to);
	if (disk_rename_new(box->tmp, from, box->new, to) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (disk_link(box->tmp, from, box->new, to) < 0)
		return -1;
	(void)disk_unlink(box->tmp, from); /* it is delivered; readers clear what is old in tmp/ */
	return 0;
}

static void move_letter(struct maildir *m, struct maildir_job *j)
{
	char draft[MAILDIR_NAME_SIZE];
	int tries = 1;
	draft_name(j, j->attempt, draft);
	do {
		draw_name(j, m->pid);
		if (move_to(j, draft) == 0)
			return;
	} while (errno == EEXIST && ++tries <= NAME_TRIES);
	int error = errno;
	fail(j, error, "can't be written to");
	if (error == ENOENT)
		box_is_gone(m, j);
	drop_draft(j);
}

/* The mailboxes into which something was moved, each once; returns how many. */
static size_t gather_boxes(struct maildir_room *room)
{
	size_t count = 0, k;
	for (size_t i = 0; i < room->count; i++) {
		struct mailbox *box = room->jobs[i]->box;
		if (!room->jobs[i]->good)
			continue;
		for (k = 0; k < count && room->boxes[k] != box; k++)
			;
		if (k == count)
			room->boxes[count++] = box;
	}
	return count;
}

/* What could not be made durable is taken back: it will come again. */
static void take_back(struct maildir_job *j, int error)
{
	if (!j->good)
		return;
	fail(j, error, "can't be synced");
	remove_file(j, j->box->new, j->name);
}

static void take_back_all(struct maildir *m, struct maildir_room *room,
			  const struct sync_item *items, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!items[i].error)
			continue;
		mailboxes_forget(m->boxes, room->boxes[i]);
		for (size_t k = 0; k < room->count; k++)
			if (room->jobs[k]->box == room->boxes[i])
				take_back(room->jobs[k], items[i].error);
	}
}

static void sync_boxes(struct maildir *m, struct maildir_room *room)
{
	size_t boxes = gather_boxes(room), count = boxes;
	struct maildir_job *linked[MAILDIR_BATCH_MAX];
	for (size_t i = 0; i < boxes; i++)
		room->items[i] = item_of(room->boxes[i]->new, room->boxes[i]);
	for (size_t i = 0; i < room->count; i++) {
		struct maildir_job *j = room->jobs[i];
		if (!j->good || !j->unnamed)
			continue;
		linked[count - boxes] = j;
		room->items[count++] = item_of(j->fd, j->box);
	}
	sync_run(&room->sync, SYNC_DIRECTORIES, room->items, count);
	take_back_all(m, room, room->items, boxes);
	for (size_t i = boxes; i < count; i++) {
		struct maildir_job *j = linked[i - boxes];
		if (room->items[i].error)
			take_back(j, room->items[i].error);
		disk_close(j->fd);
		j->fd = -1;
	}
}

static void take(struct maildir_room *room, struct maildir_jobs *jobs)
{
	struct maildir_job *j;
	room->count = 0;
	while (room->count < MAILDIR_BATCH_MAX && (j = STAILQ_FIRST(jobs))) {
		STAILQ_REMOVE_HEAD(jobs, next);
		room->jobs[room->count++] = j;
	}
}

/* To done, or to again. */
static void give_back(struct maildir *m, struct maildir_room *room, struct maildir_jobs *done,
		      struct maildir_jobs *again)
{
	for (size_t i = 0; i < room->count; i++) {
		struct maildir_job *j = room->jobs[i];
		if (j->good)
			outcome_delivered(&j->outcome, "maildir");
		if (j->box)
			mailboxes_put(m->boxes, j->box);
		if (j->again)
			STAILQ_INSERT_TAIL(again, j, next);
		else
			STAILQ_INSERT_TAIL(done, j, next);
	}
}

static void deliver_batch(struct maildir *m, struct maildir_room *room)
{
	sync_begin(&room->sync, m->costs);
	for (size_t i = 0; i < room->count; i++)
		write_one(m, room, room->jobs[i]);
	sync_letters(room);
	for (size_t i = 0; i < room->count; i++)
		if (room->jobs[i]->good)
			move_letter(m, room->jobs[i]);
	sync_boxes(m, room);
	sync_end(&room->sync);
}

void maildir_deliver(struct maildir *m, struct maildir_room *room, struct maildir_jobs *jobs,
		     struct maildir_jobs *done)
{
	struct maildir_jobs again = STAILQ_HEAD_INITIALIZER(again);
	take(room, jobs);
	while (room->count > 0) {
		deliver_batch(m, room);
		give_back(m, room, done, &again);
		take(room, &again);
	}
}
