/*
 * mailbox_path: from the template of a deliver statement to the path of one mailbox.
 */
#ifndef COMMON_MAIL_MAILBOX_PATH_H
#define COMMON_MAIL_MAILBOX_PATH_H

#include "common/base/slice.h"

enum { MAILBOX_PATH_SIZE = 1024 }; /* with a NUL, relative to the base directory */

/* Puts the domain for %d, the local part for %n, the address for %u. Who asked has checked both,
 * yet they come from strangers: NULL, or why they can't be part of a path (then dst is empty). */
const char *mailbox_path_expand(struct slice template, struct slice user, struct slice domain,
				char dst[MAILBOX_PATH_SIZE]);
/* The template of a system user's mailbox: "~/..." gives an empty base, which is the user's home;
 * else base is the directory before the first %. *rest is the template of what is below it. NULL,
 * or what is wrong. */
const char *mailbox_path_split(struct slice template, struct slice *base, struct slice *rest);

#endif
