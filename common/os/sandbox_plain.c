/*
 * sandbox_plain: a build without sanitizers needs no call beyond the profile.
 */
#include "common/os/sandbox_parts.h"

void sandbox_build_begin(void)
{
}

int sandbox_build_rules(scmp_filter_ctx filter)
{
	(void)filter;
	return 0;
}
