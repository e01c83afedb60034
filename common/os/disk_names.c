/*
 * disk_names: what the disk operations are called in STAGEPOST_FAULTS and in traces.
 */
#include "common/os/disk.h"

const char *const disk_op_names[DISK_OPS] = {
    [DISK_OPEN] = "open",	  [DISK_CREATE] = "create",	  [DISK_CLOSE] = "close",
    [DISK_READ] = "read",	  [DISK_WRITE] = "write",	  [DISK_FDATASYNC] = "fdatasync",
    [DISK_FSYNC] = "fsync",	  [DISK_FSYNC_DIR] = "fsync-dir", [DISK_WRITEBACK] = "writeback",
    [DISK_SYNC_ALL] = "sync-all", [DISK_ALLOCATE] = "allocate",	  [DISK_TRUNCATE] = "truncate",
    [DISK_LINK] = "link",	  [DISK_UNLINK] = "unlink",	  [DISK_RENAME] = "rename",
    [DISK_MKDIR] = "mkdir",	  [DISK_RMDIR] = "rmdir",	  [DISK_STAT] = "stat",
    [DISK_MODE] = "mode",	  [DISK_SPACE] = "space",	  [DISK_LIST] = "list",
};
