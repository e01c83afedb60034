/* address: whatever parses is written to a text that parses to the same. */
#include <stdlib.h>

#include "common/mail/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[ADDRESS_SIZE], key[ADDRESS_SIZE];
	struct address a, b;
	struct slice base, extension, canonical;

	if (size == 0)
		return 0;
	if (address_parse(slice_make(data + 1, size - 1), data[0] & 3, &a) != ADDRESS_FINE) {
		if (!address_is_null(&a))
			abort();
		return 0;
	}
	canonical = address_text(&a, text);
	if (canonical.len > ADDRESS_MAX || address_is_null(&a) ||
	    address_end(canonical) != canonical.len)
		abort();
	if (address_parse(canonical, data[0] & 3, &b) != ADDRESS_FINE ||
	    !slice_equal(address_local(&a), address_local(&b)) ||
	    !slice_equal(address_domain(&a), address_domain(&b)) || a.kind != b.kind)
		abort();
	(void)address_key(&a, key);
	(void)address_extension(address_local(&a), '+', &base, &extension);
	(void)address_path_safe(base);
	return 0;
}
