/*
 * dsn_status: the part for programs (RFC 3464 2, RFC 6533 3): fields of the message, then a group
 * of fields for each recipient.
 */
#include <stdio.h>

#include "common/base/encode.h"
#include "common/mail/date.h"
#include "common/mail/dsn_parts.h"
#include "common/mail/xtext.h"

enum { XTEXT_MAX = 1024 };

static const struct {
	const char *action, *status;
} actions[DSN_ACTIONS] = {
    [DSN_FAILED] = {"failed", "5.0.0"},
    [DSN_DELIVERED] = {"delivered", "2.0.0"},
    [DSN_RELAYED] = {"relayed", "2.0.0"},
    [DSN_EXPANDED] = {"expanded", "2.0.0"},
};

static void name(struct dsn_out *o, const char *text)
{
	dsn_put(o, slice_str(text));
	dsn_put(o, SLICE(": "));
}

static void field(struct dsn_out *o, const char *text, struct slice value, bool utf8)
{
	name(o, text);
	dsn_put_clean(o, value, utf8);
	dsn_line_end(o);
}

/* What stands for itself in a utf-8-addr-xtext: QCHAR of RFC 6533 3. */
static bool is_qchar(unsigned char c)
{
	return c > 32 && c < 127 && c != '+' && c != '\\' && c != '=';
}

static uint32_t code_point(struct slice s, size_t len)
{
	static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t point = (unsigned char)s.ptr[0] & masks[len];
	for (size_t i = 1; i < len; i++)
		point = point << 6 | ((unsigned char)s.ptr[i] & 0x3f);
	return point;
}

static void put_embedded(struct dsn_out *o, struct slice s)
{
	while (s.len > 0) {
		size_t len = utf8_length(s);
		char text[16];
		if (len == 0) {
			dsn_put(o, SLICE("?"));
			len = 1;
		} else if (is_qchar((unsigned char)s.ptr[0])) {
			dsn_put(o, slice_sub(s, 0, 1));
		} else {
			int n = snprintf(text, sizeof(text), "\\x{%02X}", code_point(s, len));
			dsn_put(o, slice_make(text, (size_t)n));
		}
		s = slice_from(s, len);
	}
}

/* An address with its type. */
static void address(struct dsn_out *o, const char *text, struct slice a,
		    const struct dsn_plan *plan)
{
	bool ascii = ascii_only(a);
	name(o, text);
	dsn_put(o, ascii ? SLICE("rfc822; ") : SLICE("utf-8; "));
	if (ascii || plan->global)
		dsn_put_clean(o, a, true);
	else
		put_embedded(o, a);
	dsn_line_end(o);
}

/* Which stands for the octets that it had before it was put into xtext (RFC 3461 6.3). */
static void put_xtext(struct dsn_out *o, struct slice xtext)
{
	struct buffer plain;
	buffer_init(&plain, XTEXT_MAX);
	if (xtext_decode(xtext, &plain))
		dsn_put_clean(o, buffer_slice(&plain), false);
	else
		dsn_put_clean(o, xtext, false);
	buffer_free(&plain);
}

static void original(struct dsn_out *o, struct slice orcpt, const struct dsn_plan *plan)
{
	struct slice type, rest;
	if (!slice_split(orcpt, ';', &type, &rest) || type.len == 0 || rest.len == 0)
		return;
	name(o, "Original-Recipient");
	dsn_put_clean(o, type, false);
	dsn_put(o, SLICE("; "));
	if (ascii_only(rest))
		put_xtext(o, rest);
	else if (plan->global)
		dsn_put_clean(o, rest, true);
	else
		put_embedded(o, rest);
	dsn_line_end(o);
}

/* d.d.d with digits, and the class that fits the action. */
static bool status_right(struct slice s, enum dsn_action action)
{
	unsigned dots = 0;
	char before = '.';
	for (size_t i = 0; i < s.len; before = s.ptr[i++]) {
		char c = s.ptr[i];
		if ((c < '0' || c > '9') && (c != '.' || before == '.'))
			return false;
		dots += c == '.';
	}
	return dots == 2 && before != '.' && s.ptr[1] == '.' &&
	       s.ptr[0] == actions[action].status[0];
}

/* Without the address and port: mx.example.org[192.0.2.1]:25. */
static struct slice relay_name(struct slice relay)
{
	size_t bracket = slice_find(relay, '[');
	return bracket == 0 ? relay : slice_sub(relay, 0, bracket);
}

static void diagnostic(struct dsn_out *o, const struct dsn_recipient *r,
		       const struct dsn_plan *plan)
{
	struct slice indent = SLICE("    ");
	if (r->text.len == 0 && r->code == 0)
		return;
	name(o, "Diagnostic-Code");
	dsn_put(o, r->relay.len > 0 ? SLICE("smtp;") : SLICE("x-stagepost;"));
	if (r->relay.len > 0 && r->code > 0) {
		dsn_put(o, SLICE(" "));
		dsn_put_number(o, r->code);
		dsn_put_words(o, r->enhanced, false, indent);
	}
	dsn_put_words(o, r->text, plan->global, indent);
	dsn_line_end(o);
}

static void recipient(struct dsn_out *o, const struct dsn_recipient *r, const struct dsn_plan *plan)
{
	dsn_line_end(o);
	if (r->orcpt.len > 0)
		original(o, r->orcpt, plan);
	address(o, "Final-Recipient", r->address, plan);
	field(o, "Action", slice_str(actions[r->action].action), false);
	field(o, "Status",
	      status_right(r->enhanced, r->action) ? r->enhanced
						   : slice_str(actions[r->action].status),
	      false);
	if (r->relay.len > 0) {
		name(o, "Remote-MTA");
		dsn_put(o, SLICE("dns; "));
		dsn_put_clean(o, relay_name(r->relay), false);
		dsn_line_end(o);
	}
	diagnostic(o, r, plan);
}

void dsn_status_write(const struct dsn *d, const struct dsn_plan *plan, struct dsn_out *o)
{
	char date[DATE_SIZE];
	name(o, "Reporting-MTA");
	dsn_put(o, SLICE("dns; "));
	dsn_put_clean(o, d->host, false);
	dsn_line_end(o);
	if (d->envid.len > 0) {
		name(o, "Original-Envelope-Id");
		put_xtext(o, d->envid);
		dsn_line_end(o);
	}
	field(o, "X-Stagepost-Queue-ID", d->parent, false);
	address(o, "X-Stagepost-Sender", d->sender, plan);
	field(o, "Arrival-Date", date_text(d->arrived, d->arrived_zone, date), false);
	for (size_t i = 0; i < d->recipient_count; i++)
		recipient(o, &d->recipients[i], plan);
}
