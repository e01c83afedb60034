/*
 * The configuration names the run directory, where control listens, and the spool, whose lock the
 * master holds as long as it lives.
 */
#include "commands/stagepost/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "commands/stagepost/talk.h"
#include "commands/stagepost/words.h"
#include "common/os/disk.h"
#include "common/os/lock.h"

enum { PID_TEXT_MAX = 32 };

struct config *place_config(const char *path, int *code)
{
	struct config *config = NULL;
	struct error e = {0};
	if (config_load(path, &config, &e))
		return config;
	*code = EX_CONFIG;
	complain(EX_CONFIG, "%s", e.text);
	return NULL;
}

struct config *place_known(const char *path, int *code)
{
	struct config *config = NULL;
	struct error e = {0}, again = {0};
	if (config_load(path, &config, &e))
		return config;
	complain(EX_CONFIG, "%s", e.text);
	if (config_load_places(path, &config, &again))
		return config;
	*code = EX_CONFIG;
	return NULL;
}

int place_lock(const struct config *config)
{
	int spool = disk_open(AT_FDCWD, config_string(config, "spool"), O_PATH | O_DIRECTORY, 0);
	int lock, error;
	if (spool < 0)
		return -1;
	lock = disk_open(spool, "lock", O_RDONLY | O_NOFOLLOW, 0);
	error = errno;
	disk_close(spool);
	errno = error;
	return lock;
}

pid_t place_master(int lock)
{
	char text[PID_TEXT_MAX];
	struct slice line, rest;
	uint64_t pid;
	ssize_t len;
	int held = lock_held_by_other(lock);
	if (held <= 0)
		return held;
	len = disk_pread(lock, text, sizeof(text), 0);
	if (len < 0)
		return -1;
	slice_split(slice_make(text, (size_t)len), '\n', &line, &rest);
	if (slice_number(line, INT32_MAX, &pid) && pid > 1)
		return (pid_t)pid;
	errno = EINVAL;
	return -1;
}

struct talk *place_talk(const char *path, int *code)
{
	struct config *config = place_known(path, code);
	struct error e = {0};
	struct talk *t;
	if (!config)
		return NULL;
	t = talk_open(config_string(config, "run"), &e);
	config_free(&config);
	if (!t)
		*code = complain(e.code, "%s", e.text);
	return t;
}
