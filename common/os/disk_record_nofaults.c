/*
 * disk_record_nofaults: the normal build, which keeps no record.
 */
#include "common/os/disk_record.h"

void disk_record_open(const char *role)
{
	(void)role;
}

void disk_record_begin(struct disk_act *a)
{
	(void)a;
}

void disk_record_end(const struct disk_act *a, int result, bool skipped)
{
	(void)a, (void)result, (void)skipped;
}
