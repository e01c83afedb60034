/*
 * A letter's way: SMTP as the author's program would have spoken it (RFC 5321 3.3), one transaction
 * for the letter, and when recipients were refused for good others for the reports of that. The
 * file goes only when the server has said 250 to all of them; what is lost or refused for now
 * begins again, whole.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/net/stream.h"
#include "common/os/clock.h"
#include "common/os/loop.h"
#include "common/smtp/answer.h"
#include "common/smtp/stuff.h"
#include "daemons/pickup/pickup.h"

#define MINUTES(n) ((n)*60 * CLOCK_SECOND)

enum {
	INPUT_MAX = 8 * 1024,
	OUTPUT_MAX = 256 * 1024,
	AHEAD_MAX = 64 * 1024, /* octets of content that wait for the server */
	LINE_SIZE = 1024,
	WHY_SIZE = 200,
	ENHANCED_SIZE = ANSWER_ENHANCED_MAX + 1,
};

enum step { STEP_GREETING, STEP_HELLO, STEP_RSET, STEP_MAIL, STEP_RCPT, STEP_DATA, STEP_DOT };

struct session {
	struct stream *stream;
	struct letter *letter;
	struct file file;
	enum step step;
	struct answer answer;
	/* the letter's recipients, in their order; refused ones have a code */
	struct dsn_recipient *recipients;
	uint32_t count, asked, accepted, refused;
	struct arena texts;
	/* reports */
	bool reporting;
	struct report report;
	struct dsn_recipient *told; /* of the report under way */
	uint32_t next_told;	    /* recipient from which on its author was told nothing */
	struct buffer notice;
	struct dsn_plan plan;
	/* content on its way */
	uint64_t given;
	struct stuffer stuffer;
	struct loop_timer feeder;
};

/* The end */

static void session_free(struct session *s)
{
	loop_timer_stop(&s->feeder);
	if (s->stream)
		stream_free(&s->stream);
	file_close(&s->file);
	arena_free(&s->texts);
	buffer_free(&s->notice);
	memory_free(s->recipients);
	memory_free(s->told);
	memory_free(s);
}

static void end_sent(struct session *s)
{
	struct letter *l = s->letter;
	log_info("drop/%s, of uid %u, is in the queue: %s", l->name, s->file.uid, s->answer.text);
	stream_send(s->stream, SLICE("QUIT\r\n"));
	stream_finish(&s->stream);
	session_free(s);
	letter_sent(l);
}

static void end_later(struct session *s, const char *why)
{
	struct letter *l = s->letter;
	session_free(s);
	letter_later(l, why);
}

static void end_aside(struct session *s, const char *why)
{
	struct letter *l = s->letter;
	session_free(s);
	letter_aside(l, why);
}

/* Saying */

static void __attribute__((format(printf, 4, 5)))
say(struct session *s, enum step step, uint64_t patience, const char *format, ...)
{
	char line[LINE_SIZE];
	va_list ap;
	va_start(ap, format);
	int len = vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(line))
		panic("pickup: a command of %d octets", len);
	s->step = step;
	stream_deadline(s->stream, patience);
	stream_send(s->stream, slice_make(line, (size_t)len));
}

static void say_mail(struct session *s)
{
	const struct drop *d = &s->file.drop;
	if (s->reporting) {
		say(s, STEP_MAIL, MINUTES(5), "MAIL FROM:<>%s%s\r\n",
		    s->plan.eight_bit ? " BODY=8BITMIME" : "",
		    s->plan.utf8_header ? " SMTPUTF8" : "");
		return;
	}
	say(s, STEP_MAIL, MINUTES(5), "MAIL FROM:<%.*s> SIZE=%llu%s%s%s%.*s%s%.*s\r\n",
	    SLICE_FMT(d->sender), (unsigned long long)d->content_octets,
	    d->eight_bit ? " BODY=8BITMIME" : "", d->utf8 ? " SMTPUTF8" : "",
	    d->ret.len ? " RET=" : "", SLICE_FMT(d->ret), d->envid.len ? " ENVID=" : "",
	    SLICE_FMT(d->envid));
}

static void say_rcpt(struct session *s)
{
	const struct drop *d = &s->file.drop;
	struct slice to;
	if (s->reporting) {
		to = report_to(&s->report);
		say(s, STEP_RCPT, MINUTES(5), "RCPT TO:<%.*s>\r\n", SLICE_FMT(to));
		return;
	}
	to = s->recipients[s->asked].address;
	say(s, STEP_RCPT, MINUTES(5), "RCPT TO:<%.*s>%s%.*s\r\n", SLICE_FMT(to),
	    d->notify.len ? " NOTIFY=" : "", SLICE_FMT(d->notify));
}

/* Content */

static bool piece_of_file(struct session *s, char octets[PIECE], struct slice *piece)
{
	uint64_t left = s->file.drop.content_octets - s->given;
	size_t len = left < PIECE ? (size_t)left : PIECE;
	*piece = slice_make(octets, len);
	return file_read(&s->file, s->file.content + s->given, octets, len);
}

static void feed(void *arg);

/* A piece each turn, while the server keeps up. */
static void feed_piece(struct session *s)
{
	char octets[PIECE];
	struct slice piece;
	struct buffer out;
	bool ends;
	if (s->reporting) {
		piece = slice_sub(buffer_slice(&s->notice), (size_t)s->given, PIECE);
	} else if (!piece_of_file(s, octets, &piece)) {
		end_later(s, strerror(errno));
		return;
	}
	s->given += piece.len;
	ends = s->given == (s->reporting ? s->notice.len : s->file.drop.content_octets);
	buffer_init(&out, 4 * PIECE);
	stuffer_add(&s->stuffer, piece, &out);
	if (ends)
		stuffer_end(&s->stuffer, &out);
	stream_send(s->stream, buffer_slice(&out));
	buffer_free(&out);
	stream_deadline(s->stream, ends ? MINUTES(10) : MINUTES(3));
	if (!ends)
		loop_timer_start(&s->feeder, 0, feed, s);
}

static void feed(void *arg)
{
	struct session *s = arg;
	if (stream_unsent(s->stream) > AHEAD_MAX)
		return; /* drained() goes on */
	if (letter_look(s->letter, PHASE_SEND)) {
		feed_piece(s);
		letter_looked();
	} else
		end_aside(s, LETTER_DEADLY);
}

static void drained(struct stream *stream)
{
	struct session *s = stream_owner(stream);
	if (s->step == STEP_DOT && !loop_timer_active(&s->feeder) &&
	    s->given < (s->reporting ? s->notice.len : s->file.drop.content_octets))
		loop_timer_start(&s->feeder, 0, feed, s);
}

/* Hearing */

/* A reply for one recipient, or for all that were not refused yet. */
static void refuse(struct session *s, struct dsn_recipient *r)
{
	char enhanced[ENHANCED_SIZE];
	answer_enhanced(&s->answer, enhanced);
	r->code = s->answer.code;
	r->enhanced = arena_copy(&s->texts, slice_str(enhanced));
	r->text = arena_copy(&s->texts, slice_make(s->answer.text, s->answer.len));
	if (!r->enhanced.ptr)
		r->enhanced = SLICE_EMPTY;
	if (!r->text.ptr)
		r->text = SLICE_EMPTY;
	s->refused++;
}

static void refuse_all(struct session *s)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (s->recipients[i].code == 0)
			refuse(s, &s->recipients[i]);
	s->accepted = 0;
}

/* RFC 3461 4.1: nobody is told who has asked for that. */
static bool wants_report(const struct session *s)
{
	struct slice rest = s->file.drop.notify, word;
	bool more = rest.len > 0;
	if (!more)
		return true;
	while (more) {
		more = slice_split(rest, ',', &word, &rest);
		if (slice_equal_fold(word, SLICE("FAILURE")))
			return true;
	}
	return false;
}

/* The next report, of those that nobody was told of; false: all was told. */
static bool make_report(struct session *s)
{
	size_t count = 0;
	if (!s->told)
		s->told = memory_get(REPORT_RECIPIENTS_MAX * sizeof(s->told[0]));
	for (; s->next_told < s->count && count < REPORT_RECIPIENTS_MAX; s->next_told++)
		if (s->recipients[s->next_told].code)
			s->told[count++] = s->recipients[s->next_told];
	s->report.recipients = s->told;
	s->report.count = count;
	return count > 0;
}

static void say_report(struct session *s)
{
	bool written;
	if (!letter_look(s->letter, PHASE_REPORT)) {
		end_aside(s, LETTER_DEADLY);
		return;
	}
	s->reporting = true;
	buffer_reset(&s->notice);
	written = report_write(&s->report, &s->plan, &s->notice);
	letter_looked();
	if (written)
		say(s, STEP_RSET, MINUTES(5), "RSET\r\n");
	else
		end_later(s, strerror(errno));
}

/* A transaction has ended well. */
static void done(struct session *s)
{
	if (s->refused > 0 && !wants_report(s))
		log_warning("drop/%s: %u recipients were refused, and nobody wants to hear of it",
			    s->letter->name, s->refused);
	else if (make_report(s)) {
		say_report(s);
		return;
	}
	end_sent(s);
}

/* After the reply for a recipient. */
static void go_on(struct session *s)
{
	if (!s->reporting && s->asked < s->count)
		say_rcpt(s);
	else if (s->reporting || s->accepted > 0)
		say(s, STEP_DATA, MINUTES(2), "DATA\r\n");
	else
		done(s);
}

/* 5xx: the letter's recipients are refused, all or one; a report that its reader's address refuses
 * goes to the postmaster. */
static void refused(struct session *s)
{
	if (s->reporting && s->report.postmaster) {
		end_aside(s, "neither its recipients nor the postmaster can be reached");
	} else if (s->reporting) {
		s->report.postmaster = true;
		say_report(s);
	} else if (s->step == STEP_RCPT) {
		refuse(s, &s->recipients[s->asked++]);
		go_on(s);
	} else {
		refuse_all(s);
		done(s);
	}
}

static void say_content(struct session *s)
{
	s->step = STEP_DOT;
	s->given = 0;
	stuffer_init(&s->stuffer, true);
	s->stuffer.whole = true; /* what becomes of long lines is the same on both ways in */
	feed(s);
}

static void accepted(struct session *s)
{
	switch (s->step) {
	case STEP_GREETING:
		say(s, STEP_HELLO, MINUTES(5), "EHLO %s\r\n", pickup_hostname());
		break;
	case STEP_HELLO:
	case STEP_RSET:
		say_mail(s);
		break;
	case STEP_MAIL:
		say_rcpt(s);
		break;
	case STEP_RCPT:
		s->accepted += !s->reporting;
		s->asked += !s->reporting;
		go_on(s);
		break;
	case STEP_DATA:
		say_content(s);
		break;
	case STEP_DOT:
		done(s);
		break;
	}
}

/* A reply of 5xx to what is not about the letter is the server's trouble (S44). */
static void heard(struct session *s)
{
	unsigned code = s->answer.code;
	char why[WHY_SIZE];
	if (code < 400 && (code < 300) == (s->step != STEP_DATA)) {
		accepted(s);
	} else if (code >= 500 && s->step >= STEP_MAIL) {
		refused(s);
	} else {
		snprintf(why, sizeof(why), "submission says %u %.150s", code, s->answer.text);
		end_later(s, why);
	}
}

/* Each reply is waited for, so there is one at most. */
static void input(struct stream *stream)
{
	struct session *s = stream_owner(stream);
	enum answer_result result = ANSWER_LINE;
	struct slice line;
	size_t used;
	while (result == ANSWER_LINE) {
		result = answer_read(&s->answer, stream_input(stream), &line, &used);
		if (result == ANSWER_LINE || result == ANSWER_COMPLETE)
			stream_consume(stream, used);
	}
	if (result == ANSWER_COMPLETE)
		heard(s);
	else if (result == ANSWER_BROKEN)
		end_later(s, "submission does not speak SMTP");
}

static void ended(struct stream *stream, enum stream_end reason)
{
	char why[WHY_SIZE];
	snprintf(why, sizeof(why), "the session with submission has ended: %s",
		 stream_end_name(reason));
	end_later(stream_owner(stream), why);
}

static const struct stream_kind kind = {.input_limit = INPUT_MAX,
					.output_limit = OUTPUT_MAX,
					.input = input,
					.end = ended,
					.drained = drained};

static void read_recipients(struct session *s)
{
	const struct drop *d = &s->file.drop;
	struct slice address;
	s->recipients = memory_zero(d->recipient_count, sizeof(s->recipients[0]));
	for (size_t at = 0; drop_next(d, &at, &address);)
		s->recipients[s->count++] =
		    (struct dsn_recipient){.address = address, .action = DSN_FAILED};
}

void session_begin(struct letter *l, struct file *f)
{
	struct session *s = memory_zero(1, sizeof(*s));
	int fd = submission_connect(f->uid);
	s->letter = l;
	s->file = *f;
	s->report =
	    (struct report){.letter = l, .file = &s->file, .postmaster = f->drop.sender.len == 0};
	arena_init(&s->texts, TEXTS_MAX);
	buffer_init(&s->notice, REPORT_MAX);
	if (fd < 0) {
		end_later(s, "submission is not there");
		return;
	}
	read_recipients(s);
	s->stream = stream_open(fd, &kind, s);
	stream_deadline(s->stream, MINUTES(5));
}
