/*
 * writer: what a writer of messages (smtpd) and the queue manager say to each other.
 */
#ifndef COMMON_DIALOGUE_WRITER_H
#define COMMON_DIALOGUE_WRITER_H

#include "common/wire/dialogue.h"

enum { WRITER_NOTICE_ENTRIES = 1000, WRITER_ENTRY_SIZE = 88, WRITER_ENTRY_HELD = 1 };

/* writer -> manager: a segment is wanted; a file for a large message is wanted. */
#define WRITER_WANT_LEASE_FIELDS(F, S) F(S, bool, fresh, 0, "with a new incarnation for queue ids")
RECORD_DECLARE(writer_want_lease, WRITER_WANT_LEASE_FIELDS)
#define WRITER_WANT_FILE_FIELDS(F, S) F(S, u32, count, 16, "how many")
RECORD_DECLARE(writer_want_file, WRITER_WANT_FILE_FIELDS)

/* manager -> writer. */
#define WRITER_LEASE_FIELDS(F, S)                                 \
	F(S, u64, number, 0, "of the lease, never used before")   \
	F(S, bytes, nonce, 16, "16 random octets")                \
	F(S, u32, segment, 0, "which segment")                    \
	F(S, u64, size, 0, "of the segment, octets")              \
	F(S, u32, spool, 0, "spool id, for queue ids")            \
	F(S, u32, incarnation, 0, "of the writer, for queue ids") \
	F(S, fd, fd, 0, "the segment, write only")
RECORD_DECLARE(writer_leased, WRITER_LEASE_FIELDS)
#define WRITER_FILE_FIELDS(F, S)                               \
	F(S, u64, number, 0, "of the file, never used before") \
	F(S, bytes, nonce, 16, "16 random octets")             \
	F(S, fd, fd, 0, "the file, write only")
RECORD_DECLARE(writer_filed, WRITER_FILE_FIELDS)
/* manager -> writer: whether new mail is welcome; sent at first and at each change. */
#define WRITER_PRESSURE_FIELDS(F, S)                              \
	F(S, bool, full, 0, "refuse new messages with 452 4.3.1") \
	F(S, string, reason, 200, "for the log: disk, spool-size, queue-messages")
RECORD_DECLARE(writer_pressure, WRITER_PRESSURE_FIELDS)

/* writer -> manager: these are durable. entries: count times WRITER_ENTRY_SIZE octets, each
 * {u64 id, u64 offset, u32 length, u32 ordinal, u64 file, u32 recipients, u32 origin, 32 digest,
 * u64 parent, u32 parent mark, u32 flags (WRITER_ENTRY_HELD)}. */
#define WRITER_NOTICE_FIELDS(F, S)            \
	F(S, u64, lease, 0, "in which lease") \
	F(S, bytes, entries, WRITER_NOTICE_ENTRIES *WRITER_ENTRY_SIZE, "fixed-size entries")
RECORD_DECLARE(writer_notice, WRITER_NOTICE_FIELDS)
#define WRITER_SEALED_FIELDS(F, S)     \
	F(S, u64, lease, 0, "which")   \
	F(S, u32, records, 0, "in it") \
	F(S, u64, end, 0, "octets of the good part")
RECORD_DECLARE(writer_sealed, WRITER_SEALED_FIELDS)
#define WRITER_FAILED_FIELDS(F, S)                   \
	F(S, u64, lease, 0, "which")                 \
	F(S, u32, records, 0, "in its good part")    \
	F(S, u64, end, 0, "octets of the good part") \
	F(S, u32, error, 0, "errno of the failed write or sync")
RECORD_DECLARE(writer_failed, WRITER_FAILED_FIELDS)
#define WRITER_ABANDONED_FIELDS(F, S) F(S, u64, file, 0, "number of a file that no message uses")
RECORD_DECLARE(writer_abandoned, WRITER_ABANDONED_FIELDS)

#define WRITER_MESSAGES(M)                         \
	M(WRITER_WANT_LEASE, 1, writer_want_lease) \
	M(WRITER_WANT_FILE, 2, writer_want_file)   \
	M(WRITER_LEASED, 3, writer_leased)         \
	M(WRITER_FILED, 4, writer_filed)           \
	M(WRITER_PRESSURE, 5, writer_pressure)     \
	M(WRITER_NOTICE, 6, writer_notice)         \
	M(WRITER_SEALED, 7, writer_sealed)         \
	M(WRITER_FAILED, 8, writer_failed)         \
	M(WRITER_ABANDONED, 9, writer_abandoned)
DIALOGUE_NUMBERS(WRITER_MESSAGES)
extern const struct dialogue writer_dialogue;

#endif
