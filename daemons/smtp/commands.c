/*
 * What a host is told about a message, and what it can't be told: the parameters of MAIL and RCPT
 * (RFC 5321 4.1.1.11) depend on what it offers.
 */
#include "common/base/encode.h"
#include "common/mail/xtext.h"
#include "daemons/smtp/smtp.h"

enum { LINE_MAX_OCTETS = 2000 };
_Static_assert(sizeof("RCPT TO:<> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;\r\n") +
			   JOB_ADDRESS_MAX + XTEXT_ESCAPE * JOB_ADDRESS_MAX <
		       LINE_MAX_OCTETS &&
		   (int)ORCPT_MAX < XTEXT_ESCAPE * JOB_ADDRESS_MAX,
	       "every command fits, so no append to a line is looked at");

static bool offers(const struct session *s, unsigned extension)
{
	return (s->capabilities.offered & extension) != 0;
}

/* S23: is SMTPUTF8 needed, whoever the recipients are? */
static bool needs_utf8(const struct job *j)
{
	return !ascii_only(j->sender) ||
	       ((j->flags & JOB_UTF8) && j->content_flags.eight_bit_header);
}

static uint32_t leave_out_all(struct job *j, const struct reason *why)
{
	job_note(j, why);
	return 0;
}

static void reason_no_utf8(struct reason *why, const struct session *s, char text[JOB_TEXT_MAX + 1])
{
	reason_own(why, 553, "5.6.7", false, text,
		   "the message needs SMTPUTF8, which %s does not offer", s->relay);
}

static void leave_out(struct session *s, struct recipient *r)
{
	char text[JOB_TEXT_MAX + 1];
	struct reason why;
	reason_no_utf8(&why, s, text);
	r->state = RECIPIENT_LEFT_OUT;
	recipient_note(r, &why);
}

static uint32_t select_recipients(struct session *s, struct job *j)
{
	uint32_t said = 0;
	j->utf8 = needs_utf8(j);
	for (uint32_t i = 0; i < j->count; i++) {
		struct recipient *r = j->recipients[i];
		bool ascii = !r->job || ascii_only(r->address);
		r->too_many = false;
		r->state = RECIPIENT_WAITING;
		if (!r->job)
			continue;
		if (!ascii && !offers(s, OFFERS_SMTPUTF8)) {
			leave_out(s, r);
			continue;
		}
		j->utf8 |= !ascii;
		said++;
	}
	return said;
}

uint32_t commands_select(struct session *s, struct job *j)
{
	char text[JOB_TEXT_MAX + 1];
	uint64_t limit = s->capabilities.size_limit;
	struct reason why;
	if (limit > 0 && j->size > limit) {
		reason_own(&why, 552, "5.3.4", false, text,
			   "the message has %llu octets, %s takes at most %llu",
			   (unsigned long long)j->size, s->relay, (unsigned long long)limit);
		job_end(j, &why);
		return 0;
	}
	if (j->content_flags.eight_bit && !offers(s, OFFERS_8BITMIME)) {
		reason_own(&why, 554, "5.6.3", false, text,
			   "the message has 8-bit content, which %s does not take (8BITMIME)",
			   s->relay);
		return leave_out_all(j, &why);
	}
	if (needs_utf8(j) && !offers(s, OFFERS_SMTPUTF8)) {
		reason_no_utf8(&why, s, text);
		return leave_out_all(j, &why);
	}
	return select_recipients(s, j);
}

static void add_mail_dsn(const struct job *j, struct buffer *b)
{
	if (j->flags & JOB_RET_FULL)
		buffer_append(b, SLICE(" RET=FULL"));
	else if (j->flags & JOB_RET_HDRS)
		buffer_append(b, SLICE(" RET=HDRS"));
	if (j->envid.len > 0) {
		buffer_append(b, SLICE(" ENVID="));
		buffer_append(b, j->envid);
	}
}

/* The command under way: one after the other, they share its memory. */
static struct buffer line = {.limit = LINE_MAX_OCTETS};

static struct buffer *begin_line(struct slice command, struct slice address)
{
	buffer_reset(&line);
	buffer_append(&line, command);
	buffer_byte(&line, '<');
	buffer_append(&line, address);
	buffer_byte(&line, '>');
	return &line;
}

static void send_line(struct session *s, struct buffer *b)
{
	buffer_append(b, SLICE("\r\n"));
	session_send(s, buffer_slice(b));
}

static void add_size(const struct job *j, struct buffer *b)
{
	char digits[DECIMAL_MAX];
	buffer_append(b, SLICE(" SIZE="));
	buffer_append(b, slice_make(digits, decimal_write(j->size, digits)));
}

void commands_mail(struct session *s, const struct job *j)
{
	struct buffer *b = begin_line(SLICE("MAIL FROM:"), j->sender);
	if (offers(s, OFFERS_SIZE))
		add_size(j, b);
	if (j->content_flags.eight_bit)
		buffer_append(b, SLICE(" BODY=8BITMIME"));
	if (j->utf8)
		buffer_append(b, SLICE(" SMTPUTF8"));
	if (offers(s, OFFERS_DSN))
		add_mail_dsn(j, b);
	send_line(s, b);
}

/* RFC 3461 4.1; absent stays absent (S22). */
static void add_notify(uint32_t notify, struct buffer *b)
{
	static const struct {
		uint32_t flag;
		const char *word;
	} words[] = {{NOTIFY_NEVER, "NEVER"},
		     {NOTIFY_SUCCESS, "SUCCESS"},
		     {NOTIFY_FAILURE, "FAILURE"},
		     {NOTIFY_DELAY, "DELAY"}};
	const char *before = " NOTIFY=";
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!(notify & words[i].flag))
			continue;
		buffer_append(b, slice_str(before));
		buffer_append(b, slice_str(words[i].word));
		before = ",";
	}
}

/* As it came, or made of the recipient as it was received (RFC 3461 4.2, S22). */
static void add_orcpt(const struct recipient *r, struct buffer *b)
{
	size_t before = b->len;
	if (r->orcpt.len > 0) {
		buffer_append(b, SLICE(" ORCPT="));
		buffer_append(b, r->orcpt);
		return;
	}
	if (slice_find(r->original, '@') == r->original.len || !ascii_only(r->original))
		return;
	if (!buffer_append(b, SLICE(" ORCPT=rfc822;")) || !xtext_encode(r->original, b) ||
	    b->len - before > sizeof(" ORCPT=") + ORCPT_MAX)
		buffer_truncate(b, before);
}

void commands_rcpt(struct session *s, const struct recipient *r)
{
	struct buffer *b = begin_line(SLICE("RCPT TO:"), r->address);
	if (offers(s, OFFERS_DSN)) {
		add_notify(r->notify, b);
		add_orcpt(r, b);
	}
	send_line(s, b);
}
