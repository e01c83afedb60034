/*
 * segments_large: large files: made in advance, lent, read; and what the helper does besides:
 * asking for the free space.
 */
#include <bsd/stdlib.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "common/os/lock.h"
#include "queue/store/segments_parts.h"

struct large_open {
	struct helper_job job;
	struct segments *s;
	uint64_t number;
	int fd, err;
	void (*done)(void *arg, int fd, int err);
	void *arg;
};

struct large_read {
	struct helper_job job;
	struct segments *s;
	uint64_t number, offset;
	struct buffer *out;
	int err;
	void (*done)(void *arg, int err);
	void *arg;
};

void large_name(uint64_t number, char name[24])
{
	snprintf(name, 24, "%016llu", (unsigned long long)number);
}

/* The new file takes the octets of an old one: blocks that are there already and pages in memory,
 * which costs a third of making them anew. Not while anybody has it open: who wrote it could spoil
 * what comes, and who is still sending it (of a message that was deleted) would send others' mail.
 */
static int take_old(struct large_made *m, int dirfd, const char *name)
{
	char old[LARGE_NAME_SIZE];
	large_old_name(m->old, old);
	int fd = disk_open_file(dirfd, old, O_WRONLY);
	int alone = fd < 0 ? 0 : lock_alone(fd);
	m->blind = alone < 0;
	if (alone == 1 && disk_rename_new(dirfd, old, dirfd, name) == 0)
		return fd;
	if (fd >= 0)
		disk_close(fd);
	if (disk_unlink(dirfd, old) < 0 && errno != ENOENT)
		log_warning("large/%s can't be removed: %s", old, strerror(errno));
	return -1;
}

static void make_one(struct large_made *m, int dirfd)
{
	char name[24];
	large_name(m->file->number, name);
	m->file->fd = m->old ? take_old(m, dirfd, name) : -1;
	if (m->file->fd < 0)
		m->file->fd = disk_create(dirfd, name, O_WRONLY, 0600);
	m->err = m->file->fd < 0 ? errno : 0;
}

/* One sync of the directory for all. */
static void make_run(struct helper_job *job)
{
	struct large_job *j = (struct large_job *)(void *)job;
	int dirfd = j->s->setup.large_dirfd;
	for (size_t i = 0; i < j->count; i++)
		make_one(&j->made[i], dirfd);
	int err = disk_fsync_dir(dirfd) < 0 ? errno : 0;
	for (size_t i = 0; i < j->count; i++)
		if (j->made[i].err == 0)
			j->made[i].err = err;
}

static void take_made(struct segments *s, const struct large_made *m)
{
	s->old_never |= m->blind;
	if (m->err == 0) {
		TAILQ_INSERT_TAIL(&s->large_spares, m->file, link);
		s->large_spare_count++;
		return;
	}
	log_error("large/%016llu: %s", (unsigned long long)m->file->number, strerror(m->err));
	if (m->file->fd >= 0)
		disk_close(m->file->fd);
	large_unlink(s, m->file->number, 0);
	memory_free(m->file);
	s->failed_until = loop_now() + SPOOL_LOOK_US;
}

static void make_done(struct helper_job *job)
{
	struct large_job *j = (struct large_job *)(void *)job;
	j->out = false;
	for (size_t i = 0; i < j->count; i++)
		take_made(j->s, &j->made[i]);
	segments_serve_soon(j->s);
}

/* Those who wait, and the spares. */
static size_t wanted(const struct segments *s)
{
	const struct large_request *r;
	size_t count = 0;
	TAILQ_FOREACH (r, &s->large_requests, link)
		if (++count == LARGE_MAKE_MAX)
			break;
	count += FILE_SPARES > s->large_spare_count ? FILE_SPARES - s->large_spare_count : 0;
	return count < LARGE_MAKE_MAX ? count : LARGE_MAKE_MAX;
}

static void make(struct segments *s)
{
	struct large_job *j = &s->large;
	if (j->out || s->closing || segments_pressure(s) || loop_now() < s->failed_until)
		return;
	size_t count = wanted(s);
	uint64_t number;
	*j = (struct large_job){.job = {.run = make_run, .done = make_done}, .s = s};
	while (j->count < count && (number = numbers_draw(&s->numbers))) {
		struct large *file = memory_zero(1, sizeof(*file));
		file->number = number;
		file->fd = -1;
		arc4random_buf(file->nonce, NONCE_SIZE);
		j->made[j->count++] = (struct large_made){.file = file, .old = old_take(s)};
	}
	j->out = j->count > 0;
	if (j->out)
		helper_submit_urgent(s->setup.helper, &j->job);
}

void large_serve(struct segments *s)
{
	struct large_request *r;
	while ((r = TAILQ_FIRST(&s->large_requests))) {
		struct large *f = segments_pressure(s) ? NULL : TAILQ_FIRST(&s->large_spares);
		if (!f && !segments_pressure(s) && loop_now() >= s->failed_until)
			break;
		TAILQ_REMOVE(&s->large_requests, r, link);
		if (f) {
			TAILQ_REMOVE(&s->large_spares, f, link);
			s->large_spare_count--;
			f->writer = r->writer;
			idmap_put(s->lent, f->number, f);
			int fd = f->fd;
			f->fd = -1;
			r->done(r->arg, f->number, f->nonce, fd);
		} else {
			r->done(r->arg, 0, NULL, -1);
		}
		memory_free(r);
	}
	make(s);
}

void segments_file(struct segments *s, uint32_t writer, large_done *done, void *arg)
{
	struct large_request *r = memory_zero(1, sizeof(*r));
	r->writer = writer;
	r->done = done;
	r->arg = arg;
	TAILQ_INSERT_TAIL(&s->large_requests, r, link);
	segments_serve_soon(s);
}

void segments_file_cancel(struct segments *s, void *arg)
{
	struct large_request *r, *next;
	TAILQ_FOREACH_SAFE (r, &s->large_requests, link, next) {
		if (r->arg != arg)
			continue;
		TAILQ_REMOVE(&s->large_requests, r, link);
		memory_free(r);
	}
}

void large_named(struct segments *s, uint64_t number)
{
	memory_free(idmap_remove(s->lent, number));
}

bool segments_file_abandoned(struct segments *s, uint32_t writer, uint64_t number)
{
	const struct large *f = number ? idmap_get(s->lent, number) : NULL;
	if (!f || f->writer != writer)
		return false;
	large_named(s, number);
	large_unlink(s, number, 0);
	return true;
}

void segments_files_lost(struct segments *s, uint32_t writer)
{
	size_t at = 0;
	uint64_t number;
	void *value;
	while (idmap_next(s->lent, &at, &number, &value)) {
		if (((struct large *)value)->writer != writer)
			continue;
		large_named(s, number);
		large_unlink(s, number, 0);
	}
	memory_free(idmap_remove(s->lenders, (uint64_t)writer + 1));
}

static void open_run(struct helper_job *job)
{
	struct large_open *o = (struct large_open *)(void *)job;
	char name[24];
	large_name(o->number, name);
	o->fd = disk_open_file(o->s->setup.large_dirfd, name, O_RDONLY);
	o->err = o->fd < 0 ? errno : 0;
}

static void open_done(struct helper_job *job)
{
	struct large_open *o = (struct large_open *)(void *)job;
	o->done(o->arg, o->fd, o->err);
	memory_free(o);
}

void segments_file_open(struct segments *s, uint64_t number,
			void (*done)(void *arg, int fd, int err), void *arg)
{
	struct large_open *o = memory_zero(1, sizeof(*o));
	*o = (struct large_open){.job = {.run = open_run, .done = open_done},
				 .s = s,
				 .number = number,
				 .fd = -1,
				 .done = done,
				 .arg = arg};
	helper_submit_urgent(s->setup.helper, &o->job);
}

static void read_run(struct helper_job *job)
{
	struct large_read *r = (struct large_read *)(void *)job;
	size_t room;
	char name[24], *to = buffer_reserve(r->out, r->out->limit, &room);
	ssize_t got = -1;
	int fd;
	large_name(r->number, name);
	fd = disk_open_file(r->s->setup.large_dirfd, name, O_RDONLY);
	if (fd >= 0)
		got = disk_pread(fd, to, room, r->offset);
	r->err = got < 0 ? errno : 0;
	if (got > 0)
		buffer_grew(r->out, (size_t)got);
	if (fd >= 0)
		disk_close(fd);
}

static void read_done(struct helper_job *job)
{
	struct large_read *r = (struct large_read *)(void *)job;
	r->done(r->arg, r->err);
	memory_free(r);
}

void segments_file_read(struct segments *s, uint64_t number, uint64_t offset, struct buffer *out,
			void (*done)(void *arg, int err), void *arg)
{
	struct large_read *r = memory_zero(1, sizeof(*r));
	*r = (struct large_read){.job = {.run = read_run, .done = read_done},
				 .s = s,
				 .number = number,
				 .offset = offset,
				 .out = out,
				 .done = done,
				 .arg = arg};
	helper_submit_urgent(s->setup.helper, &r->job);
}

static bool sum_call(void *arg, const char *name, unsigned char type)
{
	struct space_job *j = arg;
	struct stat st;
	(void)type;
	if (disk_stat_at(j->s->setup.large_dirfd, name, &st) == 0)
		j->large_octets += (uint64_t)st.st_blocks * 512;
	return ++j->large_count < LARGE_LOOK_MAX;
}

static void space_run(struct helper_job *job)
{
	struct space_job *j = (struct space_job *)(void *)job;
	j->err = disk_space(j->s->setup.segments_dirfd, &j->space) < 0 ? errno : 0;
	if (j->large && disk_list(j->s->setup.large_dirfd, sum_call, j) < 0)
		j->err = errno;
}

static void space_done(struct helper_job *job)
{
	struct space_job *j = (struct space_job *)(void *)job;
	struct segments *s = j->s;
	j->out = false;
	if (j->err) {
		log_warning("the spool's free space is not known: %s", strerror(j->err));
		return;
	}
	s->space_known = true;
	s->free_space = j->space;
	if (j->large) {
		s->large_octets = j->large_octets;
		s->large_count = j->large_count;
	}
}

void space_start(struct segments *s)
{
	if (s->space.out || s->closing)
		return;
	s->space = (struct space_job){.job = {.run = space_run, .done = space_done},
				      .s = s,
				      .out = true,
				      .large = s->large_count < LARGE_LOOK_FEW ||
					       s->looks % LARGE_LOOK == 0};
	s->looks++;
	s->space.out = helper_submit(s->setup.helper, &s->space.job);
}

void large_free_all(struct segments *s)
{
	struct large *f;
	char name[24];
	while ((f = TAILQ_FIRST(&s->large_spares))) {
		TAILQ_REMOVE(&s->large_spares, f, link);
		disk_close(f->fd);
		large_name(f->number, name);
		disk_unlink(s->setup.large_dirfd, name);
		memory_free(f);
	}
	old_free_all(s);
	struct large_request *r;
	while ((r = TAILQ_FIRST(&s->large_requests))) {
		TAILQ_REMOVE(&s->large_requests, r, link);
		memory_free(r);
	}
	size_t at = 0;
	uint64_t number;
	void *value;
	while (idmap_next(s->lent, &at, &number, &value))
		memory_free(value);
	idmap_free(&s->lent);
}
