/*
 * landing: the directory of a file that root may be about to replace, reached without following a
 * symbolic link that somebody else could have put there: such links are followed only out of
 * directories in which root, or who runs this, alone may write.
 */
#ifndef COMMANDS_STAGEPOST_LANDING_H
#define COMMANDS_STAGEPOST_LANDING_H

#include "common/base/error.h"
#include "common/base/slice.h"

enum { LANDING_NAME_SIZE = 256 };

/* Opens the directory of path; name is what is left, no link itself (or not there). Returns the
 * descriptor; -1 with code 65 (EX_DATAERR) or 77 (EX_NOPERM). */
int landing_open(const char *path, char name[LANDING_NAME_SIZE], struct error *e);

#endif
