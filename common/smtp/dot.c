/*
 * dot: the receiving side of DATA. A run goes on until a line begins with a dot: memchr finds the
 * line ends, and one pass without branches, which compilers turn into vector code, looks at what
 * the octets are.
 */
#include "common/smtp/dot.h"

enum { BLOCK = 64 };

void dot_reader_init(struct dot_reader *d)
{
	*d = (struct dot_reader){.state = DOT_AT_START};
}

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

static void note(struct dot_reader *d, bool after_cr, struct slice run)
{
	const unsigned char *p = (const unsigned char *)run.ptr;
	unsigned char seen = look(after_cr ? '\r' : 'x', p[0]) | look_at_all(p + 1, run.len - 1);

	d->octets += run.len;
	d->flags.eight_bit |= (seen & SEEN_HIGH) != 0;
	d->flags.nul |= (seen & SEEN_NUL) != 0;
	d->flags.bare_lf |= (seen & SEEN_BARE_LF) != 0;
	d->flags.bare_cr |= (seen & SEEN_BARE_CR) != 0;
}

/* The run at the front of input, which is not empty; state is DOT_IN_LINE or DOT_AFTER_CR. */
static size_t run_length(struct dot_reader *d, struct slice input)
{
	const char *end = input.ptr + input.len, *line = input.ptr, *lf;
	bool after_cr = d->state == DOT_AFTER_CR;

	while ((lf = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		bool crlf = lf > input.ptr ? lf[-1] == '\r' : after_cr;

		d->column += (uint64_t)(lf + 1 - line);
		line = lf + 1;
		if (crlf) {
			d->flags.long_line |= d->column > CONTENT_LINE_MAX + 2;
			d->column = 0;
		}
		if (line == end || (crlf && *line == '.')) {
			d->state = crlf ? DOT_AT_START : DOT_IN_LINE;
			return (size_t)(line - input.ptr);
		}
	}
	d->column += (uint64_t)(end - line);
	d->state = end[-1] == '\r' ? DOT_AFTER_CR : DOT_IN_LINE;
	return input.len;
}

/* Decides about a dot at a line's start; false: more input is needed, or the end is reached. */
static bool at_dot(struct dot_reader *d, struct slice *input)
{
	if (d->state == DOT_AT_START && input->len > 0) {
		d->state = input->ptr[0] == '.' ? DOT_AFTER_DOT : DOT_IN_LINE;
		if (d->state == DOT_AFTER_DOT)
			*input = slice_from(*input, 1);
	}
	if (d->state == DOT_AFTER_DOT && input->len > 0) {
		/* RFC 5321 4.5.2: the dot goes, whatever follows but the end */
		d->flags.needs_stuffing |= input->ptr[0] == '.';
		d->state = input->ptr[0] == '\r' ? DOT_AFTER_DOT_CR : DOT_IN_LINE;
		if (d->state == DOT_AFTER_DOT_CR)
			*input = slice_from(*input, 1);
	}
	if (d->state == DOT_AFTER_DOT_CR && input->len > 0 && input->ptr[0] == '\n') {
		d->state = DOT_ENDED;
		*input = slice_from(*input, 1);
	}
	return d->state != DOT_ENDED && input->len > 0;
}

bool dot_next(struct dot_reader *d, struct slice *input, struct slice *run)
{
	bool after_cr;

	*run = SLICE_EMPTY;
	if (d->state == DOT_ENDED || !at_dot(d, input))
		return false;
	if (d->state == DOT_AFTER_DOT_CR) { /* dot, CR, no LF: the CR was content */
		*run = SLICE("\r");
		d->octets++;
		d->column++;
		d->state = DOT_AFTER_CR;
		return true;
	}
	after_cr = d->state == DOT_AFTER_CR;
	*run = slice_sub(*input, 0, run_length(d, *input));
	*input = slice_from(*input, run->len);
	note(d, after_cr, *run);
	return true;
}
