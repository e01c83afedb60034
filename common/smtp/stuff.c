/*
 * stuff: runs without a line end are found with memchr and copied whole.
 */
#include "common/smtp/stuff.h"

#include "common/mail/content.h"

void stuffer_init(struct stuffer *s, bool dots)
{
	*s = (struct stuffer){.dots = dots};
}

static bool line_end(struct stuffer *s, struct buffer *out)
{
	s->column = 0;
	s->cr = false;
	return buffer_append(out, SLICE("\r\n"));
}

/* Octets of one line without its end. */
static bool add_run(struct stuffer *s, struct slice run, struct buffer *out)
{
	if (run.len > 0 && s->column == 0 && s->dots && run.ptr[0] == '.' && !buffer_byte(out, '.'))
		return false;
	while (run.len > 0) {
		if (!s->whole && s->column == CONTENT_LINE_MAX) {
			if (!buffer_append(out, SLICE("\r\n ")))
				return false;
			s->column = 1;
		}
		size_t most = s->whole ? run.len : CONTENT_LINE_MAX - s->column;
		struct slice part = slice_sub(run, 0, most);
		if (!buffer_append(out, part))
			return false;
		s->column += part.len;
		run = slice_from(run, part.len);
	}
	return true;
}

bool stuffer_add(struct stuffer *s, struct slice content, struct buffer *out)
{
	while (content.len > 0) {
		if (s->cr) {
			if (!line_end(s, out))
				return false;
			if (content.ptr[0] == '\n') {
				content = slice_from(content, 1);
				continue;
			}
		}
		size_t lf = slice_find(content, '\n');
		size_t end = slice_find(slice_sub(content, 0, lf), '\r');
		if (!add_run(s, slice_sub(content, 0, end), out))
			return false;
		if (end < lf)
			s->cr = true;
		else if (lf < content.len && !line_end(s, out))
			return false;
		content = slice_from(content, end + 1);
	}
	return true;
}

bool stuffer_end(struct stuffer *s, struct buffer *out)
{
	if ((s->cr || s->column > 0) && !line_end(s, out))
		return false;
	return !s->dots || buffer_append(out, SLICE(".\r\n"));
}
