/*
 * sendmail: what the files of this folder say to each other. Codes are those of <sysexits.h>.
 */
#ifndef COMMANDS_SENDMAIL_SENDMAIL_H
#define COMMANDS_SENDMAIL_SENDMAIL_H

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/mail/address.h"
#include "common/net/sockaddr.h"

enum { RECIPIENTS_TEXT_MAX = 1024 * 1024 }; /* octets of recipients, as they are given */

/* options.c: the command line. */
struct options {
	const char *config_path;
	const char *sender;	 /* -f, -r; NULL: the user who calls */
	const char *full_name;	 /* -F; NULL: as the system knows the user */
	bool from_header;	 /* -t: recipients are in the header */
	bool dot_ends;		 /* a line with a dot alone ends the message: without -i */
	char *const *recipients; /* of argv */
	int recipient_count;
};
/* False with e->code EX_USAGE. */
bool options_parse(struct options *o, int argc, char **argv, struct error *e);

/* recipients.c: a set of envelope addresses, in the order in which they were given. */
struct recipients {
	struct buffer texts; /* each with a NUL behind it, canonical */
	size_t count;
	size_t most;
	struct slice origin; /* completes bare names */
};
void recipients_init(struct recipients *r, struct slice origin, size_t most);
void recipients_free(struct recipients *r);
/* The addresses of a list as in To (RFC 5322 3.4): with names, comments, groups. False with code
 * EX_DATAERR. */
bool recipients_add_list(struct recipients *r, struct slice list, struct error *e);
/* One after the other; *at starts at 0. */
bool recipients_next(const struct recipients *r, size_t *at, struct slice *address);
/* A bare name gets the origin; canonical text into dst. EX_DATAERR. */
bool address_complete(struct slice text, struct slice origin, char dst[ADDRESS_SIZE],
		      struct error *e);

/* message.c: from standard input to what is sent. */
struct author {
	struct slice address;	/* of the From field that is made when there is none */
	struct slice full_name; /* may be empty */
	struct slice host;	/* of the Message-ID */
	int64_t seconds;	/* now, since 1970 */
	int offset;		/* of local time, seconds east */
	uint64_t unique;	/* random */
};
/* Reads to the end, or to a dot alone on a line; lines end with CRLF in out, a bare CR becomes a
 * blank. False with code EX_DATAERR (over out's limit) or EX_IOERR. */
bool message_read(int fd, bool dot_ends, struct buffer *out, struct error *e);
/* Adds the recipients that the header names: of the Resent fields when there are some (RFC 5322
 * 3.6.6). EX_DATAERR. */
bool message_recipients(struct slice message, struct recipients *r, struct error *e);
/* The message with From, Date and Message-ID where missing, without Bcc and Return-Path. */
bool message_complete(struct slice message, const struct author *author, struct buffer *out,
		      struct error *e);

/* submit.c: hands it over by SMTP. */
struct submission {
	struct slice host;   /* for EHLO */
	struct slice sender; /* canonical; empty: null */
	const struct recipients *recipients;
	struct slice content; /* CRLF lines */
};
/* EX_TEMPFAIL: nobody answers there. -1 and e. */
int submit_connect(const struct net_address *to, struct error *e);
/* All recipients or none: a refused one ends it, and nothing is sent. False with e->code. */
bool submit_talk(int fd, const struct submission *s, struct error *e);
/* The exit code for a refusal. */
int submit_code(unsigned reply, struct slice text);

/* sendmail.c: all of it, from the options on. */
int sendmail_run(const struct options *o);

#endif
