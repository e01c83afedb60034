/*
 * spool_sizes_nofaults: the normal build, in which files have the sizes that the README says.
 */
#include "queue/store/spool_parts.h"

void spool_sizes(uint32_t *segment, uint32_t *ledger)
{
	(void)segment, (void)ledger;
}
