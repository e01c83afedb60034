/*
 * keys_text: whatever a process that speaks TLS sends, a text that is signed is a TLS server's
 * proof, judged here once more in other words; and none is one of both versions.
 */
#include <stdlib.h>

/* a room's files are in no library */
#include "daemons/keys/text.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_13(struct slice text)
{
	static const char head[] =
	    "                                                                "
	    "TLS 1.3, server CertificateVerify";
	if (!slice_starts(text, slice_make(head, sizeof(head))) ||
	    (text.len != sizeof(head) + 32 && text.len != sizeof(head) + 48))
		abort();
}

static void check_12(struct slice text)
{
	if (text.len < 64 + 4 + 32 || text.len > 64 + 4 + 133 || text.ptr[64] != 3 ||
	    text.ptr[65] != 0 || (unsigned char)text.ptr[67] != text.len - 68)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size); /* of exactly this size, so that a read beyond it shows */
	struct slice text = slice_make(copy, size);
	bool is_13, is_12;
	if (!copy && size > 0)
		return 0;
	if (size > 0)
		memcpy(copy, data, size);
	is_13 = text_fits(KEYS_TLS13_SERVER, text);
	is_12 = text_fits(KEYS_TLS12_SERVER, text);
	if (is_13)
		check_13(text);
	if (is_12)
		check_12(text);
	if ((is_13 && is_12) || text_fits((enum keys_purpose)(KEYS_TLS12_SERVER + 1), text))
		abort();
	free(copy);
	return 0;
}
