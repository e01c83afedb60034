/*
 * scan: walks a segment from batch to batch. It never searches for a record: content may hold
 * anything, whole records with right CRCs too, so only what a believed batch header leads to, step
 * by step, is looked at. Headers are found by their place and a nonce that no stranger has seen;
 * records carry a mark made from it, because the former lease's may lie at just the same places.
 */
#include "queue/store/scan.h"

#include <errno.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "common/os/trap.h"
#include "queue/store/digest.h"
#include "queue/store/format.h"

enum { SCAN_SIZE_MAX = 64 * 1024 * 1024 };

struct scan {
	const struct scan_request *request;
	const struct scan_calls *calls;
	struct scan_result *result;
	struct slice octets; /* the segment */
	uint64_t sequence;   /* of the batch that comes next */
	uint32_t ordinal;    /* of the record that comes next */
	uint32_t mark;	     /* of this lease's records */
	struct digest hash;
};

/* The place in the segment where a batch's records lie. */
struct extent {
	uint64_t at, end;
};

static struct extent records_of(const struct batch_head *h)
{
	uint64_t at = h->offset + BATCH_HEADER_SIZE;
	return (struct extent){at, at + h->octets};
}

static uint64_t batch_end(const struct batch_head *h)
{
	return batch_align(records_of(h).end);
}

/* Is there a header of this lease, made for this place? */
static bool head_at(const struct scan *s, uint64_t offset, struct batch_head *h)
{
	uint64_t room = s->octets.len - offset;
	return room >= BATCH_HEADER_SIZE && batch_head_decode(s->octets.ptr + offset, h) &&
	       h->lease == s->request->lease && h->offset == offset &&
	       nonce_is(h->nonce, s->request->nonce) && h->octets <= room - BATCH_HEADER_SIZE &&
	       h->records > 0 && h->records <= h->octets / RECORD_HEADER_SIZE &&
	       h->ordinal <= UINT32_MAX - h->records;
}

/* The next header behind, of a batch that was begun after the one that we look for. The writer
 * begins a batch only when the one before it is durable. */
static bool later_head(const struct scan *s, uint64_t from, struct batch_head *h)
{
	for (uint64_t at = from; at < s->octets.len; at += BATCH_ALIGN)
		if (head_at(s, at, h) && h->sequence > s->sequence && h->ordinal >= s->ordinal)
			return true;
	return false;
}

static void damage(struct scan *s, uint64_t from, uint64_t end)
{
	s->result->damaged++;
	s->calls->damage(s->calls->arg, from, end - from);
}

/* The length of the good record of that ordinal at that place, 0: there is none. */
static uint32_t record_at(const struct scan *s, struct extent e, uint32_t ordinal)
{
	uint32_t length, found;
	uint64_t id;
	struct slice octets = slice_sub(s->octets, e.at, e.end - e.at);
	return record_look(octets, &length, &found, &id) && found == ordinal &&
		       get_u32(octets.ptr + RECORD_MARK_AT) == s->mark
		   ? length
		   : 0;
}

/* The same by what the record's header claims, whose CRC is wrong. */
static uint32_t claim_at(const struct scan *s, struct extent e, uint32_t ordinal)
{
	const char *at = s->octets.ptr + e.at;
	if (e.end - e.at < RECORD_HEADER_SIZE || get_u32(at) != RECORD_MAGIC ||
	    get_u32(at + 12) != ordinal || get_u32(at + RECORD_MARK_AT) != s->mark)
		return 0;
	uint32_t length = get_u32(at + 4);
	return length >= RECORD_HEADER_SIZE && length % RECORD_ALIGN == 0 && length <= e.end - e.at
		   ? length
		   : 0;
}

typedef uint32_t length_at(const struct scan *s, struct extent e, uint32_t ordinal);

/* Do `count` records from here on lead just to the end? */
static bool leads_to_end(const struct scan *s, struct extent e, uint32_t ordinal, uint32_t count,
			 length_at *length)
{
	for (; count > 0; count--, ordinal++) {
		uint32_t len = length(s, e, ordinal);
		if (len == 0)
			return false;
		e.at += len;
	}
	return e.at == e.end;
}

static void tell(struct scan *s, uint64_t at, uint32_t length, uint32_t ordinal)
{
	if (ordinal < s->request->known)
		return;
	struct slice record = slice_sub(s->octets, at, length);
	struct writer_entry entry = {
	    .id = get_u64(record.ptr + 16), .offset = at, .length = length, .ordinal = ordinal};
	struct record_numbers numbers;
	if (s->calls->look && !s->calls->look(s->calls->arg, entry.id)) {
		entry.unread = true;
		s->calls->record(s->calls->arg, &entry);
		return;
	}
	trap_see("scan", record);
	record_read_numbers(record, &numbers);
	entry.recipients = numbers.recipients;
	entry.file = numbers.file;
	entry.origin = numbers.origin;
	entry.parent = numbers.parent;
	entry.parent_mark = numbers.parent_mark;
	entry.held = numbers.held;
	record_digest_with(&s->hash, record, entry.digest);
	s->calls->record(s->calls->arg, &entry);
}

/* Tells the good records of a batch, and where the others are. A broken record is stepped over
 * only when the headers' claims, from it on, lead just to the batch's end; where they don't, the
 * rest is damage: searching in it would find what a stranger wrote. */
static void tell_batch(struct scan *s, const struct batch_head *h)
{
	struct extent e = records_of(h);
	bool claims_tried = false;
	for (uint32_t i = 0; i < h->records; i++) {
		uint32_t ordinal = h->ordinal + i, length = record_at(s, e, ordinal);
		if (length > 0) {
			tell(s, e.at, length, ordinal);
			e.at += length;
			continue;
		}
		if (!claims_tried && !leads_to_end(s, e, ordinal, h->records - i, claim_at)) {
			damage(s, e.at,
			       batch_end(h) < s->octets.len ? batch_end(h) : s->octets.len);
			return;
		}
		claims_tried = true;
		length = claim_at(s, e, ordinal);
		damage(s, e.at, e.at + length);
		e.at += length;
	}
}

/* The batch with the right header that is next. False: it is the write that was under way. */
static bool take_batch(struct scan *s, const struct batch_head *h)
{
	struct batch_head later;
	bool whole = leads_to_end(s, records_of(h), h->ordinal, h->records, record_at);
	if (!whole && h->ordinal >= s->request->known && !later_head(s, batch_end(h), &later))
		return false;
	tell_batch(s, h);
	s->sequence++;
	s->ordinal = h->ordinal + h->records;
	s->result->records = s->ordinal;
	return true;
}

/* The last batch of a lease that is not whole is the write that was under way, and was never
 * acknowledged. Or its octets have changed since: nothing on the disk can tell, so it is said. */
static bool begins_at(const struct scan *s, uint64_t at)
{
	enum { LEASE = 8, NONCE = 16 };
	const char *head = s->octets.ptr + at;
	if (s->octets.len - at < BATCH_HEADER_SIZE)
		return false;
	return memcmp(head + NONCE, s->request->nonce, NONCE_SIZE) == 0 ||
	       (get_u32(head) == BATCH_MAGIC && get_u64(head + LEASE) == s->request->lease);
}

static void walk(struct scan *s)
{
	uint64_t at = 0;
	struct batch_head h;
	while (at < s->octets.len) {
		if (head_at(s, at, &h) && h.sequence == s->sequence && h.ordinal == s->ordinal) {
			if (!take_batch(s, &h)) {
				s->result->torn = true;
				break;
			}
			at = batch_end(&h);
			s->result->end = at;
			continue;
		}
		if (!later_head(s, at + BATCH_ALIGN, &h)) {
			if (s->ordinal < s->request->known)
				damage(s, at, s->octets.len);
			else
				s->result->torn = begins_at(s, at);
			break;
		}
		damage(s, at, h.offset);
		at = h.offset;
		s->sequence = h.sequence;
		s->ordinal = h.ordinal;
	}
}

bool scan_segment(const struct scan_request *request, const struct scan_calls *calls,
		  struct scan_result *result, struct error *error)
{
	*result = (struct scan_result){0};
	if (request->size > SCAN_SIZE_MAX)
		return error_set(error, EFBIG, "a segment of %llu octets can't be scanned",
				 (unsigned long long)request->size);
	char *octets = memory_get((size_t)request->size + 1);
	ssize_t n = disk_pread(request->fd, octets, (size_t)request->size, 0);
	if (n < 0) {
		error_set(error, errno, "the segment can't be read: %s", strerror(errno));
		memory_free(octets);
		return false;
	}
	struct scan s = {.request = request,
			 .calls = calls,
			 .result = result,
			 .octets = slice_make(octets, (size_t)n),
			 .mark = record_mark(request->lease, request->nonce)};
	digest_init(&s.hash);
	walk(&s);
	digest_free(&s.hash);
	/* All of it was allocated before it was lent: what is not there was cut off. */
	if ((size_t)n < request->size)
		damage(&s, (uint64_t)n, request->size);
	memory_free(octets);
	return true;
}
