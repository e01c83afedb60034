/*
 * notice: what a writer that was taken over says to the store of the queue: notices of records, of
 * segments that are full or failed, of files that nobody uses; true ones and forged ones, in any
 * order. What is believed lies in the segment that was lent, in order, under an id of the writer's
 * own that was not there before; and an ended spool is opened again as it was.
 *
 * The input: acts of eight octets, {what, which of the numbers is forged, six octets of it}.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/base/queue_id.h"
#include "common/os/clock.h"
#include "common/os/loop.h"
#include "queue/store/spool.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	SEGMENT = 64 * 1024,
	LEDGER = 256 * 1024,
	ACT = 8,
	ACTS_MAX = 32,
	RUNS_EACH = 200, /* inputs that a spool serves */
	TREE_DESCRIPTORS = 8,
	PAUSE_US = 100,
};

static struct {
	char path[64];
	int dirfd;
	struct helper *helper;
	struct spool *spool;
	uint32_t writer, incarnation;
	struct writer_lease lease;
	int fd; /* of the lease; -1: none */
	uint64_t file, end;
	uint32_t counter, records;
	const struct writer_entry *said;
	size_t arrived;
	unsigned runs;
} world = {.fd = -1};

static void arrived(void *arg, struct entry *e)
{
	(void)arg;
	must(e->state && e->state->count == world.said->recipients && e->id == world.said->id);
	must(world.said->offset >= world.end && world.said->length <= SEGMENT &&
	     world.said->offset <= SEGMENT - world.said->length);
	must(world.said->ordinal == world.records);
	world.end = world.said->offset + world.said->length;
	world.records++;
	world.arrived++;
}

static void ended(void *arg, struct entry *e)
{
	(void)arg, (void)e;
}

static bool (*awaited)(void);

static void look(void *arg)
{
	if (awaited())
		loop_stop();
	else
		loop_timer_start(arg, PAUSE_US, look, arg);
}

static void until(bool (*holds)(void))
{
	static struct loop_timer timer;
	awaited = holds;
	loop_timer_start(&timer, 0, look, &timer);
	loop_run();
	loop_timer_stop(&timer);
}

static void leased(void *arg, const struct writer_lease *lease, int fd)
{
	(void)arg;
	must(lease && fd >= 0);
	world.lease = *lease;
	world.fd = dup(fd);
	world.end = world.records = 0;
}

static bool has_lease(void)
{
	return world.fd >= 0;
}

static void filed(void *arg, uint64_t number, const uint8_t nonce[NONCE_SIZE], int fd)
{
	(void)arg, (void)nonce, (void)fd;
	world.file = number ? number : 1;
}

static bool has_file(void)
{
	return world.file != 0;
}

static bool is_idle(void)
{
	return helper_pending(world.helper) == 0;
}

static void spool_begin(void)
{
	struct error e = {0};
	struct spool_setup setup = {.dirfd = world.dirfd,
				    .helper = world.helper,
				    .boot_id = "11111111-2222-3333-4444-555555555555",
				    .extra = 16,
				    .segment_size = SEGMENT,
				    .ledger_size = LEDGER,
				    .arrived = arrived,
				    .ended = ended};
	world.spool = spool_open(&setup, &e);
	must(world.spool);
	world.incarnation = 0;
}

static int tree_unlink(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st, (void)kind, (void)ftw;
	return remove(path);
}

static void world_end(void)
{
	spool_close(&world.spool);
	close(world.dirfd);
	(void)nftw(world.path, tree_unlink, TREE_DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
	world.path[0] = '\0';
}

static void world_begin(void)
{
	const char *in = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(world.path, sizeof(world.path), "%s/stagepost-fuzz-XXXXXX", in);
	must(mkdtemp(world.path));
	world.dirfd = open(world.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!world.helper) {
		clock_warm();
		world.helper = helper_new();
		(void)atexit(world_end);
	}
	spool_begin();
}

/* A true one, and then one of its numbers forged. */
static struct writer_entry entry_of(const uint8_t *act)
{
	uint64_t forged = 0;
	memcpy(&forged, act + 2, 6);
	if (act[1] & 0x80)
		forged = ~forged;
	struct writer_entry e = {
	    .id = queue_id_make(world.lease.spool, world.lease.incarnation, ++world.counter),
	    .offset = (world.end + 63) / 64 * 64,
	    .length = 256,
	    .ordinal = world.records,
	    .recipients = 1,
	    .held = act[1] & 0x40};
	switch (act[1] & 15) {
	case 1:
		e.offset = forged;
		break;
	case 2:
		e.length = (uint32_t)forged;
		break;
	case 3:
		e.ordinal = (uint32_t)forged;
		break;
	case 4:
		e.recipients = (uint32_t)forged;
		break;
	case 5:
		e.id = forged;
		break;
	case 6:
		e.file = forged;
		break;
	case 7:
		e.file = world.file;
		break;
	case 8:
		e.parent = forged;
		e.parent_mark = 7;
		break;
	case 9:
		e.id = queue_id_make(world.lease.spool, world.lease.incarnation, act[2] + 1U);
		break;
	default:
		break;
	}
	return e;
}

/* False: the store calls it a lie. */
static bool act_on(const uint8_t *act)
{
	struct writer_entry e;
	uint64_t number = 0;
	memcpy(&number, act + 2, 6);
	switch (act[0] % 6) {
	case 0:
		return spool_sealed(world.spool, world.writer,
				    act[1] & 1 ? number : world.lease.number,
				    act[1] & 2 ? (uint32_t)number : world.records,
				    act[1] & 4 ? number : world.end, act[1] & 8);
	case 1:
		return spool_file_abandoned(world.spool, world.writer,
					    act[1] & 1 ? number : world.file);
	case 2:
		return spool_notice(world.spool, world.writer, number, NULL, 0);
	default:
		e = entry_of(act);
		world.said = &e;
		return spool_notice(world.spool, world.writer, world.lease.number, &e, 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t before;
	if (!world.spool)
		world_begin();
	if (size < ACT)
		return 0;
	world.writer++;
	world.incarnation = world.counter = 0;
	world.file = world.arrived = 0;
	spool_lease(world.spool, world.writer, &world.incarnation, leased, NULL);
	until(has_lease);
	if (data[0] & 0x80) {
		spool_file(world.spool, world.writer, filed, NULL);
		until(has_file);
	}
	before = spool_counts(world.spool)->messages;
	bool believed = true;
	for (size_t at = 0, n = 0; believed && at + ACT <= size && n < ACTS_MAX; at += ACT, n++)
		believed = act_on(data + at);
	must(spool_counts(world.spool)->messages == before + world.arrived);
	close(world.fd);
	world.fd = -1;
	spool_writer_lost(world.spool, world.writer);
	until(is_idle);
	if (++world.runs % RUNS_EACH == 0) {
		size_t messages = spool_counts(world.spool)->messages;
		spool_close(&world.spool);
		spool_begin();
		must(spool_counts(world.spool)->messages == messages);
		world_end();
		world_begin();
	}
	return 0;
}
