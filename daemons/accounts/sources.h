/*
 * sources: where passwords are, in the file's order. Whoever is in the middle of a login holds the
 * list that it began with.
 */
#ifndef DAEMONS_ACCOUNTS_SOURCES_H
#define DAEMONS_ACCOUNTS_SOURCES_H

#include "common/config/settings.h"

struct login;
struct source;

/* Asks one source about a login; it ends with one of the four verdicts of login.h, before this
 * returns or later. */
typedef void source_ask(struct login *l, const struct source *s);

struct source {
	source_ask *ask;
	struct slice kind; /* table, pam, dovecot */
	char *text;	   /* KIND:PATH, the PAM service, unix:PATH */
};

struct sources {
	unsigned holders;
	struct source *list;
	size_t count;
};

void sources_begin(void);
void sources_setting(const struct settings_passwords *p);
void sources_end(void);
/* The list in use, held once more; empty before the first set. */
struct sources *sources_hold(void);
void sources_release(struct sources **s);
/* Is it a source now? */
bool sources_have(struct slice kind, struct slice text);

#endif
