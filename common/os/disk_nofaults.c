/*
 * disk_nofaults: the normal build, in which nothing comes between a disk call and the kernel.
 */
#include "common/os/disk.h"

int disk_point(enum disk_op op, int fd)
{
	(void)op, (void)fd;
	return 0;
}

void disk_faults_role(const char *name)
{
	(void)name;
}

bool disk_faults_built(void)
{
	return false;
}
