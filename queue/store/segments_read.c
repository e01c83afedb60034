/*
 * segments_read: records out of segments: at once when the kernel has them in memory, else by the
 * helper. A segment that is read is pinned.
 */
#include <errno.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "queue/store/segments_parts.h"

enum { READ_NOW_MAX = 256 * 1024 }; /* a larger record's hash alone would keep the loop too long */

struct record_read {
	struct helper_job job;
	struct segments *s;
	struct pool_file *f;
	bool opened; /* fd is this job's */
	int fd;
	struct entry wanted; /* as it was at the call */
	bool digest_known;
	uint8_t digest[DIGEST_SIZE];
	struct buffer *buffer;
	char *to;
	int err;
	void (*done)(void *arg, int err);
	void *arg;
};

void pool_reader_drop(struct segments *s, struct pool_file *f)
{
	if (f->read_fd < 0)
		return;
	TAILQ_REMOVE(&s->readers, f, link);
	s->reader_count--;
	disk_close(f->read_fd);
	f->read_fd = -1;
	if (s->ahead.file == f)
		s->ahead.file = NULL;
}

void pool_reader_add(struct segments *s, struct pool_file *f, int fd)
{
	f->read_fd = fd;
	TAILQ_INSERT_HEAD(&s->readers, f, link);
	s->reader_count++;
	struct pool_file *old = TAILQ_LAST(&s->readers, pool_files), *before;
	for (; old && old != f && s->reader_count > SEGMENT_READERS; old = before) {
		before = TAILQ_PREV(old, pool_files, link);
		if (old->reading == 0)
			pool_reader_drop(s, old);
	}
}

static bool digest_of(const struct entry *e, uint8_t digest[DIGEST_SIZE])
{
	static const uint8_t none[DIGEST_SIZE];
	if (!e->state || memcmp(e->state->digest, none, DIGEST_SIZE) == 0)
		return false;
	memcpy(digest, e->state->digest, DIGEST_SIZE);
	return true;
}

int record_check_with(struct digest *hash, struct slice record, const struct entry *e,
		      const uint8_t *digest)
{
	uint32_t length, ordinal;
	uint64_t id;
	uint8_t found[DIGEST_SIZE];
	/* What the SHA-256 covers needs no CRC; what it does not is compared. */
	bool whole = digest ? record_head(record, &length, &ordinal, &id)
			    : record_look(record, &length, &ordinal, &id);
	if (!whole || length != e->length || length != record.len || id != e->id ||
	    ordinal != e->ordinal)
		return EBADMSG;
	if (!digest)
		return 0;
	record_digest_with(hash, record, found);
	return digest_is(found, digest) ? 0 : EBADMSG;
}

int record_check(struct slice record, const struct entry *e, const uint8_t *digest)
{
	struct digest hash;
	digest_init(&hash);
	int err = record_check_with(&hash, record, e, digest);
	digest_free(&hash);
	return err;
}

static void read_run(struct helper_job *job)
{
	struct record_read *r = (struct record_read *)(void *)job;
	if (r->fd < 0) {
		char name[16];
		segment_name(r->wanted.segment, name);
		r->fd = disk_open_file(r->s->setup.segments_dirfd, name, O_RDONLY);
		r->opened = r->fd >= 0;
	}
	r->err = 0;
	ssize_t n = r->fd < 0 ? -1 : disk_pread(r->fd, r->to, r->wanted.length, r->wanted.offset);
	if (n < 0)
		r->err = errno;
	else
		r->err = record_check(slice_make(r->to, (size_t)n), &r->wanted,
				      r->digest_known ? r->digest : NULL);
}

static void read_done(struct helper_job *job)
{
	struct record_read *r = (struct record_read *)(void *)job;
	struct segments *s = r->s;
	r->f->reading--;
	if (r->opened && r->f->read_fd < 0)
		pool_reader_add(s, r->f, r->fd);
	else if (r->opened)
		disk_close(r->fd);
	if (!r->err)
		buffer_grew(r->buffer, r->wanted.length);
	segments_unpin(s, r->wanted.segment);
	if (!r->err && !index_get(s->ix, r->wanted.id))
		r->err = ECANCELED;
	r->done(r->arg, r->err);
	memory_free(r);
}

/* Only for what was never read before: whoever is tried again is read from the disk, so that what
 * has happened to it there since is found. */
static bool ahead_has(const struct segments *s, const struct pool_file *f, const struct entry *e)
{
	return s->ahead.file == f && e->offset >= f->read_end && e->offset >= s->ahead.offset &&
	       e->offset + e->length <= s->ahead.offset + s->ahead.len;
}

/* New messages are read in the order in which they lie there: those that were noticed behind this
 * one come in the same call, for they will be wanted next. Up to seen_end nothing changes. */
static bool ahead_fill(struct segments *s, struct pool_file *f, const struct entry *e)
{
	uint64_t there = f->seen_end - e->offset;
	if (e->offset < f->read_end || f->seen_end <= e->offset + e->length ||
	    e->length > READ_AHEAD / 2)
		return false;
	s->ahead.file = NULL;
	ssize_t n = disk_pread_now(f->read_fd, s->ahead.octets,
				   there < READ_AHEAD ? (size_t)there : READ_AHEAD, e->offset);
	if (n < (ssize_t)e->length)
		return false;
	s->ahead.file = f;
	s->ahead.offset = e->offset;
	s->ahead.len = (size_t)n;
	return true;
}

static ssize_t read_record(struct segments *s, struct pool_file *f, const struct entry *e, char *to)
{
	bool ahead = ahead_has(s, f, e) || ahead_fill(s, f, e);
	if (f->read_end < e->offset + e->length)
		f->read_end = e->offset + e->length;
	if (!ahead)
		return disk_pread_now(f->read_fd, to, e->length, e->offset);
	memcpy(to, s->ahead.octets + (e->offset - s->ahead.offset), e->length);
	return e->length;
}

/* 1: done; 0: the helper has to; -1 and errno. */
static int read_now(struct segments *s, struct pool_file *f, const struct entry *e, char *to,
		    const uint8_t *digest)
{
	if (f->read_fd < 0 || e->length > READ_NOW_MAX)
		return 0;
	ssize_t n = read_record(s, f, e, to);
	if (n < 0 && errno != EAGAIN)
		return -1;
	if (n < (ssize_t)e->length)
		return 0;
	TAILQ_REMOVE(&s->readers, f, link);
	TAILQ_INSERT_HEAD(&s->readers, f, link);
	int err = record_check_with(&s->hash, slice_make(to, e->length), e, digest);
	errno = err;
	return err ? -1 : 1;
}

int segments_read(struct segments *s, const struct entry *e, struct buffer *buffer,
		  void (*done)(void *arg, int err), void *arg)
{
	struct pool_file *f = pool_file(s, e->segment);
	uint8_t digest[DIGEST_SIZE];
	size_t room;
	bool known = digest_of(e, digest);
	buffer_reset(buffer);
	char *to = buffer_reserve(buffer, e->length, &room);
	if (!f || !to || room < e->length) {
		errno = f ? ENOBUFS : ENOENT;
		return -1;
	}
	int now = read_now(s, f, e, to, known ? digest : NULL);
	if (now > 0)
		buffer_grew(buffer, e->length);
	if (now != 0)
		return now;
	struct record_read *r = memory_zero(1, sizeof(*r));
	*r = (struct record_read){.job = {.run = read_run, .done = read_done},
				  .s = s,
				  .f = f,
				  .fd = f->read_fd,
				  .wanted = *e,
				  .digest_known = known,
				  .buffer = buffer,
				  .to = to,
				  .done = done,
				  .arg = arg};
	memcpy(r->digest, digest, known ? DIGEST_SIZE : 0);
	if (!helper_submit(s->setup.helper, &r->job)) {
		memory_free(r);
		errno = EAGAIN;
		return -1;
	}
	f->reading++;
	segments_pin(s, e->segment);
	return 0;
}
