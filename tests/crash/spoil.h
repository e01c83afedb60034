/*
 * spoil: a sample spool in memory, laid down again for each case with one thing wrong in it, and
 * what a start makes of that judged. `spoil` without arguments tries every octet; see spoil.c.
 */
#ifndef TESTS_CRASH_SPOIL_H
#define TESTS_CRASH_SPOIL_H

#include "tests/crash/recover.h"

enum {
	SAMPLE_SEGMENT = 128 * 1024,
	SAMPLE_LEDGER = 16 * 1024,
	SAMPLE_FILES = 64,
	SAMPLE_NAME = 40,
	TRUTH_MAX = 256,
	CASE_US = 5 * 1000 * 1000,
};

struct sample_file {
	char name[SAMPLE_NAME]; /* "segments/00000001" */
	char *octets;
	size_t size, used; /* used: up to the last octet that is not zero */
};

struct sample {
	struct sample_file files[SAMPLE_FILES];
	size_t count;
};

/* What is true of a message. */
struct truth {
	struct recovered_message message;
	bool ended; /* all its recipients, in the later sample */
};

struct samples {
	struct sample older, now, other; /* `older`: of the same spool, before */
	struct truth truths[TRUTH_MAX];
	size_t truth_count;
};

/* Makes the spools in the directory and reads them in. Each step runs in a child: this process
 * never touches the loop. */
void samples_make(struct samples *s, const char *directory);
/* Lays the sample down in an empty directory of that name. */
void sample_lay(const struct sample *s, const char *directory);
const struct sample_file *sample_find(const struct sample *s, const char *name);

/* What a case permits besides being told, set aside, or refused at once. */
struct permitted {
	bool refusal;  /* the start may say that it can't */
	bool repeats;  /* messages that had ended may be there again */
	bool forged;   /* who writes there may say what he likes */
	bool silence;  /* what is gone can't be told from what was never written */
	unsigned gone; /* messages that may be missing or set aside */
};

/* Starts twice on the spool in the directory, in a child. NULL: all is as it must be; else what is
 * wrong, until the next call. *gone, *refused: what became of it. */
const char *judge(const struct samples *s, const char *directory, const struct permitted *p,
		  unsigned *gone, bool *refused);

/* One thing that is done to the file of that path. */
typedef void spoil_hurt(const struct sample_file *f, const char *path, uint64_t at);
/* Lays the present sample down, does it, judges, counts. */
void spoil_case(const char *kind, const struct sample_file *f, spoil_hurt *strike, uint64_t at,
		const struct permitted *p);
void spoil_put(const char *path, const void *octets, size_t len, uint64_t at);

/* spoil_forge.c */
/* Batches that no writer of the spool has written, at every place where one may begin. */
void forge_all(const struct sample *now, unsigned step);

#endif
