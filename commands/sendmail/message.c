/*
 * A program's message has lines that end with LF and often lacks what every message must have (RFC
 * 5322 3.6). A bare CR becomes a blank, not a line's end: what a web form puts into a header field
 * must not begin another one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/sendmail/sendmail.h"
#include "common/base/encode.h"
#include "common/mail/date.h"
#include "common/mail/fields.h"
#include "common/mail/message_id.h"

enum { READ_SIZE = 32 * 1024, FIELD_SIZE = 1024 };

/* Turns lines into CRLF lines, as they come. */
struct line_writer {
	struct buffer *out;
	size_t line; /* where the line in work begins in out */
	bool cr;     /* the last octet was CR, and is not written yet */
	bool dot_ends;
	bool ended;
	bool full;
};

static void line_put(struct line_writer *w, char c)
{
	if (!buffer_byte(w->out, c))
		w->full = true;
}

static void line_end(struct line_writer *w)
{
	struct slice line = slice_from(buffer_slice(w->out), w->line);
	if (w->dot_ends && slice_equal(line, SLICE("."))) {
		buffer_truncate(w->out, w->line);
		w->ended = true;
		return;
	}
	if (!buffer_append(w->out, SLICE("\r\n")))
		w->full = true;
	w->line = w->out->len;
}

static void line_take(struct line_writer *w, struct slice octets)
{
	for (size_t i = 0; i < octets.len && !w->ended && !w->full; i++) {
		char c = octets.ptr[i];
		if (c == '\n') {
			line_end(w);
		} else {
			if (w->cr)
				line_put(w, ' ');
			if (c != '\r')
				line_put(w, c);
		}
		w->cr = c == '\r';
	}
}

bool message_read(int fd, bool dot_ends, struct buffer *out, struct error *e)
{
	struct line_writer w = {.out = out, .dot_ends = dot_ends};
	char octets[READ_SIZE];
	ssize_t n;
	while (!w.ended && !w.full &&
	       (n = TEMP_FAILURE_RETRY(read(fd, octets, sizeof(octets)))) != 0) {
		if (n < 0)
			return error_set(e, EX_IOERR, "the message can't be read: %s",
					 strerror(errno));
		line_take(&w, slice_make(octets, (size_t)n));
	}
	if (!w.ended && !w.full && out->len > w.line)
		line_end(&w);
	if (w.full)
		return error_set(e, EX_DATAERR,
				 "the message has more than the %zu octets of limits.message-size",
				 out->limit);
	return true;
}

static void split(struct slice message, struct slice *header, struct slice *body)
{
	if (header_split(message, header, body) == HEADER_MORE)
		panic("header_split: a whole message has an end of its header");
}

bool message_recipients(struct slice message, struct recipients *r, struct error *e)
{
	static const struct slice usual[] = {{"To", 2},	       {"Cc", 2},
					     {"Bcc", 3},       {"Resent-To", 9},
					     {"Resent-Cc", 9}, {"Resent-Bcc", 10}};
	enum { PLAIN = 3, ALL = 6 };
	struct slice header, body;
	struct header_field f;
	bool resent = false;
	split(message, &header, &body);
	for (size_t i = PLAIN; i < ALL; i++)
		resent = resent || header_find(header, usual[i], &f);
	while (header_next(&header, &f)) {
		for (size_t i = resent ? PLAIN : 0; i < (resent ? ALL : PLAIN); i++)
			if (slice_equal_fold(f.name, usual[i]) &&
			    !recipients_add_list(r, f.value, e))
				return error_prefix(e, "%.*s", SLICE_FMT(f.name));
	}
	return true;
}

static bool add_field(struct fields *l, const char *name, struct slice value)
{
	char text[FIELD_SIZE];
	int len = snprintf(text, sizeof(text), "%s: %.*s\r\n", name, SLICE_FMT(value));
	return len > 0 && (size_t)len < sizeof(text) &&
	       fields_add_back(l, slice_make(text, (size_t)len));
}

/* A name as a quoted string (RFC 5322 3.2.4); one that is not ASCII as an encoded word (RFC 2047),
 * one that would be too long for it not at all. */
static void put_name(struct buffer *b, struct slice name)
{
	enum { ENCODED_MAX = 45 }; /* octets that make an encoded word of at most 75 characters */
	if (!ascii_only(name)) {
		if (name.len > ENCODED_MAX || !utf8_valid(name))
			return;
		buffer_append(b, SLICE("=?UTF-8?B?"));
		base64_encode(name, b);
		buffer_append(b, SLICE("?= "));
		return;
	}
	buffer_byte(b, '"');
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		if (c == '"' || c == '\\')
			buffer_byte(b, '\\');
		if (c >= ' ' && c < 0x7f)
			buffer_byte(b, c);
	}
	buffer_append(b, SLICE("\" "));
}

static bool add_from(struct fields *l, const char *field, const struct author *author)
{
	struct buffer b;
	bool good;
	buffer_init(&b, FIELD_SIZE - sizeof("Resent-From: \r\n"));
	if (author->full_name.len > 0 && author->full_name.len < FIELD_SIZE / 4)
		put_name(&b, author->full_name);
	good = buffer_printf(&b, "<%.*s>", SLICE_FMT(author->address)) &&
	       add_field(l, field, buffer_slice(&b));
	buffer_free(&b);
	return good;
}

static bool add_missing(struct fields *l, const struct author *author)
{
	char date[DATE_SIZE], id[MESSAGE_ID_SIZE], unique[17];
	snprintf(unique, sizeof(unique), "%016" PRIx64, author->unique);
	if (!fields_find(l, SLICE("From")) && !add_from(l, "From", author))
		return false;
	if (!fields_find(l, SLICE("Date")) &&
	    !add_field(l, "Date", date_text(author->seconds, author->offset, date)))
		return false;
	return fields_find(l, SLICE("Message-ID")) ||
	       add_field(l, "Message-ID",
			 message_id_text(author->seconds, slice_str(unique), author->host, id));
}

bool message_complete(struct slice message, const struct author *author, struct buffer *out,
		      struct error *e)
{
	struct slice header, body;
	struct fields l;
	bool good;
	split(message, &header, &body);
	if (header.len > HEADER_LIMIT)
		return error_set(e, EX_DATAERR, "the header has more than %d octets", HEADER_LIMIT);
	fields_init(&l);
	good = fields_read(&l, header);
	fields_remove(&l, SLICE("Bcc"));
	fields_remove(&l, SLICE("Resent-Bcc"));
	fields_remove(&l, SLICE("Return-Path")); /* RFC 5321 4.4: the last server's to write */
	good = good && add_missing(&l, author) && fields_write(&l, out) &&
	       buffer_append(out, SLICE("\r\n")) && buffer_append(out, body);
	fields_free(&l);
	return good || error_set(e, EX_DATAERR, "the message is too large");
}
