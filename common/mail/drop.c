/*
 * Whoever may write into the drop directory may write anything: what is read here becomes words of
 * an SMTP session, so each address is parsed again, and nothing else may hold a blank or a control
 * character.
 */
#include "common/mail/drop.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/bytes.h"
#include "common/mail/address.h"

enum {
	MAGIC_LEN = 16,
	ENVELOPE_AT = 16, /* where the front says how long the parts are */
	ZERO_AT = 20,
	CONTENT_AT = 24,
	FIELD_FRONT = 3, /* letter and length */
	WORD_MAX = 200,	 /* octets of NOTIFY, RET, ENVID */
	HEX_DIGITS = 16,
};

static const char magic[] = "stagepost drop 1";
static const char mark[] = "end\n";
static const char part[] = ".part";

static bool put(struct buffer *b, char letter, struct slice octets)
{
	char front[FIELD_FRONT] = {letter};
	if (octets.len > UINT16_MAX || b->len + FIELD_FRONT + octets.len > DROP_ENVELOPE_MAX)
		return false;
	put_u16(front + 1, (uint16_t)octets.len);
	return buffer_append(b, slice_make(front, sizeof(front))) && buffer_append(b, octets);
}

static bool put_said(struct buffer *b, char letter, struct slice octets)
{
	return octets.len == 0 || put(b, letter, octets);
}

bool drop_begin(const struct drop *d, struct buffer *envelope)
{
	return put(envelope, 's', d->sender) && put_said(envelope, 'n', d->notify) &&
	       put_said(envelope, 'e', d->ret) && put_said(envelope, 'v', d->envid) &&
	       (!d->eight_bit || put(envelope, '8', SLICE_EMPTY)) &&
	       (!d->utf8 || put(envelope, 'u', SLICE_EMPTY));
}

bool drop_add(struct buffer *envelope, struct slice recipient)
{
	return put(envelope, 'r', recipient);
}

void drop_front(struct slice envelope, uint64_t content_octets, char front[DROP_FRONT])
{
	memcpy(front, magic, MAGIC_LEN);
	put_u32(front + ENVELOPE_AT, (uint32_t)envelope.len);
	put_u32(front + ZERO_AT, 0);
	put_u64(front + CONTENT_AT, content_octets);
}

void drop_end(uint32_t crc, char end[DROP_END])
{
	put_u32(end, crc);
	memcpy(end + 4, mark, sizeof(mark) - 1);
}

bool drop_read_front(const char front[DROP_FRONT], uint64_t file_octets, uint32_t *envelope_octets,
		     uint64_t *content_octets)
{
	*envelope_octets = get_u32(front + ENVELOPE_AT);
	*content_octets = get_u64(front + CONTENT_AT);
	return memcmp(front, magic, MAGIC_LEN) == 0 && get_u32(front + ZERO_AT) == 0 &&
	       *envelope_octets <= DROP_ENVELOPE_MAX && *content_octets <= file_octets &&
	       DROP_FRONT + *envelope_octets + *content_octets + DROP_END == file_octets;
}

/* Can this be a word of a command? */
static bool is_word(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
			return false;
	return s.len > 0 && s.len <= WORD_MAX;
}

static bool is_address(struct slice s)
{
	struct address a;
	char text[ADDRESS_SIZE];
	return address_parse(s, ADDRESS_UTF8, &a) == ADDRESS_FINE && a.kind != ADDRESS_NO_DOMAIN &&
	       slice_equal(address_text(&a, text), s);
}

/* The next field off the front of *rest. */
static bool take_field(struct slice *rest, char *letter, struct slice *octets)
{
	if (rest->len < FIELD_FRONT)
		return false;
	*letter = rest->ptr[0];
	*octets = slice_sub(*rest, FIELD_FRONT, get_u16(rest->ptr + 1));
	if (octets->len != get_u16(rest->ptr + 1))
		return false;
	*rest = slice_from(*rest, FIELD_FRONT + octets->len);
	return true;
}

static bool set_word(struct slice *field, struct slice octets)
{
	if (field->len > 0 || !is_word(octets))
		return false;
	*field = octets;
	return true;
}

static bool set_flag(bool *flag, struct slice octets)
{
	if (*flag || octets.len > 0)
		return false;
	return *flag = true;
}

static bool set_sender(struct drop *d, struct slice octets)
{
	if (d->sender.ptr || (octets.len > 0 && !is_address(octets)))
		return false;
	d->sender = octets;
	return true;
}

static bool set_field(struct drop *d, char letter, struct slice octets)
{
	switch (letter) {
	case 's':
		return set_sender(d, octets);
	case 'r':
		return is_address(octets) && d->recipient_count++ < DROP_RECIPIENTS_MAX;
	case 'n':
		return set_word(&d->notify, octets);
	case 'e':
		return set_word(&d->ret, octets);
	case 'v':
		return set_word(&d->envid, octets);
	case '8':
		return set_flag(&d->eight_bit, octets);
	case 'u':
		return set_flag(&d->utf8, octets);
	default:
		return false;
	}
}

bool drop_read(struct slice envelope, struct drop *d)
{
	struct slice rest = envelope, octets;
	char letter;
	*d = (struct drop){.fields = envelope};
	while (rest.len > 0)
		if (!take_field(&rest, &letter, &octets) || !set_field(d, letter, octets))
			return false;
	return d->sender.ptr != NULL && d->recipient_count > 0;
}

bool drop_next(const struct drop *d, size_t *at, struct slice *recipient)
{
	struct slice rest = slice_from(d->fields, *at);
	char letter;
	while (rest.len > 0 && take_field(&rest, &letter, recipient)) {
		*at = d->fields.len - rest.len;
		if (letter == 'r')
			return true;
	}
	return false;
}

bool drop_read_end(const char end[DROP_END], uint32_t crc)
{
	return get_u32(end) == crc && memcmp(end + 4, mark, sizeof(mark) - 1) == 0;
}

void drop_name_write(const struct drop_name *n, uint64_t random, char text[DROP_NAME_SIZE])
{
	snprintf(text, DROP_NAME_SIZE, "%" PRIu32 ".%016" PRIx64 ".%016" PRIx64 "%s", n->uid,
		 n->made, random, n->part ? part : "");
}

static bool read_hex(struct slice s, uint64_t *number)
{
	*number = 0;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		unsigned digit = c >= '0' && c <= '9'	? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
							: HEX_DIGITS;
		if (digit == HEX_DIGITS)
			return false;
		*number = *number << 4 | digit;
	}
	return s.len == HEX_DIGITS;
}

bool drop_name_read(struct slice text, struct drop_name *n)
{
	struct slice uid, made, random, rest;
	uint64_t number, drawn;
	if (!slice_split(text, '.', &uid, &rest) || !slice_split(rest, '.', &made, &rest))
		return false;
	n->part = slice_split(rest, '.', &random, &rest);
	if (n->part && !slice_equal(rest, slice_from(slice_str(part), 1)))
		return false;
	if (!slice_number(uid, UINT32_MAX, &number) || !read_hex(made, &n->made) ||
	    !read_hex(random, &drawn))
		return false;
	n->uid = (uint32_t)number;
	return true;
}
