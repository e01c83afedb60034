/*
 * rules: the book that new questions go by.
 */
#ifndef DAEMONS_ROUTER_RULES_H
#define DAEMONS_ROUTER_RULES_H

#include "daemons/router/book.h"

/* A new set of settings: it is used from rules_end on. */
void rules_begin(void);
void rules_setting(const struct record *record, const void *value);
void rules_end(void);
struct book *rules_book(void); /* NULL before the first set; hold it to keep it */

#endif
