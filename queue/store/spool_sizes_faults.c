/*
 * spool_sizes_faults: STAGEPOST_SPOOL_SIZES=SEGMENT:LEDGER, octets, lets a few messages fill files,
 * so that a test sees them sealed, lent again and left behind.
 */
#include <stdlib.h>

#include "common/base/error.h"
#include "queue/store/spool_parts.h"

void spool_sizes(uint32_t *segment, uint32_t *ledger)
{
	const char *sizes = getenv("STAGEPOST_SPOOL_SIZES");
	struct slice first, second;
	uint64_t a, b;
	if (!sizes || !*sizes)
		return;
	if (!slice_split(slice_str(sizes), ':', &first, &second) ||
	    !slice_number(first, UINT32_MAX, &a) || !slice_number(second, UINT32_MAX, &b))
		fatal("STAGEPOST_SPOOL_SIZES: bad sizes %s", sizes);
	*segment = *segment ? *segment : (uint32_t)a;
	*ledger = *ledger ? *ledger : (uint32_t)b;
}
