/*
 * One notification from its question to the queue: the content is read and its hash checked before
 * any of it is used, then the notification is written and handed to the writer. It needs a segment
 * and no welcome: each one lets its parent end, so the queue does not grow by it, and a queue that
 * is full of mail to be reported on empties.
 */
#include <errno.h>
#include <stdio.h>

#include "common/base/log.h"
#include "common/base/queue_id.h"
#include "common/config/settings.h"
#include "common/dialogue/job.h"
#include "common/mail/date.h"
#include "common/os/clock.h"
#include "common/smtp/bdat.h"
#include "daemons/bounce/bounce.h"
#include "queue/writing/writing.h"

enum { TRACE_MAX = 1024, PIECE = 64 * 1024, SECONDS_A_MINUTE = 60 };

const struct record *const report_settings[] = {&settings_server_record, NULL};

static char hostname[HOST_NAME_MAX_OCTETS + 1], hostname_coming[HOST_NAME_MAX_OCTETS + 1];

void report_settings_begin(void)
{
	hostname_coming[0] = '\0';
}

void report_setting(const struct record *record, const void *value)
{
	if (record == &settings_server_record)
		slice_copy(((const struct settings_server *)value)->hostname, hostname_coming,
			   sizeof(hostname_coming));
}

void report_settings_end(void)
{
	memcpy(hostname, hostname_coming, sizeof(hostname));
}

static void committed(void *arg, int err)
{
	struct question *q = arg;
	if (err)
		question_fail(q, false, strerror(err));
	else
		question_committed(q);
}

/* Of what is attached, by where each part lies. */
static void attach(const struct question *q, struct dsn *d)
{
	struct slice all = buffer_slice(&q->kept);
	size_t trace = q->content.trace.len, header = (size_t)q->content.file.header_length;
	if (q->content.file.number == 0) {
		d->trace = q->content.trace;
		d->header = q->content.header;
		d->body = q->content.body;
		return;
	}
	d->trace = slice_sub(all, 0, trace);
	d->header = slice_sub(all, trace, header);
	d->body = slice_from(all, trace + header);
}

static bool compose(struct question *q, uint64_t now, const char *id)
{
	char parent[QUEUE_ID_LEN + 1];
	queue_id_text(q->parent, parent);
	struct dsn d = {.host = slice_str(hostname),
			.to = q->to,
			.postmaster = q->kind == BOUNCE_TO_POSTMASTER,
			.id = slice_str(id),
			.now = (int64_t)(now / CLOCK_SECOND),
			.parent = slice_str(parent),
			.sender = q->sender,
			.envid = q->envid,
			.arrived = (int64_t)(q->arrived / CLOCK_SECOND),
			.now_zone = clock_offset_minutes(now) * SECONDS_A_MINUTE,
			.arrived_zone = clock_offset_minutes(q->arrived) * SECONDS_A_MINUTE,
			.smtputf8 = (q->flags & JOB_UTF8) != 0,
			.headers_only = q->headers_only,
			.recipients = q->recipients,
			.recipient_count = q->recipient_count};
	attach(q, &d);
	dsn_plan(&d, &q->plan);
	return dsn_header(&d, &q->plan, &q->header) && dsn_body(&d, &q->plan, &q->body);
}

/* The notification as content: seen as one that comes in would be. */
static uint32_t look_at(const struct question *q)
{
	const struct slice parts[] = {buffer_slice(&q->header), buffer_slice(&q->body)};
	struct bdat_reader b = {0};
	struct slice run;
	bdat_chunk(&b, parts[0].len + parts[1].len);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		struct slice rest = parts[i];
		while (bdat_next(&b, &rest, &run))
			;
	}
	bdat_finish(&b);
	b.flags.eight_bit_header = q->plan.utf8_header;
	return content_flags_pack(&b.flags);
}

static void commit(struct question *q)
{
	char id[QUEUE_ID_LEN + 1], trace[TRACE_MAX], date[DATE_SIZE];
	uint64_t now = clock_wall_us();
	struct stored_recipient to = {.address = q->to};
	queue_id_text(q->id, id);
	struct slice when = date_text((int64_t)(now / CLOCK_SECOND),
				      clock_offset_minutes(now) * SECONDS_A_MINUTE, date);
	int len = snprintf(trace, sizeof(trace), "Received: by %s (Stagepost)\r\n\tid %s; %.*s\r\n",
			   hostname, id, SLICE_FMT(when));
	struct stored_message m = {.id = q->id,
				   .arrived = now,
				   .content_flags = look_at(q),
				   .content_size = q->header.len + q->body.len,
				   .client = SLICE("bounce"),
				   .flags = (q->plan.eight_bit ? JOB_8BITMIME : 0) |
					    (q->plan.utf8_header ? JOB_UTF8 : 0),
				   .parent = q->parent,
				   .parent_mark = q->mark,
				   .parent_kind = q->kind,
				   .trace = slice_make(trace, (size_t)len),
				   .header = buffer_slice(&q->header),
				   .recipients = &to,
				   .recipient_count = 1};
	q->stage = STAGE_COMMITTING;
	draft_commit(&q->draft, &m, committed, q);
}

static void give(void *arg)
{
	struct question *q = arg;
	struct slice body = buffer_slice(&q->body);
	while (q->given < body.len) {
		struct slice piece = slice_sub(body, q->given, PIECE);
		q->given += piece.len;
		switch (draft_body(q->draft, piece, give, q)) {
		case DRAFT_OK:
			break;
		case DRAFT_WAIT:
			q->stage = STAGE_WRITING;
			return;
		case DRAFT_FULL:
		case DRAFT_FAILED:
			question_fail(q, false, "the queue has no room for it");
			return;
		}
	}
	commit(q);
}

static void impatient(void *arg)
{
	question_fail(arg, false, "the queue lends no segment for it");
}

void report_go_on(struct question *q)
{
	struct writer *w = writing_writer();
	char id[QUEUE_ID_LEN + 1];
	q->id = writer_draw_id(w);
	if (q->id == 0) {
		if (q->stage != STAGE_WAITING)
			loop_timer_start(&q->timer, REPORT_PATIENCE_US, impatient, q);
		q->stage = STAGE_WAITING;
		return;
	}
	loop_timer_stop(&q->timer);
	queue_id_text(q->id, id);
	if (!compose(q, clock_wall_us(), id)) {
		question_fail(q, false, "the report would be too large");
		return;
	}
	q->draft = draft_new(w, q->id);
	give(q);
}

static uint64_t size_of(const struct content *c)
{
	return c->file.number ? c->trace.len + c->file.header_length + c->file.body_length
			      : c->trace.len + c->header.len + c->body.len;
}

/* A piece each turn, so that a large message holds up no other. All of it is read: the hash covers
 * all of it. */
static void read_on(void *arg)
{
	struct question *q = arg;
	struct slice piece;
	int result = content_reader_next(q->reader, &piece);
	if (result < 0) {
		bool spoiled = errno == EBADMSG;
		question_fail(q, spoiled,
			      spoiled ? "the content is not what was committed" : strerror(errno));
		return;
	}
	if (result == 0) {
		report_go_on(q);
		return;
	}
	uint64_t most = q->headers_only ? q->content.trace.len + q->content.file.header_length
					: size_of(&q->content);
	buffer_append(&q->kept, slice_sub(piece, 0, (size_t)most - q->kept.len));
	loop_timer_start(&q->timer, 0, read_on, q);
}

void report_begin(struct question *q)
{
	q->headers_only = (q->flags & JOB_RET_HDRS) != 0 || size_of(&q->content) > DSN_CONTENT_MAX;
	if (q->content.file.number == 0) {
		report_go_on(q);
		return;
	}
	q->stage = STAGE_READING;
	q->reader = content_reader_new(&q->content);
	loop_timer_start(&q->timer, 0, read_on, q);
}

void report_end(struct question *q)
{
	loop_timer_stop(&q->timer);
	content_reader_free(&q->reader);
	draft_free(&q->draft);
}
