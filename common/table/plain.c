/*
 * plain: KEY VALUE, one a line, separated by blanks. The key is any word; it is folded.
 */
#include "common/base/buffer.h"
#include "common/table/reader.h"

enum { PLAIN_KEY_MAX = 512 }; /* octets */

void read_plain(struct reader *r)
{
	struct slice line;
	char folded[PLAIN_KEY_MAX];
	while (reader_line(r, &line)) {
		struct slice key = slice_word(&line);
		if (key.len > PLAIN_KEY_MAX) {
			reader_bad(r, r->line, "the key is longer than %d octets", PLAIN_KEY_MAX);
			continue;
		}
		slice_lower(key, folded);
		reader_add(r, r->line, slice_make(folded, key.len), slice_trim(line));
	}
}
