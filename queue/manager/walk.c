/*
 * The walk of a question through the messages: a batch of ids, then each of them: its state and
 * record are read (from the page cache at once, else by the helper), it is compared with what was
 * asked for, listed, shown or changed.
 */
#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

#include "common/os/clock.h"
#include "queue/manager/admin.h"

enum {
	WALK_STEP = 100,
	WALK_RECIPIENTS = 5000, /* listed of a message in one turn */
	SHOWN_MAX = 32 * 1024,
};

static void gather(void *arg, struct entry *e)
{
	struct question *q = arg;

	/* A walk's step gives more than fits here only if its size was wrong. */
	if (q->batch_count < WALK_BATCH)
		q->batch[q->batch_count++] = e->id;
}

/* Fills the batch; false: the walk is over. */
static bool next_batch(struct question *q)
{
	q->batch_at = q->batch_count = 0;
	if (q->id != 0) {
		if (!q->over)
			q->batch[q->batch_count++] = q->id;
		q->over = true;
		return q->batch_count > 0;
	}
	while (!q->over && q->batch_count == 0)
		q->over = !spool_walk(manager.spool, &q->cursor, gather, q);
	return q->batch_count > 0;
}

/* What can be judged without reading. */
static bool fits_stub(const struct question *q, const struct entry *e)
{
	/* Queue time may have lost its last minute in a crash. */
	uint64_t now = manager_now(), arrived = manager_arrived(e);
	uint64_t age = now > arrived ? now - arrived : 0;

	if (q->state[0] != '\0' && strcmp(q->state, admin_state(e)) != 0)
		return false;
	return age / CLOCK_SECOND >= q->older;
}

static bool address_fits(const char *wanted, struct slice address)
{
	if (strcmp(wanted, "<>") == 0)
		return address.len == 0;
	if (wanted[0] == '@')
		return slice_ends_fold(address, slice_str(wanted));
	return slice_equal_fold(address, slice_str(wanted));
}

static struct slice recipient_address(const struct entry *e, const struct stored_message *m,
				      uint32_t i)
{
	if (i < e->state->received)
		return i < m->recipient_count ? m->recipients[i].address : SLICE_EMPTY;
	return e->state->recipients[i].address;
}

/* Does it ask for what stands in the record alone? */
static bool asks_record(const struct question *q)
{
	return q->sender[0] != '\0' || q->recipient[0] != '\0' || q->user[0] != '\0';
}

static bool fits(const struct question *q, const struct entry *e, const struct stored_message *m)
{
	if (q->sender[0] != '\0' && !address_fits(q->sender, m->reverse_path))
		return false;
	if (q->user[0] != '\0' && !address_fits(q->user, m->user))
		return false;
	if (q->recipient[0] == '\0')
		return true;
	for (uint32_t i = 0; i < e->state->count; i++)
		if (address_fits(q->recipient, recipient_address(e, m, i)))
			return true;
	return false;
}

static const char *status_name(uint8_t status)
{
	static const char *const names[RECIPIENT_STATUSES] = {
	    [RECIPIENT_PENDING] = "pending",   [RECIPIENT_ATTEMPT] = "active",
	    [RECIPIENT_DEFERRED] = "deferred", [RECIPIENT_FAILED] = "failed",
	    [RECIPIENT_REACHED] = "delivered", [RECIPIENT_DELIVERED] = "delivered",
	    [RECIPIENT_EXPANDED] = "expanded", [RECIPIENT_DELETED] = "deleted",
	    [RECIPIENT_BOUNCED] = "bounced",
	};

	return status < RECIPIENT_STATUSES ? names[status] : "unknown";
}

static void send_recipient(struct question *q, const struct entry *e,
			   const struct stored_message *m, uint32_t i)
{
	const struct recipient_state *r = &e->state->recipients[i];
	char reply[REPLY_TEXT_MAX + 40] = "";
	struct queue_recipient out = {
	    .request = q->request,
	    .address = recipient_address(e, m, i),
	    .original = r->original,
	    .status = slice_str(status_name(r->status)),
	};

	if (r->reply.code != 0)
		snprintf(reply, sizeof(reply), "%u %u.%u.%u %.*s", r->reply.code,
			 r->reply.enhanced[0], r->reply.enhanced[1], r->reply.enhanced[2],
			 SLICE_FMT(r->reply.text));
	out.reply = slice_str(reply);
	admin_send(q, QUEUE_RECIPIENT, &out);
}

static void show_line(struct question *q, struct slice text)
{
	struct queue_line line = {.request = q->request, .text = text};

	admin_send(q, QUEUE_LINE, &line);
}

static void on_large_header(void *arg, int err)
{
	struct question *q = arg;

	q->reading = 0;
	if (err == 0)
		show_line(q, buffer_slice(&q->file_header));
	buffer_free(&q->file_header);
}

static void show_header(struct question *q, struct entry *e, const struct stored_message *m)
{
	uint64_t length = m->file.header_length;

	show_line(q, m->trace);
	if (m->file.number == 0) {
		show_line(q, slice_sub(m->header, 0, SHOWN_MAX));
		return;
	}
	if (length == 0)
		return;
	buffer_init(&q->file_header, length < SHOWN_MAX ? (size_t)length : SHOWN_MAX);
	q->reading = 1;
	spool_file_read(manager.spool, e, m->file.header_offset, &q->file_header, on_large_header,
			q);
}

/* False: it has more recipients than are listed in a turn, and comes again in the next. */
static bool list_recipients(struct question *q, const struct entry *e,
			    const struct stored_message *m)
{
	uint32_t end = e->state->count;
	bool all = end - q->listed <= WALK_RECIPIENTS;

	if (!all)
		end = q->listed + WALK_RECIPIENTS;
	for (uint32_t i = q->listed; i < end; i++)
		send_recipient(q, e, m, i);
	q->listed = all ? 0 : end;
	return all;
}

/* False: as above. */
static bool list_message(struct question *q, struct entry *e, const struct stored_message *m)
{
	bool waits = e->disposition == MESSAGE_QUEUED && stub_of(e)->active == NULL;
	struct queue_item item = {
	    .request = q->request,
	    .id = e->id,
	    .state = slice_str(admin_state(e)),
	    .arrived = m->arrived / CLOCK_SECOND,
	    .size = m->content_size,
	    .sender = m->reverse_path,
	    .next_attempt = waits && e->next > 0 ? manager_wall(e->next) : 0,
	    .attempts = e->attempts,
	    .recipients = e->state->count,
	    .client = m->client,
	    .user = m->user,
	    .remark = e->disposition == MESSAGE_HELD ? m->hold : SLICE_EMPTY,
	};

	if (q->listed == 0)
		admin_send(q, QUEUE_ITEM, &item);
	if (!list_recipients(q, e, m))
		return false;
	if (q->verb == QUEUE_SHOW)
		show_header(q, e, m);
	return true;
}

/* A message whose record or state is damaged is listed by what the stub says. */
static void list_unreadable(struct question *q, const struct entry *e)
{
	struct queue_item item = {
	    .request = q->request,
	    .id = e->id,
	    .state = slice_str(admin_state(e)),
	    .arrived = manager_wall(manager_arrived(e)),
	    .attempts = e->attempts,
	    .remark = SLICE("its record in the spool can't be read"),
	};

	admin_send(q, QUEUE_ITEM, &item);
}

static void act(struct question *q, struct entry *e, const struct stored_message *m)
{
	uint64_t id;

	if (q->verb == QUEUE_LIST || q->verb == QUEUE_SHOW) {
		if (m == NULL) {
			list_unreadable(q, e);
			q->listed = 0;
		}
		if (m == NULL || list_message(q, e, m))
			q->count++;
		else
			q->batch_at--;
		active_looked_at(e);
		return;
	}
	id = e->id;
	if (change_message(q->verb, e))
		q->count++;
	e = spool_get(manager.spool, id);
	if (e != NULL)
		active_looked_at(e);
}

/* The record is in q->record, or could not be read (err). */
static void judge(struct question *q, struct entry *e, int err)
{
	struct stored_message m;
	struct arena arena;
	struct error error;
	bool readable;

	arena_init(&arena, ACTIVE_ARENA_MAX);
	readable = err == 0 && record_decode(buffer_slice(&q->record), &arena, &m, &error);
	if (readable && (q->listed > 0 || fits(q, e, &m)))
		act(q, e, &m);
	else if (!readable && !asks_record(q))
		act(q, e, NULL);
	else {
		q->listed = 0;
		active_looked_at(e);
	}
	arena_free(&arena);
	buffer_free(&q->record);
}

static void on_record(void *arg, int err)
{
	struct question *q = arg;
	struct entry *e = spool_get(manager.spool, q->batch[q->batch_at]);

	q->reading = 0;
	if (e != NULL && e->state == NULL) {
		buffer_free(&q->record); /* it went to rest meanwhile: once more */
		return;
	}
	q->batch_at++;
	if (e != NULL)
		judge(q, e, err);
	else {
		q->listed = 0;
		buffer_free(&q->record);
	}
}

static void read_record(struct question *q, struct entry *e)
{
	int result;

	buffer_init(&q->record, RECORD_LENGTH_MAX);
	q->reading = 1;
	result = spool_read(manager.spool, e, &q->record, on_record, q);
	if (result != 0)
		on_record(q, result == 1 ? 0 : errno);
}

static void on_state(void *arg, struct entry *e, int err)
{
	struct question *q = arg;

	q->reading = 0;
	if (e != NULL && err == 0) {
		read_record(q, e);
		return;
	}
	q->batch_at++;
	q->listed = 0;
	if (e != NULL && !asks_record(q))
		act(q, e, NULL);
}

static bool needs_reading(const struct question *q)
{
	return q->verb == QUEUE_LIST || q->verb == QUEUE_SHOW || q->verb == QUEUE_BOUNCE ||
	       asks_record(q);
}

static void look(struct question *q, struct entry *e)
{
	int result = 1;

	if (e == NULL || (q->listed == 0 && !fits_stub(q, e))) {
		q->listed = 0;
		q->batch_at++;
		return;
	}
	if (!needs_reading(q)) {
		q->batch_at++;
		act(q, e, NULL);
		return;
	}
	if (e->state == NULL) {
		q->reading = 1;
		result = spool_load(manager.spool, e, on_state, q);
	}
	if (result == 1)
		on_state(q, e, 0);
	else if (result == -1)
		on_state(q, e, errno);
}

bool walk_step(struct question *q)
{
	for (int i = 0; i < WALK_STEP && q->reading == 0 && admin_room(); i++) {
		uint32_t listed = q->listed;
		bool enough = q->limit > 0 && q->count >= q->limit;

		if (enough || (q->batch_at == q->batch_count && !next_batch(q))) {
			bool missing = q->id != 0 && q->count == 0;

			admin_done(q, missing ? 1 : EX_OK,
				   missing ? "there is no such message, or it is not in a state "
					     "for this"
					   : "");
			return false;
		}
		look(q, spool_get(manager.spool, q->batch[q->batch_at]));
		if (q->listed > listed)
			break;
	}
	return q->reading == 0;
}
