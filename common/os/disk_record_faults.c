/*
 * disk_record_faults: the record of what was done to the disk, in one order over all processes and
 * threads. A begin is written before the kernel is asked and an end after it has answered, so a
 * sync counts only for what had ended when it began, and only from its own end on.
 */
#include "common/os/disk_record.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/error.h"

enum { RECORD_ROLE_SIZE = 32, RECORD_WHOLE_MAX = 64 * 1024 * 1024 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static int record = -1;
static char our_role[RECORD_ROLE_SIZE];
static uint32_t calls;
static char *whole; /* one entry */
static size_t whole_size;

void disk_record_open(const char *role)
{
	const char *path = getenv("STAGEPOST_DISK_RECORD");
	pthread_mutex_lock(&mutex);
	snprintf(our_role, sizeof(our_role), "%s", role);
	if (path && *path) {
		/* What was open may have been closed with others after a fork: it is left. */
		record = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
		if (record < 0)
			fatal("STAGEPOST_DISK_RECORD: %s can't be opened", path);
	}
	pthread_mutex_unlock(&mutex);
}

static void identity(int fd, const char *name, uint64_t *device, uint64_t *inode)
{
	struct stat st;
	if (fd == AT_FDCWD && (!name || name[0] == '/'))
		return; /* the name says it */
	if (fd == AT_FDCWD ? stat(".", &st) == 0 : syscall(SYS_fstat, fd, &st) == 0) {
		*device = st.st_dev;
		*inode = st.st_ino;
	}
}

static void put(size_t *at, const void *data, size_t len)
{
	if (len > 0)
		memcpy(whole + *at, data, len);
	*at += len;
}

static size_t octets_of(const struct disk_act *a)
{
	size_t sum = 0;
	for (int i = 0; i < a->count; i++)
		sum += a->data[i].iov_len;
	return sum;
}

/* Under the mutex. */
static void write_entry(struct disk_entry *e, const struct disk_act *a)
{
	const char *name = a->name ? a->name : "", *to = a->to ? a->to : "";
	size_t at = 0, octets = e->phase == DISK_BEGINS ? octets_of(a) : 0;
	size_t size = sizeof(*e) + strlen(our_role) + strlen(name) + strlen(to) + 3 + octets;
	if (size > RECORD_WHOLE_MAX)
		fatal("the record of the disk: an entry of %zu octets", size);
	if (size > whole_size) {
		free(whole);
		whole = malloc(size);
		whole_size = whole ? size : 0;
		if (!whole)
			fatal("the record of the disk: no memory");
	}
	e->size = (uint32_t)size;
	put(&at, e, sizeof(*e));
	put(&at, our_role, strlen(our_role) + 1);
	put(&at, name, strlen(name) + 1);
	put(&at, to, strlen(to) + 1);
	for (int i = 0; octets > 0 && i < a->count; i++)
		put(&at, a->data[i].iov_base, a->data[i].iov_len);
	if (syscall(SYS_write, record, whole, size) != (long)size)
		fatal("the record of the disk can't be written");
}

static struct disk_entry entry_of(const struct disk_act *a, enum disk_phase phase)
{
	return (struct disk_entry){.magic = DISK_ENTRY_MAGIC,
				   .call = a->call,
				   .pid = (uint32_t)getpid(),
				   .phase = (uint8_t)phase,
				   .op = (uint8_t)a->op,
				   .flags = a->flags,
				   .offset = a->offset,
				   .length = a->length};
}

void disk_record_begin(struct disk_act *a)
{
	int error = errno;
	pthread_mutex_lock(&mutex);
	if (record >= 0) {
		a->call = (uint64_t)getpid() << 32 | ++calls;
		struct disk_entry e = entry_of(a, DISK_BEGINS);
		identity(a->fd, a->name, &e.device, &e.inode);
		if (a->to_fd >= 0)
			identity(a->to_fd, a->to, &e.to_device, &e.to_inode);
		write_entry(&e, a);
	}
	pthread_mutex_unlock(&mutex);
	errno = error;
}

void disk_record_end(const struct disk_act *a, int result, bool skipped)
{
	int error = errno;
	if (a->call == 0)
		return;
	pthread_mutex_lock(&mutex);
	struct disk_entry e = entry_of(a, DISK_ENDS);
	e.skipped = skipped;
	e.result = result >= 0 ? 0 : error;
	if (skipped && result >= 0)
		e.result = DISK_ENTRY_LIED;
	if (result >= 0 && (a->op == DISK_OPEN || a->op == DISK_CREATE))
		identity(result, NULL, &e.to_device, &e.to_inode);
	write_entry(&e, a);
	pthread_mutex_unlock(&mutex);
	errno = error;
}
