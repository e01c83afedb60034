/*
 * lookout: the file is {magic, zero, id looked at} and then suspects, {id, deaths}, all
 * little-endian and 16 octets each. Before a look its id is written, 8 octets; a suspect that has
 * survived its look is written as none. What a power failure leaves of it is another record's id at
 * worst.
 */
#include "common/os/lookout.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"

enum { ROW = 16, LOOKED_AT = 8, FILE_OCTETS = ROW * (1 + LOOKOUT_SUSPECTS) };

#define MAGIC UINT32_C(0x314c5053) /* SPL1 */

struct suspect {
	uint64_t id; /* 0: none */
	uint64_t deaths;
};

struct lookout {
	int fd; /* -1: nothing is remembered */
	uint64_t looked_at;
	struct suspect suspects[LOOKOUT_SUSPECTS];
};

static void put(struct lookout *l, const void *octets, size_t len, uint64_t at)
{
	if (l->fd < 0 || disk_pwrite(l->fd, octets, len, at) == 0)
		return;
	log_warning("what is looked at can't be noted: %s", strerror(errno));
	disk_close(l->fd);
	l->fd = -1;
}

static void look_at(struct lookout *l, uint64_t id)
{
	uint8_t octets[8];
	if (l->looked_at == id)
		return;
	l->looked_at = id;
	put_u64(octets, id);
	put(l, octets, sizeof(octets), LOOKED_AT);
}

static struct suspect *find(struct lookout *l, uint64_t id)
{
	for (size_t i = 0; id != 0 && i < LOOKOUT_SUSPECTS; i++)
		if (l->suspects[i].id == id)
			return &l->suspects[i];
	return NULL;
}

static void forget(struct lookout *l, struct suspect *s)
{
	static const uint8_t none[ROW];
	*s = (struct suspect){0};
	put(l, none, sizeof(none), ROW * (1 + (uint64_t)(s - l->suspects)));
}

/* The one before us ended while it looked at that. */
static void count_death(struct lookout *l, uint64_t id)
{
	struct suspect *s = find(l, id);
	for (size_t i = 0; !s && i < LOOKOUT_SUSPECTS; i++)
		if (l->suspects[i].id == 0)
			s = &l->suspects[i];
	if (!s) {
		s = l->suspects;
		for (size_t i = 1; i < LOOKOUT_SUSPECTS; i++)
			if (l->suspects[i].deaths < s->deaths)
				s = &l->suspects[i];
	}
	if (s->id != id)
		*s = (struct suspect){.id = id};
	s->deaths++;
}

static void take_over(struct lookout *l)
{
	uint8_t octets[FILE_OCTETS] = {0};
	ssize_t n = disk_pread(l->fd, octets, sizeof(octets), 0);
	if (n == FILE_OCTETS && get_u32(octets) == MAGIC) {
		for (size_t i = 0; i < LOOKOUT_SUSPECTS; i++) {
			const uint8_t *row = octets + ROW * (1 + i);
			l->suspects[i] = (struct suspect){get_u64(row), get_u64(row + 8)};
		}
		if (get_u64(octets + LOOKED_AT) != 0)
			count_death(l, get_u64(octets + LOOKED_AT));
	}
	memset(octets, 0, sizeof(octets));
	put_u32(octets, MAGIC);
	for (size_t i = 0; i < LOOKOUT_SUSPECTS; i++) {
		put_u64(octets + ROW * (1 + i), l->suspects[i].id);
		put_u64(octets + ROW * (1 + i) + 8, l->suspects[i].deaths);
	}
	put(l, octets, sizeof(octets), 0);
}

/* Others may write into the directory: what they have put there says nothing. */
static void remove_strange(int dirfd, const char *name)
{
	struct stat st;
	if (disk_stat_at(dirfd, name, &st) == 0 &&
	    (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink != 1) &&
	    disk_unlink(dirfd, name) < 0)
		log_warning("%s: %s", name, strerror(errno));
}

struct lookout *lookout_open(int dirfd, const char *name)
{
	struct lookout *l = memory_zero(1, sizeof(*l));
	remove_strange(dirfd, name);
	l->fd = disk_open(dirfd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (l->fd >= 0)
		take_over(l);
	else
		log_warning("%s: %s; what ends this process can't be known by the next", name,
			    strerror(errno));
	return l;
}

void lookout_close(struct lookout **lp)
{
	struct lookout *l = *lp;
	if (!l)
		return;
	look_at(l, 0);
	if (l->fd >= 0)
		disk_close(l->fd);
	memory_free(l);
	*lp = NULL;
}

static void survived(struct lookout *l)
{
	struct suspect *s = find(l, l->looked_at);
	if (s)
		forget(l, s);
}

bool lookout_begin(struct lookout *l, uint64_t id)
{
	survived(l);
	struct suspect *s = find(l, id);
	if (!s || s->deaths < LOOKOUT_DEATHS) {
		look_at(l, id);
		return true;
	}
	look_at(l, 0);
	forget(l, s);
	return false;
}

void lookout_end(struct lookout *l)
{
	survived(l);
	look_at(l, 0);
}
