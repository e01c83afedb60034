/*
 * answer: one line after the other; the text that is kept is made on the way.
 */
#include "common/smtp/answer.h"

#include <stdio.h>

enum { CODE_LEN = 3, CODE_LEAST = 200, ENHANCED_PART_MAX = 3 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* One to three digits at s[at]; how many. */
static size_t digits(struct slice s, size_t at)
{
	size_t n = 0;

	while (at + n < s.len && n <= ENHANCED_PART_MAX && is_digit(s.ptr[at + n]))
		n++;
	return n <= ENHANCED_PART_MAX ? n : 0;
}

/* Length of an enhanced code (RFC 3463 2) at the front, with a blank or the end behind it. */
static size_t enhanced_length(struct slice s, unsigned code)
{
	size_t subject, detail;

	if (s.len < 5 || s.ptr[0] != (char)('0' + code / 100) || s.ptr[1] != '.')
		return 0;
	subject = digits(s, 2);
	if (subject == 0 || 2 + subject >= s.len || s.ptr[2 + subject] != '.')
		return 0;
	detail = digits(s, 3 + subject);
	if (detail == 0)
		return 0;
	detail += 3 + subject;
	return detail == s.len || s.ptr[detail] == ' ' ? detail : 0;
}

static void keep(struct answer *a, struct slice line)
{
	size_t enhanced = enhanced_length(line, a->code);

	if (enhanced > 0) {
		if (a->lines == 1)
			slice_copy(slice_sub(line, 0, enhanced), a->enhanced, sizeof(a->enhanced));
		line = slice_from(line, enhanced);
	}
	line = slice_trim(line);
	if (a->len > 0 && line.len > 0 && a->len < ANSWER_TEXT_MAX)
		a->text[a->len++] = ' ';
	for (size_t i = 0; i < line.len && a->len < ANSWER_TEXT_MAX; i++) {
		char c = line.ptr[i];
		a->text[a->len++] = c == '\t' ? ' ' : c < 32 || c > 126 ? '?' : c;
	}
	a->text[a->len] = '\0';
}

/* 0: there is none. */
static unsigned code_of(struct slice line)
{
	unsigned code = 0;

	if (line.len < CODE_LEN)
		return 0;
	for (size_t i = 0; i < CODE_LEN; i++) {
		if (!is_digit(line.ptr[i]))
			return 0;
		code = code * 10 + (unsigned)(line.ptr[i] - '0');
	}
	return code >= CODE_LEAST && code < 600 ? code : 0;
}

enum answer_result answer_read(struct answer *a, struct slice input, struct slice *line,
			       size_t *used)
{
	size_t end = slice_find(slice_sub(input, 0, ANSWER_LINE_MAX), '\n');
	unsigned code;
	char mark;

	*used = 0;
	*line = SLICE_EMPTY;
	if (end == input.len)
		return ANSWER_MORE;
	if (end == ANSWER_LINE_MAX)
		return ANSWER_BROKEN;
	*used = end + 1;
	*line = slice_sub(input, 0, end > 0 && input.ptr[end - 1] == '\r' ? end - 1 : end);
	if (a->complete)
		*a = (struct answer){0};
	code = code_of(*line);
	mark = line->len > CODE_LEN ? line->ptr[CODE_LEN] : ' ';
	/* RFC 5321 4.2.1: every line has the same code */
	if (code == 0 || (mark != ' ' && mark != '-') || (a->lines > 0 && code != a->code) ||
	    a->lines == ANSWER_LINES_MAX)
		return ANSWER_BROKEN;
	a->code = code;
	a->lines++;
	*line = slice_from(*line, CODE_LEN + 1);
	keep(a, *line);
	a->complete = mark == ' ';
	return a->complete ? ANSWER_COMPLETE : ANSWER_LINE;
}

void answer_enhanced(const struct answer *a, char *text)
{
	if (a->enhanced[0])
		memcpy(text, a->enhanced, sizeof(a->enhanced));
	else
		snprintf(text, ANSWER_ENHANCED_MAX + 1, "%u.0.0", a->code / 100 % 10);
}
