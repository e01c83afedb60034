/*
 * idna: the one place that knows libidn2. Most names are ASCII and never reach it.
 */
#include <idn2.h>

#include "common/base/memory.h"
#include "common/mail/idna.h"

bool idna_is_ascii(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] >= 0x80)
			return false;
	return true;
}

static bool convert(struct slice domain, char dst[ADDRESS_SIZE])
{
	char name[ADDRESS_SIZE];
	uint8_t *labels = NULL;
	bool fine;

	if (!slice_copy(domain, name, sizeof(name)))
		return false;
	if (idn2_lookup_u8((const uint8_t *)name, &labels, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) !=
	    IDN2_OK)
		return false;
	fine = slice_copy(slice_str((const char *)labels), dst, ADDRESS_SIZE);
	idn2_free(labels);
	return fine;
}

bool idna_ascii(struct slice domain, char dst[ADDRESS_SIZE], struct slice *ascii)
{
	bool fine;

	*ascii = SLICE_EMPTY;
	if (idna_is_ascii(domain))
		fine = slice_copy(domain, dst, ADDRESS_SIZE);
	else
		fine = convert(domain, dst);
	if (!fine)
		return false;
	*ascii = slice_str(dst);
	slice_lower(*ascii, dst);
	return ascii->len > 0 && ascii->len <= ADDRESS_DOMAIN_MAX;
}
