/*
 * pickup: what the files of this room say to each other.
 *
 *	letters.c   the files of the drop directory: found, waiting, under way, removed
 *	file.c      one of them: opened, judged, read
 *	session.c   its way to submission, by SMTP
 *	submission.c  its processes, and the settings
 *	report.c    what its author hears of recipients that were refused
 */
#ifndef DAEMONS_PICKUP_PICKUP_H
#define DAEMONS_PICKUP_PICKUP_H

#include "common/base/arena.h"
#include "common/base/buffer.h"
#include "common/base/heap.h"
#include "common/config/settings.h"
#include "common/dialogue/pickup.h"
#include "common/mail/drop.h"
#include "common/mail/dsn.h"
#include "common/service/service.h"

enum {
	SESSIONS_MAX = 10,	      /* letters under way at once */
	LETTERS_MAX = 16384,	      /* known at once; others are found when these are gone */
	TEXTS_MAX = 1024 * 1024,      /* octets of refusals that are kept of a letter */
	REPORT_RECIPIENTS_MAX = 1000, /* in one report; the next one tells of the rest */
	REPORT_MAX = 4 * 1024 * 1024,
	PIECE = 32 * 1024, /* of a file, read at once */
};

/* A user, as long as letters of his are known. */
struct author {
	uint32_t uid; /* as the files' names say */
	size_t letters;
};

/* A file of the drop directory. */
struct letter {
	struct heap_node node; /* of those that wait, or may be sent */
	char name[DROP_NAME_SIZE];
	uint64_t made; /* microseconds since 1970 */
	struct author *author;
	unsigned attempts; /* that came to nothing */
	bool waits;	   /* for the time of its next try */
	bool sent;	   /* it is in the queue; only its name is left */
};

/* submission.c */
const char *pickup_hostname(void);
const char *pickup_postmaster(void);
bool submission_reachable(void);
/* A connected socket for the SMTP session of that user; -1: there is none now. */
int submission_connect(uint32_t uid);
void submission_up(struct channel *c, unsigned instance);
void submission_down(struct channel *c);
void submission_setting(const struct record *record, const void *value);

/* letters.c */
void letters_descriptor(const struct service_descriptor *d);
void letters_warm(void);
void letters_start(void);
void letters_drain(void);
/* Submission is there: what may be sent is sent. */
void letters_go(void);
/* Ends of a session: it is in the queue (or told of) and goes; it stays for a later try; it stays
 * for good, since nothing can be done with it. */
/* Around all that reads a letter: should the process die of it, its next ones know. False: three of
 * them have, it is to be put aside. */
enum letter_phase { PHASE_OPEN, PHASE_SEND, PHASE_REPORT };
bool letter_look(const struct letter *l, enum letter_phase phase);
void letter_looked(void);
#define LETTER_DEADLY "pickup dies of it"
void letter_sent(struct letter *l);
void letter_later(struct letter *l, const char *why);
void letter_aside(struct letter *l, const char *why);

/* file.c */
enum file_result {
	FILE_GOOD,
	FILE_GONE,  /* nothing to do any more */
	FILE_LATER, /* can't be read now */
	FILE_BAD,   /* is no letter; *why says what it is */
};
struct file {
	int fd;	      /* -1: none */
	uint32_t uid; /* of its owner */
	struct buffer envelope;
	struct drop drop; /* points into envelope */
	uint64_t content; /* where it begins */
};
/* Opens and reads all of it, to the mark at its end. */
enum file_result file_open(int dir, const char *name, struct file *f, const char **why);
void file_close(struct file *f);
/* A piece of the content; false and errno. */
bool file_read(const struct file *f, uint64_t at, void *data, size_t len);

/* session.c: a letter's way; the file is the session's then. It ends with one of the letter_...()
 * above. */
void session_begin(struct letter *l, struct file *f);

/* report.c: writes a notification of these recipients, who were refused (at most
 * REPORT_RECIPIENTS_MAX), into out. False: it can't be made; errno says why. */
struct report {
	const struct letter *letter;
	const struct file *file;
	const struct dsn_recipient *recipients;
	size_t count;
	bool postmaster; /* is told, for the sender can't be */
};
bool report_write(const struct report *r, struct dsn_plan *plan, struct buffer *out);
/* Who is told. */
struct slice report_to(const struct report *r);

#endif
