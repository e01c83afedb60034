/*
 * capabilities: a table of keywords.
 */
#include "common/smtp/capabilities.h"

static const struct {
	struct slice keyword;
	unsigned extension;
} keywords[] = {
    {{"PIPELINING", 10}, OFFERS_PIPELINING}, {{"SIZE", 4}, OFFERS_SIZE},
    {{"8BITMIME", 8}, OFFERS_8BITMIME},	     {{"CHUNKING", 8}, OFFERS_CHUNKING},
    {{"SMTPUTF8", 8}, OFFERS_SMTPUTF8},	     {{"DSN", 3}, OFFERS_DSN},
    {{"STARTTLS", 8}, OFFERS_STARTTLS},
};

void capabilities_line(struct capabilities *c, unsigned number, struct slice line)
{
	struct slice word = slice_word(&line);

	if (number == 1) {
		slice_copy(word, c->name, sizeof(c->name));
		return;
	}
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (slice_equal_fold(word, keywords[i].keyword))
			c->offered |= keywords[i].extension;
	}
	if (slice_equal_fold(word, SLICE("SIZE")) &&
	    !slice_number(slice_word(&line), UINT64_MAX, &c->size_limit))
		c->size_limit = 0;
}
