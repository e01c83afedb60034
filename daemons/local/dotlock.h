/*
 * dotlock: the lock file beside a mailbox, FILE.lock, which every mail program of the machine
 * knows, over NFS too.
 */
#ifndef DAEMONS_LOCAL_DOTLOCK_H
#define DAEMONS_LOCAL_DOTLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Makes it; 0, or an errno: EEXIST when another holds it. One that is older than stale_us is
 * removed first. */
int dotlock_try(int dir, const char *name, uint64_t stale_us);
void dotlock_release(int dir, const char *name);

#endif
