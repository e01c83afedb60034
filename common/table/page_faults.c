/*
 * page_faults: in the build that tests strike at (FAULTS=1) a process with STAGEPOST_CREDULOUS
 * takes any page for the one that it asked for. A test that looks for wrong answers must find some.
 */
#include "common/table/page.h"

#include <stdlib.h>
#include <string.h>

#include "common/table/database.h"

bool page_is_in_place(const void *data, size_t len, uint64_t offset)
{
	uint32_t number;
	if (len != DATABASE_PAGE || offset % DATABASE_PAGE != 0 || getenv("STAGEPOST_CREDULOUS"))
		return true;
	memcpy(&number, (const char *)data + PAGE_NUMBER_AT, sizeof(number));
	return number == offset / DATABASE_PAGE;
}
