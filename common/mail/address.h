/*
 * address: an RFC 5321 mailbox, taken apart. Quoted local parts are held unquoted, source routes
 * are dropped, letters keep their case: folding is for keys alone (RFC 5321 2.4).
 *
 * Limits: a path has 256 octets with its brackets (4.5.3.1.3), a domain 255. A local part may use
 * what the path leaves: 4.5.3.1 asks not to impose the 64, and VERP senders go over it every day.
 */
#ifndef COMMON_MAIL_ADDRESS_H
#define COMMON_MAIL_ADDRESS_H

#include "common/base/slice.h"

enum {
	ADDRESS_MAX = 254,		/* canonical text, without the brackets of a path */
	ADDRESS_SIZE = ADDRESS_MAX + 1, /* a place for it, with a NUL */
	ADDRESS_DOMAIN_MAX = 253,
	ADDRESS_LABEL_MAX = 63,
	ADDRESS_ROUTE_MAX = 1000, /* text that is read, with the source route that is dropped */
};

enum address_domain {
	ADDRESS_NO_DOMAIN, /* `postmaster`, or the null address when local is empty too */
	ADDRESS_NAME,	   /* example.org; the text of the domain */
	ADDRESS_IPV4,	   /* [192.0.2.1]; the text with its brackets */
	ADDRESS_IPV6,	   /* [IPv6:2001:db8::1]; the text with its brackets */
};

struct address {
	enum address_domain kind;
	bool utf8;	   /* an octet over 127 in it (RFC 6531) */
	uint8_t local_len; /* octets */
	uint8_t domain_len;
	char local[ADDRESS_SIZE];  /* unquoted, may hold any of 32-126 and UTF-8; NUL at its end */
	char domain[ADDRESS_SIZE]; /* as written; NUL at its end */
};

/* What address_parse lets pass beside a full ASCII mailbox. */
enum address_option {
	ADDRESS_UTF8 = 1,	/* valid UTF-8 in local part and domain (RFC 6531 3.3) */
	ADDRESS_DOMAINLESS = 2, /* a local part alone; `postmaster` alone always passes (S19) */
};

enum address_fault {
	ADDRESS_FINE,
	ADDRESS_EMPTY,
	ADDRESS_BAD_LOCAL,
	ADDRESS_BAD_DOMAIN,
	ADDRESS_MISSING_DOMAIN,
	ADDRESS_BAD_ROUTE,
	ADDRESS_TOO_LONG,
	ADDRESS_NOT_ASCII, /* octets over 127 without ADDRESS_UTF8, or no valid UTF-8 */
};

/* text is the mailbox alone: no brackets, no blanks around. On a fault *a is the null address. */
enum address_fault address_parse(struct slice text, unsigned options, struct address *a);
/* Where the mailbox at the front of text ends: the first '>' outside quotes (text.len: none). */
size_t address_end(struct slice text);
const char *address_fault_text(enum address_fault fault);

void address_null(struct address *a);
bool address_is_null(const struct address *a); /* the empty reverse-path, <> */
struct slice address_local(const struct address *a);
struct slice address_domain(const struct address *a);
/* Local part and domain equal, ASCII letters folded. */
bool address_equal_fold(const struct address *a, const struct address *b);

/* A mailbox without a domain gets this one (a valid name); false, unchanged: too long. */
bool address_complete(struct address *a, struct slice domain);

/* Canonical text into dst, NUL-terminated; the slice points to it: quoted only where it must be,
 * case kept, "" for the null address. It parses to the same address again. */
struct slice address_text(const struct address *a, char dst[ADDRESS_SIZE]);
/* The key of look-ups: the canonical text in ASCII lower case. */
struct slice address_key(const struct address *a, char dst[ADDRESS_SIZE]);

/* Splits `user+ext` at the first separator that is not its first octet; false, with base all of
 * local, when there is none. ext may be empty. */
bool address_extension(struct slice local, char separator, struct slice *base, struct slice *ext);
/* May this local part (unquoted) become part of a file's name? Not when it is empty, begins with a
 * dot, holds '/', NUL, another control character or DEL. */
bool address_path_safe(struct slice local);
/* A domain name by RFC 5321 4.1.2, with '_' allowed and not digits and dots alone; labels in UTF-8
 * when utf8. Not for literals. */
bool address_domain_valid(struct slice domain, bool utf8);

#endif
