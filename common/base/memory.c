/*
 * memory: malloc and its sisters, which here never return NULL. A product that overflows is our
 * bug (panic); a system without memory is not (fatal), and both end the process. Pages that were
 * freed between others stay with malloc for ever unless memory_tidy() is called.
 */
#include <malloc.h>
#include <stdlib.h>

#include "common/base/error.h"
#include "common/base/memory.h"

static void *checked(void *ptr, size_t size)
{
	if (!ptr)
		fatal("out of memory: %zu octets refused by the system", size);
	return ptr;
}

static size_t product(size_t count, size_t size)
{
	size_t total;
	if (__builtin_mul_overflow(count, size, &total))
		panic("memory: %zu times %zu octets overflows", count, size);
	return total > 0 ? total : 1;
}

void *memory_get(size_t size)
{
	return checked(malloc(size > 0 ? size : 1), size);
}

void *memory_zero(size_t count, size_t size)
{
	size_t total = product(count, size);
	return checked(calloc(1, total), total);
}

void *memory_resize(void *old, size_t count, size_t size)
{
	size_t total = product(count, size);
	return checked(realloc(old, total), total);
}

char *memory_string(struct slice s)
{
	if (s.len == SIZE_MAX)
		panic("memory: a string of SIZE_MAX octets");
	char *str = memory_get(s.len + 1);
	if (s.len > 0)
		memcpy(str, s.ptr, s.len);
	str[s.len] = '\0';
	return str;
}

void memory_free(void *ptr)
{
	free(ptr);
}

void memory_tidy(void)
{
	static size_t used_then, free_then;
	struct mallinfo2 now = mallinfo2();
	if (now.fordblks <= MEMORY_KEPT_MAX ||
	    (now.uordblks == used_then && now.fordblks == free_then))
		return;
	malloc_trim(0);
	now = mallinfo2();
	used_then = now.uordblks;
	free_then = now.fordblks;
}
