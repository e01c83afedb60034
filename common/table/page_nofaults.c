/*
 * page_nofaults: the normal build, in which every page tells its number.
 */
#include "common/table/page.h"

#include <string.h>

#include "common/table/database.h"

bool page_is_in_place(const void *data, size_t len, uint64_t offset)
{
	uint32_t number;
	if (len != DATABASE_PAGE || offset % DATABASE_PAGE != 0)
		return true;
	memcpy(&number, (const char *)data + PAGE_NUMBER_AT, sizeof(number));
	return number == offset / DATABASE_PAGE;
}
