/*
 * Nothing of a user's is opened before the process is the user (S52). What a user links or mounts
 * below the home is the user's affair: it leads to nothing that the user may not open.
 */
#include "daemons/local/person.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "common/os/sandbox.h"
#include "common/os/user.h"
#include "common/wire/codec.h"
#include "daemons/local/errand.h"
#include "daemons/local/jobs.h"
#include "daemons/local/mbox.h"

enum { FILES_MOST = 64 + BUNDLE_COUNT_MAX, BASES_MAX = 16 };

/* Made in the fork server, for all children. */
static struct sandbox_program *program;
static gid_t spool_group = (gid_t)-1; /* -1: there is none */

/* This child. */
static struct user_account account;
static bool has_spool_group;
static int socket_fd;
static struct maildir *maildir;
static struct maildir_room *maildir_room;
static struct letter_room *letter_room;

/* The bundle that is being delivered. */
static struct parcel {
	struct maildir_job job; /* for an mbox, its letter and outcome alone */
	bool mbox, done;
	char path[MAILBOX_PATH_SIZE];
	char host[MAILDIR_HOST_MAX + 1];
} parcels[BUNDLE_COUNT_MAX];
static size_t parcel_count;
static struct {
	char *path; /* "" the home */
	int fd;
} bases[BASES_MAX];
static size_t base_count;

bool person_begin(struct error *e)
{
	program = sandbox_compile(sandbox_find("local-child"), e);
	if (program && user_is_root() && !user_find_group("mail", &spool_group, NULL))
		spool_group = (gid_t)-1;
	return program != NULL;
}

static bool read_request(struct slice request, struct error *e)
{
	struct person p;
	if (!codec_decode(&person_record, request, &p) || p.uid == 0 || p.gid == 0 ||
	    !slice_copy(p.home, account.home, sizeof(account.home)))
		return error_set(e, EINVAL, "a user that makes no sense");
	account.uid = p.uid;
	account.gid = p.gid;
	for (size_t i = 0; i + 4 <= p.groups.len && account.group_count < USER_GROUPS_MAX; i += 4) {
		gid_t gid = get_u32(p.groups.ptr + i);
		if (gid != 0)
			account.groups[account.group_count++] = gid;
	}
	has_spool_group = p.spool && spool_group != (gid_t)-1 && spool_group != 0;
	return true;
}

static bool become_user(struct error *e)
{
	if (user_is_root())
		return user_become_account(&account, has_spool_group ? spool_group : account.gid,
					   e);
	has_spool_group = false;
	return getuid() == account.uid ||
	       error_set(e, EPERM,
			 "this server was started by an ordinary user, and delivers to that "
			 "user alone");
}

static bool limit_itself(struct error *e)
{
	struct rlimit files = {FILES_MOST, FILES_MOST};
	alarm(PERSON_LIFE_SECONDS);
	return setrlimit(RLIMIT_NOFILE, &files) == 0 ||
	       error_set(e, errno, "limit of descriptors: %s", strerror(errno));
}

static void add_answer(struct buffer *bundle, const struct job_outcome *m)
{
	struct buffer b;
	buffer_init(&b, ERRAND_OUTCOME_MAX);
	if (!codec_encode(&job_outcome_record, m, &b) || !bundle_add(bundle, buffer_slice(&b)))
		panic("an outcome that can't be encoded");
	buffer_free(&b);
}

/* The daemon has gone: so does its child. */
static void answer(struct buffer *bundle)
{
	struct slice s = buffer_slice(bundle);
	if (send(socket_fd, s.ptr, s.len, MSG_NOSIGNAL) < 0)
		_exit(0);
	buffer_free(bundle);
}

/* Message 0: no errand can be done here. */
static void answer_incapable(const char *why)
{
	struct job_outcome m = {.status = JOB_DEFERRED,
				.code = 451,
				.enhanced = SLICE("4.3.0"),
				.text = slice_str(why),
				.site = true};
	struct buffer b;
	buffer_init(&b, BUNDLE_OUTCOMES_MAX);
	add_answer(&b, &m);
	answer(&b);
}

/* Stays open, since open mailboxes are known by its number; -1: o says why. */
static int open_base(struct slice path, struct outcome *o)
{
	const char *name = path.len > 0 ? "the mail directory" : "the home directory";
	for (size_t i = 0; i < base_count; i++)
		if (slice_equal(path, slice_str(bases[i].path)))
			return bases[i].fd;
	if (base_count == BASES_MAX) {
		outcome_set(o, 451, "4.3.0", false, "mail directories have changed too often");
		return -1;
	}
	if (path.len == 0 && account.home[0] != '/') {
		outcome_set(o, 451, "4.2.1", true, "the user has no home directory");
		return -1;
	}
	char *kept = memory_string(path);
	int fd = disk_open(AT_FDCWD, path.len > 0 ? kept : account.home, O_RDONLY | O_DIRECTORY, 0);
	if (fd >= 0) {
		bases[base_count].path = kept;
		bases[base_count++].fd = fd;
		return fd;
	}
	/* S54: a server of home directories may be away */
	if (errno == ENOENT)
		outcome_set(o, 451, "4.2.1", true, "%s is not there: is its file system mounted?",
			    name);
	else
		outcome_error(o, errno, "%s can't be opened", name);
	memory_free(kept);
	return -1;
}

/* The file's directory, below base; its name. */
static int open_parent(int base, const char *path, const char **name, struct outcome *o)
{
	char parent[MAILBOX_PATH_SIZE] = ".";
	const char *slash = strrchr(path, '/');
	*name = slash ? slash + 1 : path;
	if (slash && !slice_copy(slice_make(path, (size_t)(slash - path)), parent, sizeof(parent)))
		panic("a path that is too long");
	int fd = disk_open_beneath(base, parent, O_RDONLY | O_DIRECTORY);
	if (fd < 0 && errno == ENOENT)
		outcome_set(o, 451, "4.2.1", true, "the folder of mailbox %s is not there", path);
	else if (fd < 0)
		outcome_error(o, errno, "the folder of mailbox %s can't be opened", path);
	return fd;
}

/* Those of the bundle from the first on that go to the same file, at once. */
static void to_mbox(size_t first)
{
	const struct parcel *p = &parcels[first];
	struct mbox_place place = {.path = p->path,
				   .group = has_spool_group ? spool_group : getgid(),
				   .tries = MBOX_TRIES,
				   .wait_us = MBOX_WAIT_US};
	struct mbox_item items[BUNDLE_COUNT_MAX];
	struct outcome trouble = {0};
	size_t count = 0;
	place.dir = open_parent(p->job.base, p->path, &place.name, &trouble);
	for (size_t i = first; i < parcel_count; i++) {
		struct parcel *q = &parcels[i];
		if (!q->mbox || q->done || q->job.base != p->job.base ||
		    strcmp(q->path, p->path) != 0)
			continue;
		q->done = true;
		q->job.outcome = trouble;
		items[count++] = (struct mbox_item){&q->job.letter, &q->job.outcome};
	}
	if (place.dir < 0)
		return;
	mbox_deliver(&place, items, count, letter_room);
	disk_close(place.dir);
}

static struct job_start job_of(const struct errand *m)
{
	return (struct job_start){.file = m->file,
				  .file_nonce = m->file_nonce,
				  .file_digest = m->file_digest,
				  .body_offset = m->body_offset,
				  .body_length = m->body_length,
				  .header_offset = m->header_offset,
				  .header_length = m->header_length};
}

/* What an errand says, as it is delivered; done when that can't be. */
static void parcel_make(struct parcel *p, const struct errand *m)
{
	struct job_start start = job_of(m);
	p->mbox = m->mbox;
	p->job = (struct maildir_job){.path = p->path,
				      .host = p->host,
				      .message = m->message,
				      .recipient = m->recipient,
				      .attempt = m->attempt,
				      .retried = m->again,
				      .letter = {.sender = m->sender,
						 .address = m->address,
						 .original = m->original,
						 .content = {.trace = m->trace,
							     .header = m->header,
							     .body = m->body,
							     .file = jobs_file(&start),
							     .fd = m->fd}}};
	if (!slice_copy(m->path, p->path, sizeof(p->path)) ||
	    !slice_copy(m->host, p->host, sizeof(p->host)))
		panic("a path or a host name that is too long");
	p->job.base = open_base(m->base, &p->job.outcome);
	p->done = p->job.base < 0;
}

static void deliver(void)
{
	struct maildir_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);
	struct maildir_jobs done = STAILQ_HEAD_INITIALIZER(done);
	for (size_t i = 0; i < parcel_count; i++) {
		if (parcels[i].done)
			continue;
		if (parcels[i].mbox)
			to_mbox(i);
		else
			STAILQ_INSERT_TAIL(&jobs, &parcels[i].job, next);
	}
	maildir_deliver(maildir, maildir_room, &jobs, &done);
}

static void answer_all(void)
{
	struct buffer b;
	buffer_init(&b, BUNDLE_OUTCOMES_MAX);
	for (size_t i = 0; i < parcel_count; i++) {
		const struct maildir_job *j = &parcels[i].job;
		struct job_outcome m = {.message = j->message,
					.recipient = j->recipient,
					.attempt = j->attempt,
					.status = j->outcome.status,
					.code = j->outcome.code,
					.enhanced = slice_str(j->outcome.enhanced),
					.text = slice_str(j->outcome.text),
					.site = j->outcome.site};
		add_answer(&b, &m);
	}
	answer(&b);
}

/* The descriptor belongs to the one errand of its bundle. */
static void run_bundle(struct slice bundle, int file)
{
	struct slice part;
	parcel_count = 0;
	while (bundle_next(&bundle, &part)) {
		struct errand m;
		if (parcel_count == BUNDLE_COUNT_MAX || !codec_decode(&errand_record, part, &m))
			panic("an errand that does not decode");
		m.fd = file;
		parcel_make(&parcels[parcel_count++], &m);
	}
	deliver();
	if (file >= 0)
		close(file);
	answer_all();
}

static ssize_t receive(char *octets, size_t size, int *fd)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(sizeof(size_t))));
	struct iovec iov = {octets, size};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	*fd = -1;
	ssize_t n = TEMP_FAILURE_RETRY(recvmsg(socket_fd, &m, MSG_CMSG_CLOEXEC));
	struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return n;
}

void person_child(struct slice request, int fd, int given)
{
	static char octets[BUNDLE_MAX];
	struct error e = {0};
	(void)given;
	socket_fd = fd;
	if (!read_request(request, &e) || !become_user(&e) || !limit_itself(&e) ||
	    !sandbox_enter_compiled(program, &e)) {
		answer_incapable(e.text);
		return;
	}
	maildir = maildir_new();
	maildir_room = maildir_room_new();
	letter_room = letter_room_new();
	for (;;) {
		int file;
		ssize_t n = receive(octets, sizeof(octets), &file);
		if (n <= 0)
			return;
		run_bundle(slice_make(octets, (size_t)n), file);
	}
}
