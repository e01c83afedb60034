/*
 * ledger_chain: the files of the ledger come, go and come again. The helper prepares spares:
 * allocated, synced, their names durable. A file leaves the chain when a durable header of a later
 * one says that it is not needed any more; its slot is prepared again or, when there are many,
 * removed.
 */
#include <bsd/stdlib.h>
#include <errno.h>
#include <stdio.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "queue/store/ledger_parts.h"

static void head_line(struct ledger *l, enum line_kind kind)
{
	struct line line = {.kind = kind};
	if (kind == LINE_RESERVED)
		line.reserved = *index_reserved(l->ix);
	else if (kind == LINE_TIME)
		line.time = *index_time(l->ix);
	ledger_write(l, &line);
}

void ledger_write_head(struct ledger *l)
{
	head_line(l, LINE_RESERVED);
	head_line(l, LINE_TIME);
	uint32_t cursor = 0;
	struct segment_entry *e;
	while ((e = index_segment_next(l->ix, &cursor))) {
		struct line line = {.kind = LINE_SEGMENT, .segment = e->line};
		ledger_write(l, &line);
	}
}

bool ledger_rotate(struct ledger *l, bool snapshot)
{
	struct ledger_file *f = TAILQ_FIRST(&l->spares), *last = ledger_last(l);
	/* A snapshot hangs on what is durable, not on what has failed. */
	while (snapshot && last && last->synced_end == 0)
		last = TAILQ_PREV(last, ledger_files, link);
	char header[LEDGER_HEADER_SIZE];
	if (!f)
		return false;
	l->highest++;
	f->header = (struct ledger_header){.spool = l->spool,
					   .sequence = l->highest,
					   .oldest = last ? l->oldest : l->highest,
					   .previous = last ? last->header.sequence : 0,
					   .previous_end = last ? last->end : 0,
					   .previous_synced = last ? last->synced_end : 0,
					   .snapshot = snapshot,
					   .size = l->file_size};
	arc4random_buf(f->header.nonce, NONCE_SIZE);
	ledger_header_encode(&f->header, header);
	TAILQ_REMOVE(&l->spares, f, link);
	l->spare_count--;
	if (disk_pwrite(f->fd, header, sizeof(header), 0) < 0) {
		log_error("ledger/%08u: %s", f->slot, strerror(errno));
		ledger_slot_add(l, f->slot);
		disk_close(f->fd);
		memory_free(f);
		return false;
	}
	TAILQ_INSERT_TAIL(&l->chain, f, link);
	l->chain_count++;
	f->end = LEDGER_HEADER_SIZE;
	f->dirty = true;
	l->pending_at = LEDGER_HEADER_SIZE;
	l->pending_len = 0;
	l->look = true;
	if (snapshot)
		head_line(l, LINE_SNAPSHOT_BEGIN);
	ledger_write_head(l);
	ledger_spares_fill(l);
	return true;
}

void ledger_drop_old(struct ledger *l)
{
	struct ledger_file *f, *newest;
	if (l->held || l->reading || l->restate.out || l->sync.out)
		return;
	TAILQ_FOREACH_REVERSE(newest, &l->chain, ledger_files, link)
	if (newest->synced_end > 0)
		break;
	while (newest && (f = TAILQ_FIRST(&l->chain)) != newest &&
	       f->header.sequence < newest->header.oldest) {
		uint64_t octets;
		if (index_stated(l->ix, f->header.sequence, &octets) > 0)
			panic("ledger: file %u is still needed", f->header.sequence);
		index_file_gone(l->ix, f->header.sequence);
		TAILQ_REMOVE(&l->chain, f, link);
		l->chain_count--;
		ledger_slot_add(l, f->slot);
		disk_close(f->fd);
		memory_free(f);
	}
	ledger_spares_fill(l);
}

/* Also called in this thread, when a new spool is made. */
void ledger_spare_make(struct spare_job *s)
{
	int dirfd = s->l->setup.dirfd;
	char name[16];
	ledger_file_name(s->slot, name);
	s->err = 0;
	s->fd = -1;
	if (s->remove) {
		if (disk_unlink(dirfd, name) < 0 && errno != ENOENT)
			s->err = errno;
		return;
	}
	s->fd = disk_open(dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	bool good = s->fd >= 0 && disk_allocate(s->fd, s->l->file_size) == 0;
	bool synced = good && disk_fsync(s->fd) == 0;
	if (synced && disk_fsync_dir(dirfd) == 0)
		return;
	s->err = errno;
	if (s->fd >= 0)
		disk_close(s->fd);
	if (good && !synced) /* another sync of this file would prove nothing */
		(void)disk_unlink(dirfd, name);
}

static void spare_run(struct helper_job *job)
{
	ledger_spare_make((struct spare_job *)(void *)job);
}

static void retry(void *arg)
{
	ledger_spares_fill(arg);
}

static void spare_done(struct helper_job *job)
{
	struct spare_job *s = (struct spare_job *)(void *)job;
	struct ledger *l = s->l;
	s->out = false;
	if (s->err) {
		log_error("ledger/%08u: %s", s->slot, strerror(s->err));
		ledger_slot_add(l, s->slot);
		if (!l->closing)
			loop_timer_start(&l->retry_timer, LEDGER_RETRY_US, retry, l);
		return;
	}
	if (!s->remove) {
		struct ledger_file *f = memory_zero(1, sizeof(*f));
		f->slot = s->slot;
		f->fd = s->fd;
		TAILQ_INSERT_TAIL(&l->spares, f, link);
		l->spare_count++;
	}
	ledger_spares_fill(l);
}

/* For a snapshot all its files must be ready, so that it need not wait in its midst. */
static size_t spares_wanted(struct ledger *l)
{
	if (l->mode != LEDGER_WAITING)
		return LEDGER_SPARES;
	struct ledger_file *f;
	uint64_t sum = index_counts(l->ix)->messages * 128, octets;
	TAILQ_FOREACH (f, &l->chain, link)
		if (index_stated(l->ix, f->header.sequence, &octets) > 0)
			sum += octets;
	return LEDGER_SPARES + (size_t)(sum / l->file_size);
}

void ledger_spares_fill(struct ledger *l)
{
	size_t wanted = spares_wanted(l);
	if (l->spare_count >= wanted && l->mode == LEDGER_WAITING)
		ledger_snapshot_try(l);
	if (l->spare.out || l->closing)
		return;
	bool surplus = l->spare_count >= wanted;
	if (surplus && l->free_count <= LEDGER_FREE_KEPT)
		return;
	l->spare = (struct spare_job){
	    .job = {.run = spare_run, .done = spare_done}, .l = l, .out = true, .remove = surplus};
	l->spare.slot = l->free_count ? l->free_slots[--l->free_count] : l->next_slot++;
	helper_submit_urgent(l->setup.helper, &l->spare.job);
}
