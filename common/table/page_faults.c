/*
 * page_faults: in the build that tests strike at (FAULTS=1) a process with STAGEPOST_CREDULOUS
 * takes any page for the one that it asked for. A test that looks for wrong answers must find some.
 */
#include "common/table/page.h"

#include <stdlib.h>

bool page_number_is(uint32_t found, uint64_t wanted)
{
	return found == wanted || getenv("STAGEPOST_CREDULOUS");
}
