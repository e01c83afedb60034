/*
 * check: what the parts of a check share.
 */
#ifndef COMMON_CONFIG_CHECK_H
#define COMMON_CONFIG_CHECK_H

#include "common/base/map.h"
#include "common/config/tree.h"

struct check {
	const struct config *c;
	config_report_call *report;
	void *arg;
	bool bad_config, bad_table;
	struct map *domains;   /* name -> its node */
	struct map *listeners; /* address -> its node */
	struct map
	    *tables[2]; /* by use, spec -> struct table, opened and (if it could be) loaded */
};

void check_error(struct check *k, const struct node *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void check_warning(struct check *k, const struct node *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Opens and reads a table, once for each spec and use, and reports what is wrong with it. */
void check_table(struct check *k, const struct node *n, struct slice spec, enum table_use use);
/* Is the key in a table that was checked? True too when that can't be told. */
bool check_has_entry(struct check *k, struct slice spec, enum table_use use, struct slice key);
void check_free(struct check *k);

#endif
