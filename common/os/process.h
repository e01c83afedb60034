/*
 * process: what every program of ours does first, and what it is called in ps.
 */
#ifndef COMMON_OS_PROCESS_H
#define COMMON_OS_PROCESS_H

/* First thing in main(): descriptors 0, 1 and 2 are open (on /dev/null when they were not), SIGPIPE
 * is ignored, umask is 077, the room for the title is set aside. */
void process_begin(int argc, char **argv);
/* "stagepost: ..." in ps; after the sandbox too. */
void process_title(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
