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

enum { FILES_MOST = 64, BASES_MAX = 16 };

/* Made in the fork server, for all children. */
static struct sandbox_program *program;
static gid_t spool_group = (gid_t)-1; /* -1: there is none */

/* This child. */
static struct user_account account;
static bool has_spool_group;
static int socket_fd;
static struct maildir *maildir;
static struct maildir_room *maildir_room;
static struct letter_room *room;
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

/* The daemon has gone: so does its child. */
static void answer(const struct job_outcome *m)
{
	struct buffer b;
	buffer_init(&b, ERRAND_OUTCOME_MAX);
	if (!codec_encode(&job_outcome_record, m, &b))
		panic("an outcome that can't be encoded");
	struct slice s = buffer_slice(&b);
	if (send(socket_fd, s.ptr, s.len, MSG_NOSIGNAL) < 0)
		_exit(0);
	buffer_free(&b);
}

/* Message 0: no errand can be done here. */
static void answer_incapable(const char *why)
{
	struct job_outcome m = {.status = JOB_DEFERRED,
				.code = 451,
				.enhanced = SLICE("4.3.0"),
				.text = slice_str(why),
				.site = true};
	answer(&m);
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

static void to_maildir(const struct errand *m, const char *path, int base, struct letter *l,
		       struct outcome *o)
{
	struct maildir_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);
	struct maildir_jobs done = STAILQ_HEAD_INITIALIZER(done);
	char host[MAILDIR_HOST_MAX + 1];
	struct maildir_job j = {.base = base,
				.path = path,
				.host = host,
				.message = m->message,
				.recipient = m->recipient,
				.attempt = m->attempt,
				.letter = *l};
	if (!slice_copy(m->host, host, sizeof(host)))
		panic("a host name that is too long");
	STAILQ_INSERT_TAIL(&jobs, &j, next);
	maildir_deliver(maildir, maildir_room, &jobs, &done);
	*o = j.outcome;
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

static void to_mbox(const char *path, int base, struct letter *l, struct outcome *o)
{
	struct mbox_place place = {.path = path,
				   .group = has_spool_group ? spool_group : getgid(),
				   .tries = MBOX_TRIES,
				   .wait_us = MBOX_WAIT_US};
	place.dir = open_parent(base, path, &place.name, o);
	if (place.dir < 0)
		return;
	mbox_deliver(&place, l, room, o);
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

static void deliver(const struct errand *m, struct outcome *o)
{
	struct job_start start = job_of(m);
	struct letter l = {.sender = m->sender,
			   .address = m->address,
			   .original = m->original,
			   .content = {.trace = m->trace,
				       .header = m->header,
				       .body = m->body,
				       .file = jobs_file(&start),
				       .fd = m->fd}};
	char path[MAILBOX_PATH_SIZE];
	int base = open_base(m->base, o);
	if (base < 0)
		return;
	if (!slice_copy(m->path, path, sizeof(path)))
		panic("a path that is too long");
	if (m->mbox)
		to_mbox(path, base, &l, o);
	else
		to_maildir(m, path, base, &l, o);
}

static void run_errand(const struct errand *m)
{
	struct outcome o = {0};
	deliver(m, &o);
	if (m->fd >= 0)
		close(m->fd);
	struct job_outcome answered = {.message = m->message,
				       .recipient = m->recipient,
				       .attempt = m->attempt,
				       .status = o.status,
				       .code = o.code,
				       .enhanced = slice_str(o.enhanced),
				       .text = slice_str(o.text),
				       .site = o.site};
	answer(&answered);
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

void person_child(struct slice request, int fd)
{
	static char octets[ERRAND_MAX];
	struct error e = {0};
	socket_fd = fd;
	if (!read_request(request, &e) || !become_user(&e) || !limit_itself(&e) ||
	    !sandbox_enter_compiled(program, &e)) {
		answer_incapable(e.text);
		return;
	}
	maildir = maildir_new();
	maildir_room = maildir_room_new();
	room = letter_room_new();
	for (;;) {
		struct errand m;
		int file;
		ssize_t n = receive(octets, sizeof(octets), &file);
		if (n <= 0)
			return;
		if (!codec_decode(&errand_record, slice_make(octets, (size_t)n), &m))
			panic("an errand that does not decode");
		m.fd = file;
		run_errand(&m);
	}
}
