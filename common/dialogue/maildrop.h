/*
 * maildrop: how a POP3 session gets at its user's mailbox, and nobody else's.
 *
 * accounts tells the daemon maildrop who has logged in and where his mailbox is, under a ticket
 * that pop3d heard with the login; pop3d can name a ticket alone. maildrop has a child made that is
 * the owner of the mailbox, and gives pop3d the other end of its socket: the session's content
 * never passes through maildrop. A ticket opens once, within MAILDROP_TICKET_US.
 *
 * accounts sends the grant before it tells pop3d of the login; but they come to maildrop by two
 * channels, which it may read in either order: what opens an unknown ticket waits a moment for it.
 */
#ifndef COMMON_DIALOGUE_MAILDROP_H
#define COMMON_DIALOGUE_MAILDROP_H

#include "common/wire/dialogue.h"

enum {
	MAILDROP_TICKET_SIZE = 16, /* random octets */
	MAILDROP_GROUPS_MAX = 64,
	MAILDROP_PART_MAX = 48 * 1024, /* octets of content in a packet */
	MAILDROP_MESSAGES_MAX = 1000000,
	MAILDROP_UIDL_MAX = 70,	   /* RFC 1939 7 */
	MAILDROP_LIST_COUNT = 512, /* messages in a MAILDROP_LISTED */
	MAILDROP_LIST_SIZE = 8 + 1 + MAILDROP_UIDL_MAX,
	MAILDROP_TEXT_MAX = 200,
};
#define MAILDROP_TICKET_US UINT64_C(30000000)

/* accounts -> maildrop. Of a user of the machine uid is never 0. Of mailboxes of one owner (deliver
 * maildir) uid and gid are 0 and groups is empty; base is as the statement has it, and the child
 * gets that directory as the master has opened it: its owner may not be able to go there. */
#define MAILDROP_GRANT_FIELDS(F, S)                                           \
	F(S, bytes, ticket, MAILDROP_TICKET_SIZE, "random")                   \
	F(S, string, user, 320, "canonical address, for the log")             \
	F(S, string, kind, 32, "maildir or mbox")                             \
	F(S, string, owner, 32, "name of the owner; empty: uid and gid hold") \
	F(S, u32, uid, 0, "of the machine's user; 0: owner holds")            \
	F(S, u32, gid, 0, "of the machine's user")                            \
	F(S, bytes, groups, MAILDROP_GROUPS_MAX * 4, "u32 each")              \
	F(S, string, base, 4096, "absolute directory below which all is")     \
	F(S, string, path, 4096, "the mailbox, relative to base")
RECORD_DECLARE(maildrop_grant, MAILDROP_GRANT_FIELDS)

static inline bool maildrop_is_virtual(const struct maildrop_grant *g)
{
	return g->uid == 0;
}

/* pop3d -> maildrop -> pop3d. */
#define MAILDROP_OPEN_FIELDS(F, S)                      \
	F(S, u64, request, 0, "repeated in the answer") \
	F(S, bytes, ticket, MAILDROP_TICKET_SIZE, "from LOGIN_DONE")
RECORD_DECLARE(maildrop_open, MAILDROP_OPEN_FIELDS)
#define MAILDROP_OPENED_FIELDS(F, S)                                        \
	F(S, u64, request, 0, "of the question")                            \
	F(S, string, text, 200, "why not, for the log; empty: fd is there") \
	F(S, fd, fd, 0, "a channel that speaks maildrop_session_dialogue")
RECORD_DECLARE(maildrop_opened, MAILDROP_OPENED_FIELDS)

#define MAILDROP_MESSAGES(M)                 \
	M(MAILDROP_GRANT, 1, maildrop_grant) \
	M(MAILDROP_OPEN, 2, maildrop_open)   \
	M(MAILDROP_OPENED, 3, maildrop_opened)
DIALOGUE_NUMBERS(MAILDROP_MESSAGES)
extern const struct dialogue maildrop_dialogue;

/* The session: pop3d and the child. The child locks the maildrop, lists it, then waits: */

enum maildrop_standing {
	MAILDROP_READY = 1, /* all MAILDROP_LISTED were sent */
	MAILDROP_LOCKED,    /* another session has it: -ERR [IN-USE] */
	MAILDROP_TROUBLE,   /* -ERR [SYS/TEMP] */
};
/* Any number of these first. entries: {u64 size in octets with CRLF line ends, u8 length of the
 * unique id, unique id padded to MAILDROP_UIDL_MAX}; messages are numbered from 1 in this order. */
#define MAILDROP_LISTED_FIELDS(F, S) \
	F(S, bytes, entries, MAILDROP_LIST_COUNT *MAILDROP_LIST_SIZE, "see above")
RECORD_DECLARE(maildrop_listed, MAILDROP_LISTED_FIELDS)
#define MAILDROP_STATE_FIELDS(F, S)                                  \
	F(S, u32, state, MAILDROP_TROUBLE, "enum maildrop_standing") \
	F(S, u32, messages, 0, "how many")                           \
	F(S, string, text, 200, "for the log")
RECORD_DECLARE(maildrop_state, MAILDROP_STATE_FIELDS)

/* pop3d -> child: the message from octet `from` on (as its file has it), at most `most`; the answer
 * is one MAILDROP_PART. One question at a time. */
#define MAILDROP_READ_FIELDS(F, S)                     \
	F(S, u32, number, 0, "of the message, from 1") \
	F(S, u64, from, 0, "octet of the file")        \
	F(S, u32, most, MAILDROP_PART_MAX, "octets")
RECORD_DECLARE(maildrop_read, MAILDROP_READ_FIELDS)
#define MAILDROP_PART_FIELDS(F, S)                                             \
	F(S, u32, number, 0, "of the question")                                \
	F(S, bytes, octets, MAILDROP_PART_MAX, "line ends as the mailbox has") \
	F(S, bool, last, 0, "the message ends here")                           \
	F(S, bool, failed, 0, "it can't be read")
RECORD_DECLARE(maildrop_part, MAILDROP_PART_FIELDS)
/* pop3d -> child, at QUIT: these are deleted for good (RFC 1939 6); numbers: u32 each. Several may
 * be said, the last one with `all`; there may be none. The answer is one MAILDROP_DELETED, when the
 * maildrop is not locked any more; then the child ends. A channel that closes before deletes
 * nothing. */
#define MAILDROP_DELETE_FIELDS(F, S)               \
	F(S, bytes, numbers, 4 * 8192, "u32 each") \
	F(S, bool, all, 0, "these were all")
RECORD_DECLARE(maildrop_delete, MAILDROP_DELETE_FIELDS)
#define MAILDROP_DELETED_FIELDS(F, S)              \
	F(S, u32, deleted, 0, "how many are gone") \
	F(S, u32, failed, 0, "how many are not")   \
	F(S, string, text, 200, "why, for the log")
RECORD_DECLARE(maildrop_deleted, MAILDROP_DELETED_FIELDS)

#define MAILDROP_SESSION_MESSAGES(M)           \
	M(MAILDROP_LISTED, 1, maildrop_listed) \
	M(MAILDROP_STATE, 2, maildrop_state)   \
	M(MAILDROP_READ, 3, maildrop_read)     \
	M(MAILDROP_PART, 4, maildrop_part)     \
	M(MAILDROP_DELETE, 5, maildrop_delete) \
	M(MAILDROP_DELETED, 6, maildrop_deleted)
DIALOGUE_NUMBERS(MAILDROP_SESSION_MESSAGES)
extern const struct dialogue maildrop_session_dialogue;

#endif
