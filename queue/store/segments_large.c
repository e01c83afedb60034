/*
 * segments_large: large files: made in advance, lent, unlinked when the end of their message is
 * synced; and what the helper does besides: removing, and asking for the free space.
 */
#include <bsd/stdlib.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
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

static void make_run(struct helper_job *job)
{
	struct large_job *j = (struct large_job *)(void *)job;
	int dirfd = j->s->setup.large_dirfd;
	char name[24];
	large_name(j->file->number, name);
	j->err = 0;
	j->file->fd = disk_create(dirfd, name, O_WRONLY, 0600);
	if (j->file->fd < 0 || disk_fsync_dir(dirfd) < 0)
		j->err = errno;
}

static void make_done(struct helper_job *job)
{
	struct large_job *j = (struct large_job *)(void *)job;
	struct segments *s = j->s;
	j->out = false;
	if (j->err) {
		log_error("large/%016llu: %s", (unsigned long long)j->file->number,
			  strerror(j->err));
		if (j->file->fd >= 0)
			disk_close(j->file->fd);
		large_unlink(s, j->file->number, 0);
		memory_free(j->file);
		s->failed_until = loop_now() + SPOOL_LOOK_US;
	} else {
		TAILQ_INSERT_TAIL(&s->large_spares, j->file, link);
		s->large_spare_count++;
	}
	segments_serve_soon(s);
}

static void make(struct segments *s)
{
	if (s->large.out || s->closing || s->large_spare_count >= FILE_SPARES ||
	    segments_pressure(s) || loop_now() < s->failed_until)
		return;
	uint64_t number = numbers_draw(&s->numbers);
	if (!number)
		return;
	struct large *file = memory_zero(1, sizeof(*file));
	file->number = number;
	file->fd = -1;
	arc4random_buf(file->nonce, NONCE_SIZE);
	s->large = (struct large_job){
	    .job = {.run = make_run, .done = make_done}, .s = s, .out = true, .file = file};
	helper_submit_urgent(s->setup.helper, &s->large.job);
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

/* More than are remembered go at the next start. */
void unlink_retry(struct segments *s)
{
	size_t count = s->unlink_again_count;
	s->unlink_again_count = 0;
	for (size_t i = 0; i < count; i++)
		large_unlink(s, s->unlink_again[i], 0);
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

static void unlink_run(struct helper_job *job)
{
	struct unlink_job *u = (struct unlink_job *)(void *)job;
	char name[24];
	for (size_t i = 0; i < u->count; i++) {
		large_name(u->numbers[i], name);
		if (disk_unlink(u->s->setup.large_dirfd, name) == 0 || errno == ENOENT)
			continue;
		log_warning("large/%s can't be removed: %s", name, strerror(errno));
		u->numbers[u->failed++] = u->numbers[i];
	}
	if (u->segment) {
		segment_name(u->segment, name);
		if (disk_unlink(u->s->setup.segments_dirfd, name) < 0)
			log_warning("segments/%s can't be removed: %s", name, strerror(errno));
	}
}

static void unlink_done(struct helper_job *job)
{
	struct unlink_job *u = (struct unlink_job *)(void *)job;
	struct segments *s = u->s;
	u->out = false;
	for (size_t i = 0; i < u->failed && s->unlink_again_count < UNLINKS_MAX; i++)
		s->unlink_again[s->unlink_again_count++] = u->numbers[i];
	if (u->segment) {
		memory_free(s->files[u->segment]);
		s->files[u->segment] = NULL;
		s->file_count--;
	}
	unlink_start(s);
}

static void ends_synced(void *arg)
{
	unlink_start(arg);
}

void unlink_start(struct segments *s)
{
	struct unlink_job *u = &s->unlink;
	if (u->out || s->closing)
		return;
	*u = (struct unlink_job){.job = {.run = unlink_run, .done = unlink_done}, .s = s};
	size_t kept = 0;
	uint64_t latest = 0;
	for (size_t i = 0; i < s->wish_count; i++) {
		struct unlink_wish w = s->wishes[i];
		if (u->count < UNLINKS_MAX && w.position <= ledger_synced(s->setup.ledger)) {
			u->numbers[u->count++] = w.number;
			continue;
		}
		s->wishes[kept++] = w;
		latest = w.position > latest ? w.position : latest;
	}
	s->wish_count = kept;
	if (s->retired_count > 0)
		u->segment = s->retired[--s->retired_count];
	if (u->count > 0 || u->segment) {
		u->out = true;
		helper_submit_urgent(s->setup.helper, &u->job);
	} else if (kept > 0 && !s->unlink_wait.waiting) {
		ledger_when_synced(s->setup.ledger, &s->unlink_wait, latest, false, ends_synced, s);
	}
}

void large_unlink(struct segments *s, uint64_t number, uint64_t position)
{
	if (s->wish_count == s->wish_size) {
		s->wish_size = s->wish_size ? s->wish_size * 2 : 64;
		s->wishes = memory_resize(s->wishes, s->wish_size, sizeof(*s->wishes));
	}
	s->wishes[s->wish_count++] = (struct unlink_wish){number, position};
	if (!s->unlink.out && !s->unlink_wait.waiting && !s->closing)
		ledger_when_synced(s->setup.ledger, &s->unlink_wait, position, false, ends_synced,
				   s);
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
