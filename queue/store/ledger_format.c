/*
 * ledger_format: lines, frames and file headers of the ledger. Every length is checked before it is
 * used: a ledger may be damaged, and a test feeds the decoder with anything.
 */
#include "queue/store/ledger_format.h"

#include "common/base/bytes.h"

#define LEDGER_MAGIC UINT32_C(0x314c5053) /* SPL1 */
#define FRAME_MAGIC  UINT32_C(0x31464c53) /* SLF1 */

enum {
	LEDGER_VERSION = 2,
	HEADER_USED = 64, /* the CRC is in the last four of them */
	RESERVED_SIZE = 16,
	SEGMENT_LINE_SIZE = 56,
	STATE_SIZE = 104, /* before the recipients */
	RECIPIENT_SIZE = 32,
	RECIPIENT_ALIKE = 1, /* flag: 8 octets more, which begin with their number */
	RECIPIENT_ALIKE_SIZE = 8,
	ADDED_SIZE = 16, /* before the recipients */
	ATTEMPT_SIZE = 16,
	RESULT_SIZE = 40, /* before the text */
	MESSAGE_SIZE = 24,
	TIME_SIZE = 24 + BOOT_ID_SIZE,
	DAMAGE_SIZE = 32,
};

static size_t padded(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

/* Octets of s that are kept of it. */
static size_t kept(struct slice s, size_t most)
{
	return s.len < most ? s.len : most;
}

/* A status on the disk: the numbers that came later stand at the end there. */
static const uint8_t status_code[RECIPIENT_STATUSES] = {
    [RECIPIENT_PENDING] = 0, [RECIPIENT_ATTEMPT] = 1,	[RECIPIENT_DEFERRED] = 2,
    [RECIPIENT_FAILED] = 3,  [RECIPIENT_DELIVERED] = 4, [RECIPIENT_EXPANDED] = 5,
    [RECIPIENT_DELETED] = 6, [RECIPIENT_REACHED] = 7,	[RECIPIENT_BOUNCED] = 8,
};

static char put_status(uint8_t status)
{
	return (char)status_code[status < RECIPIENT_STATUSES ? status : RECIPIENT_PENDING];
}

/* RECIPIENT_STATUSES: there is none such. */
static uint8_t get_status(char code)
{
	uint8_t status = 0;
	while (status < RECIPIENT_STATUSES && status_code[status] != (uint8_t)code)
		status++;
	return status;
}

static size_t content_size(const struct line *l)
{
	switch (l->kind) {
	case LINE_RESERVED:
		return RESERVED_SIZE;
	case LINE_LEASED:
	case LINE_SEALED:
	case LINE_FREE:
	case LINE_SEGMENT:
		return SEGMENT_LINE_SIZE;
	case LINE_STATE:
		return STATE_SIZE + l->state.recipients.len;
	case LINE_ADDED:
		return ADDED_SIZE + l->added.recipients.len;
	case LINE_ATTEMPT:
		return ATTEMPT_SIZE;
	case LINE_RESULT:
		return RESULT_SIZE + kept(l->result.reply.text, REPLY_TEXT_MAX) +
		       kept(l->result.reply.relay, REPLY_RELAY_MAX);
	case LINE_SUSPECT:
	case LINE_DISPOSITION:
	case LINE_ENDED:
	case LINE_TOLD:
		return MESSAGE_SIZE;
	case LINE_TIME:
		return TIME_SIZE;
	case LINE_DAMAGE:
		return DAMAGE_SIZE;
	default:
		return 0;
	}
}

size_t line_bound(const struct line *l)
{
	return LEDGER_LINE_HEAD + padded(content_size(l));
}

static void put_reply(char *p, const struct reply *r)
{
	put_u16(p, r->code);
	for (int i = 0; i < 3; i++)
		put_u16(p + 2 + 2 * i, r->enhanced[i]);
}

static void get_reply(const char *p, struct reply *r)
{
	r->code = get_u16(p);
	for (int i = 0; i < 3; i++)
		r->enhanced[i] = get_u16(p + 2 + 2 * i);
}

static void put_segment(char *p, const struct line_segment *s)
{
	put_u64(p, s->lease);
	memcpy(p + 8, s->nonce, NONCE_SIZE);
	put_u64(p + 24, s->end);
	put_u32(p + 32, s->segment);
	put_u32(p + 36, s->writer);
	put_u32(p + 40, s->known);
	put_u32(p + 44, s->records);
	p[48] = (char)s->state;
	p[49] = s->own;
	p[50] = s->retire;
}

static bool get_segment(const char *p, struct line_segment *s)
{
	s->lease = get_u64(p);
	memcpy(s->nonce, p + 8, NONCE_SIZE);
	s->end = get_u64(p + 24);
	s->segment = get_u32(p + 32);
	s->writer = get_u32(p + 36);
	s->known = get_u32(p + 40);
	s->records = get_u32(p + 44);
	s->state = (uint8_t)p[48];
	s->own = p[49];
	s->retire = p[50];
	return s->segment > 0 && s->segment <= SEGMENT_NUMBER_MAX && s->state <= SEGMENT_SEALED;
}

static void put_state(char *p, const struct line_state *s)
{
	put_u64(p, s->id);
	put_u64(p + 8, s->lease);
	put_u64(p + 16, s->file);
	put_u64(p + 24, s->arrived);
	put_u64(p + 32, s->next);
	put_u32(p + 40, s->segment);
	put_u32(p + 44, s->offset);
	put_u32(p + 48, s->length);
	put_u32(p + 52, s->ordinal);
	put_u32(p + 56, s->received);
	put_u32(p + 60, s->count);
	put_u16(p + 64, s->attempts);
	p[66] = (char)s->disposition;
	p[67] = (char)s->deaths;
	put_u32(p + 68, 0);
	memcpy(p + 72, s->digest, DIGEST_SIZE);
	if (s->recipients.len > 0)
		memcpy(p + STATE_SIZE, s->recipients.ptr, s->recipients.len);
}

/* Numbers rise, are below count, and each that was added is there with its address. */
static bool recipients_right(const struct line_state *s)
{
	struct slice list = s->recipients;
	struct line_recipient r;
	uint32_t least = 0, added = 0;
	while (line_recipient_next(&list, &r)) {
		if (r.number < least || r.number >= s->count || r.alike >= s->count - r.number)
			return false;
		if ((r.number >= s->received) != (r.address.len > 0))
			return false;
		if (r.alike > 0 && r.number + r.alike >= s->received)
			return false;
		least = r.number + r.alike + 1;
		added += r.number >= s->received;
	}
	return list.len == 0 && added == s->count - s->received;
}

static bool get_state(struct slice c, struct line_state *s)
{
	const char *p = c.ptr;
	s->id = get_u64(p);
	s->lease = get_u64(p + 8);
	s->file = get_u64(p + 16);
	s->arrived = get_u64(p + 24);
	s->next = get_u64(p + 32);
	s->segment = get_u32(p + 40);
	s->offset = get_u32(p + 44);
	s->length = get_u32(p + 48);
	s->ordinal = get_u32(p + 52);
	s->received = get_u32(p + 56);
	s->count = get_u32(p + 60);
	s->attempts = get_u16(p + 64);
	s->disposition = (uint8_t)p[66];
	s->deaths = (uint8_t)p[67];
	memcpy(s->digest, p + 72, DIGEST_SIZE);
	s->recipients = slice_from(c, STATE_SIZE);
	return s->id > 0 && s->segment > 0 && s->segment <= SEGMENT_NUMBER_MAX &&
	       s->disposition < DISPOSITIONS && s->received > 0 &&
	       s->received <= RECIPIENTS_RECEIVED_MAX && s->count >= s->received &&
	       s->count - s->received <= RECIPIENTS_ADDED_MAX && recipients_right(s);
}

static void put_added(char *p, const struct line_added *a)
{
	put_u64(p, a->id);
	put_u32(p + 8, a->recipient);
	memcpy(p + ADDED_SIZE, a->recipients.ptr, a->recipients.len);
}

/* Each is new, and has its address. */
static bool get_added(struct slice c, struct line_added *a)
{
	a->id = get_u64(c.ptr);
	a->recipient = get_u32(c.ptr + 8);
	a->recipients = slice_from(c, ADDED_SIZE);
	struct slice list = a->recipients;
	struct line_recipient r;
	size_t count = 0;
	for (; line_recipient_next(&list, &r); count++)
		if (r.status != RECIPIENT_PENDING || r.address.len == 0 || r.alike > 0)
			return false;
	return list.len == 0 && count > 0 && count <= RECIPIENTS_ADDED_MAX;
}

static void put_result(char *p, const struct line_result *r)
{
	size_t len = kept(r->reply.text, REPLY_TEXT_MAX),
	       relay = kept(r->reply.relay, REPLY_RELAY_MAX);
	put_u64(p, r->id);
	put_u64(p + 8, r->next);
	put_u32(p + 16, r->recipient);
	p[20] = put_status(r->status);
	p[21] = r->ends;
	put_u16(p + 22, (uint16_t)len);
	put_reply(p + 24, &r->reply);
	put_u64(p + 32, relay);
	if (len > 0)
		memcpy(p + RESULT_SIZE, r->reply.text.ptr, len);
	if (relay > 0)
		memcpy(p + RESULT_SIZE + len, r->reply.relay.ptr, relay);
}

static bool get_result(struct slice c, struct line_result *r)
{
	const char *p = c.ptr;
	r->id = get_u64(p);
	r->next = get_u64(p + 8);
	r->recipient = get_u32(p + 16);
	r->status = get_status(p[20]);
	r->ends = p[21];
	size_t len = get_u16(p + 22);
	uint64_t relay = get_u64(p + 32);
	get_reply(p + 24, &r->reply);
	if (r->status == RECIPIENT_STATUSES || len > REPLY_TEXT_MAX || relay > REPLY_RELAY_MAX ||
	    c.len != RESULT_SIZE + len + relay)
		return false;
	r->reply.text = slice_sub(c, RESULT_SIZE, len);
	r->reply.relay = slice_from(c, RESULT_SIZE + len);
	return true;
}

static void put_small(char *p, const struct line *l)
{
	switch (l->kind) {
	case LINE_RESERVED:
		put_u64(p, l->reserved.numbers);
		put_u32(p + 8, l->reserved.incarnations);
		break;
	case LINE_ATTEMPT:
		put_u64(p, l->attempt.id);
		put_u32(p + 8, l->attempt.recipient);
		put_u16(p + 12, l->attempt.attempt);
		break;
	case LINE_TIME:
		put_u64(p, l->time.queue);
		put_u64(p + 8, l->time.boot);
		put_u64(p + 16, l->time.wall);
		memcpy(p + 24, l->time.boot_id, BOOT_ID_SIZE);
		break;
	case LINE_DAMAGE:
		put_u64(p, l->damage.lease);
		put_u64(p + 8, l->damage.offset);
		put_u64(p + 16, l->damage.length);
		put_u32(p + 24, l->damage.segment);
		break;
	default: /* SUSPECT, DISPOSITION, ENDED, TOLD */
		put_u64(p, l->message.id);
		put_u64(p + 8, l->message.next);
		p[16] = (char)l->message.disposition;
		p[17] = (char)l->message.deaths;
	}
}

size_t line_encode(const struct line *l, char *to)
{
	size_t len = content_size(l), whole = LEDGER_LINE_HEAD + padded(len);
	char *p = to + LEDGER_LINE_HEAD;
	put_u16(to, (uint16_t)l->kind);
	put_u16(to + 2, 0);
	put_u32(to + 4, (uint32_t)len);
	if (l->kind == LINE_STATE) { /* every octet is written below */
		memset(p + len, 0, whole - LEDGER_LINE_HEAD - len);
		put_state(p, &l->state);
		return whole;
	}
	memset(p, 0, whole - LEDGER_LINE_HEAD);
	if (l->kind == LINE_RESULT)
		put_result(p, &l->result);
	else if (l->kind == LINE_ADDED)
		put_added(p, &l->added);
	else if (l->kind >= LINE_LEASED && l->kind <= LINE_SEGMENT)
		put_segment(p, &l->segment);
	else if (len > 0)
		put_small(p, l);
	return whole;
}

/* Kinds with a fixed size, and the least size of the others. */
static size_t least_size(unsigned kind)
{
	struct line l = {.kind = (enum line_kind)kind};
	return content_size(&l);
}

static bool get_small(const char *p, struct line *l)
{
	switch (l->kind) {
	case LINE_RESERVED:
		l->reserved.numbers = get_u64(p);
		l->reserved.incarnations = get_u32(p + 8);
		return true;
	case LINE_ATTEMPT:
		l->attempt.id = get_u64(p);
		l->attempt.recipient = get_u32(p + 8);
		l->attempt.attempt = get_u16(p + 12);
		return true;
	case LINE_TIME:
		l->time.queue = get_u64(p);
		l->time.boot = get_u64(p + 8);
		l->time.wall = get_u64(p + 16);
		memcpy(l->time.boot_id, p + 24, BOOT_ID_SIZE);
		return l->time.boot_id[BOOT_ID_SIZE - 1] == 0;
	case LINE_DAMAGE:
		l->damage.lease = get_u64(p);
		l->damage.offset = get_u64(p + 8);
		l->damage.length = get_u64(p + 16);
		l->damage.segment = get_u32(p + 24);
		return true;
	case LINE_SNAPSHOT_BEGIN:
	case LINE_SNAPSHOT_END:
		return true;
	default:
		l->message.id = get_u64(p);
		l->message.next = get_u64(p + 8);
		l->message.disposition = (uint8_t)p[16];
		l->message.deaths = (uint8_t)p[17];
		return l->message.disposition < DISPOSITIONS;
	}
}

bool line_decode(struct slice *octets, struct line *l)
{
	if (octets->len < LEDGER_LINE_HEAD)
		return false;
	unsigned kind = get_u16(octets->ptr);
	uint32_t len = get_u32(octets->ptr + 4);
	if (get_u16(octets->ptr + 2) != 0 || len > LEDGER_LINE_MAX - LEDGER_LINE_HEAD ||
	    padded(len) > octets->len - LEDGER_LINE_HEAD)
		return false;
	struct slice content = slice_make(octets->ptr + LEDGER_LINE_HEAD, len);
	*octets = slice_from(*octets, LEDGER_LINE_HEAD + padded(len));
	memset(l, 0, sizeof(*l));
	if (kind == 0 || kind >= LINE_KINDS)
		return true;
	if (len < least_size(kind))
		return false;
	l->kind = (enum line_kind)kind;
	if (kind == LINE_STATE)
		return get_state(content, &l->state);
	if (kind == LINE_RESULT)
		return get_result(content, &l->result);
	if (kind == LINE_ADDED)
		return get_added(content, &l->added);
	if (kind >= LINE_LEASED && kind <= LINE_SEGMENT)
		return get_segment(content.ptr, &l->segment);
	return get_small(content.ptr, l);
}

bool line_recipient_add(struct buffer *out, const struct line_recipient *r, size_t text_max)
{
	size_t relay = kept(r->reply.relay, REPLY_RELAY_MAX),
	       text = kept(r->reply.text, REPLY_TEXT_MAX), room;
	if (relay > text_max / 2) /* a part of a name still says that another server spoke */
		relay = text_max / 2;
	if (text > text_max - relay)
		text = text_max - relay;
	size_t head = RECIPIENT_SIZE + (r->alike > 0 ? RECIPIENT_ALIKE_SIZE : 0);
	size_t len = padded(head + text + r->address.len + r->original.len + relay);
	char *p = buffer_reserve(out, len, &room);
	if (!p || room < len || r->address.len > ADDRESS_KEPT_MAX ||
	    r->original.len > ADDRESS_KEPT_MAX)
		return false;
	memset(p, 0, len);
	put_u64(p, r->next);
	put_u32(p + 8, r->number);
	put_u16(p + 12, r->attempts);
	p[14] = put_status(r->status);
	put_reply(p + 16, &r->reply);
	put_u16(p + 24, (uint16_t)text);
	put_u16(p + 26, (uint16_t)r->address.len);
	put_u16(p + 28, (uint16_t)r->original.len);
	put_u16(p + 30, (uint16_t)relay);
	if (r->alike > 0) {
		p[15] = RECIPIENT_ALIKE;
		put_u32(p + RECIPIENT_SIZE, r->alike);
	}
	char *at = p + head;
	const struct slice parts[] = {
	    {r->reply.text.ptr, text}, r->address, r->original, {r->reply.relay.ptr, relay}};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].len > 0)
			memcpy(at, parts[i].ptr, parts[i].len);
		at += parts[i].len;
	}
	buffer_grew(out, len);
	return true;
}

bool line_recipient_next(struct slice *list, struct line_recipient *r)
{
	if (list->len < RECIPIENT_SIZE)
		return false;
	const char *p = list->ptr;
	size_t text = get_u16(p + 24), address = get_u16(p + 26), original = get_u16(p + 28);
	size_t head = RECIPIENT_SIZE + (p[15] & RECIPIENT_ALIKE ? RECIPIENT_ALIKE_SIZE : 0);
	size_t relay = get_u16(p + 30), len = head + text + address + original + relay;
	uint8_t status = get_status(p[14]);
	/* The last one's padding belongs to the line. */
	if (len > list->len || text > REPLY_TEXT_MAX || address > ADDRESS_KEPT_MAX ||
	    original > ADDRESS_KEPT_MAX || relay > REPLY_RELAY_MAX ||
	    status == RECIPIENT_STATUSES || (p[15] & ~RECIPIENT_ALIKE) != 0)
		return false;
	*r = (struct line_recipient){.next = get_u64(p),
				     .number = get_u32(p + 8),
				     .attempts = get_u16(p + 12),
				     .status = status,
				     .alike =
					 head > RECIPIENT_SIZE ? get_u32(p + RECIPIENT_SIZE) : 0};
	get_reply(p + 16, &r->reply);
	r->reply.text = slice_make(p + head, text);
	r->address = slice_make(r->reply.text.ptr + text, address);
	r->original = slice_make(r->address.ptr + address, original);
	r->reply.relay = slice_make(r->original.ptr + original, relay);
	*list = slice_from(*list, padded(len));
	return true;
}

void ledger_header_encode(const struct ledger_header *h, char to[LEDGER_HEADER_SIZE])
{
	memset(to, 0, LEDGER_HEADER_SIZE);
	put_u32(to, LEDGER_MAGIC);
	put_u16(to + 4, LEDGER_VERSION);
	put_u16(to + 6, h->snapshot);
	put_u64(to + 8, h->spool);
	put_u32(to + 16, h->sequence);
	put_u32(to + 20, h->oldest);
	put_u32(to + 24, h->previous);
	put_u32(to + 28, h->previous_end);
	put_u32(to + 32, h->size);
	put_u32(to + 52, h->previous_synced);
	memcpy(to + 36, h->nonce, NONCE_SIZE);
	put_u32(to + HEADER_USED - 4, crc32c(0, to, HEADER_USED - 4));
}

bool ledger_header_decode(const char from[LEDGER_HEADER_SIZE], struct ledger_header *h)
{
	if (get_u32(from) != LEDGER_MAGIC || get_u16(from + 4) != LEDGER_VERSION ||
	    get_u32(from + HEADER_USED - 4) != crc32c(0, from, HEADER_USED - 4))
		return false;
	*h = (struct ledger_header){.snapshot = get_u16(from + 6) & 1,
				    .spool = get_u64(from + 8),
				    .sequence = get_u32(from + 16),
				    .oldest = get_u32(from + 20),
				    .previous = get_u32(from + 24),
				    .previous_end = get_u32(from + 28),
				    .size = get_u32(from + 32),
				    .previous_synced = get_u32(from + 52)};
	memcpy(h->nonce, from + 36, NONCE_SIZE);
	return h->sequence > 0 && h->oldest > 0 && h->oldest <= h->sequence &&
	       h->previous < h->sequence && h->size > LEDGER_HEADER_SIZE;
}

/* Over the file's nonce and sequence, what the frame's head says, and the lines. */
static uint32_t frame_crc(const struct ledger_header *h, uint32_t offset, uint32_t synced,
			  const char *lines, uint32_t length)
{
	char head[NONCE_SIZE + 16];
	memcpy(head, h->nonce, NONCE_SIZE);
	put_u32(head + NONCE_SIZE, h->sequence);
	put_u32(head + NONCE_SIZE + 4, length);
	put_u32(head + NONCE_SIZE + 8, offset);
	put_u32(head + NONCE_SIZE + 12, synced);
	return crc32c(crc32c(0, head, sizeof(head)), lines, length);
}

void ledger_frame_seal(const struct ledger_header *h, uint32_t offset, uint32_t synced, char *frame,
		       uint32_t length)
{
	put_u32(frame, FRAME_MAGIC);
	put_u32(frame + 4, length);
	put_u32(frame + 8, frame_crc(h, offset, synced, frame + LEDGER_FRAME_SIZE, length));
	put_u32(frame + 12, offset);
	put_u32(frame + 16, synced);
	put_u32(frame + 20, 0);
}

uint32_t ledger_frame_synced(const char *frame)
{
	return get_u32(frame + 16);
}

bool ledger_frame_look(const struct ledger_header *h, uint32_t offset, struct slice rest,
		       struct slice *lines)
{
	if (rest.len < LEDGER_FRAME_SIZE || get_u32(rest.ptr) != FRAME_MAGIC ||
	    get_u32(rest.ptr + 12) != offset)
		return false;
	uint32_t length = get_u32(rest.ptr + 4);
	if (length == 0 || length > LEDGER_FRAME_MAX - LEDGER_FRAME_SIZE ||
	    length > rest.len - LEDGER_FRAME_SIZE)
		return false;
	*lines = slice_make(rest.ptr + LEDGER_FRAME_SIZE, length);
	return get_u32(rest.ptr + 20) == 0 &&
	       get_u32(rest.ptr + 8) ==
		   frame_crc(h, offset, ledger_frame_synced(rest.ptr), lines->ptr, length);
}
