/*
 * users_file: a users table's text, edited: one entry changes, comments and order stay, octet by
 * octet. Nobody else edits it meanwhile (it is locked), and it takes its name whole: whoever reads
 * it sees the old one or the new one, and a crash leaves either.
 */
#ifndef COMMANDS_STAGEPOST_USERS_FILE_H
#define COMMANDS_STAGEPOST_USERS_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "commands/stagepost/landing.h"
#include "common/base/buffer.h"

struct users_file {
	const char *path;
	char name[LANDING_NAME_SIZE]; /* its last part */
	int directory, fd;	      /* fd: the lock; -1: not open */
	struct stat st;
	struct buffer text;
};

/* An entry: where its line lies in the text, without and with its end, and its fields. */
struct users_line {
	size_t at, len, whole;
	struct slice name, password, rest; /* rest: behind the password, with its colon; or empty */
};

enum users_use { USERS_READ, USERS_EDIT, USERS_MAKE }; /* make: it need not be there yet */

/* EX_OK, or complains and returns the exit code. The path must outlive it. */
int users_file_open(struct users_file *f, const char *path, enum users_use use);
void users_file_close(struct users_file *f);

/* The next entry from *at (0 at first) on; false: there is none. */
bool users_file_next(const struct users_file *f, size_t *at, struct users_line *line);
/* The entry with that look-up key (reader_key); the first counts, as it does for the server. */
bool users_file_find(const struct users_file *f, struct slice key, struct users_line *line);

/* The text alone changes; find again afterwards. entry: the second field. */
void users_file_set(struct users_file *f, const struct users_line *line, struct slice entry);
void users_file_add(struct users_file *f, struct slice name, struct slice entry);
void users_file_remove(struct users_file *f, const struct users_line *line);

/* Checks the text as the server will, and lets it take the file's place. EX_OK, or complains and
 * returns the exit code; then nothing has changed. */
int users_file_write(struct users_file *f);

#endif
