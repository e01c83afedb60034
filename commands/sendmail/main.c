/*
 * sendmail: takes a message from a program on this machine. See sendmail(8).
 */
#include <stdio.h>
#include <sysexits.h>

#include "commands/sendmail/sendmail.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/process.h"

int main(int argc, char **argv)
{
	struct options o;
	struct error e = {0};
	process_begin(argc, argv);
	clock_warm();
	disk_faults_role("sendmail");
	if (privilege_begin(&e) && options_parse(&o, argc, argv, &e))
		return sendmail_run(&o);
	fprintf(stderr, "sendmail: %s\n", e.text);
	return e.code;
}
