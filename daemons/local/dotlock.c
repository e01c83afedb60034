/*
 * Made with O_EXCL, empty. Whoever died while holding one is told by its age; the lock of the
 * kernel, which is taken besides, covers for two who remove the same stale one.
 */
#include "daemons/local/dotlock.h"

#include <errno.h>

#include "common/os/clock.h"
#include "common/os/disk.h"

enum { LOCK_MODE = 0440 };

static bool is_stale(int dir, const char *name, uint64_t stale_us)
{
	struct stat st;
	uint64_t now = clock_wall_us(), made;
	if (disk_stat_at(dir, name, &st) < 0)
		return false;
	made = (uint64_t)st.st_mtime * CLOCK_SECOND;
	return S_ISREG(st.st_mode) && made < now && now - made > stale_us;
}

static int make(int dir, const char *name)
{
	int fd = disk_create(dir, name, O_WRONLY, LOCK_MODE);
	if (fd < 0)
		return errno;
	disk_close(fd);
	return 0;
}

int dotlock_try(int dir, const char *name, uint64_t stale_us)
{
	int error = make(dir, name);
	if (error == EEXIST && is_stale(dir, name, stale_us) && disk_unlink(dir, name) == 0)
		error = make(dir, name);
	return error;
}

void dotlock_release(int dir, const char *name)
{
	(void)disk_unlink(dir, name); /* one that stays is stale one day */
}
