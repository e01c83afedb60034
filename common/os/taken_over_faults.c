/*
 * taken_over: reads the plan of attempts and reports what came of each. The plan is mapped and the
 * report opened before the sandbox, since a process inside opens nothing.
 */
#include "common/os/taken_over_faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/os/loop.h"

enum { PATH_SIZE = 4096, NAME_SIZE = 32, WORD_SIZE = 256 };

static const char *plan; /* mapped; NULL: nobody asks */
static int report = -1;
static char role[NAME_SIZE];
static bool done;
static struct loop_turn turn;

static void at_turn(void *arg)
{
	(void)arg;
	taken_over_point();
}

void taken_over_begin(const char *name)
{
	const char *where = getenv("STAGEPOST_TAKEN_OVER");
	char path[PATH_SIZE];
	int fd = where ? open(where, O_RDONLY | O_CLOEXEC) : -1;

	if (!where || strcmp(name, "master") == 0 || strcmp(name, "sendmail") == 0)
		return;
	if (fd < 0)
		fatal("STAGEPOST_TAKEN_OVER: %s can't be opened: %s", where, strerror(errno));
	void *at = mmap(NULL, TAKEN_OVER_PLAN, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		fatal("STAGEPOST_TAKEN_OVER: %s can't be mapped", where);
	snprintf(role, sizeof(role), "%s", name);
	snprintf(path, sizeof(path), "%s.%s.%d", where, role, (int)getpid());
	/* A child has closed its parent's report, whose number may be another file's by now. */
	report = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (report < 0)
		fatal("STAGEPOST_TAKEN_OVER: %s can't be made", path);
	/* A child of a fork server has no loop, and few descriptors to spare for one. */
	if (!plan && !strstr(name, "-child"))
		loop_turn_add(&turn, at_turn, NULL);
	plan = at;
	done = false;
}

/* A filter that is there refuses even to tell. */
static bool in_sandbox(void)
{
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 0;
}

static void say(const char *name, int error)
{
	char line[WORD_SIZE];
	const char *word = error ? strerrorname_np(error) : "0";
	int n = snprintf(line, sizeof(line), "%s %s %s\n", role, name, word ? word : "?");
	if (write(report, line, (size_t)n) < 0)
		_exit(1); /* a report that misses a line must not look complete */
}

/* Attempts that succeed may end or change us; so each is reported before the next is made. */
void taken_over_point(void)
{
	char kind[NAME_SIZE], name[NAME_SIZE], argument[WORD_SIZE];
	if (!plan || done || *(const volatile char *)plan != '1' || !in_sandbox())
		return;
	done = true;
	for (const char *line = strchr(plan, '\n'); line; line = strchr(line + 1, '\n')) {
		if (strncmp(line + 1, "end", 3) == 0)
			break;
		argument[0] = '\0';
		if (sscanf(line + 1, "%31s %31s %255[^\n]", kind, name, argument) < 2)
			fatal("STAGEPOST_TAKEN_OVER: bad line %.80s", line + 1);
		say(name, taken_over_try(kind, argument));
	}
	say("end", 0);
}
