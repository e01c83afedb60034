/*
 * The store gives trace, header and body in one stream. The header is gathered, since its fields
 * are looked at and some are taken out (RFC 5321 4.4: final delivery alone writes Return-Path); all
 * else is passed on as it comes, in bounded memory.
 */
#include "daemons/local/letter.h"

#include <errno.h>

#include "common/base/memory.h"
#include "common/mail/address.h"
#include "common/mail/header.h"

struct letter_room {
	struct buffer header;
	size_t len;
	char out[LETTER_CHUNK];
};

struct writing {
	const struct letter *letter;
	struct letter_room *room;
	letter_put *put;
	void *arg;
	uint64_t trace_left, header_left; /* octets of the stream */
	bool cr;			  /* a CR is held back: an LF may follow */
	enum letter_fault fault;
};

struct letter_room *letter_room_new(void)
{
	struct letter_room *room = memory_get(sizeof(*room));
	buffer_init(&room->header, HEADER_BLOCK_MAX);
	return room;
}

void letter_room_free(struct letter_room **room)
{
	if (!*room)
		return;
	buffer_free(&(*room)->header);
	memory_free(*room);
	*room = NULL;
}

static bool flush(struct writing *w)
{
	struct letter_room *room = w->room;
	size_t len = room->len;
	room->len = 0;
	return len == 0 || w->put(w->arg, slice_make(room->out, len));
}

static bool add(struct writing *w, struct slice s)
{
	struct letter_room *room = w->room;
	while (s.len > 0) {
		size_t n = LETTER_CHUNK - room->len;
		if (n == 0) {
			if (!flush(w))
				return false;
			n = LETTER_CHUNK;
		}
		if (n > s.len)
			n = s.len;
		memcpy(room->out + room->len, s.ptr, n);
		room->len += n;
		s = slice_from(s, n);
	}
	return true;
}

/* LF for CRLF, wherever the pieces are cut; a CR that stands alone stays. */
static bool add_text(struct writing *w, struct slice s)
{
	if (w->cr && s.len > 0) {
		w->cr = false;
		if (s.ptr[0] != '\n' && !add(w, SLICE("\r")))
			return false;
	}
	while (s.len > 0) {
		size_t cr = slice_find(s, '\r');
		if (!add(w, slice_sub(s, 0, cr)))
			return false;
		if (cr + 1 >= s.len) {
			w->cr = cr < s.len;
			return true;
		}
		s = slice_from(s, cr + 1);
		if (s.ptr[0] != '\n' && !add(w, SLICE("\r")))
			return false;
	}
	return true;
}

/* A field of ours. What would begin another line becomes '?'. */
static bool add_field(struct writing *w, struct slice name, struct slice value, struct slice end)
{
	if (!add(w, name))
		return false;
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];
		if (!add(w, c < 32 || c == 127 ? SLICE("?") : slice_sub(value, i, 1)))
			return false;
	}
	return add(w, end);
}

static bool add_our_fields(struct writing *w)
{
	const struct letter *l = w->letter;
	return add_field(w, SLICE("Return-Path: <"), l->sender, SLICE(">\n")) &&
	       (slice_equal(l->original, l->address) ||
		add_field(w, SLICE("X-Original-To: "), l->original, SLICE("\n"))) &&
	       add_field(w, SLICE("Delivered-To: "), l->address, SLICE("\n"));
}

static bool is_final_address(struct writing *w, struct slice value)
{
	const unsigned options = ADDRESS_UTF8 | ADDRESS_DOMAINLESS;
	struct slice final = w->letter->address;
	struct address a, b;
	if (slice_equal_fold(value, final))
		return true;
	return address_parse(value, options, &a) == ADDRESS_FINE &&
	       address_parse(final, options, &b) == ADDRESS_FINE && address_equal_fold(&a, &b);
}

static bool stop(struct writing *w, enum letter_fault fault)
{
	w->fault = fault;
	errno = ECANCELED;
	return false;
}

/* Return-Path is the final delivery's alone; blind copies that a sender left in are nobody's
 * business (RFC 5322 3.6.3; S57). */
static bool is_taken_out(struct slice name)
{
	return slice_equal_fold(name, SLICE("Return-Path")) ||
	       slice_equal_fold(name, SLICE("Bcc")) || slice_equal_fold(name, SLICE("Resent-Bcc"));
}

static bool add_header(struct writing *w)
{
	struct slice block = buffer_slice(&w->room->header);
	struct header_field f;
	size_t hops = 0;
	for (size_t n = 0; header_next(&block, &f); n++) {
		if (is_taken_out(f.name))
			continue;
		if (slice_equal_fold(f.name, SLICE("Received")) && ++hops > LETTER_HOPS_MAX)
			return stop(w, LETTER_HOPS);
		if (n < LETTER_FIELDS_LOOKED_AT &&
		    slice_equal_fold(f.name, SLICE("Delivered-To")) && is_final_address(w, f.value))
			return stop(w, LETTER_LOOP);
		if ((f.from_line && !add_text(w, header_mailbox_line)) || !add_text(w, f.raw))
			return false;
	}
	return add_text(w, block); /* nothing, in a block that smtpd made */
}

/* As much of *s as is left of a part. */
static struct slice take_part(struct slice *s, uint64_t *left)
{
	struct slice part = slice_sub(*s, 0, *left < s->len ? (size_t)*left : s->len);
	*left -= part.len;
	*s = slice_from(*s, part.len);
	return part;
}

static bool take(void *arg, struct slice piece)
{
	struct writing *w = arg;
	if (w->trace_left > 0 && !add_text(w, take_part(&piece, &w->trace_left)))
		return false;
	if (piece.len > 0 && w->header_left > 0) {
		if (!buffer_append(&w->room->header, take_part(&piece, &w->header_left)))
			return stop(w, LETTER_SPOILED); /* longer than any that is committed */
		if (w->header_left == 0 && !add_header(w))
			return false;
	}
	return add_text(w, piece);
}

enum letter_fault letter_write(const struct letter *l, struct letter_room *room, letter_put *put,
			       void *arg)
{
	const struct content *c = &l->content;
	struct writing w = {
	    .letter = l,
	    .room = room,
	    .put = put,
	    .arg = arg,
	    .trace_left = c->trace.len,
	    .header_left = c->file.number ? c->file.header_length : c->header.len,
	};
	room->len = 0;
	buffer_reset(&room->header);
	if (add_our_fields(&w) && content_read(c, take, &w) == 0 &&
	    (!w.cr || add(&w, SLICE("\r"))) && flush(&w))
		return LETTER_FINE;
	if (w.fault)
		return w.fault;
	return errno == EBADMSG ? LETTER_SPOILED : LETTER_TROUBLE;
}
