/*
 * Replies of many lines, made as the client reads them: the next piece is made, or asked for, when
 * the one before has left. So nobody makes this process hold more than a piece for him.
 */
#include <stdio.h>

#include "common/base/memory.h"
#include "daemons/pop3d/pop3d.h"

enum { PIECE_MAX = 2 * SEND_CHUNK + 2 * POP3_TEXT_EXTRA, LIST_LINE_MAX = 128 };

static void end(struct session *s)
{
	s->sending = (struct sending){0};
	session_resume(s, PHASE_TRANSACTION);
}

/* LIST, UIDL */

static int list_line(const struct session *s, enum pop3_verb verb, size_t index,
		     char line[LIST_LINE_MAX])
{
	const struct entry *e = &s->box.entries[index];
	struct slice uid = box_uid(s, e);
	if (verb == POP3_UIDL)
		return snprintf(line, LIST_LINE_MAX, "%zu %.*s", index + 1, SLICE_FMT(uid));
	return snprintf(line, LIST_LINE_MAX, "%zu %llu", index + 1, (unsigned long long)e->octets);
}

/* The next piece of the list; false: it is complete. */
static bool send_list(struct session *s)
{
	struct sending *g = &s->sending;
	struct buffer b;
	buffer_init(&b, PIECE_MAX);
	for (; g->next < s->box.count && b.len < SEND_CHUNK; g->next++) {
		char line[LIST_LINE_MAX];
		if (s->box.entries[g->next].deleted)
			continue;
		int len = list_line(s, g->verb, g->next, line);
		buffer_append(&b, slice_make(line, (size_t)len));
		buffer_append(&b, SLICE("\r\n"));
	}
	bool more = g->next < s->box.count;
	if (!more)
		buffer_append(&b, SLICE(".\r\n"));
	stream_pass(s->stream, buffer_slice(&b));
	buffer_free(&b);
	return more;
}

void verb_list(struct session *s, const struct pop3_command *c)
{
	char line[LIST_LINE_MAX];
	if (c->numbered) {
		if (!box_entry(s, c->number))
			return;
		list_line(s, c->verb, c->number - 1, line);
		session_ok(s, "%s", line);
		return;
	}
	session_ok(s, "%zu messages", s->box.count - s->box.deleted);
	stream_flush(s->stream);
	s->sending = (struct sending){.verb = c->verb};
	send_more(s);
}

/* RETR, TOP */

void verb_retr(struct session *s, const struct pop3_command *c)
{
	if (!box_entry(s, c->number))
		return;
	s->sending = (struct sending){.verb = c->verb, .number = c->number};
	if (c->verb == POP3_TOP)
		pop3_text_init_top(&s->sending.text, c->lines);
	else
		pop3_text_init(&s->sending.text);
	box_read(s);
}

static void say_begun(struct session *s)
{
	const struct entry *e = &s->box.entries[s->sending.number - 1];
	s->sending.begun = true;
	if (s->sending.verb == POP3_RETR)
		session_ok(s, "%llu octets", (unsigned long long)e->octets);
	else
		session_ok(s, "top of message");
	stream_flush(s->stream);
}

/* Before its first octet a message that can't be read is an error; later the connection ends, since
 * a client would take what it has for all. */
static void part_failed(struct session *s)
{
	if (s->sending.begun) {
		session_cut(s, "maildrop");
		return;
	}
	session_err(s, "SYS/TEMP", "the message can't be read now");
	end(s);
}

void send_part(struct session *s, const struct maildrop_part *part)
{
	struct sending *g = &s->sending;
	struct buffer b;
	if (part->failed) {
		part_failed(s);
		return;
	}
	if (!g->begun)
		say_begun(s);
	g->from += part->octets.len;
	s->sent += part->octets.len;
	buffer_init(&b, PIECE_MAX);
	bool fine = pop3_text_add(&g->text, part->octets, &b);
	g->last = part->last || g->text.full;
	if (!fine || (g->last && !pop3_text_end(&g->text, &b)))
		panic("a part of %zu octets does not fit", part->octets.len);
	stream_pass(s->stream, buffer_slice(&b));
	buffer_free(&b);
	send_more(s);
}

/* The next piece; false: that was all. */
static bool send_piece(struct session *s)
{
	if (s->sending.verb == POP3_LIST || s->sending.verb == POP3_UIDL)
		return send_list(s);
	if (s->sending.last) {
		s->retrieved += s->sending.verb == POP3_RETR;
		return false;
	}
	box_read(s);
	return true;
}

void send_more(struct session *s)
{
	if (s->closing || s->sending.asked)
		return;
	while (stream_unsent(s->stream) == 0) {
		if (!send_piece(s)) {
			end(s);
			return;
		}
		if (s->closing || s->sending.asked)
			return;
	}
	if (stream_mute(s->stream))
		session_cut(s, "broken"); /* and the maildrop is free */
	else
		session_wait(s, PHASE_SENDING, SESSION_IDLE_LEAST_US); /* for the client */
}
