/*
 * Content on its way out. Most of it lies in the job and is sent as it lies, when its flags say
 * that this is possible. A file is read while it is sent; what shows at its end not to be what was
 * committed never gets its final dot or last chunk.
 */
#include "common/base/memory.h"
#include "daemons/smtp/smtp.h"

struct body {
	struct session *session;
	struct job *job;
	struct reading *reading;
	bool asked; /* a piece is on its way */
	bool fits;  /* as it lies */
	struct stuffer stuffer;
};

/* May it be sent as it lies? */
static bool fits(const struct job *j)
{
	const struct content_flags *f = &j->content_flags;
	if (f->bare_lf || f->bare_cr || f->long_line)
		return false;
	return j->chunks || (!f->needs_stuffing && !f->no_final_crlf);
}

static void content_end(struct session *s, struct job *j)
{
	session_expect(s, EXPECT_DOT, j, 0);
	j->content_end = s->sent;
}

static void send_as_it_lies(struct session *s, struct job *j)
{
	const struct content *c = &j->content;
	if (j->chunks)
		session_say(s, "BDAT %llu LAST", (unsigned long long)j->size);
	session_send(s, c->trace);
	session_send(s, c->header);
	session_send(s, c->body);
	if (!j->chunks)
		session_send(s, SLICE(".\r\n"));
}

static void send_stuffed(struct session *s, struct job *j)
{
	const struct content *c = &j->content;
	struct stuffer stuffer;
	struct buffer b;
	buffer_init(&b, SESSION_OUTPUT_MAX);
	stuffer_init(&stuffer, !j->chunks);
	stuffer_add(&stuffer, c->trace, &b);
	stuffer_add(&stuffer, c->header, &b);
	stuffer_add(&stuffer, c->body, &b);
	stuffer_end(&stuffer, &b);
	if (j->chunks)
		session_say(s, "BDAT %zu LAST", b.len);
	session_send(s, buffer_slice(&b));
	buffer_free(&b);
}

/* Files */

void body_stop(struct job *j)
{
	struct body *b = j->body;
	j->body = NULL;
	if (!b)
		return;
	reading_free(&b->reading);
	memory_free(b);
}

static void send_piece(struct body *b, struct slice piece)
{
	struct session *s = b->session;
	if (piece.len == 0)
		return;
	if (b->job->chunks) {
		session_say(s, "BDAT %zu", piece.len);
		session_expect(s, EXPECT_CHUNK, b->job, 0);
	}
	session_pass(s, piece);
}

static void piece_came(struct body *b, struct slice piece)
{
	struct buffer out;
	if (b->fits) {
		send_piece(b, piece);
		return;
	}
	buffer_init(&out, 4 * CONTENT_CHUNK);
	stuffer_add(&b->stuffer, piece, &out);
	send_piece(b, buffer_slice(&out));
	buffer_free(&out);
}

/* All of it is sent, and it is what was committed. */
static void last_came(struct body *b)
{
	struct session *s = b->session;
	struct job *j = b->job;
	struct buffer out;
	buffer_init(&out, CONTENT_CHUNK);
	if (!b->fits)
		stuffer_end(&b->stuffer, &out);
	else if (!j->chunks)
		buffer_append(&out, SLICE(".\r\n"));
	if (j->chunks)
		session_say(s, "BDAT %zu LAST", out.len);
	session_send(s, buffer_slice(&out));
	buffer_free(&out);
	content_end(s, j);
}

static void on_piece(void *arg, int result, int error, struct slice piece)
{
	struct body *b = arg;
	struct session *s = b->session;
	struct job *j = b->job;
	b->asked = false;
	if (result > 0) {
		piece_came(b, piece);
		session_clock(s);
		body_more(s, j);
	} else if (result == 0) {
		last_came(b);
		body_stop(j);
		transaction_content_sent(s, j);
	} else {
		body_stop(j);
		transaction_content_failed(s, j, error);
	}
}

void body_more(struct session *s, struct job *j)
{
	struct body *b = j->body;
	if (!b || b->asked || stream_unsent(s->stream) > BODY_AHEAD)
		return;
	b->asked = true;
	reading_next(b->reading);
}

void body_send(struct session *s, struct job *j)
{
	if (j->content.file.number == 0) {
		if (fits(j))
			send_as_it_lies(s, j);
		else
			send_stuffed(s, j);
		content_end(s, j);
		j->step = STEP_SENT;
		return;
	}
	struct body *b = memory_zero(1, sizeof(*b));
	b->session = s;
	b->job = j;
	b->fits = fits(j);
	stuffer_init(&b->stuffer, !j->chunks);
	b->reading = reading_new(&j->content, on_piece, b);
	j->body = b;
	body_more(s, j);
}
