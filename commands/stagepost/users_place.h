/*
 * users_place: where a user's password is, as the configuration says, and what his name is.
 */
#ifndef COMMANDS_STAGEPOST_USERS_PLACE_H
#define COMMANDS_STAGEPOST_USERS_PLACE_H

#include "common/config/config.h"
#include "common/dialogue/login.h"
#include "common/mail/address.h"

enum { USERS_TABLES_MAX = 64 };

struct users_table {
	char *spec;
	char *text; /* path of its text; NULL: it has none */
	bool database;
};

struct users_place {
	struct users_table tables[USERS_TABLES_MAX]; /* in the order in which they are asked */
	size_t count;
	char origin[ADDRESS_SIZE];
	bool others; /* PAM or Dovecot say of passwords too */
};

/* only: a spec or a path; NULL: all tables. EX_OK, or complains and returns the exit code. */
int users_place_read(struct users_place *p, const char *config_path, const char *only);
void users_place_free(struct users_place *p);

/* What a user is called: the whole address, folded, with A-labels; and how tables name him: by
 * that, or by the local part alone. */
struct users_name {
	char address[ADDRESS_SIZE], local[ADDRESS_SIZE];
};
/* A name without a domain is at origin. EX_OK, or complains. */
int users_name_read(struct users_name *n, const char *text, const char *origin);

#endif
