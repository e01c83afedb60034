/*
 * bdat: counts chunks down, and looks at lines as if there were none.
 */
#include "common/smtp/bdat.h"

#include "common/smtp/survey.h"

bool bdat_parse(struct slice argument, struct bdat_command *c, struct refusal *why)
{
	struct slice size = slice_word(&argument), last = slice_word(&argument);

	c->last = last.len > 0;
	if (!slice_number(size, UINT64_MAX, &c->size) || argument.len > 0 ||
	    (c->last && !slice_equal_fold(last, SLICE("LAST"))))
		return refuse(why, 521, "5.5.4",
			      "Syntax: BDAT size [LAST]; closing the connection");
	return true;
}

void bdat_chunk(struct bdat_reader *b, uint64_t size)
{
	b->left = size;
}

static struct slice take(struct bdat_reader *b, struct slice *input)
{
	struct slice run = slice_sub(*input, 0, b->left < input->len ? b->left : input->len);

	*input = slice_from(*input, run.len);
	b->left -= run.len;
	return run;
}

static void look_at_lines(struct bdat_reader *b, struct slice run)
{
	const char *end = run.ptr + run.len, *line = run.ptr, *lf;

	b->flags.needs_stuffing |= b->column == 0 && *line == '.';
	while ((lf = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		bool crlf = (lf > run.ptr ? lf[-1] : b->before) == '\r';

		b->column += (uint64_t)(lf + 1 - line);
		line = lf + 1;
		if (crlf) {
			b->flags.long_line |= b->column > CONTENT_LINE_MAX + 2;
			b->column = 0;
			b->flags.needs_stuffing |= line < end && *line == '.';
		}
	}
	b->column += (uint64_t)(end - line);
}

bool bdat_next(struct bdat_reader *b, struct slice *input, struct slice *run)
{
	*run = take(b, input);
	if (run->len == 0)
		return false;
	look_at_lines(b, *run);
	survey_run(&b->flags, b->before == '\r', *run);
	b->octets += run->len;
	b->before = run->ptr[run->len - 1];
	return true;
}

void bdat_skip(struct bdat_reader *b, struct slice *input)
{
	(void)take(b, input);
}

void bdat_finish(struct bdat_reader *b)
{
	b->flags.bare_cr |= b->before == '\r';
	b->flags.no_final_crlf = b->column > 0;
	b->flags.long_line |= b->column > CONTENT_LINE_MAX;
}
