/* parameters: whatever is accepted keeps the limits and the grammar that others rely on. */
#include <stdlib.h>

#include "common/smtp/parameters.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One word of printable ASCII that lies in what was read. */
static void word_of(struct slice word, struct slice text, size_t max)
{
	if (word.len == 0)
		return;
	if (word.len > max || word.ptr < text.ptr || word.ptr + word.len > text.ptr + text.len)
		abort();
	for (size_t i = 0; i < word.len; i++)
		if (word.ptr[i] < 33 || word.ptr[i] > 126 || word.ptr[i] == '=')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1);
	struct slice text = slice_make(copy, size);
	struct mail_parameters m;
	struct rcpt_parameters r;
	struct refusal why = {0};

	if (size > 0)
		memcpy(copy, data, size);
	if (parameters_parse_mail(text, &m, &why))
		word_of(m.envid, text, PARAMETER_ENVID_MAX);
	else if (why.code != 501 && why.code != 555)
		abort();
	if (parameters_parse_rcpt(text, &r, &why)) {
		word_of(r.orcpt, text, PARAMETER_ORCPT_MAX);
		if (r.orcpt.len > 0 && slice_find(r.orcpt, ';') >= r.orcpt.len - 1)
			abort();
		if ((r.notify & RCPT_NOTIFY_NEVER) != 0 && r.notify != RCPT_NOTIFY_NEVER)
			abort();
	} else if (why.code != 501 && why.code != 555)
		abort();
	free(copy);
	return 0;
}
