/*
 * page: is a page of a database the one that was asked for? Private to database.c. A checksum says
 * only that it is some page; and of a page of zeros Berkeley DB believes that it was never written,
 * asks for no checksum, and may go round in it for ever.
 */
#ifndef COMMON_TABLE_PAGE_H
#define COMMON_TABLE_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAGE_NUMBER_AT = 8 };

/* True of what is read otherwise than as one whole page. */
bool page_is_in_place(const void *data, size_t len, uint64_t offset);
/* Its one comparison, in the test build with an exception. */
bool page_number_is(uint32_t found, uint64_t wanted);

#endif
