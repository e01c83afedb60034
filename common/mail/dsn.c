/*
 * dsn: the notification's header, its parts and what keeps them apart. The boundary is searched for
 * in the message, the only part whose lines are not ours.
 */
#include "common/mail/dsn.h"

#include <stdio.h>

#include "common/base/encode.h"
#include "common/mail/date.h"
#include "common/mail/dsn_parts.h"
#include "common/mail/header.h"
#include "common/mail/message_id.h"

enum { LINE_WANTED = 78 /* RFC 5322 2.1.1 */ };

void dsn_put(struct dsn_out *o, struct slice s)
{
	o->full = !buffer_append(o->out, s) || o->full;
	o->column += s.len;
}

void dsn_line_end(struct dsn_out *o)
{
	dsn_put(o, SLICE("\r\n"));
	o->column = 0;
}

void dsn_put_number(struct dsn_out *o, uint64_t number)
{
	char text[24];
	int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	dsn_put(o, slice_make(text, (size_t)len));
}

/* Octets of s's first character when it may stand in a line; 0: it may not. */
static size_t harmless(struct slice s, bool utf8)
{
	unsigned char c = (unsigned char)s.ptr[0];
	if (c < 128)
		return c >= 32 && c != 127;
	size_t len = utf8 ? utf8_length(s) : 0;
	return len > 0 && !utf8_steers(s.ptr, len) ? len : 0;
}

void dsn_put_clean(struct dsn_out *o, struct slice s, bool utf8)
{
	while (s.len > 0) {
		size_t good = 0, n;
		while (good < s.len && (n = harmless(slice_from(s, good), utf8)) > 0)
			good += n;
		dsn_put(o, slice_sub(s, 0, good));
		s = slice_from(s, good);
		if (s.len == 0)
			break;
		dsn_put(o, SLICE("?"));
		size_t whole = utf8_length(s);
		s = slice_from(s, whole > 0 ? whole : 1);
	}
}

void dsn_put_words(struct dsn_out *o, struct slice s, bool utf8, struct slice indent)
{
	for (struct slice word = slice_word(&s); word.len > 0; word = slice_word(&s)) {
		if (o->column > indent.len && o->column + 1 + word.len > LINE_WANTED) {
			dsn_line_end(o);
			dsn_put(o, indent);
		} else if (o->column > indent.len) {
			dsn_put(o, SLICE(" "));
		}
		dsn_put_clean(o, word, utf8);
	}
}

const struct dsn_recipient *dsn_next(const struct dsn *d, enum dsn_action action, size_t *at)
{
	while (*at < d->recipient_count) {
		const struct dsn_recipient *r = &d->recipients[(*at)++];
		if (r->action == action)
			return r;
	}
	return NULL;
}

static bool contains(struct slice s, const char *text)
{
	return s.len > 0 && memmem(s.ptr, s.len, text, strlen(text)) != NULL;
}

/* RFC 2046 5.1.1: it must not be in what it encloses. */
static void choose_boundary(const struct dsn *d, struct dsn_plan *plan)
{
	for (unsigned n = 0;; n++) {
		snprintf(plan->boundary, sizeof(plan->boundary), "%.*s.%u.stagepost",
			 (int)(d->id.len < 32 ? d->id.len : 32), d->id.len > 0 ? d->id.ptr : "", n);
		if (!contains(d->trace, plan->boundary) && !contains(d->header, plan->boundary) &&
		    !contains(d->body, plan->boundary))
			return;
	}
}

static bool told_is_ascii(const struct dsn_recipient *r)
{
	return ascii_only(r->address) && ascii_only(r->original);
}

void dsn_plan(const struct dsn *d, struct dsn_plan *plan)
{
	size_t at = 0;
	bool addresses = ascii_only(d->sender) && ascii_only(d->to), texts = true;
	*plan = (struct dsn_plan){.only_success = !dsn_next(d, DSN_FAILED, &at)};
	plan->headers_only = d->headers_only || plan->only_success ||
			     d->trace.len + d->header.len + d->body.len > DSN_CONTENT_MAX;
	for (size_t i = 0; i < d->recipient_count; i++) {
		addresses = addresses && told_is_ascii(&d->recipients[i]);
		texts = texts && ascii_only(d->recipients[i].text);
	}
	plan->global = d->smtputf8 && !addresses;
	plan->utf8_text = !addresses || !texts;
	plan->utf8_header = !ascii_only(d->to);
	plan->eight_bit = plan->utf8_text || !ascii_only(d->trace) || !ascii_only(d->header) ||
			  (!plan->headers_only && !ascii_only(d->body));
	choose_boundary(d, plan);
}

static struct slice subject(const struct dsn *d, const struct dsn_plan *plan)
{
	if (d->postmaster)
		return SLICE("Postmaster Copy: Undelivered Mail");
	return plan->only_success ? SLICE("Successful Mail Delivery Report")
				  : SLICE("Undelivered Mail Returned to Sender");
}

static void field(struct dsn_out *o, const char *name, struct slice value)
{
	dsn_put(o, slice_str(name));
	dsn_put(o, SLICE(": "));
	dsn_put_clean(o, value, true);
	dsn_line_end(o);
}

static void encoding(struct dsn_out *o, bool eight_bit)
{
	if (eight_bit)
		field(o, "Content-Transfer-Encoding", SLICE("8bit"));
}

bool dsn_header(const struct dsn *d, const struct dsn_plan *plan, struct buffer *out)
{
	struct dsn_out o = {.out = out};
	char date[DATE_SIZE], id[MESSAGE_ID_SIZE];
	field(&o, "Date", date_text(d->now, d->now_zone, date));
	dsn_put(&o, SLICE("From: MAILER-DAEMON@"));
	dsn_put_clean(&o, d->host, false);
	dsn_put(&o, SLICE(" (Mail Delivery System)"));
	dsn_line_end(&o);
	field(&o, "To", d->to);
	field(&o, "Subject", subject(d, plan));
	field(&o, "Message-ID", message_id_text(d->now, d->id, d->host, id));
	field(&o, "Auto-Submitted", SLICE("auto-replied")); /* RFC 3834 5 */
	field(&o, "MIME-Version", SLICE("1.0"));
	dsn_put(&o, SLICE("Content-Type: multipart/report; report-type=delivery-status;\r\n"
			  "\tboundary=\""));
	dsn_put(&o, slice_str(plan->boundary));
	dsn_put(&o, SLICE("\""));
	dsn_line_end(&o);
	encoding(&o, plan->eight_bit);
	return !o.full;
}

static void delimiter(struct dsn_out *o, const struct dsn_plan *plan, bool last)
{
	dsn_put(o, SLICE("\r\n--"));
	dsn_put(o, slice_str(plan->boundary));
	if (last)
		dsn_put(o, SLICE("--"));
	dsn_line_end(o);
}

static void part_text(const struct dsn *d, const struct dsn_plan *plan, struct dsn_out *o)
{
	delimiter(o, plan, false);
	field(o, "Content-Description", SLICE("Notification"));
	field(o, "Content-Type",
	      plan->utf8_text ? SLICE("text/plain; charset=utf-8")
			      : SLICE("text/plain; charset=us-ascii"));
	encoding(o, plan->utf8_text);
	dsn_line_end(o);
	dsn_text_write(d, plan, o);
}

static void part_status(const struct dsn *d, const struct dsn_plan *plan, struct dsn_out *o)
{
	delimiter(o, plan, false);
	field(o, "Content-Description", SLICE("Delivery report"));
	field(o, "Content-Type",
	      plan->global ? SLICE("message/global-delivery-status")
			   : SLICE("message/delivery-status"));
	encoding(o, plan->global);
	dsn_line_end(o);
	dsn_status_write(d, plan, o);
}

/* Whole fields, as many as there is room for. */
static void put_fields(struct dsn_out *o, struct slice block, size_t *room)
{
	struct header_field f;
	while (header_next(&block, &f) && f.raw.len <= *room) {
		if (f.from_line)
			dsn_put(o, header_mailbox_line);
		dsn_put(o, f.raw);
		*room -= f.raw.len;
	}
}

static void part_message(const struct dsn *d, const struct dsn_plan *plan, struct dsn_out *o)
{
	bool utf8_header = d->smtputf8 && !(ascii_only(d->trace) && ascii_only(d->header));
	size_t room = DSN_CONTENT_MAX;
	delimiter(o, plan, false);
	if (plan->headers_only) {
		field(o, "Content-Description",
		      plan->only_success ? SLICE("Message Headers")
					 : SLICE("Undelivered Message Headers"));
		field(o, "Content-Type",
		      utf8_header ? SLICE("message/global-headers") : SLICE("text/rfc822-headers"));
		encoding(o, !(ascii_only(d->trace) && ascii_only(d->header)));
		dsn_line_end(o);
		put_fields(o, d->trace, &room);
		put_fields(o, d->header, &room);
		return;
	}
	field(o, "Content-Description", SLICE("Undelivered Message"));
	field(o, "Content-Type", utf8_header ? SLICE("message/global") : SLICE("message/rfc822"));
	encoding(o, !(ascii_only(d->trace) && ascii_only(d->header) && ascii_only(d->body)));
	dsn_line_end(o);
	dsn_put(o, d->trace);
	dsn_put(o, d->header);
	dsn_put(o, d->body);
}

bool dsn_body(const struct dsn *d, const struct dsn_plan *plan, struct buffer *out)
{
	struct dsn_out o = {.out = out};
	dsn_line_end(&o);
	dsn_put(&o, SLICE("This is a MIME-encapsulated message."));
	dsn_line_end(&o);
	part_text(d, plan, &o);
	part_status(d, plan, &o);
	part_message(d, plan, &o);
	delimiter(&o, plan, true);
	return !o.full;
}
