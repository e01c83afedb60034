/*
 * The three styles: our own text is the line as it came.
 */
#include "daemons/log/style.h"

enum style style_find(struct slice word)
{
	if (slice_equal(word, SLICE("postfix")))
		return STYLE_POSTFIX;
	return slice_equal(word, SLICE("json")) ? STYLE_JSON : STYLE_TEXT;
}

bool style_write(enum style style, const struct log_entry *entry, struct slice role, pid_t pid,
		 style_line *line, void *arg)
{
	switch (style) {
	case STYLE_POSTFIX:
		return postfix_write(entry, role, line, arg);
	case STYLE_JSON:
		return json_write(entry, role, pid, line, arg);
	case STYLE_TEXT:
		break;
	}
	return line(arg, role, entry->text);
}
