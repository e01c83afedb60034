/*
 * spool: opens what is below the spool's directory in the right order, keeps queue time, and hands
 * on to its parts; see spool_change.c for what the manager decides.
 */
#include "queue/store/spool.h"

#include <bsd/stdlib.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/lock.h"
#include "queue/store/ledger_parts.h"
#include "queue/store/recover.h"
#include "queue/store/segments_parts.h"
#include "queue/store/spool_parts.h"

enum {
	LOCK_POLL_MS = 20,
	SPOOL_TICK_US = 10 * 1000 * 1000, /* how often sparse segments are looked for */
	TIME_TICKS = 6,			  /* a TIME line every so many ticks */
};

#define QUEUE_TIME_FIRST CLOCK_SECOND		/* of a new spool: 0 means "none" elsewhere */
#define QUEUE_DAY	 (86400 * CLOCK_SECOND) /* most that a reboot counts */

struct spool {
	struct spool_setup setup;
	int segments_dirfd, large_dirfd, ledger_dirfd, corrupt_dirfd, lock;
	struct ledger *ledger;
	struct index *ix;
	struct segments *segments;
	struct recover *recover;
	struct move *move;
	struct lookout *scanned, *looked;
	uint32_t incarnations; /* those below are of earlier starts */
	struct verify *verify;
	verify_done *verify_done;
	void *verify_arg;
	uint64_t queue_base, boot_base;
	struct loop_timer tick_timer;
	unsigned ticks;
};

static bool make_directory(struct spool *sp, const char *name, int *fd, struct error *error)
{
	if (disk_mkdir(sp->setup.dirfd, name, 0700) < 0 && errno != EEXIST)
		return error_set(error, errno, "spool: %s can't be made: %s", name,
				 strerror(errno));
	*fd = disk_open(sp->setup.dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (*fd < 0)
		return error_set(error, errno, "spool: %s: %s", name, strerror(errno));
	return true;
}

static bool make_layout(struct spool *sp, struct error *error)
{
	if (!make_directory(sp, "ledger", &sp->ledger_dirfd, error) ||
	    !make_directory(sp, "segments", &sp->segments_dirfd, error) ||
	    !make_directory(sp, "large", &sp->large_dirfd, error) ||
	    !make_directory(sp, "corrupt", &sp->corrupt_dirfd, error))
		return false;
	if (disk_fsync_dir(sp->setup.dirfd) < 0)
		return error_set(error, errno, "spool: sync: %s", strerror(errno));
	return true;
}

/* An old manager may be dying still. */
static bool take_lock(struct spool *sp, struct error *error)
{
	pid_t holder;
	uint64_t until = clock_boot_us() + sp->setup.lock_wait_us;
	while (!lock_file_take(sp->setup.dirfd, "queue.lock", &sp->lock, &holder, error)) {
		if (error->code != EAGAIN)
			return false;
		if (clock_boot_us() >= until)
			return error_set(error, EAGAIN,
					 "another queue manager, process %d, has this spool",
					 (int)holder);
		poll(NULL, 0, LOCK_POLL_MS);
	}
	return true;
}

static bool not_empty(void *arg, const char *name, unsigned char type)
{
	(void)name;
	(void)type;
	*(bool *)arg = true;
	return false;
}

static void ended(void *arg, struct entry *e)
{
	struct spool *sp = arg;
	if (e->file)
		large_unlink(sp->segments, e->file, ledger_position(sp->ledger));
	if (sp->setup.ended && !(sp->segments && segments_refusing(sp->segments)))
		sp->setup.ended(sp->setup.arg, e);
}

static void changed(void *arg, bool safe)
{
	struct spool *sp = arg;
	if (sp->segments)
		segments_serve_soon(sp->segments);
	if (sp->setup.safe)
		sp->setup.safe(sp->setup.arg, safe);
}

static bool open_ledger(struct spool *sp, struct error *error)
{
	struct ledger_setup setup = {.dirfd = sp->ledger_dirfd,
				     .file_size = sp->setup.ledger_size,
				     .helper = sp->setup.helper,
				     .extra = sp->setup.extra,
				     .calls = {.ended = ended, .arg = sp},
				     .changed = changed};
	bool mail = false;
	arc4random_buf(&setup.spool, sizeof(setup.spool));
	if (disk_list(sp->segments_dirfd, not_empty, &mail) < 0 ||
	    disk_list(sp->large_dirfd, not_empty, &mail) < 0)
		return error_set(error, errno, "spool: %s", strerror(errno));
	sp->ledger = ledger_open(&setup, !mail, error);
	if (!sp->ledger)
		return false;
	sp->ix = ledger_index(sp->ledger);
	return true;
}

uint64_t spool_now(const struct spool *sp)
{
	uint64_t now = loop_now();
	return sp->queue_base + (now > sp->boot_base ? now - sp->boot_base : 0);
}

static void write_time(struct spool *sp)
{
	struct line line = {.kind = LINE_TIME};
	line.time.queue = spool_now(sp);
	line.time.boot = loop_now();
	line.time.wall = clock_wall_us();
	slice_copy(slice_str(sp->setup.boot_id), line.time.boot_id, BOOT_ID_SIZE);
	ledger_write(sp->ledger, &line);
}

uint64_t spool_time_after(const struct line_time *last, const char *boot_id, uint64_t boot,
			  uint64_t wall)
{
	if (last->queue == 0)
		return QUEUE_TIME_FIRST;
	if (slice_equal(slice_str(last->boot_id), slice_str(boot_id)))
		return last->queue + (boot > last->boot ? boot - last->boot : 0);
	uint64_t away = wall > last->wall ? wall - last->wall : 0;
	return last->queue + (away < QUEUE_DAY ? away : QUEUE_DAY);
}

static void tick(void *arg)
{
	struct spool *sp = arg;
	if (++sp->ticks % TIME_TICKS == 0)
		write_time(sp);
	move_look(sp->move);
	loop_timer_start(&sp->tick_timer, SPOOL_TICK_US, tick, sp);
}

static void recovered(void *arg, struct entry *e)
{
	struct spool *sp = arg;
	sp->setup.arrived(sp->setup.arg, e);
}

static uint64_t recover_now(void *arg)
{
	return spool_now(arg);
}

static bool open_segments(struct spool *sp, struct error *error)
{
	uint64_t first_number = index_reserved(sp->ix)->numbers;
	sp->incarnations = index_reserved(sp->ix)->incarnations;
	sp->scanned = lookout_open(sp->setup.dirfd, "looking.scan");
	sp->looked = lookout_open(sp->setup.dirfd, "looking.read");
	struct segments_setup setup = {.segments_dirfd = sp->segments_dirfd,
				       .large_dirfd = sp->large_dirfd,
				       .segment_size = sp->setup.segment_size,
				       .spool_size = sp->setup.spool_size,
				       .spool_free = sp->setup.spool_free,
				       .ledger = sp->ledger,
				       .helper = sp->setup.helper};
	sp->segments = segments_open(&setup, error);
	if (!sp->segments)
		return false;
	sp->move = move_open(sp->ledger, sp->segments, sp->setup.helper);
	struct recover_setup recover = {.segments_dirfd = sp->segments_dirfd,
					.large_dirfd = sp->large_dirfd,
					.corrupt_dirfd = sp->corrupt_dirfd,
					.segment_size = sp->setup.segment_size,
					.first_number = first_number,
					.ledger = sp->ledger,
					.segments = sp->segments,
					.helper = sp->setup.helper,
					.lookout = sp->scanned,
					.now = recover_now,
					.arrived = recovered,
					.arg = sp};
	sp->recover = recover_open(&recover);
	return true;
}

struct spool *spool_open(const struct spool_setup *setup, struct error *error)
{
	struct spool *sp = memory_zero(1, sizeof(*sp));
	sp->setup = *setup;
	sp->segments_dirfd = sp->large_dirfd = sp->ledger_dirfd = sp->corrupt_dirfd = sp->lock = -1;
	if (!sp->setup.lock_wait_us)
		sp->setup.lock_wait_us = SPOOL_LOCK_WAIT_US;
	spool_sizes(&sp->setup.segment_size, &sp->setup.ledger_size);
	if (!sp->setup.segment_size)
		sp->setup.segment_size = SEGMENT_SIZE;
	if (!make_layout(sp, error) || !take_lock(sp, error) || !open_ledger(sp, error)) {
		spool_close(&sp);
		return NULL;
	}
	sp->boot_base = loop_now();
	sp->queue_base =
	    spool_time_after(index_time(sp->ix), setup->boot_id, sp->boot_base, clock_wall_us());
	write_time(sp);
	if (!open_segments(sp, error)) {
		spool_close(&sp);
		return NULL;
	}
	ledger_sync_wait(sp->ledger);
	loop_timer_start(&sp->tick_timer, SPOOL_TICK_US, tick, sp);
	return sp;
}

void spool_limit(struct spool *sp, uint64_t spool_size, uint64_t spool_free)
{
	sp->segments->setup.spool_size = spool_size;
	sp->segments->setup.spool_free = spool_free;
}

void spool_close(struct spool **spp)
{
	struct spool *sp = *spp;
	if (!sp)
		return;
	loop_timer_stop(&sp->tick_timer);
	verify_free(&sp->verify);
	recover_free(&sp->recover);
	lookout_close(&sp->scanned);
	lookout_close(&sp->looked);
	move_close(&sp->move);
	segments_close(&sp->segments);
	if (sp->ledger)
		write_time(sp);
	ledger_close(&sp->ledger);
	const int fds[] = {sp->segments_dirfd, sp->large_dirfd, sp->ledger_dirfd, sp->corrupt_dirfd,
			   sp->lock};
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			disk_close(fds[i]);
	memory_free(sp);
	*spp = NULL;
}

uint32_t spool_number(const struct spool *sp)
{
	return (uint32_t)(ledger_spool_id(sp->ledger) % (1 << QUEUE_ID_SPOOL_BITS));
}

struct entry *spool_get(struct spool *sp, uint64_t id)
{
	return index_get(sp->ix, id);
}

bool spool_walk(struct spool *sp, size_t *cursor, void (*call)(void *arg, struct entry *e),
		void *arg)
{
	return index_walk(sp->ix, cursor, SPOOL_STEP, call, arg);
}

const struct index_counts *spool_counts(const struct spool *sp)
{
	return index_counts(sp->ix);
}

void spool_status(const struct spool *sp, struct spool_status *status)
{
	*status = (struct spool_status){.ledger_octets = ledger_octets(sp->ledger),
					.segment_octets = segments_octets(sp->segments),
					.free_octets = sp->segments->free_space.free_bytes,
					.ledger_files = ledger_chain(sp->ledger),
					.segments = sp->segments->file_count,
					.segments_free =
					    sp->segments->ready_count + sp->segments->raw_count,
					.leased = idmap_count(sp->segments->leases),
					.unscanned = recover_pending(sp->recover),
					.safe = ledger_safe(sp->ledger),
					.pressure = segments_pressure(sp->segments)};
}

void spool_lease(struct spool *sp, uint32_t writer, uint32_t *incarnation, segments_leased *done,
		 void *arg)
{
	segments_lease(sp->segments, writer, false, incarnation, done, arg);
}

void spool_lease_cancel(struct spool *sp, void *arg)
{
	segments_lease_cancel(sp->segments, arg);
	segments_file_cancel(sp->segments, arg);
}

void spool_file(struct spool *sp, uint32_t writer,
		void (*done)(void *arg, uint64_t number, const uint8_t nonce[NONCE_SIZE], int fd),
		void *arg)
{
	segments_file(sp->segments, writer, done, arg);
}

bool spool_notice(struct spool *sp, uint32_t writer, uint64_t lease,
		  const struct writer_entry *entries, size_t count)
{
	struct segments_arrival calls = {
	    .arrived = sp->setup.arrived, .welcome = sp->setup.welcome, .arg = sp->setup.arg};
	return segments_notice(sp->segments, writer, lease, entries, count, spool_now(sp), &calls);
}

bool spool_sealed(struct spool *sp, uint32_t writer, uint64_t lease, uint32_t records, uint64_t end,
		  bool failed)
{
	return segments_sealed(sp->segments, writer, lease, records, end, failed);
}

bool spool_file_abandoned(struct spool *sp, uint32_t writer, uint64_t number)
{
	return segments_file_abandoned(sp->segments, writer, number);
}

void spool_writer_lost(struct spool *sp, uint32_t writer)
{
	recover_writer(sp->recover, writer);
}

bool spool_flush(struct spool *sp)
{
	return ledger_flush(sp->ledger);
}

bool spool_safe(const struct spool *sp)
{
	return ledger_safe(sp->ledger);
}

void spool_when_synced(struct spool *sp, struct ledger_wait *wait, bool soon,
		       void (*done)(void *arg), void *arg)
{
	ledger_when_synced(sp->ledger, wait, ledger_position(sp->ledger), soon, done, arg);
}

void spool_wait_cancel(struct spool *sp, struct ledger_wait *wait)
{
	ledger_wait_cancel(sp->ledger, wait);
}

int spool_load(struct spool *sp, struct entry *e, void (*done)(void *arg, struct entry *e, int err),
	       void *arg)
{
	return ledger_load(sp->ledger, e, done, arg);
}

int spool_read(struct spool *sp, struct entry *e, struct buffer *buffer,
	       void (*done)(void *arg, int err), void *arg)
{
	return segments_read(sp->segments, e, buffer, done, arg);
}

bool spool_look(struct spool *sp, uint64_t id)
{
	uint64_t incarnation = (id >> QUEUE_ID_COUNTER_BITS) % (1 << QUEUE_ID_INCARNATION_BITS);
	return incarnation >= sp->incarnations || lookout_begin(sp->looked, id);
}

void spool_looked(struct spool *sp)
{
	lookout_end(sp->looked);
}

void spool_file_open(struct spool *sp, struct entry *e, void (*done)(void *arg, int fd, int err),
		     void *arg)
{
	segments_file_open(sp->segments, e->file, done, arg);
}

void spool_file_read(struct spool *sp, struct entry *e, uint64_t offset, struct buffer *out,
		     void (*done)(void *arg, int err), void *arg)
{
	segments_file_read(sp->segments, e->file, offset, out, done, arg);
}

void spool_stays(struct spool *sp, struct entry *e)
{
	move_later(sp->move, e);
}

static void verified(void *arg, const struct verify_result *result)
{
	struct spool *sp = arg;
	sp->verify_done(sp->verify_arg, result);
	verify_free(&sp->verify);
}

bool spool_verify(struct spool *sp, verify_done *done, void *arg)
{
	if (sp->verify)
		return false;
	sp->verify_done = done;
	sp->verify_arg = arg;
	sp->verify = verify_start(sp->ledger, sp->segments, sp->setup.helper, verified, sp);
	return true;
}

struct ledger *spool_ledger(struct spool *sp)
{
	return sp->ledger;
}

struct segments *spool_segments(struct spool *sp)
{
	return sp->segments;
}

struct move *spool_move(struct spool *sp)
{
	return sp->move;
}
