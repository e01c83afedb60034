/*
 * idle: stands in for any daemon, named by its own file name, where a test is about the master
 * alone. It serves, does nothing, and drains at once.
 */
#include "common/service/service.h"

static void nothing(void)
{
}

int main(int argc, char **argv)
{
	static struct service idle = {.start = nothing};
	const char *dash = strchr(argv[0], '-');
	static char name[32];
	slice_copy(slice_make(argv[0], dash ? (size_t)(dash - argv[0]) : strlen(argv[0])), name,
		   sizeof(name));
	idle.name = name;
	return service_run(&idle, argc, argv);
}
