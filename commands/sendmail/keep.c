/*
 * Keeping a message for a server that is not there: a file in the drop directory, which pickup
 * sends when the server is back. It is whole, on the disk, and has its name in the directory before
 * anybody hears that it is safe; whatever ends this program earlier leaves at most a name that
 * pickup removes after an hour.
 */
#include <errno.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>
#include <bsd/stdlib.h>

#include "commands/sendmail/sendmail.h"
#include "common/base/bytes.h"
#include "common/base/encode.h"
#include "common/mail/drop.h"
#include "common/os/clock.h"
#include "common/os/disk.h"

/* Others may read: nobody but pickup gets through the directory. The group may not, so that this
 * program can't be led to read somebody's mail. */
enum { FILE_MODE = 0604, FREE_FILES_MIN = 256, DIRECTORY_SIZE = 4096 };

struct place {
	int dir;
	uint32_t uid;
	uint32_t files; /* that the user has waiting */
	uint64_t octets;
};

static bool open_place(struct place *p, const char *spool, struct error *e)
{
	char path[DIRECTORY_SIZE];
	int len = snprintf(path, sizeof(path), "%s/drop", spool);
	if (len < 0 || (size_t)len >= sizeof(path))
		return error_set(e, EX_TEMPFAIL, "spool: the path is too long");
	p->uid = getuid();
	p->dir = disk_open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (p->dir >= 0)
		return true;
	if (errno == EACCES)
		return error_set(e, EX_TEMPFAIL,
				 "this program may not keep it in %s either: install it "
				 "set-group-ID stagepost-drop, as INSTALL says",
				 path);
	if (errno == ENOENT)
		return error_set(e, EX_TEMPFAIL,
				 "there is no %s to keep it in either: the first start makes it",
				 path);
	return error_set(e, EX_TEMPFAIL, "%s: %s", path, strerror(errno));
}

static bool count(void *arg, const char *name, unsigned char type)
{
	struct place *p = arg;
	struct drop_name n;
	struct stat st;
	(void)type;
	if (!drop_name_read(slice_str(name), &n) || n.uid != p->uid ||
	    disk_stat_at(p->dir, name, &st) < 0)
		return true;
	p->files++;
	p->octets += (uint64_t)st.st_size;
	return true;
}

/* One user's mail leaves room for the others', and all of it for what else is on the disk. */
static bool has_room(struct place *p, uint64_t octets, uint64_t spare, struct error *e)
{
	struct disk_space space;
	if (disk_list(p->dir, count, p) < 0 || disk_space(p->dir, &space) < 0)
		return error_set(e, EX_TEMPFAIL, "the drop directory: %s", strerror(errno));
	if (p->files >= DROP_FILES_MAX || p->octets + octets > DROP_OCTETS_MAX)
		return error_set(e, EX_TEMPFAIL,
				 "%u messages of yours with %llu octets are kept for the server "
				 "already, and %d or %llu are the most",
				 p->files, (unsigned long long)p->octets, DROP_FILES_MAX,
				 (unsigned long long)DROP_OCTETS_MAX);
	if (space.free_bytes < octets + spare || space.free_files < FREE_FILES_MIN)
		return error_set(e, EX_TEMPFAIL, "the disk has no room to keep it");
	return true;
}

static bool write_file(int fd, struct slice envelope, struct slice content)
{
	char front[DROP_FRONT], end[DROP_END];
	uint32_t crc;
	drop_front(envelope, content.len, front);
	crc = crc32c(0, front, sizeof(front));
	crc = crc32c(crc, envelope.ptr, envelope.len);
	crc = crc32c(crc, content.ptr, content.len);
	drop_end(crc, end);
	return disk_chmod(fd, FILE_MODE) == 0 && disk_write(fd, front, sizeof(front)) == 0 &&
	       disk_write(fd, envelope.ptr, envelope.len) == 0 &&
	       disk_write(fd, content.ptr, content.len) == 0 &&
	       disk_write(fd, end, sizeof(end)) == 0 && disk_fsync(fd) == 0;
}

/* A name that was there is somebody else's, whatever the random numbers say. */
static bool make_file(const struct place *p, struct slice envelope, struct slice content)
{
	struct drop_name n = {.uid = p->uid, .made = clock_wall_us()};
	char part[DROP_NAME_SIZE], whole[DROP_NAME_SIZE];
	uint64_t random;
	bool good;
	arc4random_buf(&random, sizeof(random));
	drop_name_write(&n, random, whole);
	n.part = true;
	drop_name_write(&n, random, part);
	int fd = disk_create(p->dir, part, O_WRONLY, 0600);
	if (fd < 0)
		return false;
	good = write_file(fd, envelope, content);
	good = disk_close(fd) == 0 && good;
	good = good && disk_rename_new(p->dir, part, p->dir, whole) == 0;
	if (good && disk_fsync_dir(p->dir) == 0)
		return true;
	int error = errno;
	(void)disk_unlink(p->dir, good ? whole : part);
	errno = error;
	return false;
}

static bool envelope_of(const struct submission *s, struct buffer *envelope, struct error *e)
{
	struct drop d = {.sender = s->sender,
			 .notify = slice_str(s->notify),
			 .ret = slice_str(s->ret),
			 .envid = slice_str(s->envid),
			 .eight_bit = !ascii_only(s->content),
			 .utf8 = s->utf8};
	struct slice address;
	bool good = drop_begin(&d, envelope);
	for (size_t at = 0; good && recipients_next(s->recipients, &at, &address);)
		good = drop_add(envelope, address);
	if (!good)
		return error_set(e, EX_DATAERR, "too many recipients to be kept");
	/* by the eyes of pickup: what it would set aside is not safe */
	return drop_read(buffer_slice(envelope), &d) ||
	       error_set(e, EX_DATAERR, "an envelope that can't be kept: too much of it");
}

static bool keep(const struct submission *s, const char *spool, uint64_t spare, struct error *e)
{
	struct place p = {.dir = -1};
	struct buffer envelope;
	bool good;
	buffer_init(&envelope, DROP_ENVELOPE_MAX);
	good = envelope_of(s, &envelope, e) && open_place(&p, spool, e) &&
	       has_room(&p, envelope.len + s->content.len + DROP_FRONT + DROP_END, spare, e);
	if (good && !make_file(&p, buffer_slice(&envelope), s->content))
		good = error_set(e, EX_TEMPFAIL, "it can't be kept in %s/drop either: %s", spool,
				 strerror(errno));
	if (p.dir >= 0)
		disk_close(p.dir);
	buffer_free(&envelope);
	return good;
}

bool keep_message(const struct submission *s, const char *spool, uint64_t spare, struct error *e)
{
	bool good;
	privilege_take();
	good = keep(s, spool, spare, e);
	privilege_give_back();
	return good;
}
