/*
 * dovecot_text: the lines of Dovecot's authentication protocol, version 1.x, as a client says and
 * hears them: fields between tabs, a line feed at the end, no octet of a field is one of both.
 */
#ifndef DAEMONS_ACCOUNTS_DOVECOT_TEXT_H
#define DAEMONS_ACCOUNTS_DOVECOT_TEXT_H

#include "common/base/buffer.h"

enum {
	DOVECOT_LINE_MAX = 8192, /* octets that the server may say in a line */
};

enum dovecot_word {
	DOVECOT_OTHER,	 /* SPID, CUID, COOKIE and what later versions say */
	DOVECOT_VERSION, /* fine: its major number is ours */
	DOVECOT_PLAIN,	 /* it offers the mechanism PLAIN */
	DOVECOT_DONE,	 /* the greeting is whole */
	DOVECOT_OK,	 /* of id */
	DOVECOT_REFUSED,
	DOVECOT_LATER, /* of id: not known now */
	DOVECOT_BROKEN /* it speaks another protocol */
};
/* line: without its end. */
enum dovecot_word dovecot_read(struct slice line, uint32_t *id);

/* Appends our half of the greeting; pid: no two connections have the same. */
void dovecot_write_greeting(struct buffer *out, uint32_t pid);
struct dovecot_question {
	uint32_t id;
	const char *service; /* smtp, pop3 */
	const char *client;  /* numeric address; may be empty */
	struct slice user, password;
	bool test; /* an administrator's: Dovecot need not count it */
};
/* Appends an AUTH line (RFC 4616 as the initial response); false, with nothing appended: out is
 * full. */
bool dovecot_write_question(struct buffer *out, const struct dovecot_question *q);

#endif
