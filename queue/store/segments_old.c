/*
 * segments_old: large files whose message has ended. When that is synced they are unlinked, or, so
 * many as soon may be needed, kept under another name: to write over octets that are there costs a
 * third of making them. Blocks stay allocated, pages in memory, and nothing is discarded. Only when
 * a message stays, its file gives back what it does not need.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "queue/store/segments_parts.h"

void large_old_name(uint64_t number, char name[LARGE_NAME_SIZE])
{
	snprintf(name, LARGE_NAME_SIZE, "%016llu" LARGE_OLD_SUFFIX, (unsigned long long)number);
}

/* One that has been there for long is not in memory any more: the last to come goes first. */
uint64_t old_take(struct segments *s)
{
	if (s->old_count == 0)
		return 0;
	struct old_file f = s->old[--s->old_count];
	s->old_octets -= f.octets;
	if (s->old_least > s->old_count)
		s->old_least = s->old_count;
	return f.number;
}

/* May it stay, to be used again? */
static bool keep(struct unlink_job *u, uint64_t number, const char *name)
{
	int dirfd = u->s->setup.large_dirfd;
	struct stat st;
	uint64_t octets;
	char old[LARGE_NAME_SIZE];
	if (u->kept_count >= u->kept_max || disk_stat_at(dirfd, name, &st) < 0 ||
	    !S_ISREG(st.st_mode))
		return false;
	octets = (uint64_t)st.st_blocks * 512;
	large_old_name(number, old);
	if (octets > OLD_FILE || octets > u->kept_octets ||
	    disk_rename_new(dirfd, name, dirfd, old) < 0)
		return false;
	u->kept_octets -= octets;
	u->kept[u->kept_count++] = (struct old_file){number, octets};
	return true;
}

static void unlink_run(struct helper_job *job)
{
	struct unlink_job *u = (struct unlink_job *)(void *)job;
	char name[LARGE_NAME_SIZE];
	for (size_t i = 0; i < u->count; i++) {
		if (u->wishes[i].old)
			large_old_name(u->wishes[i].number, name);
		else
			large_name(u->wishes[i].number, name);
		if (u->wishes[i].position > 0 && keep(u, u->wishes[i].number, name))
			continue;
		if (disk_unlink(u->s->setup.large_dirfd, name) == 0 || errno == ENOENT)
			continue;
		log_warning("large/%s can't be removed: %s", name, strerror(errno));
		u->wishes[u->failed++] = u->wishes[i];
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
		s->unlink_again[s->unlink_again_count++] = u->wishes[i];
	for (size_t i = 0; i < u->kept_count; i++) {
		s->old[s->old_count++] = u->kept[i];
		s->old_octets += u->kept[i].octets;
	}
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

static void wish(struct segments *s, struct unlink_wish w)
{
	if (s->wish_count == s->wish_size) {
		s->wish_size = s->wish_size ? s->wish_size * 2 : 64;
		s->wishes = memory_resize(s->wishes, s->wish_size, sizeof(*s->wishes));
	}
	s->wishes[s->wish_count++] = w;
	if (!s->unlink.out && !s->unlink_wait.waiting && !s->closing)
		ledger_when_synced(s->setup.ledger, &s->unlink_wait, w.position, false, ends_synced,
				   s);
}

/* More than are remembered go at the next start. */
void unlink_retry(struct segments *s)
{
	size_t count = s->unlink_again_count;
	s->unlink_again_count = 0;
	for (size_t i = 0; i < count; i++)
		wish(s, (struct unlink_wish){.number = s->unlink_again[i].number,
					     .old = s->unlink_again[i].old});
}

static uint64_t old_octets_max(const struct segments *s)
{
	uint64_t share = s->setup.spool_size / 16;
	return share > 0 && share < OLD_OCTETS ? share : OLD_OCTETS;
}

/* How much may be kept of what is removed now. */
static void old_room(const struct segments *s, struct unlink_job *u)
{
	uint64_t max = old_octets_max(s);
	if (s->old_never || segments_pressure(s) || s->old_octets >= max)
		return;
	u->kept_max = OLD_MAX - s->old_count;
	u->kept_octets = max - s->old_octets;
}

/* All while space is short; else each few seconds what was not needed since. */
void old_give_back(struct segments *s)
{
	bool all = segments_pressure(s);
	size_t count = all ? s->old_count : s->old_least;
	if (!all && s->looks % LARGE_LOOK != 0)
		return;
	for (size_t i = 0; i < count; i++) {
		s->old_octets -= s->old[i].octets;
		wish(s, (struct unlink_wish){.number = s->old[i].number, .old = true});
	}
	memmove(s->old, s->old + count, (s->old_count - count) * sizeof(s->old[0]));
	s->old_count -= count;
	s->old_least = s->old_count;
}

void unlink_start(struct segments *s)
{
	struct unlink_job *u = &s->unlink;
	if (u->out || s->closing)
		return;
	*u = (struct unlink_job){.job = {.run = unlink_run, .done = unlink_done}, .s = s};
	old_room(s, u);
	size_t kept = 0;
	uint64_t latest = 0;
	for (size_t i = 0; i < s->wish_count; i++) {
		struct unlink_wish w = s->wishes[i];
		if (u->count < UNLINKS_MAX && w.position <= ledger_synced(s->setup.ledger)) {
			u->wishes[u->count++] = w;
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
	wish(s, (struct unlink_wish){.number = number, .position = position});
}

/* Up to the next block: what holds octets of the message is not written again. */
static int trim(int fd, const struct stored_file *f)
{
	uint8_t head[LARGE_HEAD_SIZE];
	uint64_t whole = batch_align(f->length);
	struct stat st;
	if (disk_stat(fd, &st) < 0)
		return -1;
	if (f->length < LARGE_HEAD_SIZE || whole < f->length || (uint64_t)st.st_size <= whole)
		return 0;
	ssize_t n = disk_pread(fd, head, sizeof(head), 0);
	if (n < 0)
		return -1;
	/* a record that lies may name another's file */
	if (n < (ssize_t)sizeof(head) || large_head_version(head, f->number, f->nonce) == 0)
		return 0;
	return disk_truncate(fd, whole);
}

void large_trim(const struct segments *s, uint64_t number, struct slice record)
{
	struct stored_file f;
	char name[LARGE_NAME_SIZE];
	if (number == 0 || !record_read_file(record, &f) || f.number != number)
		return;
	large_name(number, name);
	int fd = disk_open_file(s->setup.large_dirfd, name, O_RDWR);
	if (fd < 0 ? errno != ENOENT : trim(fd, &f) < 0) /* it may have ended */
		log_warning("large/%s can't be trimmed: %s", name, strerror(errno));
	if (fd >= 0)
		disk_close(fd);
}

void old_free_all(struct segments *s)
{
	char name[LARGE_NAME_SIZE];
	while (s->old_count > 0) {
		large_old_name(s->old[--s->old_count].number, name);
		disk_unlink(s->setup.large_dirfd, name);
	}
}
