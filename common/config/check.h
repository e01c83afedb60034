/*
 * check: what the parts of a check share.
 */
#ifndef COMMON_CONFIG_CHECK_H
#define COMMON_CONFIG_CHECK_H

#include "common/base/map.h"
#include "common/config/tree.h"
#include "common/table/table.h"

struct check {
	const struct config *c;
	config_report_call *report;
	void *arg;
	bool bad_config, bad_table;
	struct map *domains;   /* name -> its node */
	struct map *listeners; /* address -> its node */
	/* by use, spec -> struct table, opened and (if it could be) loaded */
	struct map *tables[TABLE_USE_COUNT];
	const struct node *last_outbound; /* NULL: none yet */
};

void check_error(struct check *k, const struct node *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void check_warning(struct check *k, const struct node *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The node with the value of a key, given or by default; NULL: neither. */
const struct node *check_value(const struct check *k, const char *key);
/* It must be there, and a directory. */
void check_directory(struct check *k, const struct node *n, struct slice path);

/* check_domain.c */
void check_domain(struct check *k, const struct node *n);
/* check_way.c: where mail goes by SMTP, and whom that asks. */
void check_next_hops(struct check *k, const struct node *n);
void check_outbound(struct check *k, const struct node *n);
void check_resolver(struct check *k);

/* check_login.c */
void check_login(struct check *k);

/* check_table.c */
/* All tables that a statement names. */
void check_tables(struct check *k, const struct node *n, enum table_use use);
/* Opens and reads a table, once for each spec and use, and reports what is wrong with it. */
void check_table(struct check *k, const struct node *n, struct slice spec, enum table_use use);
/* Is the key in a table that was checked? True too when that can't be told. */
bool check_has_entry(struct check *k, struct slice spec, enum table_use use, struct slice key);
void check_free(struct check *k);

#endif
