/*
 * path: from the template of a deliver statement to the path of one mailbox.
 */
#ifndef DAEMONS_LOCAL_PATH_H
#define DAEMONS_LOCAL_PATH_H

#include "common/base/slice.h"

enum { MAILBOX_PATH_SIZE = 1024 }; /* with a NUL, relative to the base directory */

/* Puts the domain for %d, the local part for %n, the address for %u. Who asked has checked both,
 * yet they come from strangers: NULL, or why they can't be part of a path (then dst is empty). */
const char *path_expand(struct slice template, struct slice user, struct slice domain,
			char dst[MAILBOX_PATH_SIZE]);

#endif
