/*
 * nearest: how far one word is from another, for "did you mean".
 */
#include "common/config/schema.h"

enum { WORD_MAX = 64 }; /* octets; longer words are near to nothing */

unsigned edit_tolerance(size_t len)
{
	return len <= 3 ? 1 : len <= 8 ? 2 : 3;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

unsigned edit_distance(struct slice a, struct slice b, unsigned limit)
{
	/* rows of the table of distances between the starts of a and b: two before, before, this */
	unsigned rows[3][WORD_MAX + 1];
	if (a.len > WORD_MAX || b.len > WORD_MAX)
		return limit + 1;
	for (unsigned j = 0; j <= b.len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		unsigned *now = rows[i % 3], *before = rows[(i + 2) % 3], *two = rows[(i + 1) % 3];
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b.len; j++) {
			char x = ascii_lower(a.ptr[i - 1]), y = ascii_lower(b.ptr[j - 1]);
			unsigned d = before[j - 1] + (x != y);
			d = least(d, least(before[j], now[j - 1]) + 1);
			if (i > 1 && j > 1 && x == ascii_lower(b.ptr[j - 2]) &&
			    y == ascii_lower(a.ptr[i - 2]))
				d = least(d, two[j - 2] + 1);
			now[j] = d;
		}
	}
	return least(rows[a.len % 3][b.len], limit + 1);
}
