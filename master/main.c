/*
 * master: starts, wires, watches and stops all daemons of stagepost. See master(8).
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/slice.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/process.h"
#include "master/detach.h"
#include "master/supervisor.h"

static const char usage[] = "usage: master -c FILE [--foreground] [--ready-fd N]\n";

enum { OPTION_FOREGROUND = 1, OPTION_READY_FD };
static const struct option options[] = {
    {"foreground", no_argument, NULL, OPTION_FOREGROUND},   /* do not go to the background */
    {"ready-fd", required_argument, NULL, OPTION_READY_FD}, /* told when all serves */
    {0},
};

static int wrong(const char *why)
{
	fprintf(stderr, "master: %s\n%s", why, usage);
	return EX_USAGE;
}

int main(int argc, char **argv)
{
	const char *config = NULL;
	bool foreground = false;
	uint64_t ready_fd = 0;
	int option;
	process_begin(argc, argv);
	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (option == 'c')
			config = optarg;
		else if (option == OPTION_FOREGROUND)
			foreground = true;
		else if (option != OPTION_READY_FD ||
			 !slice_number(slice_str(optarg), INT32_MAX, &ready_fd) || ready_fd < 3)
			return wrong("bad arguments");
	}
	if (!config || optind != argc)
		return wrong("needs -c FILE and nothing else");
	if (ready_fd && !detach_tell_also((int)ready_fd))
		return wrong("the descriptor of --ready-fd is not open");
	disk_faults_role("master");
	clock_warm();
	if (!foreground)
		detach_to_background();
	process_title("master %s", config);
	return supervisor_run(config, detach_tell);
}
