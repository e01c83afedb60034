/*
 * watch: is there something new in a directory? A descriptor that becomes readable costs nothing
 * while nothing happens.
 */
#ifndef COMMON_OS_WATCH_H
#define COMMON_OS_WATCH_H

/* A descriptor for the loop that becomes readable when a file has got a name in the directory;
 * non-blocking, close-on-exec. -1 and errno: this kernel, user or file system can't. Before the
 * sandbox. */
int watch_directory(int dirfd);
/* Takes what has been told, so that the next news is news. */
void watch_clear(int fd);

#endif
