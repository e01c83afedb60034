/*
 * memory: allocation that does not fail. When the system has none left, the process ends by
 * fatal(): its supervisor starts it again, and nothing acknowledged was in memory alone.
 */
#ifndef COMMON_BASE_MEMORY_H
#define COMMON_BASE_MEMORY_H

#include <stddef.h>

#include "common/base/slice.h"

enum { MEMORY_KEPT_MAX = 2 * 1024 * 1024 };

#define MEMORY_IS_THERE __attribute__((returns_nonnull))
MEMORY_IS_THERE void *memory_get(size_t size);		      /* uninitialised */
MEMORY_IS_THERE void *memory_zero(size_t count, size_t size); /* zeroed; product checked */
MEMORY_IS_THERE void *memory_resize(void *old, size_t count, size_t size);
MEMORY_IS_THERE char *memory_string(struct slice s); /* NUL-terminated copy */
void memory_free(void *ptr);			     /* NULL is fine */
/* Now and then: gives the system the pages of what was freed, when that is more than
 * MEMORY_KEPT_MAX and something has changed since the last time. */
void memory_tidy(void);

#endif
