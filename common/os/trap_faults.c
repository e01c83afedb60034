/*
 * trap_faults: the build that tests poison (FAULTS=1). STAGEPOST_TRAP says which octets end which
 * process; a word in it that can't be understood ends it as well: a test that poisons nothing
 * proves nothing. The text is looked for in the environment itself, which stays as it is.
 */
#include "common/os/trap.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"

enum { TRAPS_MAX = 16, NAME_SIZE = 32 };

static struct {
	char role[NAME_SIZE], place[NAME_SIZE];
	struct slice text;
} traps[TRAPS_MAX];
static size_t trap_count;
static bool begun;
static char our_role[NAME_SIZE] = "none";

void trap_role(const char *name)
{
	const char *all = getenv("STAGEPOST_TRAP");
	struct slice rest = slice_str(all ? all : ""), one, role, place;
	snprintf(our_role, sizeof(our_role), "%s", name);
	while (!begun && rest.len > 0) {
		slice_split(rest, ',', &one, &rest);
		slice_split(one, ':', &role, &one);
		slice_split(one, ':', &place, &one);
		if (trap_count == TRAPS_MAX || one.len == 0 || role.len == 0 || place.len == 0 ||
		    !slice_copy(role, traps[trap_count].role, NAME_SIZE) ||
		    !slice_copy(place, traps[trap_count].place, NAME_SIZE))
			fatal("STAGEPOST_TRAP: bad trap in %s", all);
		traps[trap_count++].text = one;
	}
	begun = true;
}

void trap_see(const char *place, struct slice octets)
{
	for (size_t i = 0; i < trap_count; i++)
		if (fnmatch(traps[i].role, our_role, 0) == 0 &&
		    fnmatch(traps[i].place, place, 0) == 0 &&
		    memmem(octets.ptr, octets.len, traps[i].text.ptr, traps[i].text.len))
			__builtin_trap();
}
