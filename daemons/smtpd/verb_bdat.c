/*
 * BDAT: content in chunks (RFC 3030). A chunk follows its command at once, so whatever becomes of
 * the command its octets are taken off the connection first, and only then comes the reply. After
 * a refusal all chunks are thrown away until LAST, RSET or a hello (S5). A command that does not
 * say how much follows ends the connection: else content would be taken for commands.
 */
#include "daemons/smtpd/smtpd.h"

static void refuse_chunks(struct session *s, const struct refusal *why, struct slice text)
{
	s->chunks = CHUNKS_REFUSED;
	s->chunk_refusal = *why;
	session_log_refusal(s, "BDAT", why->code, why->enhanced, text, SLICE_EMPTY);
}

/* All octets of the chunk have come. */
static void chunk_ended(struct session *s)
{
	struct transaction *t = s->transaction;

	s->phase = PHASE_COMMAND;
	stream_deadline(s->stream, smtpd_settings()->limits.idle);
	stream_rate(s->stream, 0, 0);
	if (s->chunks == CHUNKS_TAKEN && s->chunk_last) {
		bdat_finish(&s->bdat);
		s->chunks = CHUNKS_NONE;
		receive_ended(s, &s->bdat.flags);
		return;
	}
	if (s->chunks == CHUNKS_TAKEN && t->refusal.code == 0) {
		session_reply(s, 250, "2.0.0", "Ok: %llu octets",
			      (unsigned long long)s->bdat.octets);
		return;
	}
	if (s->chunks == CHUNKS_TAKEN)
		refuse_chunks(s, &t->refusal, slice_str(t->refusal.text));
	session_refuse(s, &s->chunk_refusal);
	if (s->chunk_last)
		session_reset(s);
}

static void chunk_begins(struct session *s)
{
	stream_rate(s->stream, smtpd_settings()->limits.min_rate, DATA_RATE_WINDOW_US);
	s->phase = PHASE_CHUNK;
	if (s->bdat.left == 0)
		chunk_ended(s);
}

static void heard(struct session *s, const struct router_verdict *v)
{
	struct transaction *t = s->transaction;

	if (v->action == VERDICT_REPLY) {
		struct slice text = arena_copy(&t->arena, v->text);
		struct refusal why = {v->code, "5.7.1", text.ptr ? text.ptr : "Refused"};

		refuse_chunks(s, &why, v->text);
	} else {
		s->chunks = CHUNKS_TAKEN;
		receive_begin(s);
		if (s->bdat.left > t->message_size_max)
			receive_spoil(t, &receive_too_large);
	}
	chunk_begins(s);
}

static void first_chunk(struct session *s)
{
	struct refusal why;
	uint64_t size = s->bdat.left;

	s->bdat = (struct bdat_reader){.left = size};
	if (s->transaction == NULL)
		(void)refuse(&why, 503, "5.5.1", "Send MAIL first");
	else if (s->transaction->recipient_count == 0)
		/* Also when BDAT was pipelined behind recipients that all failed (S12). */
		(void)refuse(&why, 554, "5.5.1", "No valid recipients");
	else if (size == 0 && !s->chunk_last)
		/* A client could go on with it for ever. */
		(void)refuse(&why, 501, "5.5.4", "A chunk without octets is only the last one");
	else if (queue_ready(&why)) {
		verdict_ask(s, STEP_DATA, SLICE_EMPTY, heard);
		return;
	}
	refuse_chunks(s, &why, slice_str(why.text));
	chunk_begins(s);
}

static void next_chunk(struct session *s)
{
	static const struct refusal empty = {501, "5.5.4",
					     "A chunk without octets is only the last one"};
	struct transaction *t = s->transaction;

	if (s->chunks == CHUNKS_TAKEN && s->bdat.left == 0 && !s->chunk_last)
		receive_spoil(t, &empty);
	else if (s->chunks == CHUNKS_TAKEN && s->bdat.left > t->message_size_max - s->bdat.octets)
		receive_spoil(t, &receive_too_large);
	chunk_begins(s);
}

void verb_bdat(struct session *s, struct slice argument)
{
	static const struct refusal not_offered = {521, "5.5.1", "BDAT is for who has said EHLO"};
	struct bdat_command c;
	struct refusal why = not_offered;

	if (!s->esmtp || !bdat_parse(argument, &c, &why)) {
		session_log_refusal(s, "BDAT", why.code, why.enhanced, slice_str(why.text),
				    SLICE_EMPTY);
		session_refuse(s, &why);
		session_close(s, "refused");
		return;
	}
	s->chunk_last = c.last;
	bdat_chunk(&s->bdat, c.size);
	if (s->chunks == CHUNKS_NONE)
		first_chunk(s);
	else
		next_chunk(s);
}

void verb_bdat_input(struct session *s)
{
	struct slice input = stream_input(s->stream), rest = input, run;
	bool wanted = s->chunks == CHUNKS_TAKEN && s->transaction->refusal.code == 0;

	stream_deadline(s->stream, smtpd_settings()->limits.idle);
	if (!wanted)
		bdat_skip(&s->bdat, &rest);
	/* A pause (the disk is behind) leaves the rest where it is. */
	while (wanted && stream_ready(s->stream) && bdat_next(&s->bdat, &rest, &run))
		receive_octets(s->transaction, s->bdat.octets, run);
	stream_consume(s->stream, input.len - rest.len);
	if (s->bdat.left == 0)
		chunk_ended(s);
}
