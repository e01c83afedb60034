/*
 * alarm: a mail to the postmaster when usage says that a user is over a limit, for then an account
 * may be stolen. It has the null sender, as every mail that a server writes itself (RFC 3834 3.3),
 * and goes into the queue by the writer that takes the user's own.
 */
#include <stdio.h>

#include "common/mail/content.h"
#include "common/mail/date.h"
#include "common/mail/message_id.h"
#include "common/os/clock.h"
#include "daemons/smtpd/smtpd.h"

enum {
	ALARM_MAX = 8 * 1024,
	SHOWN_MAX = 800 /* of a name, in lines under 998 octets */,
	MINUTE = 60
};

static void committed(void *arg, int err)
{
	(void)arg;
	if (err != 0)
		log_error("the postmaster could not be told of a user over a limit: %s",
			  strerror(err));
}

/* The address may hold any octet; the mail is ASCII. */
static const char *shown(struct slice user, char text[SHOWN_MAX + 1])
{
	size_t len = 0;

	for (size_t i = 0; i < user.len && len + 4 <= SHOWN_MAX; i++) {
		unsigned char c = (unsigned char)user.ptr[i];

		if (c > ' ' && c < 0x7f)
			text[len++] = (char)c;
		else
			len += (size_t)snprintf(text + len, 5, "\\x%02x", c);
	}
	text[len] = '\0';
	return text;
}

static void write_header(struct buffer *out, struct slice to, struct slice date, struct slice id)
{
	buffer_printf(out,
		      "From: MAILER-DAEMON@%s (Mail Delivery System)\r\n"
		      "To: %.*s\r\n"
		      "Subject: A user is over a limit\r\n"
		      "Date: %.*s\r\n"
		      "Message-ID: %.*s\r\n"
		      "Auto-Submitted: auto-generated\r\n"
		      "MIME-Version: 1.0\r\n"
		      "Content-Type: text/plain; charset=us-ascii\r\n",
		      smtpd_settings()->hostname,
		      SLICE_FMT(ascii_only(to) ? to : SLICE("postmaster")), SLICE_FMT(date),
		      SLICE_FMT(id));
}

static void write_body(struct buffer *out, struct slice user, struct slice why, const char *held)
{
	char text[SHOWN_MAX + 1];
	const char *name = shown(user, text);

	buffer_printf(out,
		      "\r\n"
		      "A user of %s has sent more than the configuration allows:\r\n"
		      "\r\n"
		      "    %s\r\n"
		      "    %.*s\r\n"
		      "\r\n"
		      "The message %s is held, as is all that is over the limit: it\r\n"
		      "waits until you have looked. There is no other mail of this kind about\r\n"
		      "this user today.\r\n"
		      "\r\n"
		      "What is held:    stagepost queue list --state hold --user %s\r\n"
		      "If it is wanted: stagepost queue release --user %s\r\n"
		      "If the account was stolen, this stops it at once and holds the rest:\r\n"
		      "                 stagepost user block %s\r\n",
		      smtpd_settings()->hostname, name, SLICE_FMT(why), held, name, name, name);
}

static void write_trace(struct buffer *out, struct slice date, const char *id)
{
	buffer_printf(out, "Received: by %s (Stagepost)\r\n\tid %s; %.*s\r\n",
		      smtpd_settings()->hostname, id, SLICE_FMT(date));
}

static void enqueue(uint64_t id, struct slice to, struct slice user, struct slice why,
		    const char *held)
{
	char text[QUEUE_ID_LEN + 1], date_octets[DATE_SIZE], message_id[MESSAGE_ID_SIZE];
	uint64_t now = clock_wall_us();
	int64_t seconds = (int64_t)(now / CLOCK_SECOND);
	struct slice date = date_text(seconds, clock_offset_minutes(now) * MINUTE, date_octets);
	struct stored_recipient recipient = {.address = to};
	struct content_flags seen = {0};
	struct buffer header, body, trace;
	struct draft *d = draft_new(queue_writer(), id);

	queue_id_text(id, text);
	buffer_init(&header, ALARM_MAX);
	buffer_init(&body, ALARM_MAX);
	buffer_init(&trace, ALARM_MAX);
	write_header(&header, to, date,
		     message_id_text(seconds, slice_str(text),
				     slice_str(smtpd_settings()->hostname), message_id));
	write_body(&body, user, why, held);
	write_trace(&trace, date, text);
	struct stored_message m = {.id = id,
				   .arrived = now,
				   .content_flags = content_flags_pack(&seen),
				   .content_size = header.len + body.len,
				   .client = SLICE("submission"),
				   .flags = ascii_only(to) ? 0 : JOB_UTF8,
				   .trace = buffer_slice(&trace),
				   .header = buffer_slice(&header),
				   .recipients = &recipient,
				   .recipient_count = 1};
	draft_body(d, buffer_slice(&body), NULL, NULL); /* what is wrong shows at the commit */
	draft_commit(&d, &m, committed, NULL);
	buffer_free(&header);
	buffer_free(&body);
	buffer_free(&trace);
}

void alarm_over_limit(const struct session *s, struct slice why)
{
	char to[ADDRESS_MAX + HOST_NAME_MAX_OCTETS], held[QUEUE_ID_LEN + 1];
	const struct smtpd_settings *settings = smtpd_settings();
	uint64_t id = writer_draw_id(queue_writer());

	if (settings->postmaster[0] != '\0')
		snprintf(to, sizeof(to), "%s", settings->postmaster);
	else
		snprintf(to, sizeof(to), "postmaster@%s", settings->origin);
	if (id == 0) {
		log_error("the postmaster could not be told of a user over a limit: the queue "
			  "lends no segment");
		return;
	}
	queue_id_text(s->transaction->id, held);
	enqueue(id, slice_str(to), slice_str(s->user), why, held);
}
