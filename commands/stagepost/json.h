/*
 * json: output for programs. Strings from strangers may hold any octets: what is not UTF-8 becomes
 * U+FFFD, and everything outside printable ASCII leaves as an escape, so that it is safe on a
 * terminal too.
 */
#ifndef COMMANDS_STAGEPOST_JSON_H
#define COMMANDS_STAGEPOST_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "common/base/slice.h"

/* Not NULL: without memory the process ends. */
json_t *json_text(struct slice s);
json_t *json_count(uint64_t number); /* over 2^63 - 1: that */
/* Puts value (which it takes) under key. */
void json_put(json_t *object, const char *key, json_t *value);
/* Writes value on one line and gives it up. */
void json_line(FILE *to, json_t *value);

#endif
