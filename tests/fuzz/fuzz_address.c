/* address: whatever parses is written to a text that parses to the same; A-labels of a domain are
 * ASCII and their own A-labels. */
#include <stdlib.h>

#include "common/mail/idna.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at_labels(struct slice domain)
{
	char text[ADDRESS_SIZE], again_text[ADDRESS_SIZE];
	struct slice ascii, again;

	if (!idna_ascii(domain, text, &ascii))
		return;
	if (!idna_is_ascii(ascii) || !idna_ascii(ascii, again_text, &again) ||
	    !slice_equal(ascii, again))
		abort();
}

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
	look_at_labels(address_domain(&a));
	(void)address_key(&a, key);
	(void)address_extension(address_local(&a), '+', &base, &extension);
	(void)address_path_safe(base);
	return 0;
}
