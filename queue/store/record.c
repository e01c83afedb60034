/*
 * record: one message to octets and back. Encoding knows the whole size first and writes straight
 * into the caller's buffer; decoding copies nothing but the list of recipients, and believes no
 * length that it has not held against what is there.
 */
#include "queue/store/record.h"

#include <errno.h>

#include "common/base/bytes.h"
#include "common/base/queue_id.h"
#include "queue/store/digest.h"
#include "queue/store/format.h"

static size_t part_size(size_t len)
{
	return PART_HEADER_SIZE + record_align(len);
}

/* A record's size, and its number of parts. */
struct extent {
	size_t size, parts;
};

static void extend(struct extent *e, size_t len)
{
	e->size += part_size(len);
	e->parts++;
}

size_t record_recipient_size(size_t address, bool notify, size_t orcpt)
{
	return part_size(address) + (notify ? part_size(PART_NOTIFY_SIZE) : 0) +
	       (orcpt > 0 ? part_size(PART_ORCPT_SIZE + orcpt) : 0);
}

static void extend_some(struct extent *e, struct slice octets)
{
	if (octets.len > 0)
		extend(e, octets.len);
}

static struct slice hold_reason(const struct stored_message *m)
{
	return slice_sub(m->hold, 0, STORED_HOLD_MAX);
}

static struct extent record_extent(const struct stored_message *m)
{
	struct extent e = {.size = RECORD_HEADER_SIZE};
	extend(&e, PART_ENVELOPE_SIZE);
	extend(&e, m->reverse_path.len);
	extend(&e, m->client.len);
	extend(&e, m->trace.len);
	if (m->file.number) {
		extend(&e, PART_FILE_SIZE);
	} else {
		extend(&e, m->body.len);
		extend(&e, m->header.len);
	}
	if (m->flags)
		extend(&e, PART_FLAGS_SIZE);
	extend_some(&e, m->envid);
	extend_some(&e, m->user);
	for (uint32_t i = 0; i < m->recipient_count; i++) {
		const struct stored_recipient *r = &m->recipients[i];
		extend(&e, r->address.len);
		if (r->notify)
			extend(&e, PART_NOTIFY_SIZE);
		if (r->orcpt.len > 0)
			extend(&e, PART_ORCPT_SIZE + r->orcpt.len);
	}
	if (m->parent)
		extend(&e, PART_PARENT_SIZE);
	extend_some(&e, hold_reason(m));
	return e;
}

/* Who does not know the part must not act on the record. */
static bool part_critical(enum record_part type)
{
	return (type <= PART_FILE && type != PART_CLIENT) || type == PART_HOLD;
}

/* Both return the place behind the part. put_part_room leaves its octets to the caller. */
static uint8_t *put_part_room(uint8_t *at, enum record_part type, size_t len)
{
	put_u16(at, (uint16_t)type);
	put_u16(at + 2, part_critical(type) ? PART_CRITICAL : 0);
	put_u32(at + 4, (uint32_t)len);
	memset(at + PART_HEADER_SIZE + len, 0, record_align(len) - len);
	return at + part_size(len);
}

static uint8_t *put_part(uint8_t *at, enum record_part type, struct slice octets)
{
	if (octets.len > 0)
		memcpy(at + PART_HEADER_SIZE, octets.ptr, octets.len);
	return put_part_room(at, type, octets.len);
}

static void put_file(uint8_t *at, const struct stored_file *f)
{
	put_u64(at, f->number);
	memcpy(at + 8, f->nonce, NONCE_SIZE);
	put_u64(at + 24, f->length);
	memcpy(at + 32, f->digest, DIGEST_SIZE);
	put_u64(at + 64, f->body_offset);
	put_u64(at + 72, f->body_length);
	put_u64(at + 80, f->header_offset);
	put_u64(at + 88, f->header_length);
}

static uint8_t *put_envelope(uint8_t *at, const struct stored_message *m)
{
	uint8_t *to = at + PART_HEADER_SIZE;
	put_u64(to, m->arrived);
	put_u32(to + 8, m->content_flags);
	put_u64(to + 12, m->content_size);
	put_u32(to + 20, m->recipient_count);
	return put_part_room(at, PART_ENVELOPE, PART_ENVELOPE_SIZE);
}

static uint8_t *put_some(uint8_t *at, enum record_part type, struct slice octets)
{
	return octets.len > 0 ? put_part(at, type, octets) : at;
}

static uint8_t *put_notify(uint8_t *at, uint32_t recipient, uint32_t notify)
{
	put_u32(at + PART_HEADER_SIZE, recipient);
	put_u32(at + PART_HEADER_SIZE + 4, notify);
	return put_part_room(at, PART_NOTIFY, PART_NOTIFY_SIZE);
}

static uint8_t *put_orcpt(uint8_t *at, uint32_t recipient, struct slice orcpt)
{
	put_u32(at + PART_HEADER_SIZE, recipient);
	memcpy(at + PART_HEADER_SIZE + PART_ORCPT_SIZE, orcpt.ptr, orcpt.len);
	return put_part_room(at, PART_ORCPT, PART_ORCPT_SIZE + orcpt.len);
}

static uint8_t *put_content(uint8_t *at, const struct stored_message *m)
{
	if (m->file.number) {
		put_file(at + PART_HEADER_SIZE, &m->file);
		return put_part_room(at, PART_FILE, PART_FILE_SIZE);
	}
	at = put_part(at, PART_BODY, m->body);
	return put_part(at, PART_HEADER, m->header);
}

/* The parts that most messages do not have. */
static void put_rare(uint8_t *at, const struct stored_message *m)
{
	if (m->flags) {
		put_u32(at + PART_HEADER_SIZE, m->flags);
		at = put_part_room(at, PART_FLAGS, PART_FLAGS_SIZE);
	}
	at = put_some(at, PART_ENVID, m->envid);
	at = put_some(at, PART_USER, m->user);
	for (uint32_t i = 0; i < m->recipient_count; i++)
		if (m->recipients[i].notify)
			at = put_notify(at, i, m->recipients[i].notify);
	for (uint32_t i = 0; i < m->recipient_count; i++)
		if (m->recipients[i].orcpt.len > 0)
			at = put_orcpt(at, i, m->recipients[i].orcpt);
	if (m->parent) {
		put_u64(at + PART_HEADER_SIZE, m->parent);
		put_u32(at + PART_HEADER_SIZE + 8, m->parent_mark);
		put_u32(at + PART_HEADER_SIZE + 12, m->parent_kind);
		at = put_part_room(at, PART_PARENT, PART_PARENT_SIZE);
	}
	put_some(at, PART_HOLD, hold_reason(m));
}

bool record_encode(const struct stored_message *m, struct buffer *out)
{
	struct extent extent = record_extent(m);
	size_t size = extent.size, room;
	if (size > RECORD_LENGTH_MAX ||
	    (!m->file.number && m->body.len + m->header.len > CONTENT_INLINE_MAX))
		return false;
	uint8_t *record = (uint8_t *)buffer_reserve(out, size, &room);
	if (!record || room < size)
		return false;
	memset(record, 0, RECORD_HEADER_SIZE);
	put_u32(record, RECORD_MAGIC);
	put_u32(record + 4, (uint32_t)size);
	put_u64(record + 16, m->id);
	put_u16(record + 24, RECORD_VERSION);
	put_u16(record + 26, extent.parts < PARTS_MANY ? (uint16_t)extent.parts : PARTS_MANY);

	uint8_t *at = put_envelope(record + RECORD_HEADER_SIZE, m);
	at = put_part(at, PART_REVERSE_PATH, m->reverse_path);
	for (uint32_t i = 0; i < m->recipient_count; i++)
		at = put_part(at, PART_RECIPIENT, m->recipients[i].address);
	at = put_part(at, PART_CLIENT, m->client);
	at = put_part(at, PART_TRACE, m->trace);
	put_rare(put_content(at, m), m);
	buffer_grew(out, size);
	return true;
}

uint32_t record_mark(uint64_t lease, const uint8_t nonce[NONCE_SIZE])
{
	uint8_t number[8];
	put_u64(number, lease);
	return crc32c(crc32c(0, number, sizeof(number)), nonce, NONCE_SIZE);
}

void record_seal(void *record, uint32_t ordinal, uint32_t mark)
{
	uint8_t *at = record;
	put_u32(at + 12, ordinal);
	put_u32(at + RECORD_MARK_AT, mark);
	put_u32(at + 8, crc32c(0, at + RECORD_CRC_FROM, get_u32(at + 4) - RECORD_CRC_FROM));
}

bool record_head(struct slice octets, uint32_t *length, uint32_t *ordinal, uint64_t *id)
{
	const uint8_t *at = (const uint8_t *)octets.ptr;
	if (octets.len < RECORD_HEADER_SIZE || get_u32(at) != RECORD_MAGIC)
		return false;
	uint32_t len = get_u32(at + 4);
	if (len < RECORD_HEADER_SIZE || len > RECORD_LENGTH_MAX || len % RECORD_ALIGN != 0 ||
	    len > octets.len || !queue_id_possible(get_u64(at + 16)))
		return false;
	*length = len;
	*ordinal = get_u32(at + 12);
	*id = get_u64(at + 16);
	return true;
}

bool record_look(struct slice octets, uint32_t *length, uint32_t *ordinal, uint64_t *id)
{
	const uint8_t *at = (const uint8_t *)octets.ptr;
	return record_head(octets, length, ordinal, id) &&
	       get_u32(at + 8) == crc32c(0, at + RECORD_CRC_FROM, *length - RECORD_CRC_FROM);
}

struct part {
	uint16_t type, flags;
	struct slice octets;
};

/* Takes the next part off; false when what is there is none. */
static bool part_next(struct slice *rest, struct part *p)
{
	if (rest->len < PART_HEADER_SIZE)
		return false;
	p->type = get_u16(rest->ptr);
	p->flags = get_u16(rest->ptr + 2);
	size_t len = get_u32(rest->ptr + 4);
	if (part_size(len) > rest->len)
		return false;
	p->octets = slice_make(rest->ptr + PART_HEADER_SIZE, len);
	for (size_t i = len; i < record_align(len); i++)
		if (p->octets.ptr[i] != 0)
			return false;
	*rest = slice_from(*rest, part_size(len));
	return true;
}

void record_set_file(void *record, const struct stored_file *file)
{
	struct slice rest =
	    slice_from(slice_make(record, get_u32((uint8_t *)record + 4)), RECORD_HEADER_SIZE);
	struct part p;
	while (part_next(&rest, &p))
		if (p.type == PART_FILE)
			put_file((uint8_t *)record + (p.octets.ptr - (const char *)record), file);
}

static bool take_envelope(struct slice s, struct stored_message *m)
{
	if (s.len < PART_ENVELOPE_SIZE) /* a later version may add numbers */
		return false;
	m->arrived = get_u64(s.ptr);
	m->content_flags = get_u32(s.ptr + 8);
	m->content_size = get_u64(s.ptr + 12);
	m->recipient_count = get_u32(s.ptr + 20);
	return true;
}

static bool take_file(struct slice s, struct stored_file *f)
{
	if (s.len < PART_FILE_SIZE)
		return false;
	f->number = get_u64(s.ptr);
	memcpy(f->nonce, s.ptr + 8, NONCE_SIZE);
	f->length = get_u64(s.ptr + 24);
	memcpy(f->digest, s.ptr + 32, DIGEST_SIZE);
	f->body_offset = get_u64(s.ptr + 64);
	f->body_length = get_u64(s.ptr + 72);
	f->header_offset = get_u64(s.ptr + 80);
	f->header_length = get_u64(s.ptr + 88);
	return f->number != 0;
}

/* What a decode has seen so far. */
struct decoder {
	struct stored_message *m;
	uint32_t recipients;
	uint32_t notify_least, orcpt_least; /* recipient of the next one at least */
	unsigned seen;			    /* bit n: part type n */
	uint16_t last;			    /* known type */
};

static bool take_notify(struct decoder *d, struct slice s)
{
	if (s.len < PART_NOTIFY_SIZE)
		return false;
	uint32_t recipient = get_u32(s.ptr), notify = get_u32(s.ptr + 4);
	if (recipient < d->notify_least || recipient >= d->recipients || notify == 0 ||
	    notify > STORED_NOTIFY_MAX)
		return false;
	d->notify_least = recipient + 1;
	d->m->recipients[recipient].notify = notify;
	return true;
}

static bool take_orcpt(struct decoder *d, struct slice s)
{
	if (s.len <= PART_ORCPT_SIZE || s.len > PART_ORCPT_SIZE + STORED_ORCPT_MAX)
		return false;
	uint32_t recipient = get_u32(s.ptr);
	if (recipient < d->orcpt_least || recipient >= d->recipients)
		return false;
	d->orcpt_least = recipient + 1;
	d->m->recipients[recipient].orcpt = slice_from(s, PART_ORCPT_SIZE);
	return true;
}

static bool take_short(struct slice s, size_t most, struct slice *to)
{
	*to = s;
	return s.len > 0 && s.len <= most;
}

static bool take_parent(struct slice s, struct stored_message *m)
{
	if (s.len < PART_PARENT_SIZE)
		return false;
	m->parent = get_u64(s.ptr);
	m->parent_mark = get_u32(s.ptr + 8);
	m->parent_kind = get_u32(s.ptr + 12);
	return queue_id_possible(m->parent);
}

static bool part_repeats(uint16_t type)
{
	return type == PART_RECIPIENT || type == PART_NOTIFY || type == PART_ORCPT;
}

/* One known part; false: not as the format says. */
static bool take_part(struct decoder *d, const struct part *p)
{
	struct stored_message *m = d->m;
	if (p->type < d->last || (p->type == d->last && !part_repeats(p->type)))
		return false;
	d->last = p->type;
	d->seen |= 1U << p->type;
	switch ((enum record_part)p->type) {
	case PART_ENVELOPE:
		return take_envelope(p->octets, m);
	case PART_REVERSE_PATH:
		m->reverse_path = p->octets;
		return true;
	case PART_RECIPIENT:
		if (d->recipients == m->recipient_count)
			return false;
		m->recipients[d->recipients++].address = p->octets;
		return true;
	case PART_CLIENT:
		m->client = p->octets;
		return true;
	case PART_TRACE:
		m->trace = p->octets;
		return true;
	case PART_BODY:
		m->body = p->octets;
		return true;
	case PART_HEADER:
		m->header = p->octets;
		return true;
	case PART_FILE:
		return take_file(p->octets, &m->file);
	case PART_FLAGS:
		m->flags = p->octets.len >= PART_FLAGS_SIZE ? get_u32(p->octets.ptr) : 0;
		return p->octets.len >= PART_FLAGS_SIZE;
	case PART_ENVID:
		return take_short(p->octets, STORED_ENVID_MAX, &m->envid);
	case PART_USER:
		return take_short(p->octets, STORED_USER_MAX, &m->user);
	case PART_NOTIFY:
		return take_notify(d, p->octets);
	case PART_ORCPT:
		return take_orcpt(d, p->octets);
	case PART_PARENT:
		return take_parent(p->octets, m);
	case PART_HOLD:
		return take_short(p->octets, STORED_HOLD_MAX, &m->hold);
	case PART_KNOWN_END:
		break;
	}
	return false;
}

/* Are the parts that must be there, there, and none that exclude each other? */
static bool parts_complete(const struct decoder *d)
{
	unsigned envelope = 1U << PART_ENVELOPE | 1U << PART_REVERSE_PATH,
		 content = 1U << PART_BODY | 1U << PART_HEADER, file = 1U << PART_FILE,
		 where = d->seen & (content | file);
	return (d->seen & envelope) == envelope && (where == content || where == file) &&
	       d->recipients == d->m->recipient_count &&
	       d->m->body.len + d->m->header.len <= CONTENT_INLINE_MAX;
}

/* The list is made when the envelope has said how long it will be. */
static bool make_recipients(struct decoder *d, size_t parts, struct arena *arena,
			    struct error *error)
{
	struct stored_message *m = d->m;
	if (m->recipient_count > parts)
		return error_set(error, EBADMSG, "the record has fewer parts than recipients");
	m->recipients = arena_get(arena, m->recipient_count * sizeof(*m->recipients));
	if (!m->recipients)
		return error_set(error, ENOMEM, "no room for the record's %u recipients",
				 m->recipient_count);
	memset(m->recipients, 0, m->recipient_count * sizeof(*m->recipients));
	return true;
}

bool record_decode(struct slice record, struct arena *arena, struct stored_message *m,
		   struct error *error)
{
	uint32_t length, ordinal;
	uint64_t id;
	*m = (struct stored_message){0};
	if (!record_look(record, &length, &ordinal, &id))
		return error_set(error, EBADMSG, "the record is not whole");
	return record_decode_checked(record, arena, m, error);
}

bool record_decode_checked(struct slice record, struct arena *arena, struct stored_message *m,
			   struct error *error)
{
	uint32_t length;
	*m = (struct stored_message){0};
	if (!record_head(record, &length, &m->ordinal, &m->id) || length != record.len)
		return error_set(error, EBADMSG, "the record is not whole");
	if (get_u16(record.ptr + 24) != RECORD_VERSION)
		return error_set(error, ENOTSUP, "the record has version %u; this program knows %d",
				 get_u16(record.ptr + 24), RECORD_VERSION);
	size_t parts = get_u16(record.ptr + 26);
	struct slice rest = slice_from(record, RECORD_HEADER_SIZE);
	struct decoder d = {.m = m};
	bool many = parts == PARTS_MANY;
	if (many)
		parts = rest.len / PART_HEADER_SIZE;
	for (size_t i = 0; many ? rest.len > 0 : i < parts; i++) {
		struct part p;
		if (!part_next(&rest, &p))
			return error_set(error, EBADMSG, "part %zu of the record is broken", i);
		if (p.type == 0 || p.type >= PART_KNOWN_END) {
			if (p.flags & PART_CRITICAL)
				return error_set(error, ENOTSUP,
						 "the record has a critical part of type %u, which "
						 "this program does not know",
						 p.type);
			continue;
		}
		if (!take_part(&d, &p))
			return error_set(error, EBADMSG,
					 "part %zu of the record, of type %u, is wrong", i, p.type);
		if (p.type == PART_ENVELOPE && !make_recipients(&d, parts, arena, error))
			return false;
	}
	if (rest.len > 0 || !parts_complete(&d))
		return error_set(error, EBADMSG, "the record's parts are not complete");
	return true;
}

void record_read_numbers(struct slice record, struct record_numbers *n)
{
	struct slice rest = slice_from(record, RECORD_HEADER_SIZE);
	struct part p;
	*n = (struct record_numbers){0};
	while (part_next(&rest, &p)) {
		if (p.type == PART_ENVELOPE && p.octets.len >= PART_ENVELOPE_SIZE)
			n->recipients = get_u32(p.octets.ptr + 20);
		/* a user, whose part comes later, is one wherever he comes from */
		if (p.type == PART_CLIENT || p.type == PART_USER)
			n->origin = crc32c(0, p.octets.ptr, p.octets.len);
		n->held |= p.type == PART_HOLD;
		if (p.type == PART_FILE && p.octets.len >= PART_FILE_SIZE)
			n->file = get_u64(p.octets.ptr);
		/* one that can't be makes the record one that can't be read: it is set aside */
		if (p.type == PART_PARENT && p.octets.len >= PART_PARENT_SIZE &&
		    queue_id_possible(get_u64(p.octets.ptr))) {
			n->parent = get_u64(p.octets.ptr);
			n->parent_mark = get_u32(p.octets.ptr + 8);
		}
	}
}

bool record_read_file(struct slice record, struct stored_file *f)
{
	struct slice rest = slice_from(record, RECORD_HEADER_SIZE);
	struct part p;
	while (part_next(&rest, &p))
		if (p.type == PART_FILE)
			return take_file(p.octets, f);
	return false;
}

void record_digest_with(struct digest *d, struct slice record, uint8_t digest[DIGEST_SIZE])
{
	digest_add(d, slice_sub(record, RECORD_DIGEST_FROM, RECORD_MARK_AT - RECORD_DIGEST_FROM));
	digest_add(d, slice_from(record, RECORD_HEADER_SIZE));
	digest_end(d, digest);
}

void record_digest(struct slice record, uint8_t digest[DIGEST_SIZE])
{
	struct digest d;
	digest_init(&d);
	record_digest_with(&d, record, digest);
	digest_free(&d);
}

void record_warm(void)
{
	uint8_t digest[DIGEST_SIZE];
	record_digest(SLICE_EMPTY, digest);
}
