/*
 * sandbox_san: a build with sanitizers. The check for leaks at the end of a process needs ptrace
 * and a process of its own, so it is off in a sandbox; the reports of the others need no further
 * call.
 */
#include <sanitizer/lsan_interface.h>

#include "common/os/sandbox_parts.h"

static int entered;

/* Asked by the leak checker at exit. */
int __lsan_is_turned_off(void)
{
	return entered;
}

void sandbox_build_begin(void)
{
	entered = 1;
}

int sandbox_build_rules(scmp_filter_ctx filter)
{
	(void)filter;
	return 0;
}
