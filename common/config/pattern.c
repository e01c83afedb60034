/*
 * A colon tells a table from all else; whether the table is a good one is table_open's to say.
 */
#include "common/config/pattern.h"

#include "common/mail/address.h"

bool pattern_is_table(struct slice text)
{
	/* a colon is in no domain, and in an address only inside quotes or a literal */
	size_t colon = slice_find(text, ':');
	return colon < text.len && colon < slice_find(text, '"') && colon < slice_find(text, '[');
}

const char *pattern_fault(struct slice text)
{
	struct address a;
	if (pattern_is_table(text))
		return NULL; /* check has table_open judge it */
	if (text.len > 0 && text.ptr[0] == '@')
		return "for a domain write its name alone";
	if (slice_find(text, '@') == text.len) {
		if (slice_starts(text, SLICE(".")))
			text = slice_from(text, 1);
		return address_domain_valid(text, true)
			   ? NULL
			   : "that is no address, domain, .domain or table";
	}
	enum address_fault fault = address_parse(text, ADDRESS_UTF8, &a);
	return fault == ADDRESS_FINE ? NULL : address_fault_text(fault);
}
