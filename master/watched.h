/*
 * watched: a file that is looked at each second, and opened anew when it is another or was changed.
 */
#ifndef MASTER_WATCHED_H
#define MASTER_WATCHED_H

#include <stdbool.h>
#include <sys/stat.h>

struct watched {
	char *path;
	int fd;		    /* read-only; -1: not open */
	struct stat seen;   /* of fd */
	struct stat latest; /* at the last look; with looks > 0 */
	unsigned looks;	    /* that found it changed, since it was opened */
	bool missing;	    /* and told so */
};

void watched_init(struct watched *w, const char *path);
void watched_free(struct watched *w); /* what it holds; closes fd */
/* False with errno, and what was open stays; EINVAL: it is not a regular file. */
bool watched_open(struct watched *w);
/* True: its content is new, and fd a fresh descriptor; at the second look that finds it the same,
 * at the third at the latest. A file that has gone keeps its old content, and is named in the log
 * once, as `what` PATH. One that was never open is tried each time, in silence. */
bool watched_look(struct watched *w, const char *what);

#endif
