/*
 * A server's replies: whatever is sent, each line's text lies in the input, what is kept is
 * printable, and what EHLO offers is read of every line.
 */
#include <stddef.h>
#include <stdint.h>

#include "common/smtp/answer.h"
#include "common/smtp/capabilities.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_make(data, size), line;
	struct answer a = {0};
	struct capabilities c = {0};
	char enhanced[ANSWER_ENHANCED_MAX + 1];
	size_t used;

	for (;;) {
		enum answer_result r = answer_read(&a, input, &line, &used);
		if (r == ANSWER_MORE || r == ANSWER_BROKEN)
			return 0;
		if (used == 0 || used > input.len || line.ptr < input.ptr ||
		    line.ptr + line.len > input.ptr + used)
			__builtin_trap();
		if (a.code < 200 || a.code > 599 || a.len > ANSWER_TEXT_MAX || a.text[a.len] ||
		    a.lines > ANSWER_LINES_MAX)
			__builtin_trap();
		for (size_t i = 0; i < a.len; i++)
			if (a.text[i] < 32 || a.text[i] > 126)
				__builtin_trap();
		answer_enhanced(&a, enhanced);
		capabilities_line(&c, a.lines, line);
		input = slice_from(input, used);
	}
}
