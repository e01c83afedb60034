/*
 * A small machine. The first octets of a line are kept until it is known what the line is: a From
 * line, an empty one, a field whose name matters, or none of these. An empty line waits for the one
 * behind it: before a From line it belongs to no message.
 */
#include "common/mailbox/mbox_scan.h"

#include <sha2.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/mailbox/octets.h"

enum { HEAD_SIZE = 20, MESSAGES_FIRST = 64 };

enum line { LINE_UNKNOWN, LINE_FROM, LINE_EMPTY, LINE_OTHER };
enum part { PART_NONE, PART_HEADER, PART_BODY };

struct mbox_scan {
	struct mbox_message *messages;
	size_t count, size, most;
	uint64_t at; /* octets so far */
	enum part part;
	/* the line in work */
	enum line line;
	char head[HEAD_SIZE];
	size_t head_len;
	uint64_t line_start;
	/* the line before it */
	bool was_empty; /* or there was none */
	struct slice held;
	uint64_t held_start;
	bool noted; /* the field in work is one that programs change */
	struct octets_count octets;
	SHA2_CTX digest;
};

/* What mail programs write into a header that was delivered. */
static const char *const notes[] = {
    "Status:",	   "X-Status:",	 "X-Keywords:", "X-UID:", "X-IMAP:",
    "X-IMAPbase:", "X-Mozilla-", "X-Evolution", "Lines:", "Content-Length:",
};

struct mbox_scan *mbox_scan_new(size_t messages_max)
{
	struct mbox_scan *s = memory_zero(1, sizeof(*s));
	s->most = messages_max;
	s->was_empty = true;
	return s;
}

void mbox_scan_free(struct mbox_scan **s)
{
	if (!*s)
		return;
	memory_free((*s)->messages);
	memory_free(*s);
	*s = NULL;
}

static struct mbox_message *last(struct mbox_scan *s)
{
	return &s->messages[s->count - 1];
}

static void end_header(struct mbox_scan *s)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	if (s->part != PART_HEADER)
		return;
	s->part = PART_BODY;
	SHA256Final(digest, &s->digest);
	memcpy(last(s)->digest, digest, MBOX_DIGEST_SIZE);
}

static void end_message(struct mbox_scan *s)
{
	if (s->part == PART_NONE)
		return;
	end_header(s);
	last(s)->end = s->held.len > 0 ? s->held_start : s->line_start;
	last(s)->octets = octets_end(&s->octets);
	s->held = SLICE_EMPTY;
	s->part = PART_NONE;
}

static bool begin_message(struct mbox_scan *s)
{
	end_message(s);
	if (s->count == s->most)
		return false;
	if (s->count == s->size) {
		s->size = s->size ? 2 * s->size : MESSAGES_FIRST;
		s->messages = memory_resize(s->messages, s->size, sizeof(*s->messages));
	}
	s->messages[s->count++] = (struct mbox_message){.start = s->line_start};
	s->part = PART_HEADER;
	s->noted = false;
	s->octets = (struct octets_count){0};
	SHA256Init(&s->digest);
	return true;
}

static bool is_note(struct slice head)
{
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
		if (slice_starts_fold(head, slice_str(notes[i])))
			return true;
	return false;
}

/* Octets of the line in work. */
static void put(struct mbox_scan *s, struct slice octets)
{
	if (s->part == PART_NONE || octets.len == 0)
		return;
	if (s->part == PART_HEADER && !s->noted)
		SHA256Update(&s->digest, (const uint8_t *)octets.ptr, octets.len);
	if (s->line != LINE_FROM)
		octets_add(&s->octets, octets);
}

static enum line kind_of(const struct mbox_scan *s)
{
	struct slice head = slice_make(s->head, s->head_len);
	if (s->was_empty && slice_starts(head, SLICE("From ")))
		return LINE_FROM;
	if (slice_equal(head, SLICE("\n")) || slice_equal(head, SLICE("\r\n")))
		return LINE_EMPTY;
	return LINE_OTHER;
}

/* An empty line before this one was part of the message after all. */
static void put_held(struct mbox_scan *s)
{
	if (s->held.len == 0)
		return;
	octets_add(&s->octets, s->held);
	s->held = SLICE_EMPTY;
}

/* The head is there: what is the line? */
static bool decide(struct mbox_scan *s)
{
	struct slice head = slice_make(s->head, s->head_len);
	s->line = kind_of(s);
	if (s->line == LINE_FROM) {
		if (!begin_message(s)) {
			s->line = LINE_UNKNOWN; /* what was found before it is whole */
			s->head_len = 0;
			return false;
		}
	} else {
		put_held(s);
	}
	if (s->line == LINE_EMPTY && s->part != PART_NONE) {
		end_header(s);
		s->held = head.len == 1 ? SLICE("\n") : SLICE("\r\n");
		s->held_start = s->line_start;
		return true;
	}
	if (s->line == LINE_OTHER && s->part == PART_HEADER && head.ptr[0] != ' ' &&
	    head.ptr[0] != '\t')
		s->noted = is_note(head);
	put(s, head);
	return true;
}

static void end_line(struct mbox_scan *s)
{
	if (s->line == LINE_FROM)
		last(s)->content = s->at;
	s->was_empty = s->line == LINE_EMPTY;
	s->line = LINE_UNKNOWN;
	s->head_len = 0;
	s->line_start = s->at;
}

/* A piece of one line; whole: with its end. */
static bool take(struct mbox_scan *s, struct slice piece, bool whole)
{
	s->at += piece.len;
	if (s->line == LINE_UNKNOWN) {
		struct slice head = slice_sub(piece, 0, HEAD_SIZE - s->head_len);
		memcpy(s->head + s->head_len, head.ptr, head.len);
		s->head_len += head.len;
		if (s->head_len < HEAD_SIZE && !whole)
			return true;
		if (!decide(s))
			return false;
		piece = slice_from(piece, head.len);
	}
	if (s->line != LINE_EMPTY)
		put(s, piece);
	if (whole)
		end_line(s);
	return true;
}

bool mbox_scan_add(struct mbox_scan *s, struct slice octets)
{
	while (octets.len > 0) {
		size_t end = slice_find(octets, '\n');
		bool whole = end < octets.len;
		struct slice piece = slice_sub(octets, 0, end + whole);
		if (!take(s, piece, whole))
			return false;
		octets = slice_from(octets, piece.len);
	}
	return true;
}

static int by_digest(const void *a, const void *b)
{
	const struct mbox_message *const *m = a, *const *n = b;
	int order = memcmp((*m)->digest, (*n)->digest, MBOX_DIGEST_SIZE);
	return order ? order : ((*m)->start > (*n)->start) - ((*m)->start < (*n)->start);
}

static void count_twins(struct mbox_scan *s)
{
	struct mbox_message **sorted = memory_zero(s->count + 1, sizeof(struct mbox_message *));
	for (size_t i = 0; i < s->count; i++)
		sorted[i] = &s->messages[i];
	qsort(sorted, s->count, sizeof(struct mbox_message *), by_digest);
	for (size_t i = 1; i < s->count; i++)
		if (memcmp(sorted[i]->digest, sorted[i - 1]->digest, MBOX_DIGEST_SIZE) == 0)
			sorted[i]->twin = sorted[i - 1]->twin + 1;
	memory_free(sorted);
}

const struct mbox_message *mbox_scan_end(struct mbox_scan *s, size_t *count)
{
	bool open = s->line != LINE_UNKNOWN || (s->head_len > 0 && decide(s));
	if (open && s->line == LINE_FROM)
		last(s)->content = s->at;
	s->line_start = s->at;
	end_message(s);
	count_twins(s);
	*count = s->count;
	return s->messages;
}

bool mbox_scan_header_seen(const struct mbox_scan *s)
{
	return s->count > 0 && s->part != PART_HEADER;
}

bool mbox_scan_is(const struct mbox_scan *s, const unsigned char digest[MBOX_DIGEST_SIZE])
{
	return mbox_scan_header_seen(s) &&
	       memcmp(s->messages[s->count - 1].digest, digest, MBOX_DIGEST_SIZE) == 0;
}
