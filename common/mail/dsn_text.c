/*
 * dsn_text: the part for people: what happened to whom, in plain words, and what the other server
 * said.
 */
#include "common/base/encode.h"
#include "common/mail/date.h"
#include "common/mail/dsn_parts.h"

static const char failed_sender[] =
    "Your message could not be delivered to the recipients named below. It has\r\n"
    "been given up for them: nothing more will be tried. Each name is followed by\r\n"
    "the reason.\r\n";
static const char failed_postmaster[] =
    "A message with an empty sender, most often itself a report of this kind,\r\n"
    "could not be delivered to the recipients named below. It has no sender who\r\n"
    "could be told, so the postmaster is. Each name is followed by the reason.\r\n";
static const char reached[] =
    "As you asked to be told: your message has been delivered to the recipients\r\n"
    "named below.\r\n";
static const char relayed[] =
    "For the recipients named below your message has been passed on to another\r\n"
    "server, which sends no notices. You may hear nothing more about them, even\r\n"
    "though all is well.\r\n";
static const char expanded[] =
    "The recipients named below stand for several others, and your message has\r\n"
    "been passed on to all of these.\r\n";

static void name(struct dsn_out *o, const struct dsn_recipient *r)
{
	dsn_line_end(o);
	dsn_put(o, SLICE("<"));
	dsn_put_clean(o, r->address, true);
	dsn_put(o, SLICE(">"));
	if (r->original.len > 0 && !slice_equal_fold(r->original, r->address)) {
		dsn_put(o, SLICE(" (written as <"));
		dsn_put_clean(o, r->original, true);
		dsn_put(o, SLICE(">)"));
	}
	dsn_line_end(o);
}

static void reason(struct dsn_out *o, const struct dsn_recipient *r)
{
	struct slice indent = SLICE("    ");
	if (r->text.len == 0 && r->code == 0)
		return;
	dsn_put(o, indent);
	if (r->relay.len > 0) {
		dsn_put_words(o, r->relay, false, indent);
		dsn_put_words(o, SLICE("said:"), false, indent);
	}
	if (r->relay.len > 0 && r->code > 0) {
		dsn_put(o, SLICE(" "));
		dsn_put_number(o, r->code);
		dsn_put_words(o, r->enhanced, false, indent);
	}
	dsn_put_words(o, r->text, true, indent);
	dsn_line_end(o);
}

static void section(struct dsn_out *o, const struct dsn *d, enum dsn_action action,
		    const char *introduction)
{
	size_t at = 0;
	const struct dsn_recipient *r = dsn_next(d, action, &at);
	if (!r)
		return;
	dsn_line_end(o);
	dsn_put(o, slice_str(introduction));
	o->column = 0;
	for (; r; r = dsn_next(d, action, &at)) {
		name(o, r);
		reason(o, r);
	}
}

static void message(struct dsn_out *o, const struct dsn *d, const struct dsn_plan *plan)
{
	char date[DATE_SIZE];
	dsn_line_end(o);
	dsn_put(o, SLICE("The message came on "));
	dsn_put(o, date_text(d->arrived, d->arrived_zone, date));
	dsn_put(o, SLICE("."));
	dsn_line_end(o);
	dsn_put(o,
		plan->headers_only ? SLICE("Its header is attached.") : SLICE("It is attached."));
	dsn_line_end(o);
}

void dsn_text_write(const struct dsn *d, const struct dsn_plan *plan, struct dsn_out *o)
{
	dsn_put(o, SLICE("This is the mail system at "));
	dsn_put_clean(o, d->host, false);
	dsn_put(o, SLICE("."));
	dsn_line_end(o);
	section(o, d, DSN_FAILED, d->postmaster ? failed_postmaster : failed_sender);
	section(o, d, DSN_DELIVERED, reached);
	section(o, d, DSN_RELAYED, relayed);
	section(o, d, DSN_EXPANDED, expanded);
	message(o, d, plan);
	if (d->postmaster || plan->only_success)
		return;
	dsn_line_end(o);
	dsn_put(o, SLICE("If you need help, send this report to postmaster@"));
	dsn_put_clean(o, d->host, false);
	dsn_put(o, SLICE("."));
	dsn_line_end(o);
}
