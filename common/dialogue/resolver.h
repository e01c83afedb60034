/*
 * resolver: what the DNS says, to whoever needs it: the queue manager (which MX site is a domain
 * of?), smtp (which addresses are tried, in which order?), smtpd (what is the client's name?).
 */
#ifndef COMMON_DIALOGUE_RESOLVER_H
#define COMMON_DIALOGUE_RESOLVER_H

#include "common/wire/dialogue.h"

enum {
	RESOLVER_NAME_MAX = 255,
	RESOLVER_SITE_MAX = 255,
	RESOLVER_TEXT_MAX = 400,
	RESOLVER_ADDRESSES_MAX = 100, /* given for one question (S40, S41) */
};

/* manager -> resolver: the MX site of a domain: the sorted set of its MX hosts (RFC 5321 5.1). Two
 * domains with the same hosts have the same site text. code 0: site holds. 4xx: try later (S36);
 * 5xx: never: 556 5.1.10 null MX (RFC 7505, S38), 550 5.4.4 there is no such domain. */
#define RESOLVE_SITE_FIELDS(F, S)                       \
	F(S, u64, request, 0, "repeated in the answer") \
	F(S, string, domain, RESOLVER_NAME_MAX, "lower case, A-labels")
RECORD_DECLARE(resolve_site, RESOLVE_SITE_FIELDS)
#define RESOLVE_SITE_ANSWER_FIELDS(F, S)                                                          \
	F(S, u64, request, 0, "of the question")                                                  \
	F(S, u32, code, 599, "0: site holds; else of the reply")                                  \
	F(S, string, enhanced, 12, "when code is not 0")                                          \
	F(S, string, text, RESOLVER_TEXT_MAX, "when code is not 0: what was asked and what came") \
	F(S, string, site, RESOLVER_SITE_MAX,                                                     \
	  "mx1.example.org+mx2.example.org; a set that is too long is cut and ends in its hash")  \
	F(S, bool, secure, 0, "validated by DNSSEC")                                              \
	F(S, u32, ttl, 0, "seconds for which the answer may be kept")
RECORD_DECLARE(resolve_site_answer, RESOLVE_SITE_ANSWER_FIELDS)

/* smtp -> resolver: the addresses of one item of a next hop, in the order in which they are tried:
 * by preference, equal ones shuffled, IPv4 and IPv6 interleaved (S40), without those that are ours
 * or behind us when by MX and port 25 (S39). Answer: RESOLVE_ADDRESS for each, then RESOLVE_DONE.
 */
#define RESOLVE_HOSTS_FIELDS(F, S)                                                    \
	F(S, u64, request, 0, "repeated in the answers")                              \
	F(S, string, name, RESOLVER_NAME_MAX, "domain or host, lower case, A-labels") \
	F(S, bool, mx, 0, "by its MX hosts; else the host itself")                    \
	F(S, u32, port, 65535, "that is going to be used")
RECORD_DECLARE(resolve_hosts, RESOLVE_HOSTS_FIELDS)
#define RESOLVE_ADDRESS_FIELDS(F, S)                                              \
	F(S, u64, request, 0, "of the question")                                  \
	F(S, string, host, RESOLVER_NAME_MAX, "its name")                         \
	F(S, string, address, 64, "numeric")                                      \
	F(S, u32, preference, 65535, "of its MX; 0 without")                      \
	F(S, bool, best, 0, "its preference is the lowest of all MX hosts (S43)") \
	F(S, bool, secure, 0, "MX and address are validated by DNSSEC")
RECORD_DECLARE(resolve_address, RESOLVE_ADDRESS_FIELDS)
#define RESOLVE_DONE_FIELDS(F, S)                                         \
	F(S, u64, request, 0, "of the question")                          \
	F(S, u32, code, 599, "0: there are addresses; else of the reply") \
	F(S, string, enhanced, 12, "when code is not 0")                  \
	F(S, string, text, RESOLVER_TEXT_MAX, "when code is not 0")       \
	F(S, string, site, RESOLVER_SITE_MAX, "by MX, code 0: as in RESOLVE_SITE_ANSWER")
RECORD_DECLARE(resolve_done, RESOLVE_DONE_FIELDS)

/* smtpd -> resolver: the client's name: of its PTR records the one that leads back to the address;
 * asked once a connection when `resolver { peer-names }` is on. */
#define RESOLVE_NAME_FIELDS(F, S)                       \
	F(S, u64, request, 0, "repeated in the answer") \
	F(S, string, address, 64, "numeric")
RECORD_DECLARE(resolve_name, RESOLVE_NAME_FIELDS)
#define RESOLVE_NAMED_FIELDS(F, S)                                             \
	F(S, u64, request, 0, "of the question")                               \
	F(S, string, name, RESOLVER_NAME_MAX, "confirmed; empty: it has none") \
	F(S, bool, trouble, 0, "that could not be found out now")
RECORD_DECLARE(resolve_named, RESOLVE_NAMED_FIELDS)

#define RESOLVER_MESSAGES(M)                           \
	M(RESOLVE_SITE, 1, resolve_site)               \
	M(RESOLVE_SITE_ANSWER, 2, resolve_site_answer) \
	M(RESOLVE_HOSTS, 3, resolve_hosts)             \
	M(RESOLVE_ADDRESS, 4, resolve_address)         \
	M(RESOLVE_DONE, 5, resolve_done)               \
	M(RESOLVE_NAME, 6, resolve_name)               \
	M(RESOLVE_NAMED, 7, resolve_named)
DIALOGUE_NUMBERS(RESOLVER_MESSAGES)
extern const struct dialogue resolver_dialogue;

#endif
