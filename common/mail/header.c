/*
 * header: finds fields and the end of the header block. One classification of a line serves both
 * the scan of arriving content and the walk through a block that is known, so that they can't
 * disagree about where the header ends.
 */
#include "common/mail/header.h"

#include "common/mail/content.h"

const struct slice header_mailbox_line = {"X-Mailbox-Line: ", sizeof("X-Mailbox-Line: ") - 1};

enum line_kind {
	LINE_UNDECIDED, /* more octets of it are needed */
	LINE_BLANK,
	LINE_FIELD,
	LINE_CONTINUES, /* begins with a blank */
	LINE_FROM,
	LINE_OTHER,
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The field name at the front of line: 1 yes, 0 no, -1 the line is too short to tell. */
static int field_name(struct slice line, struct slice *name)
{
	size_t end = 0, colon;

	while (end < line.len && end < CONTENT_LINE_MAX && line.ptr[end] > 32 &&
	       line.ptr[end] < 127 && line.ptr[end] != ':')
		end++;
	/* RFC 5322 4.5.8: blanks before the colon are obsolete, yet to be read */
	colon = end;
	while (colon < line.len && colon < 2 * CONTENT_LINE_MAX && is_blank(line.ptr[colon]))
		colon++;
	*name = slice_sub(line, 0, end);
	if (colon == line.len)
		return -1;
	return end > 0 && line.ptr[colon] == ':';
}

/* `From ` of an mbox that was sent as a message (S20): 1, 0, -1 as above. */
static int from_line(struct slice line)
{
	struct slice from = SLICE("From ");
	size_t at = 0;

	while (at < line.len && at < CONTENT_LINE_MAX && line.ptr[at] == '>')
		at++;
	line = slice_sub(line, at, from.len);
	if (slice_equal(line, from))
		return 1;
	return slice_starts(from, line) ? -1 : 0;
}

/* complete: line ends with its CRLF, or nothing follows it. */
static enum line_kind line_kind(struct slice line, bool complete)
{
	struct slice name;
	int field, from;

	if (line.len == 0)
		return LINE_UNDECIDED;
	if (slice_equal(line, SLICE("\r\n")))
		return LINE_BLANK;
	if (line.ptr[0] == '\r' && line.len == 1 && !complete)
		return LINE_UNDECIDED;
	if (is_blank(line.ptr[0]))
		return LINE_CONTINUES;
	field = field_name(line, &name);
	if (field == 1)
		return LINE_FIELD;
	from = from_line(line);
	if (!complete && (field < 0 || from < 0))
		return LINE_UNDECIDED;
	return from == 1 ? LINE_FROM : LINE_OTHER;
}

/* Length of the first line of s with its CRLF, looking from `from` on; 0: it is not complete. */
static size_t line_length(struct slice s, size_t from)
{
	while (from < s.len) {
		const char *lf = memchr(s.ptr + from, '\n', s.len - from);
		if (lf == NULL)
			return 0;
		from = (size_t)(lf - s.ptr) + 1;
		if (from >= 2 && lf[-1] == '\r')
			return from;
	}
	return 0;
}

static enum header_end header_ends(struct header_scan *scan, enum header_end end, size_t body)
{
	scan->end = end;
	scan->body = body;
	return end;
}

/* Takes note of the line at scan->header, of len octets: is it header? */
static bool line_is_header(struct header_scan *scan, enum line_kind kind)
{
	if (kind == LINE_FIELD)
		scan->begun = scan->in_field = true;
	return kind == LINE_FIELD || (kind == LINE_CONTINUES && scan->in_field) ||
	       (kind == LINE_FROM && !scan->begun);
}

enum header_end header_scan(struct header_scan *scan, struct slice content)
{
	while (scan->end == HEADER_MORE) {
		struct slice rest = slice_from(content, scan->header);
		size_t len = line_length(rest, scan->looked);
		bool complete = len > 0;
		enum line_kind kind =
		    line_kind(slice_sub(rest, 0, complete ? len : rest.len), complete);

		if (kind == LINE_UNDECIDED) {
			scan->looked = rest.len;
			break;
		}
		if (kind == LINE_BLANK)
			return header_ends(scan, HEADER_BLANK_LINE, scan->header + len);
		if (!line_is_header(scan, kind))
			return header_ends(scan, HEADER_NOT_A_FIELD, scan->header);
		if (!complete) {
			scan->looked = rest.len;
			break;
		}
		scan->header += len;
		scan->looked = 0;
	}
	return scan->end;
}

enum header_end header_scan_finish(struct header_scan *scan, struct slice content)
{
	struct slice rest;

	if (header_scan(scan, content) != HEADER_MORE)
		return scan->end;
	rest = slice_from(content, scan->header);
	if (rest.len > 0 && !line_is_header(scan, line_kind(rest, true)))
		return header_ends(scan, HEADER_NOT_A_FIELD, scan->header);
	scan->header = content.len;
	return header_ends(scan, HEADER_NO_BODY, content.len);
}

enum header_end header_split(struct slice message, struct slice *header, struct slice *body)
{
	struct header_scan scan = {0};
	enum header_end end = header_scan_finish(&scan, message);

	*header = slice_sub(message, 0, scan.header);
	*body = slice_from(message, scan.body);
	return end;
}

bool header_field_name(struct slice line, struct slice *name)
{
	return line.len > 0 && !is_blank(line.ptr[0]) && field_name(line, name) == 1;
}

static size_t line_length_or_all(struct slice s)
{
	size_t len = line_length(s, 0);

	return len > 0 ? len : s.len;
}

bool header_next(struct slice *block, struct header_field *f)
{
	size_t len = line_length_or_all(*block);
	struct slice first = slice_sub(*block, 0, len);

	switch (line_kind(first, true)) {
	case LINE_FROM:
		f->from_line = true;
		f->name = slice_sub(header_mailbox_line, 0, header_mailbox_line.len - 2);
		f->value = slice_trim(first);
		break;
	case LINE_FIELD:
		while (len < block->len && is_blank(block->ptr[len]))
			len += line_length_or_all(slice_from(*block, len));
		f->from_line = false;
		(void)field_name(first, &f->name);
		f->value = slice_sub(*block, 0, len);
		f->value = slice_trim(slice_from(f->value, slice_find(f->value, ':') + 1));
		break;
	default:
		return false;
	}
	f->raw = slice_sub(*block, 0, len);
	*block = slice_from(*block, len);
	return true;
}

bool header_find(struct slice block, struct slice name, struct header_field *f)
{
	while (header_next(&block, f)) {
		if (slice_equal_fold(f->name, name))
			return true;
	}
	return false;
}

size_t header_count(struct slice block, struct slice name)
{
	struct header_field f;
	size_t count = 0;

	while (header_next(&block, &f))
		count += slice_equal_fold(f.name, name);
	return count;
}

bool header_remove(struct slice block, const struct slice *names, size_t count, struct buffer *out)
{
	struct header_field f;

	while (header_next(&block, &f)) {
		size_t i = 0;
		while (i < count && !slice_equal_fold(f.name, names[i]))
			i++;
		if (i < count)
			continue;
		if (f.from_line && !buffer_append(out, header_mailbox_line))
			return false;
		if (!buffer_append(out, f.raw))
			return false;
	}
	return true;
}
