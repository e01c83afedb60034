/*
 * page_nofaults: the normal build, in which a page's number is right or it is not.
 */
#include "common/table/page.h"

bool page_number_is(uint32_t found, uint64_t wanted)
{
	return found == wanted;
}
