/*
 * segments: the pool of segment files. Spares are prepared by the helper before anyone asks; a
 * lease leaves when its line is synced; a segment is free again when all its records have ended in
 * synced lines and no job on it is out.
 */
#include "queue/store/segments.h"

#include <bsd/stdlib.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "common/os/lock.h"
#include "queue/store/segments_parts.h"

void segment_name(uint32_t number, char name[16])
{
	snprintf(name, 16, "%08u", number);
}

struct pool_file *pool_file(const struct segments *s, uint32_t number)
{
	return number < s->file_size ? s->files[number] : NULL;
}

struct pool_file *pool_add(struct segments *s, uint32_t number, enum pool_state state)
{
	if (number >= s->file_size) {
		uint32_t size = number + 64;
		s->files = memory_resize(s->files, size, sizeof(*s->files));
		memset(s->files + s->file_size, 0, (size - s->file_size) * sizeof(*s->files));
		s->file_size = size;
	}
	struct pool_file *f = memory_zero(1, sizeof(*f));
	*f = (struct pool_file){.number = number, .state = state, .write_fd = -1, .read_fd = -1};
	s->files[number] = f;
	s->file_count++;
	s->raw_count += state == POOL_RAW;
	return f;
}

static bool list_call(void *arg, const char *name, unsigned char type)
{
	struct segments *s = arg;
	uint64_t number;
	(void)type;
	if (strlen(name) == 8 && slice_number(slice_str(name), SEGMENT_NUMBER_MAX, &number) &&
	    number > 0)
		pool_add(s, (uint32_t)number,
			 index_segment(s->ix, (uint32_t)number) ? POOL_USED : POOL_RAW);
	return true;
}

static void look_for_missing(struct segments *s)
{
	uint32_t cursor = 0;
	struct segment_entry *e;
	while ((e = index_segment_next(s->ix, &cursor))) {
		if (pool_file(s, e->line.segment))
			continue;
		log_error("segments/%08u is missing; %u messages lie there", e->line.segment,
			  e->live);
		pool_add(s, e->line.segment, POOL_USED);
	}
}

/* New numbers, space or files: whoever waits may be served now. */
static void serve(void *arg);

void segments_serve_soon(struct segments *s)
{
	if (!s->closing && !loop_timer_active(&s->serve_timer))
		loop_timer_start(&s->serve_timer, 0, serve, s);
}

static void more_numbers(void *arg)
{
	segments_serve_soon(arg);
}

static void give_back(struct segments *s);

static void space_due(void *arg)
{
	struct segments *s = arg;
	if (s->looks % LARGE_LOOK == 0)
		unlink_retry(s);
	space_start(s);
	give_back(s);
	old_give_back(s);
	segments_serve_soon(s);
	loop_timer_start(&s->space_timer, SPOOL_LOOK_US, space_due, s);
}

struct segments *segments_open(const struct segments_setup *setup, struct error *error)
{
	struct segments *s = memory_zero(1, sizeof(*s));
	s->setup = *setup;
	s->ix = ledger_index(setup->ledger);
	digest_init(&s->hash);
	s->leases = idmap_new();
	s->lenders = idmap_new();
	s->lent = idmap_new();
	TAILQ_INIT(&s->readers);
	TAILQ_INIT(&s->requests);
	TAILQ_INIT(&s->granted);
	TAILQ_INIT(&s->large_requests);
	TAILQ_INIT(&s->large_spares);
	if (disk_list(setup->segments_dirfd, list_call, s) < 0) {
		error_set(error, errno, "segments: %s", strerror(errno));
		segments_close(&s);
		return NULL;
	}
	look_for_missing(s);
	numbers_start(&s->numbers, setup->ledger, more_numbers, s);
	uint32_t cursor = 0;
	struct segment_entry *e;
	while ((e = index_segment_next(s->ix, &cursor)))
		segments_consider(s, e->line.segment);
	loop_timer_start(&s->space_timer, 0, space_due, s);
	return s;
}

static void free_request(struct segments *s, struct lease_request *r)
{
	ledger_wait_cancel(s->setup.ledger, &r->wait);
	memory_free(r);
}

static void free_maps(struct segments *s)
{
	size_t at = 0;
	uint64_t id;
	void *value;
	while (idmap_next(s->lenders, &at, &id, &value))
		memory_free(value);
	idmap_free(&s->lenders);
	idmap_free(&s->leases);
}

void segments_close(struct segments **sp)
{
	struct segments *s = *sp;
	if (!s)
		return;
	s->closing = true;
	helper_drain(s->setup.helper);
	loop_timer_stop(&s->serve_timer);
	loop_timer_stop(&s->space_timer);
	if (s->numbers.ledger)
		numbers_stop(&s->numbers);
	ledger_wait_cancel(s->setup.ledger, &s->free_wait);
	ledger_wait_cancel(s->setup.ledger, &s->unlink_wait);
	struct lease_request *r;
	while ((r = TAILQ_FIRST(&s->requests))) {
		TAILQ_REMOVE(&s->requests, r, link);
		free_request(s, r);
	}
	while ((r = TAILQ_FIRST(&s->granted))) {
		TAILQ_REMOVE(&s->granted, r, link);
		free_request(s, r);
	}
	large_free_all(s);
	for (uint32_t i = 0; i < s->file_size; i++) {
		if (!s->files[i])
			continue;
		if (s->files[i]->write_fd >= 0)
			disk_close(s->files[i]->write_fd);
		if (s->files[i]->read_fd >= 0)
			disk_close(s->files[i]->read_fd);
		memory_free(s->files[i]);
	}
	memory_free(s->files);
	memory_free(s->wishes);
	memory_free(s->retired);
	free_maps(s);
	digest_free(&s->hash);
	memory_free(s);
	*sp = NULL;
}

uint64_t segments_octets(const struct segments *s)
{
	return (uint64_t)s->file_count * s->setup.segment_size;
}

static uint64_t used(const struct segments *s)
{
	return segments_octets(s) + ledger_octets(s->setup.ledger) + s->large_octets;
}

/* May one more file be made? */
static bool may_grow(const struct segments *s)
{
	if (loop_now() < s->failed_until)
		return false;
	if (s->setup.spool_size && used(s) + s->setup.segment_size > s->setup.spool_size)
		return false;
	return !s->space_known ||
	       s->free_space.free_bytes >= s->setup.spool_free + s->setup.segment_size;
}

bool segments_pressure(const struct segments *s)
{
	if (!ledger_safe(s->setup.ledger) ||
	    (s->space_known && s->free_space.free_bytes < s->setup.spool_free) ||
	    (s->setup.spool_size && used(s) > s->setup.spool_size))
		return true;
	return s->ready_count + s->raw_count <= SEGMENT_RESERVE && !may_grow(s);
}

static void prepare_run(struct helper_job *job)
{
	struct prepare_job *p = (struct prepare_job *)(void *)job;
	int dirfd = p->s->setup.segments_dirfd;
	uint32_t size = p->s->setup.segment_size;
	struct stat st;
	char name[16];
	segment_name(p->number, name);
	p->err = 0;
	p->read_fd = -1;
	p->write_fd = p->fresh ? disk_create(dirfd, name, O_WRONLY, 0600)
			       : disk_open_file(dirfd, name, O_WRONLY);
	bool good = p->write_fd >= 0 && disk_allocate(p->write_fd, size) == 0;
	if (good && disk_fsync(p->write_fd) < 0) {
		good = false;
		p->fresh = true; /* another sync of this file would prove nothing: it goes */
	}
	if (good && disk_fsync_dir(dirfd) == 0) {
		p->read_fd = disk_open_file(dirfd, name, O_RDONLY);
		if (p->read_fd >= 0)
			return;
	}
	p->err = errno;
	p->irregular =
	    p->err == EBADMSG && disk_stat_at(dirfd, name, &st) == 0 && !S_ISREG(st.st_mode);
	if (p->write_fd >= 0)
		disk_close(p->write_fd);
	if (p->fresh)
		disk_unlink(dirfd, name);
}

/* Not the disk's trouble, but of just this file, which will not pass by itself. */
static bool is_strange(int err)
{
	return err == EBADMSG || err == EACCES || err == EPERM || err == ENOENT;
}

/* ext4 and XFS say EBADMSG of a wrong checksum of their own. */
static const char *trouble_text(const struct prepare_job *p)
{
	if (p->irregular)
		return "is no regular file";
	return p->err == EBADMSG ? "the file system finds a wrong checksum" : strerror(p->err);
}

static void prepare_done(struct helper_job *job)
{
	struct prepare_job *p = (struct prepare_job *)(void *)job;
	struct segments *s = p->s;
	struct pool_file *f = pool_file(s, p->number);
	p->out = false;
	if (p->err) {
		bool strange = !p->fresh && is_strange(p->err);
		log_error("segments/%08u: %s%s", p->number, trouble_text(p),
			  strange ? "; it is not used" : "");
		if (!strange)
			s->failed_until = loop_now() + SPOOL_LOOK_US;
		if (strange) {
			f->state = POOL_STRANGE;
			s->raw_count--;
		} else if (p->fresh) {
			s->files[p->number] = NULL;
			s->file_count--;
			s->raw_count--;
			memory_free(f);
		}
		segments_serve_soon(s);
		return;
	}
	f->state = POOL_READY;
	f->write_fd = p->write_fd;
	pool_reader_add(s, f, p->read_fd);
	s->raw_count--;
	s->ready_count++;
	segments_serve_soon(s);
}

static uint32_t raw_number(const struct segments *s)
{
	for (uint32_t i = 1; i < s->file_size && s->raw_count > 0; i++)
		if (s->files[i] && s->files[i]->state == POOL_RAW)
			return i;
	return 0;
}

/* Makes the next spare, as long as there are too few. wanted: by someone who may use the reserve.
 */
static void prepare(struct segments *s)
{
	if (s->prepare.out || s->closing || s->ready_count >= SEGMENT_SPARES + SEGMENT_RESERVE ||
	    loop_now() < s->failed_until)
		return;
	uint32_t number = raw_number(s);
	bool fresh = !number;
	if (fresh) {
		if (!may_grow(s))
			return;
		for (number = 1; pool_file(s, number); number++)
			;
		if (number > SEGMENT_NUMBER_MAX)
			return;
		pool_add(s, number, POOL_RAW);
	}
	s->prepare = (struct prepare_job){.job = {.run = prepare_run, .done = prepare_done},
					  .s = s,
					  .out = true,
					  .number = number,
					  .fresh = fresh};
	helper_submit_urgent(s->setup.helper, &s->prepare.job);
}

/* Where space is short, free files beyond the spares go: large files may need it. */
static void give_back(struct segments *s)
{
	bool short_of_it = segments_pressure(s) && ledger_safe(s->setup.ledger);
	uint32_t number;
	while (short_of_it && !s->prepare.out &&
	       s->raw_count + s->ready_count > SEGMENT_SPARES + SEGMENT_RESERVE &&
	       (number = raw_number(s))) {
		s->raw_count--;
		pool_retire(s, pool_file(s, number));
	}
}

static struct lender *lender_of(struct segments *s, uint32_t writer)
{
	struct lender *l = idmap_get(s->lenders, (uint64_t)writer + 1);
	if (!l) {
		l = memory_zero(1, sizeof(*l));
		idmap_put(s->lenders, (uint64_t)writer + 1, l);
	}
	return l;
}

static void remember_incarnation(struct lender *l, uint32_t incarnation)
{
	for (unsigned i = 0; i < INCARNATIONS_KEPT && i < l->count; i++)
		if (l->incarnations[i] == incarnation)
			return;
	l->incarnations[l->count++ % INCARNATIONS_KEPT] = incarnation;
}

static void lease_synced(void *arg)
{
	struct lease_request *r = arg;
	struct segments *s = r->s;
	struct pool_file *f = r->file;
	TAILQ_REMOVE(&s->granted, r, link);
	int fd = f->write_fd;
	f->write_fd = -1;
	if (r->cancelled) {
		disk_close(fd);
		segments_seal(s, index_segment(s->ix, f->number), 0, 0, false);
	} else {
		if (!r->own)
			remember_incarnation(lender_of(s, r->writer), r->lease.incarnation);
		f->writer = r->writer;
		f->seen_end = f->read_end = 0;
		if (s->ahead.file == f)
			s->ahead.file = NULL;
		idmap_put(s->leases, r->lease.number, f);
		r->done(r->arg, &r->lease, fd);
	}
	memory_free(r);
}

static struct pool_file *take_ready(struct segments *s)
{
	for (uint32_t i = 1; i < s->file_size; i++)
		if (s->files[i] && s->files[i]->state == POOL_READY)
			return s->files[i];
	return NULL;
}

/* True: the request has a file, and its line is written. */
static bool grant(struct segments *s, struct lease_request *r)
{
	if (s->ready_count <= (r->own ? 0 : SEGMENT_RESERVE))
		return false;
	struct pool_file *f = take_ready(s);
	if (!r->own && !*r->incarnation)
		*r->incarnation = numbers_draw_incarnation(&s->numbers);
	if (!r->own && !*r->incarnation)
		return false;
	uint64_t number = numbers_draw(&s->numbers);
	if (!number)
		return false;
	s->ready_count--;
	/* Who still holds it could write below the next owner: the file goes, another comes. */
	if (lock_take(f->write_fd, true) < 0) {
		log_error("segments/%08u can't be locked: %s; it is removed", f->number,
			  strerror(errno));
		disk_close(f->write_fd);
		f->write_fd = -1;
		pool_retire(s, f);
		return false;
	}
	f->state = POOL_USED;
	r->file = f;
	r->lease = (struct writer_lease){
	    .number = number,
	    .segment = f->number,
	    .size = s->setup.segment_size,
	    .spool = (uint32_t)(ledger_spool_id(s->setup.ledger) % (1 << QUEUE_ID_SPOOL_BITS)),
	    .incarnation = r->own ? 0 : *r->incarnation};
	arc4random_buf(r->lease.nonce, NONCE_SIZE);
	struct line line = {
	    .kind = LINE_LEASED,
	    .segment = {.segment = f->number, .lease = number, .writer = r->writer, .own = r->own}};
	memcpy(line.segment.nonce, r->lease.nonce, NONCE_SIZE);
	ledger_write(s->setup.ledger, &line);
	TAILQ_REMOVE(&s->requests, r, link);
	TAILQ_INSERT_TAIL(&s->granted, r, link);
	ledger_when_synced(s->setup.ledger, &r->wait, ledger_position(s->setup.ledger), true,
			   lease_synced, r);
	return true;
}

static void serve(void *arg)
{
	struct segments *s = arg;
	struct lease_request *r, *next;
	prepare(s);
	TAILQ_FOREACH_SAFE (r, &s->requests, link, next) {
		if (ledger_safe(s->setup.ledger) && (r->own || !segments_pressure(s)) &&
		    grant(s, r))
			continue;
		/* Something is under way that may help: go on waiting. */
		if (!segments_pressure(s) || (ledger_safe(s->setup.ledger) && s->prepare.out))
			continue;
		TAILQ_REMOVE(&s->requests, r, link);
		r->done(r->arg, NULL, -1);
		memory_free(r);
	}
	prepare(s);
	large_serve(s);
}

void segments_lease(struct segments *s, uint32_t writer, bool own, uint32_t *incarnation,
		    segments_leased *done, void *arg)
{
	struct lease_request *r = memory_zero(1, sizeof(*r));
	r->s = s;
	r->writer = writer;
	r->own = own;
	r->incarnation = incarnation;
	r->done = done;
	r->arg = arg;
	TAILQ_INSERT_TAIL(&s->requests, r, link);
	segments_serve_soon(s);
}

void segments_lease_cancel(struct segments *s, void *arg)
{
	struct lease_request *r, *next;
	TAILQ_FOREACH_SAFE (r, &s->requests, link, next) {
		if (r->arg != arg)
			continue;
		TAILQ_REMOVE(&s->requests, r, link);
		memory_free(r);
	}
	TAILQ_FOREACH (r, &s->granted, link)
		if (r->arg == arg)
			r->cancelled = true;
}
