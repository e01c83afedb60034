/*
 * Content, by DATA or BDAT. The header block is kept until the commit, the body goes to the draft
 * as it comes. Whatever is wrong with it, all of it is read (S14): only then is the client told,
 * and both sides stay in step.
 */
#include "daemons/smtpd/smtpd.h"

enum { NORMALIZED_MAX = 2 * 64 * 1024 };

const struct refusal receive_too_large = {552, "5.3.4", "Message is larger than the limit"};
static const struct refusal header_too_large = {552, "5.3.4", "Header is larger than the limit"};
static const struct refusal no_room = {452, "4.3.1", "Too much mail at once, try later"};
static const struct refusal no_file = {451, "4.3.0", "The message can't be stored, try later"};
static const struct refusal bare_newline = {550, "5.5.2", "A bare LF or CR is not allowed"};
static const struct refusal loop = {554, "5.4.6", "Too many hops: this mail goes in a loop"};

void receive_begin(struct session *s)
{
	struct transaction *t = s->transaction;

	t->draft = draft_new(queue_writer(), t->id);
	stream_deadline(s->stream, smtpd_settings()->limits.idle);
	stream_rate(s->stream, smtpd_settings()->limits.min_rate, DATA_RATE_WINDOW_US);
}

void receive_spoil(struct transaction *t, const struct refusal *why)
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
		receive_spoil(t, &no_room);
		break;
	case DRAFT_FAILED:
		receive_spoil(t, &no_file);
		break;
	}
}

/* The header's end was found in all, of which head has the header at least: what was read beyond it
 * is body. The empty line between the two is kept as the body's first; where it is missing it is
 * added (S20). */
static void header_found(struct transaction *t, struct slice all)
{
	if (t->scan.header > HEADER_BLOCK_MAX) {
		receive_spoil(t, &header_too_large);
		return;
	}
	t->eight_bit_header = !ascii_only(slice_sub(all, 0, t->scan.header));
	if (t->scan.end == HEADER_NOT_A_FIELD)
		take_body(t, SLICE("\r\n"));
	take_body(t, slice_from(all, t->scan.header));
	if (t->draft != NULL)
		buffer_truncate(&t->head, t->scan.header);
}

/* False: the content is spoiled. */
static bool take_head(struct transaction *t, struct slice octets)
{
	if (transaction_head_add(t, octets))
		return true;
	receive_spoil(t, t->head.len + octets.len > t->head.limit ? &header_too_large : &no_room);
	return false;
}

static void take_content(struct transaction *t, struct slice octets)
{
	if (t->draft == NULL)
		return;
	if (t->scan.end != HEADER_MORE) {
		take_body(t, octets);
		return;
	}
	/* Most headers come in one piece: then the body is not copied with them. */
	if (t->head.len == 0 && header_scan(&t->scan, octets) != HEADER_MORE) {
		if (take_head(t, slice_sub(octets, 0, t->scan.header)))
			header_found(t, octets);
		return;
	}
	if (take_head(t, octets) && header_scan(&t->scan, buffer_slice(&t->head)) != HEADER_MORE)
		header_found(t, buffer_slice(&t->head));
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
		t->last_end = c == '\r' || c == '\n';
		if (c != '\r' && c != '\n')
			buffer_byte(&out, c);
	}
	take_content(t, buffer_slice(&out));
	buffer_free(&out);
}

void receive_octets(struct transaction *t, uint64_t total, struct slice run)
{
	if (total > t->message_size_max)
		receive_spoil(t, &receive_too_large);
	else if (t->normalize)
		take_normalized(t, run);
	else
		take_content(t, run);
}

void receive_data_input(struct session *s)
{
	struct transaction *t = s->transaction;
	struct slice input = stream_input(s->stream), rest = input, run;

	stream_deadline(s->stream, smtpd_settings()->limits.idle);
	/* A pause (the disk is behind) leaves the rest where it is. */
	while (stream_ready(s->stream) && dot_next(&t->dot, &rest, &run))
		receive_octets(t, t->dot.octets, run);
	stream_consume(s->stream, input.len - rest.len);
	if (dot_ended(&t->dot))
		receive_ended(s, &t->dot.flags);
}

/* A CR that was the very last octet (by BDAT) is the end of a line like any other. */
static void finish_normalized(struct transaction *t)
{
	struct content_flags *f = &t->flags_seen;

	if (!t->normalize)
		return;
	if (t->last_cr)
		take_content(t, SLICE("\r\n"));
	/* it ends in CR or LF: that has become CRLF */
	f->no_final_crlf = f->no_final_crlf && !t->last_end;
	content_flags_normalized(f);
}

static void heard(struct session *s, const struct router_verdict *v)
{
	struct transaction *t = s->transaction;

	if (v->action == VERDICT_REPLY) {
		session_reply(s, v->code, "5.7.1", "%.*s", SLICE_FMT(v->text));
		enqueue_finish(s);
	} else if (t->discard || v->action == VERDICT_DISCARD) {
		session_reply(s, 250, "2.0.0", "Ok");
		enqueue_finish(s);
	} else
		enqueue_message(s);
}

void receive_ended(struct session *s, const struct content_flags *seen)
{
	struct transaction *t = s->transaction;

	t->flags_seen = *seen;
	finish_normalized(t);
	if (t->draft != NULL && t->scan.end == HEADER_MORE) {
		header_scan_finish(&t->scan, buffer_slice(&t->head));
		header_found(t, buffer_slice(&t->head));
	}
	t->flags_seen.eight_bit_header = t->eight_bit_header;
	if (t->flags_seen.bare_lf || t->flags_seen.bare_cr)
		receive_spoil(t, &bare_newline);
	if (t->draft != NULL) {
		header_look(buffer_slice(&t->head), &t->look);
		if (t->look.received > HOPS_MAX)
			receive_spoil(t, &loop);
	}
	if (t->refusal.code != 0)
		enqueue_refuse(s, &t->refusal);
	else
		verdict_ask(s, STEP_END, SLICE_EMPTY, heard);
}
