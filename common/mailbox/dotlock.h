/*
 * dotlock: the lock file beside a mailbox, FILE.lock, which every mail program of the machine
 * knows, over NFS too.
 */
#ifndef COMMON_MAILBOX_DOTLOCK_H
#define COMMON_MAILBOX_DOTLOCK_H

#include <stdint.h>

/* Makes it; 0, or an errno: EEXIST when another holds it. One of ours whose holder has died, or one
 * that is older than stale_us, is removed first. *held is the descriptor for dotlock_release. */
int dotlock_try(int dir, const char *name, uint64_t stale_us, int *held);
void dotlock_release(int dir, const char *name, int held);

#endif
