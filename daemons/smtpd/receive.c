/*
 * Content: what comes between DATA and CRLF.CRLF. The header block is kept until the commit, the
 * body goes to the draft as it comes. Whatever is wrong with it, all of it is read (S14): only then
 * is the client told, and both sides stay in step.
 */
#include <errno.h>

#include "common/mail/received.h"
#include "common/os/clock.h"
#include "daemons/smtpd/smtpd.h"

enum { RECEIVED_MAX = 4096, NORMALIZED_MAX = 2 * 64 * 1024 };

static const struct refusal too_large = {552, "5.3.4", "Message is larger than the limit"};
static const struct refusal header_too_large = {552, "5.3.4", "Header is larger than the limit"};
static const struct refusal no_room = {452, "4.3.1", "Too much mail at once, try later"};
static const struct refusal no_file = {451, "4.3.0", "The message can't be stored, try later"};
static const struct refusal queue_full = {452, "4.3.1", "The queue is full, try later"};
static const struct refusal bare_newline = {550, "5.5.2", "A bare LF or CR is not allowed"};
static const struct refusal loop = {554, "5.4.6", "Too many hops: this mail goes in a loop"};

void receive_begin(struct session *s)
{
	struct transaction *t = s->transaction;

	t->draft = draft_new(queue_writer(), t->id);
	s->phase = PHASE_DATA;
	stream_deadline(s->stream, smtpd_settings()->limits.idle);
	stream_rate(s->stream, smtpd_settings()->limits.min_rate, DATA_RATE_WINDOW_US);
}

/* The content is not kept; the first reason is the one that is told. */
static void spoil(struct transaction *t, const struct refusal *why)
{
	if (t->refusal.code == 0)
		t->refusal = *why;
	if (t->draft != NULL)
		draft_free(&t->draft);
	transaction_head_free(t);
}

static void resume(void *arg)
{
	session_resume(arg);
}

static void take_body(struct transaction *t, struct slice octets)
{
	if (t->draft == NULL || octets.len == 0)
		return;
	t->stored += octets.len;
	switch (draft_body(t->draft, octets, resume, t->session)) {
	case DRAFT_OK:
		break;
	case DRAFT_WAIT:
		stream_pause(t->session->stream);
		break;
	case DRAFT_FULL:
		spoil(t, &no_room);
		break;
	case DRAFT_FAILED:
		spoil(t, &no_file);
		break;
	}
}

/* The header's end was found: what was read beyond it is body. The empty line between the two is
 * kept as the body's first; where it is missing it is added (S20). */
static void header_found(struct transaction *t)
{
	struct slice all = buffer_slice(&t->head);

	if (t->scan.header > HEADER_BLOCK_MAX) {
		spoil(t, &header_too_large);
		return;
	}
	t->dot.flags.eight_bit_header = !ascii_only(slice_sub(all, 0, t->scan.header));
	if (t->scan.end == HEADER_NOT_A_FIELD)
		take_body(t, SLICE("\r\n"));
	take_body(t, slice_from(all, t->scan.header));
	if (t->draft != NULL)
		buffer_truncate(&t->head, t->scan.header);
}

static void take_content(struct transaction *t, struct slice octets)
{
	if (t->draft == NULL)
		return;
	if (t->scan.end != HEADER_MORE) {
		take_body(t, octets);
		return;
	}
	if (!transaction_head_add(t, octets)) {
		spoil(t, t->head.len + octets.len > t->head.limit ? &header_too_large : &no_room);
		return;
	}
	if (header_scan(&t->scan, buffer_slice(&t->head)) != HEADER_MORE)
		header_found(t);
}

/* `bare-newline normalize`: an LF without CR and a CR without LF become CRLF. What ended the data
 * was still CRLF.CRLF alone, so nothing can be smuggled by it. */
static void take_normalized(struct transaction *t, struct slice octets)
{
	struct buffer out;

	buffer_init(&out, NORMALIZED_MAX + 2);
	for (size_t i = 0; i < octets.len; i++) {
		char c = octets.ptr[i];

		if (t->last_cr && c != '\n')
			buffer_append(&out, SLICE("\r\n"));
		else if (c == '\n')
			buffer_append(&out, SLICE("\r\n"));
		t->last_cr = c == '\r';
		if (c != '\r' && c != '\n')
			buffer_byte(&out, c);
	}
	take_content(t, buffer_slice(&out));
	buffer_free(&out);
}

/* RFC 5321 4.4: our trace field. With several recipients none is named (7.2). */
static bool write_trace(struct session *s, struct transaction *t, struct buffer *trace)
{
	char id[QUEUE_ID_LEN + 1];
	uint64_t now = clock_wall_us();
	struct received received = {
	    .helo = slice_str(s->helo),
	    .address = slice_str(s->address),
	    .host = slice_str(smtpd_settings()->hostname),
	    .protocol = received_protocol(s->esmtp, false, false, false),
	    .recipient = t->recipient_count == 1 ? t->recipients[0] : SLICE_EMPTY,
	    .seconds = (int64_t)(now / CLOCK_SECOND),
	    .zone = clock_offset_minutes(now) * 60,
	};

	queue_id_text(t->id, id);
	received.id = slice_str(id);
	return received_write(&received, trace);
}

static void log_accepted(struct session *s, struct transaction *t)
{
	struct log_line line;

	log_start(&line, LOG_LEVEL_INFO, t->id, "accepted");
	log_pair(&line, "client", slice_str(s->address));
	log_pair(&line, "helo", slice_str(s->helo));
	log_pair(&line, "from", t->sender);
	log_number(&line, "recipients", t->recipient_count);
	log_number(&line, "size", t->stored);
	log_end(&line);
}

/* The transaction is over, whatever came of it (S6). May take the client's next commands: the last
 * thing to do. */
static void finish(struct session *s)
{
	transaction_free(&s->transaction);
	s->phase = PHASE_COMMAND;
	stream_deadline(s->stream, smtpd_settings()->limits.idle);
	stream_rate(s->stream, 0, 0);
	session_resume(s);
}

static void refuse_content(struct session *s, const struct refusal *why)
{
	session_log_refusal(s, "DATA", why->code, why->enhanced, slice_str(why->text), SLICE_EMPTY);
	session_refuse(s, why);
}

static void committed(void *arg, int err)
{
	struct transaction *t = arg;
	struct session *s = t->session;
	char id[QUEUE_ID_LEN + 1];

	if (s == NULL) {
		transaction_free(&t);
		return;
	}
	if (err == 0) {
		queue_id_text(t->id, id);
		log_accepted(s, t);
		s->messages++;
		s->junk = 0;
		session_reply(s, 250, "2.0.0", "Ok: queued as %s", id);
	} else
		refuse_content(s, err == ENOSPC || err == EDQUOT ? &queue_full : &no_file);
	finish(s);
}

static void commit(struct session *s, struct transaction *t, struct slice header)
{
	struct buffer trace;
	struct stored_message m = {
	    .id = t->id,
	    .arrived = clock_wall_us(),
	    .content_flags = content_flags_pack(&t->dot.flags),
	    .content_size = t->stored,
	    .reverse_path = t->sender,
	    .client = slice_str(s->address),
	    .header = header,
	    .recipient_count = t->recipient_count,
	};
	struct stored_recipient *recipients =
	    arena_get(&t->arena, t->recipient_count * sizeof(*recipients));

	buffer_init(&trace, RECEIVED_MAX);
	if (recipients == NULL || !write_trace(s, t, &trace)) {
		buffer_free(&trace);
		refuse_content(s, &no_room);
		finish(s);
		return;
	}
	for (uint32_t i = 0; i < t->recipient_count; i++)
		recipients[i].address = t->recipients[i];
	m.recipients = recipients;
	m.trace = buffer_slice(&trace);
	s->phase = PHASE_COMMIT;
	stream_pause(s->stream);
	draft_commit(&t->draft, &m, committed, t);
	buffer_free(&trace);
}

/* Lines `From ` before the header get a field name; without one the block is used as it is. */
static void commit_with_header(struct session *s, struct transaction *t)
{
	struct slice header = buffer_slice(&t->head);
	struct buffer renamed;

	if (!slice_starts(header, SLICE("From ")) && !slice_starts(header, SLICE(">"))) {
		t->stored += header.len;
		commit(s, t, header);
		return;
	}
	buffer_init(&renamed, 2 * HEADER_BLOCK_MAX);
	if (header_remove(header, NULL, 0, &renamed) && renamed.len <= HEADER_BLOCK_MAX) {
		t->stored += renamed.len;
		commit(s, t, buffer_slice(&renamed));
	} else {
		refuse_content(s, &header_too_large);
		finish(s);
	}
	buffer_free(&renamed);
}

static void heard(struct session *s, const struct router_verdict *v)
{
	struct transaction *t = s->transaction;

	if (v->action == VERDICT_REPLY) {
		session_reply(s, v->code, "5.7.1", "%.*s", SLICE_FMT(v->text));
		finish(s);
	} else if (t->discard || v->action == VERDICT_DISCARD) {
		session_reply(s, 250, "2.0.0", "Ok");
		finish(s);
	} else
		commit_with_header(s, t);
}

static void content_ended(struct session *s, struct transaction *t)
{
	bool normalize = listener_normalizes(s->listener);

	if (t->draft != NULL && t->scan.end == HEADER_MORE) {
		header_scan_finish(&t->scan, buffer_slice(&t->head));
		header_found(t);
	}
	if ((t->dot.flags.bare_lf || t->dot.flags.bare_cr) && !normalize)
		spoil(t, &bare_newline);
	else if (t->draft != NULL &&
		 header_count(buffer_slice(&t->head), SLICE("Received")) > HOPS_MAX)
		spoil(t, &loop);
	if (t->refusal.code != 0) {
		refuse_content(s, &t->refusal);
		finish(s);
		return;
	}
	if (normalize)
		content_flags_normalized(&t->dot.flags);
	verdict_ask(s, STEP_END, SLICE_EMPTY, heard);
}

void receive_input(struct session *s)
{
	struct transaction *t = s->transaction;
	struct slice input = stream_input(s->stream), rest = input, run;
	bool normalize = listener_normalizes(s->listener);

	stream_deadline(s->stream, smtpd_settings()->limits.idle);
	/* A pause (the disk is behind) leaves the rest where it is. */
	while (stream_ready(s->stream) && dot_next(&t->dot, &rest, &run)) {
		if (t->dot.octets > smtpd_settings()->limits.message_size)
			spoil(t, &too_large);
		else if (normalize)
			take_normalized(t, run);
		else
			take_content(t, run);
	}
	stream_consume(s->stream, input.len - rest.len);
	if (dot_ended(&t->dot))
		content_ended(s, t);
}
