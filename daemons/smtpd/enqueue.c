/*
 * A complete message: the trace field, what our own clients left out of the header, the commit, and
 * the reply. Here and nowhere else is 250 said for a message: in committed(), when the store says
 * that it is on the disk.
 */
#include <errno.h>

#include "common/mail/date.h"
#include "common/mail/message_id.h"
#include "common/mail/received.h"
#include "common/net/tls_server.h"
#include "common/os/clock.h"
#include "daemons/smtpd/smtpd.h"

enum { RECEIVED_MAX = 4096, SECONDS_A_MINUTE = 60 };

static const struct refusal header_too_large = {552, "5.3.4", "Header is larger than the limit"};
static const struct refusal no_room = {452, "4.3.1", "Too much mail at once, try later"};
static const struct refusal no_file = {451, "4.3.0", "The message can't be stored, try later"};
static const struct refusal too_much_held = {
    452, "4.7.1", "You are over a limit, and too much of yours is held already, try later"};
static const struct refusal not_counted = {451, "4.3.0",
					   "What you send can't be counted now, try later"};
static const char queued[] = "Ok: queued as ";
static const struct refusal queue_full = {452, "4.3.1", "The queue is full, try later"};

/* May take the client's next commands: the last thing to do. */
void enqueue_finish(struct session *s)
{
	session_reset(s);
	s->phase = PHASE_COMMAND;
	s->after = "END-OF-MESSAGE";
	stream_deadline(s->stream, smtpd_settings()->limits.idle);
	stream_rate(s->stream, 0, 0);
	session_resume(s);
}

void enqueue_refuse(struct session *s, const struct refusal *why)
{
	session_log_refusal(s, "END", why->code, why->enhanced, slice_str(why->text), SLICE_EMPTY);
	session_refuse(s, why);
	enqueue_finish(s);
}

/* RFC 5321 4.4: our trace field. With several recipients none is named (7.2), nor is one in UTF-8:
 * a header that is ASCII may go where SMTPUTF8 is not spoken (S23). */
static bool write_trace(struct session *s, struct transaction *t, uint64_t now,
			struct buffer *trace)
{
	char id[QUEUE_ID_LEN + 1];
	struct slice first = recipient_address(&t->recipients[0]);
	struct tls_facts tls = {.version = ""};
	struct received received = {
	    .local = s->local,
	    .uid = s->uid,
	    .hidden = s->mechanism != NULL && smtpd_settings()->hide_client,
	    .helo = slice_str(s->helo),
	    .name = slice_str(s->name),
	    .address = slice_str(s->address),
	    .host = slice_str(smtpd_settings()->hostname),
	    .protocol = received_protocol(s->esmtp, s->secure, s->mechanism != NULL,
					  (t->flags & JOB_UTF8) != 0),
	    .recipient = t->recipient_count == 1 && ascii_only(first) ? first : SLICE_EMPTY,
	    .seconds = (int64_t)(now / CLOCK_SECOND),
	    .zone = clock_offset_minutes(now) * SECONDS_A_MINUTE,
	};

	if (s->secure)
		tls_server_facts(s->stream, &tls);
	received.tls = slice_str(tls.version);
	received.cipher = slice_str(tls.cipher);
	received.cipher_bits = tls.bits;
	queue_id_text(t->id, id);
	received.id = slice_str(id);
	return received_write(&received, trace);
}

static void committed(void *arg, int err)
{
	struct transaction *t = arg;
	struct session *s = t->session;
	char text[sizeof(queued) + QUEUE_ID_LEN];

	if (s == NULL) {
		transaction_free(&t);
		return;
	}
	if (err != 0) {
		enqueue_refuse(s, err == ENOSPC || err == EDQUOT ? &queue_full : &no_file);
		return;
	}
	memcpy(text, queued, sizeof(queued));
	queue_id_text(t->id, text + sizeof(queued) - 1);
	session_log_accepted(s);
	s->messages++;
	s->junk = 0;
	session_say(s, 250, "2.0.0", slice_str(text));
	enqueue_finish(s);
}

static struct stored_recipient *stored_recipients(struct transaction *t)
{
	struct stored_recipient *stored =
	    arena_get(&t->arena, t->recipient_count * sizeof(*stored));

	for (uint32_t i = 0; stored != NULL && i < t->recipient_count; i++)
		stored[i] = (struct stored_recipient){
		    .address = recipient_address(&t->recipients[i]),
		    .notify = t->recipients[i].notify,
		    .orcpt = recipient_orcpt(&t->recipients[i]),
		};
	return stored;
}

static void commit(struct session *s, struct transaction *t, uint64_t now, struct slice header)
{
	struct buffer trace;
	struct stored_message m = {
	    .id = t->id,
	    .arrived = now,
	    .content_flags = content_flags_pack(&t->flags_seen),
	    .content_size = t->stored + header.len,
	    .reverse_path = t->sender,
	    /* a user of the machine is a client of his own, which fairness knows by its name */
	    .client = s->local ? slice_str(s->user) : slice_str(s->address),
	    .user = slice_str(s->user),
	    .flags = t->flags,
	    .envid = t->envid,
	    .hold = t->hold,
	    .header = header,
	    .recipients = stored_recipients(t),
	    .recipient_count = t->recipient_count,
	};

	t->stored = m.content_size;
	buffer_init(&trace, RECEIVED_MAX);
	if (m.recipients != NULL && write_trace(s, t, now, &trace)) {
		m.trace = buffer_slice(&trace);
		s->phase = PHASE_COMMIT;
		stream_pause(s->stream);
		draft_commit(&t->draft, &m, committed, t);
	} else
		enqueue_refuse(s, &no_room);
	buffer_free(&trace);
}

/* With From lines renamed, and for our own clients completed: what is missing is added, and what
 * was for their eyes alone taken out (S57). From only for programs of this machine, whose user is
 * known, and not for the null sender: there is no one to name. */
static bool rewrite(struct session *s, struct transaction *t, uint64_t now, struct buffer *out)
{
	char date[DATE_SIZE], id[QUEUE_ID_LEN + 1], message_id[MESSAGE_ID_SIZE];
	int64_t seconds = (int64_t)(now / CLOCK_SECOND);
	struct completion c = {.from = s->local ? t->sender : SLICE_EMPTY};
	struct slice header = buffer_slice(&t->head);

	if (!s->trusted)
		return header_complete(header, &t->look, NULL, out);
	queue_id_text(t->id, id);
	c.date = date_text(seconds, clock_offset_minutes(now) * SECONDS_A_MINUTE, date);
	c.message_id = message_id_text(seconds, slice_str(id),
				       slice_str(smtpd_settings()->hostname), message_id);
	if (!t->look.message_id)
		t->look.message_id_value = arena_copy(&t->arena, c.message_id);
	return header_complete(header, &t->look, &c, out);
}

static void complete(struct session *s, struct transaction *t)
{
	const struct header_look *look = &t->look;
	uint64_t now = clock_wall_us();
	bool lacks = !look->date || !look->message_id || (s->local && !look->from) || look->bcc;
	struct buffer fresh;

	if (!look->from_line && !(s->trusted && lacks)) {
		commit(s, t, now, buffer_slice(&t->head));
		return;
	}
	buffer_init(&fresh, 2 * HEADER_BLOCK_MAX);
	if (rewrite(s, t, now, &fresh) && fresh.len <= HEADER_BLOCK_MAX)
		commit(s, t, now, buffer_slice(&fresh));
	else
		enqueue_refuse(s, &header_too_large);
	buffer_free(&fresh);
}

static void counted(struct session *s, const struct usage_verdict *v)
{
	struct transaction *t = s->transaction;
	struct slice hold = SLICE_EMPTY;

	if (v == NULL || v->refuse) {
		enqueue_refuse(s, v == NULL ? &not_counted : &too_much_held);
		return;
	}
	if (v->hold)
		hold = v->text.len > 0 ? v->text : SLICE("over a limit");
	t->hold = arena_copy(&t->arena, hold);
	if (hold.len > 0 && t->hold.len == 0)
		enqueue_refuse(s, &no_room);
	else
		complete(s, t);
}

void enqueue_message(struct session *s)
{
	if (s->mechanism != NULL)
		usage_count(s, counted);
	else
		complete(s, s->transaction);
}
