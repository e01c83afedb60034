/*
 * reader: counts lines, takes comments and blanks away, and turns complaints into
 * "path:line: text". A file with one bad line is bad, but all its bad lines (up to
 * TABLE_BAD_LINES_MAX) are told at once.
 */
#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

#include "common/base/buffer.h"
#include "common/mail/address.h"
#include "common/table/reader.h"

static void format_place(const struct reader *r, unsigned line, char *text, size_t size)
{
	struct slice name = slice_str(r->name);
	const char *dots = "";
	if (name.len > READER_NAME_MAX) {
		name = slice_from(name, name.len - READER_NAME_MAX);
		dots = "...";
	}
	snprintf(text, size, "%s%.*s:%u: ", dots, SLICE_FMT(name), line);
}

static void complain(struct reader *r, bool warning, unsigned line, const char *format, va_list ap)
{
	char text[READER_TEXT_SIZE];
	format_place(r, line, text, sizeof(text));
	size_t len = strlen(text);
	vsnprintf(text + len, sizeof(text) - len, format, ap);
	if (!warning && r->bad++ == 0)
		error_set(r->e, EX_DATAERR, "%s", text);
	if (r->report)
		r->report(r->arg, warning, text);
}

void reader_bad(struct reader *r, unsigned line, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	complain(r, false, line, format, ap);
	va_end(ap);
}

void reader_warn(struct reader *r, unsigned line, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	complain(r, true, line, format, ap);
	va_end(ap);
}

static struct slice trim_end(struct slice s)
{
	while (s.len > 0 && strchr(" \t\r", s.ptr[s.len - 1]))
		s.len--;
	return s;
}

bool reader_line(struct reader *r, struct slice *line)
{
	while (r->rest.len > 0 && r->bad < TABLE_BAD_LINES_MAX) {
		slice_split(r->rest, '\n', line, &r->rest);
		r->line++;
		if (line->len > TABLE_LINE_MAX) {
			reader_bad(r, r->line, "the line is longer than %d octets", TABLE_LINE_MAX);
			continue;
		}
		if (slice_find(*line, '\0') < line->len) {
			reader_bad(r, r->line, "there is a NUL in this line");
			continue;
		}
		struct slice text = slice_trim(*line);
		if (text.len == 0 || text.ptr[0] == '#')
			continue;
		*line = trim_end(*line);
		return true;
	}
	return false;
}

bool reader_continues(const struct reader *r)
{
	/* RFC 5322 folding, as every aliases file since sendmail has it: lines that are empty or a
	 * comment end nothing. */
	struct slice rest = r->rest, line;
	while (rest.len > 0) {
		slice_split(rest, '\n', &line, &rest);
		struct slice text = slice_trim(line);
		if (text.len > 0 && text.ptr[0] != '#')
			return line.ptr[0] == ' ' || line.ptr[0] == '\t';
	}
	return false;
}

void reader_add(struct reader *r, unsigned line, struct slice key, struct slice value)
{
	switch (content_add(r->content, key, value)) {
	case CONTENT_ADDED:
		break;
	case CONTENT_TWICE:
		reader_warn(r, line, "%.*s is there twice; the first counts", SLICE_FMT(key));
		break;
	case CONTENT_FULL:
		reader_bad(r, line, "the table is too large: at most %d entries",
			   TABLE_ENTRIES_MAX);
		r->rest = SLICE_EMPTY;
		break;
	}
}

static const char *domain_key(struct slice name, struct buffer *key)
{
	char lower[ADDRESS_SIZE];
	if (name.len > ADDRESS_MAX || !address_domain_valid(slice_from(name, 1), true))
		return "what follows the @ is not a domain";
	slice_lower(name, lower);
	return buffer_append(key, slice_make(lower, name.len)) ? NULL : "the name is too long";
}

const char *reader_key(struct slice name, bool catch_all, struct buffer *key)
{
	struct address a;
	char text[ADDRESS_SIZE];
	if (catch_all && name.len > 0 && name.ptr[0] == '@')
		return domain_key(name, key);
	enum address_fault fault = address_parse(name, ADDRESS_UTF8 | ADDRESS_DOMAINLESS, &a);
	if (fault != ADDRESS_FINE)
		return address_fault_text(fault);
	return buffer_append(key, address_key(&a, text)) ? NULL : "the name is too long";
}
