/*
 * plain: KEY VALUE, one a line, separated by blanks. The key is any word; it is folded.
 */
#include "common/base/buffer.h"
#include "common/table/reader.h"

enum { PLAIN_KEY_MAX = 512 }; /* octets */

const char *plain_key(struct slice word, struct buffer *key)
{
	char folded[PLAIN_KEY_MAX];
	if (word.len == 0)
		return "the key is empty";
	if (word.len > PLAIN_KEY_MAX)
		return "the key is too long";
	slice_lower(word, folded);
	return buffer_append(key, slice_make(folded, word.len)) ? NULL : "the key is too long";
}

void read_plain(struct reader *r)
{
	struct slice line;
	struct buffer key;
	buffer_init(&key, PLAIN_KEY_MAX);
	while (reader_line(r, &line)) {
		buffer_reset(&key);
		struct slice word = slice_word(&line);
		const char *fault = plain_key(word, &key);
		if (fault)
			reader_bad(r, r->line, "`%.*s`: %s", SLICE_FMT(slice_sub(word, 0, 80)),
				   fault);
		else
			reader_add(r, r->line, buffer_slice(&key), slice_trim(line));
	}
	buffer_free(&key);
}
