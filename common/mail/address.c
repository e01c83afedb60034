/*
 * address: the mailbox of RFC 5321 4.1.2, read generously and written strictly. Generous in one
 * point: dots may stand anywhere in an unquoted local part, because addresses like `a..b@` were
 * handed out by the million; they are written quoted, as the grammar demands.
 */
#include "common/mail/address.h"

#include <arpa/inet.h>

#include "common/base/encode.h"

static bool is_high(char c)
{
	return (unsigned char)c > 127;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

/* atext of RFC 5322 3.2.3, with UTF-8 (RFC 6531 3.3); the caller has judged UTF-8. */
static bool is_atext(char c)
{
	if (is_alnum(c) || is_high(c))
		return true;
	switch (c) {
	case '!':
	case '#':
	case '$':
	case '%':
	case '&':
	case '\'':
	case '*':
	case '+':
	case '-':
	case '/':
	case '=':
	case '?':
	case '^':
	case '_':
	case '`':
	case '{':
	case '|':
	case '}':
	case '~':
		return true;
	default:
		return false;
	}
}

static bool is_printable(char c)
{
	return (c >= 32 && c <= 126) || is_high(c);
}

void address_null(struct address *a)
{
	a->kind = ADDRESS_NO_DOMAIN;
	a->utf8 = false;
	a->local_len = a->domain_len = 0;
	a->local[0] = a->domain[0] = '\0';
}

bool address_is_null(const struct address *a)
{
	return a->kind == ADDRESS_NO_DOMAIN && a->local_len == 0;
}

struct slice address_local(const struct address *a)
{
	return slice_make(a->local, a->local_len);
}

struct slice address_domain(const struct address *a)
{
	return slice_make(a->domain, a->domain_len);
}

bool address_equal_fold(const struct address *a, const struct address *b)
{
	return a->kind == b->kind && slice_equal_fold(address_local(a), address_local(b)) &&
	       slice_equal_fold(address_domain(a), address_domain(b));
}

const char *address_fault_text(enum address_fault fault)
{
	static const char *const texts[] = {
	    [ADDRESS_FINE] = "well formed",
	    [ADDRESS_EMPTY] = "empty address",
	    [ADDRESS_BAD_LOCAL] = "bad syntax before the @",
	    [ADDRESS_BAD_DOMAIN] = "bad syntax behind the @",
	    [ADDRESS_MISSING_DOMAIN] = "domain name required",
	    [ADDRESS_BAD_ROUTE] = "bad source route",
	    [ADDRESS_TOO_LONG] = "address too long",
	    [ADDRESS_NOT_ASCII] = "not ASCII",
	};
	return texts[fault];
}

bool address_domain_valid(struct slice domain, bool utf8)
{
	size_t label = 0;
	bool name = false; /* something beside digits and dots */

	if (domain.len == 0 || domain.len > ADDRESS_DOMAIN_MAX)
		return false;
	for (size_t i = 0; i <= domain.len; i++) {
		char c = i < domain.len ? domain.ptr[i] : '.';
		if (c == '.') {
			if (label == 0 || label > ADDRESS_LABEL_MAX || domain.ptr[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!is_alnum(c) && c != '_' && !(c == '-' && label > 0) && !(utf8 && is_high(c)))
			return false;
		name = name || c < '0' || c > '9';
		label++;
	}
	return name && (!utf8 || utf8_valid(domain));
}

/* [192.0.2.1] or [IPv6:2001:db8::1] (RFC 5321 4.1.3); other tags have no registered meaning. */
static enum address_domain literal_kind(struct slice domain)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char binary[sizeof(struct in6_addr)];
	struct slice inner;

	if (domain.len < 3 || domain.ptr[domain.len - 1] != ']')
		return ADDRESS_NO_DOMAIN;
	inner = slice_sub(domain, 1, domain.len - 2);
	if (slice_starts_fold(inner, SLICE("IPv6:"))) {
		if (slice_copy(slice_from(inner, 5), text, sizeof(text)) &&
		    inet_pton(AF_INET6, text, binary) == 1)
			return ADDRESS_IPV6;
		return ADDRESS_NO_DOMAIN;
	}
	if (slice_copy(inner, text, sizeof(text)) && inet_pton(AF_INET, text, binary) == 1)
		return ADDRESS_IPV4;
	return ADDRESS_NO_DOMAIN;
}

static enum address_domain domain_kind(struct slice domain, bool utf8)
{
	if (domain.len > 0 && domain.ptr[0] == '[')
		return literal_kind(domain);
	return address_domain_valid(domain, utf8) ? ADDRESS_NAME : ADDRESS_NO_DOMAIN;
}

/* Takes "@a,@b:" off the front (RFC 5321 4.1.1.3: to be ignored; appendix C). */
static bool strip_route(struct slice *text)
{
	while (text->len > 0 && text->ptr[0] == '@') {
		size_t end = 1;
		bool literal = false;
		for (; end < text->len; end++) {
			char c = text->ptr[end];
			literal = c == '[' || (literal && c != ']');
			if (!literal && (c == ',' || c == ':'))
				break;
		}
		if (end == text->len ||
		    domain_kind(slice_sub(*text, 1, end - 1), true) == ADDRESS_NO_DOMAIN)
			return false;
		bool last = text->ptr[end] == ':';
		*text = slice_from(*text, end + 1);
		if (last)
			return text->len > 0 && text->ptr[0] != '@';
	}
	return false;
}

/* Reads "quoted string" off the front of text into a->local. */
static bool read_quoted(struct slice text, struct address *a, size_t *used)
{
	size_t i = 1, len = 0;

	while (i < text.len && text.ptr[i] != '"') {
		if (text.ptr[i] == '\\') {
			i++;
			/* quoted-pairSMTP: 32-126 */
			if (i == text.len || is_high(text.ptr[i]))
				return false;
		}
		if (!is_printable(text.ptr[i]))
			return false;
		a->local[len++] = text.ptr[i++];
	}
	if (i == text.len)
		return false;
	a->local_len = (uint8_t)len;
	*used = i + 1;
	return true;
}

static bool read_local(struct slice text, struct address *a, size_t *used)
{
	size_t len = 0;

	if (text.ptr[0] == '"')
		return read_quoted(text, a, used);
	while (len < text.len && (is_atext(text.ptr[len]) || text.ptr[len] == '.')) {
		a->local[len] = text.ptr[len];
		len++;
	}
	a->local_len = (uint8_t)len;
	*used = len;
	return len > 0;
}

static enum address_fault read_mailbox(struct slice text, unsigned options, struct address *a)
{
	size_t used;
	struct slice domain;

	if (text.len > ADDRESS_MAX)
		return ADDRESS_TOO_LONG;
	a->utf8 = !ascii_only(text);
	if (!read_local(text, a, &used))
		return ADDRESS_BAD_LOCAL;
	if (used == text.len) {
		if ((options & ADDRESS_DOMAINLESS) != 0 ||
		    slice_equal_fold(text, SLICE("postmaster")))
			return ADDRESS_FINE;
		return ADDRESS_MISSING_DOMAIN;
	}
	if (text.ptr[used] != '@')
		return ADDRESS_BAD_LOCAL;
	domain = slice_from(text, used + 1);
	a->kind = domain_kind(domain, a->utf8);
	if (a->kind == ADDRESS_NO_DOMAIN)
		return ADDRESS_BAD_DOMAIN;
	memcpy(a->domain, domain.ptr, domain.len);
	a->domain_len = (uint8_t)domain.len;
	return ADDRESS_FINE;
}

/* Length of the local part as it is written, and whether with quotes. */
static size_t written_length(const struct address *a, bool *quoted)
{
	size_t escapes = 0;
	bool plain = a->local_len > 0;
	char before = '.';

	for (size_t i = 0; i < a->local_len; i++) {
		char c = a->local[i];
		if (c == '"' || c == '\\')
			escapes++;
		plain = plain && (is_atext(c) || (c == '.' && before != '.'));
		before = c;
	}
	*quoted = !address_is_null(a) && !(plain && before != '.');
	return a->local_len + (*quoted ? escapes + 2 : 0);
}

enum address_fault address_parse(struct slice text, unsigned options, struct address *a)
{
	enum address_fault fault;
	bool quoted;

	address_null(a);
	if (text.len == 0)
		return ADDRESS_EMPTY;
	if (text.len > ADDRESS_ROUTE_MAX)
		return ADDRESS_TOO_LONG;
	if (!ascii_only(text) && ((options & ADDRESS_UTF8) == 0 || !utf8_valid(text)))
		return ADDRESS_NOT_ASCII;
	if (text.ptr[0] == '@' && !strip_route(&text))
		return ADDRESS_BAD_ROUTE;
	fault = read_mailbox(text, options, a);
	/* `""` alone would be taken for the null address */
	if (fault == ADDRESS_FINE && address_is_null(a))
		fault = ADDRESS_BAD_LOCAL;
	/* quoting stray dots may lengthen it */
	if (fault == ADDRESS_FINE &&
	    written_length(a, &quoted) + (a->domain_len ? 1 : 0) + a->domain_len > ADDRESS_MAX)
		fault = ADDRESS_TOO_LONG;
	if (fault != ADDRESS_FINE) {
		address_null(a);
		return fault;
	}
	a->local[a->local_len] = a->domain[a->domain_len] = '\0';
	return ADDRESS_FINE;
}

bool address_complete(struct address *a, struct slice domain)
{
	bool quoted;

	if (domain.len > ADDRESS_DOMAIN_MAX ||
	    written_length(a, &quoted) + 1 + domain.len > ADDRESS_MAX)
		return false;
	a->kind = ADDRESS_NAME;
	a->domain_len = (uint8_t)domain.len;
	memcpy(a->domain, domain.ptr, domain.len);
	a->domain[domain.len] = '\0';
	return true;
}

size_t address_end(struct slice text)
{
	bool quoted = false;

	for (size_t i = 0; i < text.len; i++) {
		if (quoted && text.ptr[i] == '\\')
			i++;
		else if (text.ptr[i] == '"')
			quoted = !quoted;
		else if (!quoted && text.ptr[i] == '>')
			return i;
	}
	return text.len;
}

struct slice address_text(const struct address *a, char dst[ADDRESS_SIZE])
{
	bool quoted;
	size_t len = 0;

	(void)written_length(a, &quoted);
	if (quoted)
		dst[len++] = '"';
	for (size_t i = 0; i < a->local_len; i++) {
		if (quoted && (a->local[i] == '"' || a->local[i] == '\\'))
			dst[len++] = '\\';
		dst[len++] = a->local[i];
	}
	if (quoted)
		dst[len++] = '"';
	if (a->domain_len > 0) {
		dst[len++] = '@';
		memcpy(dst + len, a->domain, a->domain_len);
		len += a->domain_len;
	}
	dst[len] = '\0';
	return slice_make(dst, len);
}

struct slice address_key(const struct address *a, char dst[ADDRESS_SIZE])
{
	struct slice text = address_text(a, dst);

	slice_lower(text, dst);
	return text;
}

bool address_extension(struct slice local, char separator, struct slice *base, struct slice *ext)
{
	size_t at = local.len > 0 ? 1 + slice_find(slice_from(local, 1), separator) : 0;

	*base = slice_sub(local, 0, at);
	*ext = slice_from(local, at + 1);
	return at < local.len;
}

bool address_path_safe(struct slice local)
{
	if (local.len == 0 || local.ptr[0] == '.')
		return false;
	for (size_t i = 0; i < local.len; i++) {
		unsigned char c = (unsigned char)local.ptr[i];
		if (c < 32 || c == 127 || c == '/')
			return false;
	}
	return true;
}
