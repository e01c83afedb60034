/*
 * settings: what the configuration file becomes. The master reads the file into these records and
 * gives each daemon only those that its service lists. Times are microseconds, sizes octets.
 */
#ifndef COMMON_CONFIG_SETTINGS_H
#define COMMON_CONFIG_SETTINGS_H

#include "common/base/record.h"

enum {
	HOST_NAME_MAX_OCTETS = 255,
	ADDRESS_MAX_OCTETS = 320,
	SPEC_MAX = 4096,
	KIND_MAX = 32,
	NEXT_HOP_MAX = 1024,
	SERVERS_MAX = 1024,
	INSECURE_MAX = 4096
};

#define SETTINGS_SERVER_FIELDS(F, S)                                                           \
	F(S, string, hostname, HOST_NAME_MAX_OCTETS, "our name in greetings and trace fields") \
	F(S, string, origin, HOST_NAME_MAX_OCTETS, "domain that completes bare names")         \
	F(S, string, postmaster, ADDRESS_MAX_OCTETS, "where mail for postmaster goes")
RECORD_DECLARE(settings_server, SETTINGS_SERVER_FIELDS)

#define SETTINGS_LOG_FIELDS(F, S)                                \
	F(S, string, target, KIND_MAX, "syslog, stderr or file") \
	F(S, string, path, SPEC_MAX, "of the file")              \
	F(S, string, format, KIND_MAX, "text, postfix or json")  \
	F(S, string, name, KIND_MAX, "log-name: first word of each line")
RECORD_DECLARE(settings_log, SETTINGS_LOG_FIELDS)

#define SETTINGS_LISTEN_FIELDS(F, S)                                                   \
	F(S, string, address, SPEC_MAX, "host:port as written; *:25 is both families") \
	F(S, string, kind, KIND_MAX, "smtp, submission, submissions, pop3, pop3s")     \
	F(S, bool, normalize, 0, "bare-newline normalize: a bare LF counts as CRLF in text")
RECORD_DECLARE(settings_listen, SETTINGS_LISTEN_FIELDS)

#define SETTINGS_NETWORK_FIELDS(F, S)                                                           \
	F(S, string, role, KIND_MAX, "trust, or addresses: also ours (NAT), for the loop rule") \
	F(S, string, network, 64, "address/bits")
RECORD_DECLARE(settings_network, SETTINGS_NETWORK_FIELDS)

#define SETTINGS_LIMITS_FIELDS(F, S)                                                        \
	F(S, u64, message_size, 0, "octets of content")                                     \
	F(S, u32, recipients, 0, "in one transaction")                                      \
	F(S, u32, connections, 0, "at once, all clients")                                   \
	F(S, u32, per_client, 0, "connections of one client address (/32, /64)")            \
	F(S, u32, errors, 0, "bad replies in a session, then 421")                          \
	F(S, u32, unknown_recipients, 0, "in a session, then 421")                          \
	F(S, u64, idle, 0, "microseconds without a command")                                \
	F(S, u32, min_rate, 0, "octets a second while data arrives")                        \
	F(S, u32, client_connections, 0, "new ones of one client in a minute; 0: no limit") \
	F(S, u32, client_messages, 0, "of one client in a minute; 0: no limit")             \
	F(S, u32, client_recipients, 0, "of one client in a minute; 0: no limit")           \
	F(S, u64, queue_messages, 0, "messages in the queue, above it 452")                 \
	F(S, u64, spool_size, 0, "octets the spool may use; 0: what the disk has")          \
	F(S, u64, spool_free, 0, "octets of the disk that stay free, below it 452")
RECORD_DECLARE(settings_limits, SETTINGS_LIMITS_FIELDS)

#define SETTINGS_RETRY_FIELDS(F, S)                                      \
	F(S, u64, first, 0, "wait after the first failure")              \
	F(S, u64, longest, 0, "wait that is never passed but by jitter") \
	F(S, u64, give_up, 0, "age at which an attempt is the last")     \
	F(S, u64, give_up_bounces, 0, "the same for mail of the null sender")
RECORD_DECLARE(settings_retry, SETTINGS_RETRY_FIELDS)

/* For how long smtp waits for another server (RFC 5321 4.5.3.2). */
#define SETTINGS_TIMEOUTS_FIELDS(F, S)                                                    \
	F(S, u64, connect, 0, "until the connection is there")                            \
	F(S, u64, greeting, 0, "for 220")                                                 \
	F(S, u64, hello, 0, "for the reply to EHLO or HELO")                              \
	F(S, u64, starttls, 0, "for the reply to STARTTLS, and again for the handshake")  \
	F(S, u64, mail, 0, "for the reply to MAIL")                                       \
	F(S, u64, rcpt, 0, "for the reply to each RCPT")                                  \
	F(S, u64, data, 0, "for 354")                                                     \
	F(S, u64, block, 0, "until it has taken what was sent; for the reply to a chunk") \
	F(S, u64, dot, 0, "for the reply to the end of the content")                      \
	F(S, u64, reset, 0, "for the reply to RSET")
RECORD_DECLARE(settings_timeouts, SETTINGS_TIMEOUTS_FIELDS)

/* Alias tables: for names without a domain (domain 0), or of a domain. Several add up, in order. */
#define SETTINGS_ALIASES_FIELDS(F, S)                              \
	F(S, u32, domain, 0, "number of the domain, 0: top level") \
	F(S, string, table, SPEC_MAX, "KIND:PATH, path absolute")
RECORD_DECLARE(settings_aliases, SETTINGS_ALIASES_FIELDS)

/* A `domain a b { }` statement gives one number and a record for each name. */
#define SETTINGS_DOMAIN_FIELDS(F, S)                     \
	F(S, u32, number, 0, "from 1, of the statement") \
	F(S, string, name, HOST_NAME_MAX_OCTETS, "lower case")
RECORD_DECLARE(settings_domain, SETTINGS_DOMAIN_FIELDS)

/* A `deliver` or `relay` of a domain; the first that knows the user takes the mail. Kinds:
 *	maildir		base and path of the mailbox, owner
 *	system-maildir	path alone: ~/ is the user's home, else absolute with % letters
 *	system-mbox	the same
 *	relay		next_hop as in dialogue/router.h; mx: the domain's own MX hosts */
#define SETTINGS_DELIVER_FIELDS(F, S)                                                            \
	F(S, u32, number, 0, "from 1, over the whole file")                                      \
	F(S, u32, domain, 0, "number of the domain")                                             \
	F(S, string, kind, KIND_MAX, "see above")                                                \
	F(S, string, base, SPEC_MAX, "absolute directory before the first %")                    \
	F(S, string, path, SPEC_MAX, "the rest, relative: %d domain, %n local part, %u address") \
	F(S, string, users, SPEC_MAX, "KIND:PATH, system or any")                                \
	F(S, string, owner, KIND_MAX, "name of the user that owns the mailboxes")                \
	F(S, string, next_hop, NEXT_HOP_MAX, "of relay")
RECORD_DECLARE(settings_deliver, SETTINGS_DELIVER_FIELDS)

/* Tables that send single addresses elsewhere: ADDRESS or @DOMAIN, then smtp:NEXT-HOP or local. */
#define SETTINGS_ROUTES_FIELDS(F, S)                 \
	F(S, u32, domain, 0, "number of the domain") \
	F(S, string, table, SPEC_MAX, "KIND:PATH, path absolute")
RECORD_DECLARE(settings_routes, SETTINGS_ROUTES_FIELDS)

/* `outbound [from|to PATTERN...] { via NEXT-HOP... }`: one record for each pattern; the first
 * statement that fits takes mail that is not for our domains. */
#define SETTINGS_OUTBOUND_FIELDS(F, S)                                                            \
	F(S, u32, number, 0, "from 1, of the statement")                                          \
	F(S, string, direction, KIND_MAX, "from, to, or empty: all mail")                         \
	F(S, string, pattern, SPEC_MAX,                                                           \
	  "address, domain, .domain for what is below it, or a table KIND:PATH; empty: all mail") \
	F(S, string, via, NEXT_HOP_MAX, "next hops; empty: the recipient domain's MX hosts")
RECORD_DECLARE(settings_outbound, SETTINGS_OUTBOUND_FIELDS)

/* Servers as host:port, in order; none: those of /etc/resolv.conf. */
#define SETTINGS_RESOLVER_FIELDS(F, S)                                                             \
	F(S, string, servers, SERVERS_MAX, "numeric host:port, separated by blanks; may be empty") \
	F(S, string, anchor, SPEC_MAX, "file with the DNSSEC trust anchor; empty: none")           \
	F(S, string, insecure, INSECURE_MAX,                                                       \
	  "domains that are not validated, separated by blanks")                                   \
	F(S, bool, peer_names, 0, "look for the names of clients")
RECORD_DECLARE(settings_resolver, SETTINGS_RESOLVER_FIELDS)

/* `tls`. Certificates in the file's order: the first one is for clients that name no host we have.
 */
#define SETTINGS_TLS_FIELDS(F, S) F(S, u32, minimum, 13, "least version: 12 or 13")
RECORD_DECLARE(settings_tls, SETTINGS_TLS_FIELDS)
#define SETTINGS_CERTIFICATE_FIELDS(F, S)                               \
	F(S, u32, number, 0, "from 1")                                  \
	F(S, string, certificate, SPEC_MAX, "file with the chain, PEM") \
	F(S, string, key, SPEC_MAX, "file with its private key, PEM")
RECORD_DECLARE(settings_certificate, SETTINGS_CERTIFICATE_FIELDS)

/* `auth`: where passwords are looked up, in the file's order; the first that knows the user
 * decides. There is such a record only when there is an auth block, with at least one source. */
enum auth_mechanism { AUTH_PLAIN = 1, AUTH_LOGIN = 2, AUTH_SCRAM = 4, AUTH_SCRAM_PLUS = 8 };
#define SETTINGS_AUTH_FIELDS(F, S)                                                    \
	F(S, u32, mechanisms, 15, "enum auth_mechanism; 0: what the passwords allow") \
	F(S, u32, ban_after, 0, "failures of one client or account within `ban`")     \
	F(S, u64, ban, 0, "microseconds that a ban lasts")
RECORD_DECLARE(settings_auth, SETTINGS_AUTH_FIELDS)
#define SETTINGS_PASSWORDS_FIELDS(F, S)                       \
	F(S, u32, number, 0, "from 1")                        \
	F(S, string, kind, KIND_MAX, "table, pam or dovecot") \
	F(S, string, source, SPEC_MAX, "KIND:PATH; PAM service; unix:PATH")
RECORD_DECLARE(settings_passwords, SETTINGS_PASSWORDS_FIELDS)

/* `submission`; of each user, 0: no limit. */
#define SETTINGS_SUBMISSION_FIELDS(F, S)                                       \
	F(S, u32, messages_hour, 0, "messages")                                \
	F(S, u32, messages_day, 0, "messages")                                 \
	F(S, u32, recipients_hour, 0, "recipients")                            \
	F(S, u32, recipients_day, 0, "recipients")                             \
	F(S, u32, new_recipients_day, 0, "recipients never written to before") \
	F(S, bool, hide_client, 0, "leave the client's address out of Received")
RECORD_DECLARE(settings_submission, SETTINGS_SUBMISSION_FIELDS)
/* `submission { senders TABLE... }`: ADDRESS or @DOMAIN, then the users who may send as it. */
#define SETTINGS_SENDERS_FIELDS(F, S) F(S, string, table, SPEC_MAX, "KIND:PATH, path absolute")
RECORD_DECLARE(settings_senders, SETTINGS_SENDERS_FIELDS)

/* All of them, ends with NULL. */
extern const struct record *const settings_records[];

#endif
