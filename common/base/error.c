/*
 * error: texts for whoever asked, and the two ways to end. A last word goes to the log's sink; as
 * long as a program has none (it is only starting, or it is a test) it goes to standard error. The
 * process ends by _exit: nothing that was registered for a good end may run in a broken process.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/log.h"

enum { LAST_WORD_SIZE = 1024 };

bool error_set(struct error *e, int code, const char *format, ...)
{
	char text[ERROR_TEXT_SIZE]; /* an argument may be the old text */
	va_list ap;
	if (!e)
		return false;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	e->code = code;
	memcpy(e->text, text, strlen(text) + 1);
	return false;
}

bool error_prefix(struct error *e, const char *format, ...)
{
	char text[ERROR_TEXT_SIZE], whole[2 * ERROR_TEXT_SIZE + 2];
	va_list ap;
	if (!e)
		return false;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	snprintf(whole, sizeof(whole), "%s: %s", text, e->text);
	whole[ERROR_TEXT_SIZE - 1] = '\0';
	memcpy(e->text, whole, strlen(whole) + 1);
	return false;
}

/* The sink itself may fail while it takes a last word: then that failure's word goes to standard
 * error, and there is no third. */
static void last_word(const char *event, const char *format, va_list ap)
{
	static _Thread_local bool speaking;
	char text[LAST_WORD_SIZE], line[LAST_WORD_SIZE + 64];
	vsnprintf(text, sizeof(text), format, ap);
	if (speaking || !log_has_sink()) {
		int n = snprintf(line, sizeof(line), "%s: %s\n", event, text);
		if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
			return;
	}
	if (speaking)
		return;
	speaking = true;
	log_sentence(LOG_LEVEL_ERROR, event, text);
	speaking = false;
}

void panic(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	last_word("panic", format, ap);
	va_end(ap);
	abort();
}

void fatal(const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	last_word("fatal", format, ap);
	va_end(ap);
	_exit(EX_SOFTWARE);
}
