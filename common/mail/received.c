/*
 * received: the trace field, made of words that are folded where the line would grow too long.
 * What a client said about itself becomes harmless here, and only here.
 */
#include "common/mail/received.h"

#include <stdio.h>

#include "common/base/encode.h"
#include "common/mail/address.h"
#include "common/mail/date.h"

enum {
	LINE_WANTED = 78, /* RFC 5322 2.1.1, without CRLF */
	TAB_WIDTH = 8,
	HELO_MAX = 255,
	ADDRESS_TEXT_MAX = 64,
	UID_TEXT_MAX = 16,
	BITS_TEXT_MAX = 32,
};

struct folder {
	struct buffer *out;
	size_t column; /* of what is written; TAB_WIDTH: behind the tab of a fold */
	bool room;     /* every append had room */
};

static void put(struct folder *f, struct slice s)
{
	f->room = f->room && buffer_append(f->out, s);
	f->column += s.len;
}

static void fold(struct folder *f)
{
	put(f, SLICE("\r\n\t"));
	f->column = TAB_WIDTH;
}

/* Goes to the next line unless `len` octets and the blank before them fit here. */
static void word_begins(struct folder *f, size_t len)
{
	if (f->column == TAB_WIDTH)
		return;
	if (f->column + 1 + len > LINE_WANTED)
		fold(f);
	else
		put(f, SLICE(" "));
}

static void word(struct folder *f, struct slice s)
{
	word_begins(f, s.len);
	put(f, s);
}

/* A word between two fixed pieces. */
static void wrapped(struct folder *f, const char *before, struct slice s, const char *after)
{
	struct slice head = slice_str(before), tail = slice_str(after);

	word_begins(f, head.len + s.len + tail.len);
	put(f, head);
	put(f, s);
	put(f, tail);
}

/* What a domain or an address literal may hold; all else could end the word or open a comment. */
static bool is_harmless(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
	       (c != '\0' && strchr("-._:[]+/=", c) != NULL);
}

static struct slice harmless(struct slice s, char *dst, size_t size)
{
	s = slice_sub(s, 0, size);
	for (size_t i = 0; i < s.len; i++)
		dst[i] = is_harmless(s.ptr[i]) ? s.ptr[i] : '?';
	return s.len > 0 ? slice_make(dst, s.len) : SLICE("unknown");
}

struct slice received_protocol(bool esmtp, bool tls, bool auth, bool utf8)
{
	static const char *const words[2][2][2] = {
	    {{"ESMTP", "ESMTPA"}, {"ESMTPS", "ESMTPSA"}},
	    {{"UTF8SMTP", "UTF8SMTPA"}, {"UTF8SMTPS", "UTF8SMTPSA"}},
	};
	return slice_str(esmtp ? words[utf8][tls][auth] : "SMTP");
}

static void write_client(struct folder *f, const struct received *r)
{
	char helo[HELO_MAX], name[ADDRESS_DOMAIN_MAX], address[ADDRESS_TEXT_MAX];
	struct slice ip = harmless(r->address, address, sizeof(address));
	bool ipv6 = slice_find(ip, ':') < ip.len;

	word(f, SLICE("from"));
	word(f, harmless(r->helo, helo, sizeof(helo)));
	wrapped(f, "(", harmless(r->name, name, sizeof(name)), "");
	wrapped(f, ipv6 ? "[IPv6:" : "[", ip, "])");
	fold(f);
}

/* In the words that Postfix uses for it, which people look for. */
static void write_tls(struct folder *f, const struct received *r)
{
	char bits[BITS_TEXT_MAX];
	int len = snprintf(bits, sizeof(bits), "(%u", r->cipher_bits);

	word(f, SLICE("(using"));
	word(f, r->tls);
	word(f, SLICE("with"));
	word(f, SLICE("cipher"));
	word(f, r->cipher);
	word(f, slice_make(bits, (size_t)len));
	word(f, SLICE("bits))"));
	fold(f);
}

/* In Postfix's words too. */
static void write_user(struct folder *f, const struct received *r)
{
	char uid[UID_TEXT_MAX];
	int len = snprintf(uid, sizeof(uid), "%u", r->uid);

	word(f, SLICE("(Stagepost,"));
	word(f, SLICE("from"));
	word(f, SLICE("userid"));
	wrapped(f, "", slice_make(uid, (size_t)len), ")");
	fold(f);
}

/* Other than ASCII it would make a header that not every server on the way takes (S23). */
static bool names_recipient(const struct received *r)
{
	return r->recipient.len > 0 && ascii_only(r->recipient);
}

bool received_write(const struct received *r, struct buffer *out)
{
	struct folder f = {.out = out, .column = 0, .room = true};
	size_t start = buffer_slice(out).len;
	char date[DATE_SIZE];
	struct slice rest = date_text(r->seconds, r->zone, date);

	put(&f, SLICE("Received:"));
	if (!r->local && !r->hidden)
		write_client(&f, r);
	if (r->tls.len > 0)
		write_tls(&f, r);
	word(&f, SLICE("by"));
	word(&f, r->host);
	if (r->local) {
		write_user(&f, r);
	} else {
		word(&f, SLICE("with"));
		word(&f, r->protocol);
	}
	word(&f, SLICE("id"));
	wrapped(&f, "", r->id, names_recipient(r) ? "" : ";");
	fold(&f);
	if (names_recipient(r)) {
		word(&f, SLICE("for"));
		wrapped(&f, "<", r->recipient, ">;");
	}
	for (struct slice part = slice_word(&rest); part.len > 0; part = slice_word(&rest))
		word(&f, part);
	put(&f, SLICE("\r\n"));
	if (!f.room)
		buffer_truncate(out, start);
	return f.room;
}
