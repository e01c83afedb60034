/*
 * dot: the receiving side of DATA. A run goes on until a line begins with a dot: memchr finds the
 * line ends, and smtp/survey looks at what the octets are.
 */
#include "common/smtp/dot.h"

#include "common/smtp/survey.h"

void dot_reader_init(struct dot_reader *d)
{
	*d = (struct dot_reader){.state = DOT_AT_START};
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
	d->octets += run->len;
	survey_run(&d->flags, after_cr, *run);
	return true;
}
