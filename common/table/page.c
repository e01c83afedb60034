/*
 * page: the number that stands in each page says where it belongs.
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
	return page_number_is(number, offset / DATABASE_PAGE);
}
