/*
 * statements: what the configuration says about mailboxes: the deliver statements, and the base
 * directories, which the master has opened. For the loop's thread alone.
 */
#ifndef DAEMONS_LOCAL_STATEMENTS_H
#define DAEMONS_LOCAL_STATEMENTS_H

#include "common/service/service.h"

enum statement_kind {
	STATEMENT_MAILDIR,
	STATEMENT_SYSTEM_MAILDIR,
	STATEMENT_SYSTEM_MBOX,
};

struct statement {
	uint32_t number;
	enum statement_kind kind;
	int base;	   /* of a Maildir: -1 when it is not there */
	struct slice path; /* template: below base, or of a system user: ~/... or absolute */
};

/* As struct service calls them. */
void statements_settings_begin(void);
void statements_setting(const struct record *record, const void *value);
void statements_settings_end(void);
void statements_descriptor(const struct service_descriptor *d);

/* Until the next set of settings; NULL: there is no such statement (any more, or yet). */
const struct statement *statements_find(uint32_t number);
const char *statements_host(void); /* our name, fit for file names */

#endif
