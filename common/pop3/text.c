/*
 * Line by line; what is counted as a message's octets (common/mailbox/octets) is what goes out
 * here, but for the dots.
 */
#include "common/pop3/text.h"

void pop3_text_init(struct pop3_text *t)
{
	*t = (struct pop3_text){.empty = true};
}

void pop3_text_init_top(struct pop3_text *t, uint32_t lines)
{
	*t = (struct pop3_text){.top = true, .lines = lines, .empty = true};
}

/* RFC 1939 7, TOP: the header, the empty line behind it, and so many lines. */
static void line_ended(struct pop3_text *t)
{
	if (t->body && t->lines > 0)
		t->lines--;
	if (!t->body && t->empty)
		t->body = true;
	t->full = t->top && t->body && t->lines == 0;
	t->inside = false;
	t->empty = true;
}

/* A run of octets without LF. */
static bool add_run(struct pop3_text *t, struct slice run, struct buffer *out)
{
	if (run.len == 0)
		return true;
	if (!t->inside && run.ptr[0] == '.' && !buffer_byte(out, '.'))
		return false;
	t->empty = t->empty && !t->inside && run.len == 1 && run.ptr[0] == '\r';
	t->inside = true;
	t->last = run.ptr[run.len - 1];
	return buffer_append(out, run);
}

bool pop3_text_add(struct pop3_text *t, struct slice content, struct buffer *out)
{
	while (content.len > 0 && !t->full) {
		size_t end = slice_find(content, '\n');
		if (!add_run(t, slice_sub(content, 0, end), out))
			return false;
		if (end == content.len)
			return true;
		if ((t->last != '\r' && !buffer_byte(out, '\r')) || !buffer_byte(out, '\n'))
			return false;
		t->last = '\n';
		line_ended(t);
		content = slice_from(content, end + 1);
	}
	return true;
}

bool pop3_text_end(struct pop3_text *t, struct buffer *out)
{
	return (!t->inside || buffer_append(out, SLICE("\r\n"))) &&
	       buffer_append(out, SLICE(".\r\n"));
}
