/*
 * survey: one pass without branches, which compilers turn into vector code.
 */
#include "common/smtp/survey.h"

enum { BLOCK = 64 };

/* What one octet and its forerunner tell, as bits. */
enum { SEEN_HIGH = 1, SEEN_NUL = 2, SEEN_BARE_LF = 4, SEEN_BARE_CR = 8 };

static inline unsigned char look(unsigned char before, unsigned char c)
{
	unsigned char cr = before == '\r', lf = c == '\n';

	return (unsigned char)((c >> 7) | (c == 0) << 1 | (lf & !cr) << 2 | (cr & !lf) << 3);
}

/* p[-1] must be readable. */
static unsigned char look_at_all(const unsigned char *p, size_t len)
{
	const unsigned char *before = p - 1;
	unsigned char seen = 0, sums[BLOCK] = {0};
	size_t i = 0;

	for (; i + BLOCK <= len; i += BLOCK) {
		for (size_t j = 0; j < BLOCK; j++)
			sums[j] |= look(before[i + j], p[i + j]);
	}
	for (; i < len; i++)
		seen |= look(before[i], p[i]);
	for (i = 0; i < BLOCK; i++)
		seen |= sums[i];
	return seen;
}

void survey_run(struct content_flags *f, bool after_cr, struct slice run)
{
	const unsigned char *p = (const unsigned char *)run.ptr;
	unsigned char seen = look(after_cr ? '\r' : 'x', p[0]) | look_at_all(p + 1, run.len - 1);

	f->eight_bit |= (seen & SEEN_HIGH) != 0;
	f->nul |= (seen & SEEN_NUL) != 0;
	f->bare_lf |= (seen & SEEN_BARE_LF) != 0;
	f->bare_cr |= (seen & SEEN_BARE_CR) != 0;
}
