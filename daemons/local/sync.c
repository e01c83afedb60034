/*
 * A file system that is synced whole says that something went wrong, not with what. So each file is
 * asked for its own errors afterwards; and when the whole fails, each is synced by itself, which
 * reports what that file has suffered since it was opened.
 *
 * Of the two ways the one that took less time for each item is used; the other is tried now and
 * then, the more rarely the clearer it has lost. So a file system that others fill with writes is
 * synced whole for a second or two, and then not again for long; when that takes a minute each
 * time, once.
 */
#include "daemons/local/sync.h"

#include <errno.h>
#include <pthread.h>

#include "common/base/memory.h"
#include "common/os/clock.h"
#include "common/os/disk.h"

enum {
	DEVICES_MAX = 16, /* that are measured; others are synced one by one */
	TRY_AGAIN = 16,	  /* choices after which the slower way is tried */
	TRY_AGAIN_MAX = 16384,
	TRY_ITEMS = 8, /* are synced one by one when that is tried, and the rest with the whole */
	WEIGHT = 4,    /* of what was measured before */
	LONG_US = 100 * 1000, /* after which the other way, if not known, is tried at once */
};

enum way { ONE_BY_ONE, WHOLE, WAYS };

struct cost {
	uint64_t ns[WAYS]; /* for an item, moving average; 0: not known */
	unsigned choices, try_again;
};

struct sync_costs {
	pthread_mutex_t mutex;
	size_t count;
	struct {
		uint64_t device;
		struct cost of[SYNC_KINDS];
	} devices[DEVICES_MAX];
};

struct sync_costs *sync_costs_new(void)
{
	struct sync_costs *costs = memory_zero(1, sizeof(*costs));
	pthread_mutex_init(&costs->mutex, NULL);
	return costs;
}

void sync_costs_free(struct sync_costs **costs)
{
	if (!*costs)
		return;
	pthread_mutex_destroy(&(*costs)->mutex);
	memory_free(*costs);
	*costs = NULL;
}

/* Under the mutex; NULL: there are too many. */
static struct cost *cost_of(struct sync_costs *costs, uint64_t device, enum sync_kind kind)
{
	size_t i = 0;
	while (i < costs->count && costs->devices[i].device != device)
		i++;
	if (i == DEVICES_MAX)
		return NULL;
	if (i == costs->count) {
		costs->devices[costs->count++].device = device;
		for (int k = 0; k < SYNC_KINDS; k++)
			costs->devices[i].of[k].try_again = TRY_AGAIN;
	}
	return &costs->devices[i].of[kind];
}

static enum way faster(const struct cost *c)
{
	if (c->ns[WHOLE] == 0)
		return WHOLE;
	return c->ns[ONE_BY_ONE] == 0 || c->ns[WHOLE] < c->ns[ONE_BY_ONE] ? WHOLE : ONE_BY_ONE;
}

/* *trial: it is the slower one. */
static enum way choose(struct sync_costs *costs, uint64_t device, enum sync_kind kind, bool *trial)
{
	enum way way = ONE_BY_ONE;
	*trial = false;
	pthread_mutex_lock(&costs->mutex);
	struct cost *c = cost_of(costs, device, kind);
	if (c) {
		way = faster(c);
		if (++c->choices >= c->try_again) {
			c->choices = 0;
			way = way == WHOLE ? ONE_BY_ONE : WHOLE;
			*trial = true;
		}
	}
	pthread_mutex_unlock(&costs->mutex);
	return way;
}

static void measured(struct sync_costs *costs, uint64_t device, enum sync_kind kind, enum way way,
		     uint64_t us, size_t items)
{
	uint64_t ns = us * 1000 / items + 1;
	pthread_mutex_lock(&costs->mutex);
	struct cost *c = cost_of(costs, device, kind);
	if (c) {
		enum way best = faster(c);
		uint64_t known = c->ns[way];
		if (us > LONG_US && c->ns[way == WHOLE ? ONE_BY_ONE : WHOLE] == 0)
			c->choices = c->try_again;
		c->ns[way] = known ? (known * (WEIGHT - 1) + ns) / WEIGHT : ns;
		if (way != best && known) { /* it was tried, and has won, or lost again */
			bool lost = ns > c->ns[best];
			c->try_again = !lost			      ? TRY_AGAIN
				       : c->try_again < TRY_AGAIN_MAX ? c->try_again * 2
								      : TRY_AGAIN_MAX;
			if (!lost)
				c->ns[way] = ns;
		}
	}
	pthread_mutex_unlock(&costs->mutex);
}

void sync_begin(struct sync_batch *b, struct sync_costs *costs)
{
	*b = (struct sync_batch){.costs = costs};
}

void sync_end(struct sync_batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		disk_close(b->places[i].fd);
	b->count = 0;
}

static int place_of(const struct sync_batch *b, uint64_t device)
{
	for (size_t i = 0; i < b->count; i++)
		if (b->places[i].device == device)
			return b->places[i].fd;
	return -1;
}

void sync_place(struct sync_batch *b, uint64_t device, int dir)
{
	if (b->count == SYNC_PLACES_MAX || place_of(b, device) >= 0)
		return;
	int fd = disk_open(dir, ".", O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return;
	b->places[b->count].device = device;
	b->places[b->count++].fd = fd;
}

static void one_by_one(enum sync_kind kind, struct sync_item **items, size_t count)
{
	for (size_t i = 0; kind == SYNC_FILES && count > 1 && i < count; i++)
		(void)disk_writeback(items[i]->fd, 0, 0); /* the sync will say */
	for (size_t i = 0; i < count; i++) {
		int result =
		    kind == SYNC_FILES ? disk_fsync(items[i]->fd) : disk_fsync_dir(items[i]->fd);
		items[i]->error = result < 0 ? errno : 0;
	}
}

static bool whole(int place, enum sync_kind kind, struct sync_item **items, size_t count)
{
	if (disk_sync_all(place) < 0)
		return false;
	for (size_t i = 0; i < count; i++)
		items[i]->error =
		    kind == SYNC_FILES && disk_writeback_end(items[i]->fd) < 0 ? errno : 0;
	return true;
}

/* All of one device. */
static void sync_device(struct sync_batch *b, enum sync_kind kind, struct sync_item **items,
			size_t count)
{
	uint64_t device = items[0]->device, begun;
	int place = place_of(b, device);
	if (place < 0 || count < SYNC_MANY) {
		one_by_one(kind, items, count);
		return;
	}
	bool trial;
	enum way way = choose(b->costs, device, kind, &trial);
	size_t first = way == ONE_BY_ONE && trial && count > TRY_ITEMS ? TRY_ITEMS : count;
	begun = clock_boot_us();
	if (way == ONE_BY_ONE || !whole(place, kind, items, first))
		one_by_one(kind, items, first);
	measured(b->costs, device, kind, way, clock_boot_us() - begun, first);
	if (first < count && !whole(place, kind, items + first, count - first))
		one_by_one(kind, items + first, count - first);
}

void sync_run(struct sync_batch *b, enum sync_kind kind, struct sync_item *items, size_t count)
{
	struct sync_item **same = memory_get((count + 1) * sizeof(*same));
	for (size_t i = 0; i < count; i++)
		items[i].error = -1; /* not done */
	for (size_t i = 0; i < count; i++) {
		size_t n = 0;
		for (size_t k = i; items[i].error < 0 && k < count; k++)
			if (items[k].device == items[i].device)
				same[n++] = &items[k];
		if (n > 0)
			sync_device(b, kind, same, n);
	}
	memory_free(same);
}
