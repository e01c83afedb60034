/*
 * lock: open-file-description locks (F_OFD_SETLK) on whole files. Such a lock belongs to the open
 * file, not to the process: it goes with a descriptor that is passed or inherited, and ends when
 * the last copy is closed. No call waits.
 */
#ifndef COMMON_OS_LOCK_H
#define COMMON_OS_LOCK_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/base/error.h"

/* 0, or -1 and errno; EAGAIN: another holds it. An exclusive lock needs a descriptor that is open
 * for writing, a shared one a descriptor that is open for reading. */
int lock_take(int fd, bool exclusive);
int lock_release(int fd);
/* Would lock_take(fd, true) fail because of another's lock? 1, 0, or -1 and errno. */
int lock_held_by_other(int fd);

/* Has nobody else the file open, by any name, in any way? 1, 0, or -1 and errno where nobody can
 * tell (some file systems; what is not our own; EINVAL: no regular file). fd is open for writing.
 */
int lock_alone(int fd);

/* Opens (or makes, 0600) the file, locks it exclusively and writes our process id and a newline
 * into it. On success *fd is the descriptor to keep. On failure false; e->code is EAGAIN when
 * another holds it, and then *holder is the id it wrote (0: not readable), else the errno. */
bool lock_file_take(int dirfd, const char *name, int *fd, pid_t *holder, struct error *e);

#endif
