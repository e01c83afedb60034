/*
 * words: text for people. Whatever an address or a reply holds, nothing that steers a terminal
 * comes out of here: such octets are shown as \xHH.
 */
#ifndef COMMANDS_STAGEPOST_WORDS_H
#define COMMANDS_STAGEPOST_WORDS_H

#include <stdio.h>

#include "common/base/buffer.h"

enum { TIME_TEXT_SIZE = 40, SIZE_TEXT_SIZE = 24, COMPLAINT_MAX = 8192 };

/* Octets of the safe character that s begins with: printable ASCII, or UTF-8 that is no control
 * character and does not turn the writing direction; 0: it is not safe, or s is empty. */
size_t words_safe(struct slice s);
void words_print(FILE *to, struct slice s);
/* The same for text of several lines: LF, CRLF (as LF) and tabs pass. */
void words_print_lines(FILE *to, struct slice s);

/* "stagepost: " and the sentence on standard error, made safe; returns code. */
int complain(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "2026-11-24 06:04", local time of Unix seconds. */
const char *words_time(uint64_t seconds, char text[TIME_TEXT_SIZE]);
/* "in 5m", "5m ago", "now": from now to then, both Unix seconds. */
const char *words_until(uint64_t now, uint64_t then, char text[TIME_TEXT_SIZE]);
/* "812", "4.0K", "19M": of octets. */
const char *words_size(uint64_t octets, char text[SIZE_TEXT_SIZE]);
/* "message" or "messages". */
const char *words_plural(uint64_t count);

#endif
