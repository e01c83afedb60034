/*
 * error: the three failure words. panic: our bug. fatal: the world is broken, the supervisor
 * restarts us. A returned struct error carries code and text to whoever asked.
 */
#ifndef COMMON_BASE_ERROR_H
#define COMMON_BASE_ERROR_H

#include <stdbool.h>

enum { ERROR_TEXT_SIZE = 400 };

struct error {
	int code; /* an errno value, or an exit code of <sysexits.h>: each function says which */
	char text[ERROR_TEXT_SIZE]; /* what went wrong, where, what to do; no final full stop */
};

/* Fills e (which may be NULL) and returns false: `return error_set(e, EX_CONFIG, "...")`. */
bool error_set(struct error *e, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts "context: " before the text that is there; returns false. */
bool error_prefix(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Both log at the highest level and end the process: panic by abort(), fatal with exit code 70
 * (EX_SOFTWARE). */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
