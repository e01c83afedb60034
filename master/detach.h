/*
 * detach: how whoever started the master hears that it serves, or why not.
 */
#ifndef MASTER_DETACH_H
#define MASTER_DETACH_H

#include "common/base/error.h"

/* Goes to the background: returns in a child with a session of its own. The parent waits for
 * detach_tell(), says on standard error what is wrong, and exits. */
void detach_to_background(void);
bool detach_done(void); /* whether we are that child */
/* Another descriptor that is told, given by number; false: it is not open. */
bool detach_tell_also(int fd);
/* Once: e NULL: one newline; else the sentence and a newline, on standard error when nobody else
 * listens. Then standard input, output and error of a process in the background are closed. */
void detach_tell(const struct error *e);

#endif
