/*
 * sendmail: what the files of this folder say to each other. Codes are those of <sysexits.h>.
 */
#ifndef COMMANDS_SENDMAIL_SENDMAIL_H
#define COMMANDS_SENDMAIL_SENDMAIL_H

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/mail/address.h"

enum { RECIPIENTS_TEXT_MAX = 1024 * 1024 }; /* octets of recipients, as they are given */

/* What is asked for: sendmail is several programs under one name. */
enum mode {
	MODE_MESSAGE, /* -bm: a message comes on standard input */
	MODE_SMTP,    /* -bs: SMTP on standard input and output */
	MODE_LIST,    /* -bp, mailq */
	MODE_ALIASES, /* -bi, newaliases */
	MODE_VERIFY,  /* -bv: where would it go? */
	MODE_FLUSH,   /* -q: deferred mail is due now */
};

/* options.c: the command line. */
extern const char default_config[];

struct options {
	enum mode mode;
	const char *config_path;	      /* of -C, else default_config */
	const char *flush_what, *flush_value; /* a selector of `stagepost queue`; NULL: all */
	const char *notify, *ret, *envid;     /* -N -R -V: RFC 3461; NULL: not said */
	const char *sender;		      /* -f, -r; NULL: the user who calls */
	const char *full_name;		      /* -F; NULL: as the system knows the user */
	bool from_header;		      /* -t: recipients are in the header */
	bool mails_errors; /* -oem: the author is told of refusals by mail, not by the exit code */
	bool dot_ends;	   /* a line with a dot alone ends the message: without -i */
	char *const *recipients; /* of argv */
	int recipient_count;
};
/* False with e->code EX_USAGE or EX_DATAERR. */
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
bool mailbox_text(struct slice text, struct slice origin, char dst[ADDRESS_SIZE], struct error *e);

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
	struct slice content;		  /* CRLF lines */
	bool utf8;			  /* an address or the header needs SMTPUTF8 (RFC 6531) */
	const char *notify, *ret, *envid; /* as in struct options */
};
/* The socket for programs in the server's run directory. -1 and EX_TEMPFAIL: nobody answers there.
 */
int submit_connect(const char *run, struct error *e);
/* All recipients or none: when one is refused nothing is sent. False with e->code; *some: others
 * would have been taken. */
bool submit_talk(int fd, const struct submission *s, bool *some, struct error *e);
/* The exit code for a refusal. */
int submit_code(unsigned reply, struct slice text);

/* privilege.c: the group of the drop directory, when this program was installed with it. First
 * thing in main(): false with e->code. */
bool privilege_begin(struct error *e);
bool privilege_there(void);	/* more than the caller's own may be taken */
void privilege_take(void);	/* for what needs it */
void privilege_give_back(void); /* until it is needed again */
void privilege_end(void);	/* for good */

/* keep.c: keeps it in the drop directory of that spool, for pickup to send, while so many octets of
 * the disk stay free. False with e->code, mostly EX_TEMPFAIL. */
bool keep_message(const struct submission *s, const char *spool, uint64_t spare, struct error *e);

/* bridge.c: octets both ways between standard input and output and the server, until it closes.
 * EX_TEMPFAIL. */
bool bridge_run(int fd, struct error *e);

/* others.c: what `stagepost` does, under its old names; returns only when that can't be. */
void others_run(const struct options *o, struct error *e);

/* sendmail.c: all of it, from the options on. */
int sendmail_run(const struct options *o);

#endif
