/* Decoders of strangers' text: what a strict decoder takes, its encoder writes again. */
#include "common/base/encode.h"
#include "common/base/error.h"
#include "common/base/queue_id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = slice_make(data, size);
	struct buffer plain, coded;
	char octets[64], digits[2 * sizeof(octets) + 1], text[QUEUE_ID_LEN + 1];
	size_t len;
	uint64_t id;
	buffer_init(&plain, 4096);
	buffer_init(&coded, 8192);
	if (base64_decode(s, &plain) &&
	    (!base64_encode(buffer_slice(&plain), &coded) || !slice_equal(buffer_slice(&coded), s)))
		panic("base64 has two forms");
	buffer_free(&plain);
	buffer_free(&coded);
	if (hex_decode(s, octets, sizeof(octets), &len)) {
		hex_encode(octets, len, digits);
		if (!slice_equal_fold(slice_str(digits), s))
			panic("hex has two forms");
	}
	if (queue_id_parse(s, &id)) {
		queue_id_text(id, text);
		if (!slice_equal_fold(slice_str(text), s))
			panic("an id has two texts");
	}
	if (ascii_only(s) && !utf8_valid(s))
		panic("ASCII is UTF-8");
	return 0;
}
