/*
 * The figures are /proc's, so only who sees it can ask: the master, about its daemons.
 */
#include "common/os/policy.h"

#include <dirent.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_ROOM = 64 };

bool policy_waits(pid_t pid, struct policy_waits *w)
{
	char path[PATH_ROOM];
	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	int found = fscanf(f, "%*u %" SCNu64 " %" SCNu64, &w->waited_ns, &w->times);
	fclose(f);
	return found == 2;
}

void policy_set(pid_t pid, bool batch)
{
	char path[PATH_ROOM];
	struct sched_param none = {0};
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *tasks = opendir(path);
	struct dirent *d;
	if (!tasks)
		return;
	while ((d = readdir(tasks)))
		if (d->d_name[0] != '.')
			(void)sched_setscheduler(atoi(d->d_name), batch ? SCHED_BATCH : SCHED_OTHER,
						 &none);
	closedir(tasks);
}
