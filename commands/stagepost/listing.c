/*
 * For programs each message is one object on one line, with the keys of `postqueue -j` and some
 * more; it is written when its last recipient has come. For people it is a table, or for `show` a
 * paragraph.
 */
#include "commands/stagepost/listing.h"

#include <inttypes.h>
#include <string.h>

#include "commands/stagepost/json.h"
#include "commands/stagepost/mailq.h"
#include "commands/stagepost/words.h"
#include "common/base/memory.h"
#include "common/base/queue_id.h"
#include "common/os/clock.h"

struct listing {
	FILE *to;
	enum queue_verb verb;
	bool json, mailq;
	struct mailq old; /* how mailq prints it */
	uint64_t items;
	uint64_t now;
	json_t *object, *recipients; /* of the message under way, borrowed by object; or NULL */
	struct buffer header;	     /* of it, for show in JSON */
	json_t *findings;
};

enum { HEADER_MAX = 512 * 1024 }; /* a header block has at most 256 KiB */

struct listing *listing_new(FILE *to, enum queue_verb verb, bool json)
{
	struct listing *l = memory_zero(1, sizeof(*l));
	l->to = to;
	l->verb = verb;
	l->json = json;
	l->now = clock_wall_us() / CLOCK_SECOND;
	l->findings = json_array();
	buffer_init(&l->header, HEADER_MAX);
	return l;
}

void listing_as_mailq(struct listing *l)
{
	l->mailq = !l->json && l->verb == QUEUE_LIST;
	l->old.to = l->to;
}

void listing_end(struct listing *l)
{
	if (l->mailq)
		mailq_end(&l->old);
}

void listing_free(struct listing **listing)
{
	struct listing *l = *listing;
	*listing = NULL;
	if (!l)
		return;
	json_decref(l->object);
	json_decref(l->findings);
	buffer_free(&l->header);
	memory_free(l);
}

/* For programs */

static void item_json(struct listing *l, const struct queue_item *m, const char *id)
{
	json_t *o = json_object();
	l->object = o;
	l->recipients = json_array();
	json_put(o, "queue_name", json_text(m->state));
	json_put(o, "queue_id", json_text(slice_str(id)));
	json_put(o, "arrival_time", json_count(m->arrived));
	json_put(o, "message_size", json_count(m->size));
	json_put(o, "forced_expire", json_false());
	json_put(o, "sender", json_text(m->sender));
	json_put(o, "recipients", l->recipients);
	json_put(o, "attempts", json_count(m->attempts));
	json_put(o, "next_attempt", m->next_attempt ? json_count(m->next_attempt) : json_null());
	if (m->client.len > 0)
		json_put(o, "client", json_text(m->client));
	if (m->user.len > 0)
		json_put(o, "user", json_text(m->user));
	if (m->remark.len > 0)
		json_put(o, "remark", json_text(m->remark));
}

static bool has_status(const struct queue_recipient *m, const char *status)
{
	return slice_equal(m->status, slice_str(status));
}

static void recipient_json(struct listing *l, const struct queue_recipient *m)
{
	json_t *o = json_object();
	json_put(o, "address", json_text(m->address));
	if (m->original.len > 0 && !slice_equal(m->original, m->address))
		json_put(o, "orig_address", json_text(m->original));
	if (m->status.len > 0)
		json_put(o, "status", json_text(m->status));
	if (m->reply.len > 0 && (has_status(m, "failed") || has_status(m, "bounced")))
		json_put(o, "bounce_reason", json_text(m->reply));
	else if (m->reply.len > 0 && has_status(m, "delivered"))
		json_put(o, "reply", json_text(m->reply));
	else if (m->reply.len > 0)
		json_put(o, "delay_reason", json_text(m->reply));
	json_array_append_new(l->recipients, o);
}

/* For people */

static void address(FILE *to, struct slice a)
{
	fputc('<', to);
	words_print(to, a);
	fputc('>', to);
}

static void item_row(struct listing *l, const struct queue_item *m, const char *id)
{
	char size[SIZE_TEXT_SIZE], arrived[TIME_TEXT_SIZE], next[TIME_TEXT_SIZE] = "-";
	if (l->items == 1)
		fprintf(l->to, "%-12s %-13s %5s %-16s %5s %-8s %s\n", "ID", "STATE", "SIZE",
			"ARRIVED", "TRIES", "NEXT", "SENDER");
	if (m->next_attempt)
		words_until(l->now, m->next_attempt > l->now ? m->next_attempt : l->now, next);
	fprintf(l->to, "%s ", id);
	words_print(l->to, m->state);
	fprintf(l->to, "%*s %5s %-16s %5u %-8s ", (int)(m->state.len < 13 ? 13 - m->state.len : 0),
		"", words_size(m->size, size), words_time(m->arrived, arrived), m->attempts, next);
	address(l->to, m->sender);
	fputc('\n', l->to);
	if (m->remark.len > 0) {
		fputs("             ", l->to);
		words_print(l->to, m->remark);
		fputc('\n', l->to);
	}
}

static void item_paragraph(struct listing *l, const struct queue_item *m, const char *id)
{
	char time[TIME_TEXT_SIZE], until[TIME_TEXT_SIZE];
	fprintf(l->to, "%s%s\n  state      ", l->items > 1 ? "\n" : "", id);
	words_print(l->to, m->state);
	if (m->remark.len > 0) {
		fputs(": ", l->to);
		words_print(l->to, m->remark);
	}
	fprintf(l->to, "\n  arrived    %s, %s\n", words_time(m->arrived, time),
		words_until(l->now, m->arrived, until));
	fprintf(l->to, "  size       %" PRIu64 " octets\n", m->size);
	if (m->client.len > 0) {
		fputs("  client     ", l->to);
		words_print(l->to, m->client);
		fputc('\n', l->to);
	}
	if (m->user.len > 0) {
		fputs("  user       ", l->to);
		words_print(l->to, m->user);
		fputc('\n', l->to);
	}
	fprintf(l->to, "  attempts   %u", m->attempts);
	if (m->next_attempt)
		fprintf(l->to, ", the next %s, %s", words_time(m->next_attempt, time),
			words_until(l->now, m->next_attempt, until));
	fputs("\n  sender     ", l->to);
	address(l->to, m->sender);
	fputc('\n', l->to);
}

static void recipient_text(struct listing *l, const struct queue_recipient *m)
{
	fputs(l->verb == QUEUE_SHOW ? "  recipient  " : "             to ", l->to);
	address(l->to, m->address);
	if (m->original.len > 0 && !slice_equal(m->original, m->address)) {
		fputs(" for ", l->to);
		address(l->to, m->original);
	}
	if (m->status.len > 0 && (l->verb == QUEUE_SHOW || !has_status(m, "pending"))) {
		fputs(", ", l->to);
		words_print(l->to, m->status);
	}
	if (m->reply.len > 0) {
		fputs(" (", l->to);
		words_print(l->to, m->reply);
		fputc(')', l->to);
	}
	fputc('\n', l->to);
}

/* Both */

void listing_item(struct listing *l, const struct queue_item *m)
{
	char id[QUEUE_ID_LEN + 1];
	listing_flush(l);
	queue_id_text(m->id, id);
	l->items++;
	if (l->json)
		item_json(l, m, id);
	else if (l->mailq)
		mailq_item(&l->old, m);
	else if (l->verb == QUEUE_SHOW)
		item_paragraph(l, m, id);
	else
		item_row(l, m, id);
}

/* A list is about what is still to be done, or has failed. */
static bool is_finished(const struct queue_recipient *m)
{
	return has_status(m, "delivered") || has_status(m, "expanded") ||
	       has_status(m, "deleted") || has_status(m, "bounced");
}

void listing_recipient(struct listing *l, const struct queue_recipient *m)
{
	if (l->verb == QUEUE_LIST && is_finished(m))
		return;
	if (l->mailq)
		mailq_recipient(&l->old, m);
	else if (!l->json)
		recipient_text(l, m);
	else if (l->recipients)
		recipient_json(l, m);
}

static void take_findings(struct listing *l, struct slice text)
{
	struct slice line;
	while (text.len > 0 && json_array_size(l->findings) < LISTING_FINDINGS_MAX) {
		slice_split(text, '\n', &line, &text);
		if (line.len > 0)
			json_array_append_new(l->findings, json_text(line));
	}
}

void listing_line(struct listing *l, struct slice text)
{
	if (l->json && l->verb == QUEUE_VERIFY) {
		take_findings(l, text);
	} else if (l->json) {
		buffer_append(&l->header, text);
	} else {
		if (l->verb == QUEUE_SHOW && l->header.len == 0)
			fputc('\n', l->to);
		words_print_lines(l->to, text);
		if (text.len > 0 && text.ptr[text.len - 1] != '\n')
			fputc('\n', l->to);
		buffer_byte(&l->header, '\n'); /* the paragraph's blank line is written */
	}
}

void listing_flush(struct listing *l)
{
	if (l->object) {
		if (l->header.len > 0)
			json_put(l->object, "header", json_text(buffer_slice(&l->header)));
		json_line(l->to, l->object);
	}
	l->object = l->recipients = NULL;
	buffer_reset(&l->header);
}

json_t *listing_findings(struct listing *l)
{
	json_t *o = json_object();
	json_put(o, "findings", json_incref(l->findings));
	return o;
}
