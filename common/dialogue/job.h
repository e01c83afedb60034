/*
 * job: what the queue manager and an agent (local, local-system, smtp) say to each other. A job is
 * the delivery of one message to recipients of one destination: one JOB_START with the first of
 * them, followed at once by a JOB_MORE for each other one. To local and local-system it is always
 * one recipient. Each recipient has an attempt and an outcome of its own.
 *
 * An agent keeps an outcome until it is acknowledged. On a fresh channel the agent first tells
 * what it holds: JOB_HOLDING for each job under way, the outcomes not yet acknowledged again, then
 * JOB_HOLDING_END; the manager gives no job before that.
 */
#ifndef COMMON_DIALOGUE_JOB_H
#define COMMON_DIALOGUE_JOB_H

#include "common/wire/dialogue.h"

enum {
	JOB_ADDRESS_MAX = 320, /* RFC 5321 4.5.3.1: 64, @ and 255 */
	JOB_CONTENT_MAX = 68 * 1024,
	JOB_TRACE_MAX = 8 * 1024,
	JOB_TEXT_MAX = 400,
	JOB_RECIPIENTS_MAX = 100, /* of one job; RFC 5321 4.5.3.1.8: every server takes so many */
	JOB_NEXT_HOP_MAX = 1024,
	JOB_DESTINATION_MAX = 512,
	JOB_RELAY_MAX = 330,
	ENVID_MAX = 100, /* RFC 3461 4.4, as xtext */
	ORCPT_MAX = 500, /* RFC 3461 4.2, with its type, as xtext */
};

/* Of a message: how it was received, and so how it is sent on. */
enum job_flag {
	JOB_UTF8 = 1 << 0,     /* it came with SMTPUTF8 (RFC 6531) */
	JOB_8BITMIME = 1 << 1, /* BODY=8BITMIME was said (RFC 6152) */
	JOB_RET_FULL = 1 << 2, /* RET=FULL (RFC 3461 4.3) */
	JOB_RET_HDRS = 1 << 3, /* RET=HDRS */
};
/* NOTIFY of a recipient (RFC 3461 4.1); 0: was not said, and stays so when relayed (S22). */
enum notify_flag {
	NOTIFY_NEVER = 1 << 0,
	NOTIFY_SUCCESS = 1 << 1,
	NOTIFY_FAILURE = 1 << 2,
	NOTIFY_DELAY = 1 << 3,
};

/* A message's content: header + body in memory, or a file (then header and body are empty and the
 * fd comes). */
#define JOB_CONTENT_FIELDS(F, S)                                               \
	F(S, bytes, trace, JOB_TRACE_MAX, "lines that we add")                 \
	F(S, bytes, header, JOB_CONTENT_MAX, "header block")                   \
	F(S, bytes, body, JOB_CONTENT_MAX, "body")                             \
	F(S, u64, file, 0, "number of the large file, 0: none")                \
	F(S, bytes, file_nonce, 16, "of the large file")                       \
	F(S, bytes, file_digest, 32, "SHA-256 of the file from octet 4096 on") \
	F(S, u64, body_offset, 0, "in the file")                               \
	F(S, u64, body_length, 0, "octets")                                    \
	F(S, u64, header_offset, 0, "in the file")                             \
	F(S, u64, header_length, 0, "octets")                                  \
	F(S, fd, fd, 0, "the file, read only")

/* manager -> agent. */
#define JOB_START_FIELDS(F, S)                                                  \
	F(S, u64, message, 0, "queue id")                                       \
	F(S, u32, recipient, 0, "number in the message")                        \
	F(S, u32, attempt, 0, "from 1")                                         \
	F(S, bool, again, 0, "an agent may have died of it under this number")  \
	F(S, string, sender, JOB_ADDRESS_MAX, "reverse-path, without < >")      \
	F(S, string, address, JOB_ADDRESS_MAX, "final address")                 \
	F(S, string, original, JOB_ADDRESS_MAX, "recipient as received")        \
	F(S, u32, more, JOB_RECIPIENTS_MAX - 1, "JOB_MORE that follow")         \
	F(S, u32, notify, 15, "enum notify_flag of this recipient")             \
	F(S, string, orcpt, ORCPT_MAX, "ORCPT of this recipient, xtext")        \
	F(S, u32, flags, 15, "enum job_flag")                                   \
	F(S, string, envid, ENVID_MAX, "ENVID, xtext; empty: none")             \
	F(S, u32, content, 255, "content_flags_pack()")                         \
	F(S, string, next_hop, JOB_NEXT_HOP_MAX, "smtp: see dialogue/router.h") \
	F(S, string, destination, JOB_DESTINATION_MAX,                          \
	  "smtp: sessions are used again for jobs of the same one")             \
	F(S, u32, deliver, 0, "local: number of the deliver statement")         \
	F(S, string, user, 64, "of the mailbox")                                \
	F(S, string, domain, 255, "of the mailbox")                             \
	F(S, u64, arrived, 0, "wall clock, microseconds, for the log's delay")  \
	F(S, u64, size, 0, "octets of header and body")                         \
	JOB_CONTENT_FIELDS(F, S)
RECORD_DECLARE(job_start, JOB_START_FIELDS)

/* manager -> agent: a further recipient of the JOB_START before it. */
#define JOB_MORE_FIELDS(F, S)                                            \
	F(S, u64, message, 0, "queue id")                                \
	F(S, u32, recipient, 0, "number in the message")                 \
	F(S, u32, attempt, 0, "from 1")                                  \
	F(S, string, address, JOB_ADDRESS_MAX, "final address")          \
	F(S, string, original, JOB_ADDRESS_MAX, "recipient as received") \
	F(S, u32, notify, 15, "enum notify_flag of this recipient")      \
	F(S, string, orcpt, ORCPT_MAX, "ORCPT of this recipient, xtext")
RECORD_DECLARE(job_more, JOB_MORE_FIELDS)

/* agent -> manager: what became of it. */
enum job_status {
	JOB_DELIVERED = 1,
	JOB_DEFERRED,
	JOB_FAILED,
	JOB_SPOILED, /* content is not what was committed */
};
#define JOB_OUTCOME_FIELDS(F, S)                                                                   \
	F(S, u64, message, 0, "queue id")                                                          \
	F(S, u32, recipient, 0, "number in the message")                                           \
	F(S, u32, attempt, 0, "of the job")                                                        \
	F(S, u32, status, JOB_SPOILED, "enum job_status")                                          \
	F(S, u32, code, 599, "250, 4xx, 5xx")                                                      \
	F(S, string, enhanced, 12, "2.1.5")                                                        \
	F(S, string, text, JOB_TEXT_MAX, "for the log and the sender")                             \
	F(S, bool, site, 0,                                                                        \
	  "the destination as a whole is in trouble, not this message alone (S47)")                \
	F(S, string, relay, JOB_RELAY_MAX,                                                         \
	  "smtp: who said it, mx.example.org[192.0.2.1]:25; empty: we did")                        \
	F(S, bool, dsn, 0, "smtp: delivered to a server that offers DSN: the notices are its own") \
	F(S, bool, tls, 0, "smtp: the session was encrypted")                                      \
	F(S, u64, setup_us, 0, "smtp: spent until MAIL could be said")                             \
	F(S, u64, transfer_us, 0, "spent from then on")
RECORD_DECLARE(job_outcome, JOB_OUTCOME_FIELDS)
/* manager -> agent: the outcome is in the ledger. */
#define JOB_NOTED_FIELDS(F, S)                           \
	F(S, u64, message, 0, "queue id")                \
	F(S, u32, recipient, 0, "number in the message") \
	F(S, u32, attempt, 0, "of the job")
RECORD_DECLARE(job_noted, JOB_NOTED_FIELDS)
/* agent -> manager, on a fresh channel: this is under way; that was all. */
#define JOB_HOLDING_FIELDS(F, S)                         \
	F(S, u64, message, 0, "queue id")                \
	F(S, u32, recipient, 0, "number in the message") \
	F(S, u32, attempt, 0, "of the job")
RECORD_DECLARE(job_holding, JOB_HOLDING_FIELDS)
#define JOB_HOLDING_END_FIELDS(F, S) F(S, u32, most, 0, "jobs this agent takes at once")
RECORD_DECLARE(job_holding_end, JOB_HOLDING_END_FIELDS)

#define JOB_MESSAGES(M)                        \
	M(JOB_START, 1, job_start)             \
	M(JOB_OUTCOME, 2, job_outcome)         \
	M(JOB_NOTED, 3, job_noted)             \
	M(JOB_HOLDING, 4, job_holding)         \
	M(JOB_HOLDING_END, 5, job_holding_end) \
	M(JOB_MORE, 6, job_more)
DIALOGUE_NUMBERS(JOB_MESSAGES)
extern const struct dialogue job_dialogue;

#endif
