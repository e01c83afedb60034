/*
 * output: where lines go. While they can't be written they are kept in bounded memory; what does
 * not fit is counted, and the count written when there is room again.
 */
#ifndef DAEMONS_LOG_OUTPUT_H
#define DAEMONS_LOG_OUTPUT_H

#include "common/base/slice.h"
#include "common/os/log_output.h"
#include "daemons/log/style.h"

enum { OUTPUT_MEMORY = 1024 * 1024, OUTPUT_NAME_MAX = 32, OUTPUT_HOST_MAX = 64 };

/* First word of each line's tag, and the style of the lines; host: ours, for Postfix's form. */
void output_name(struct slice name, enum style style, const char *host);
void output_use(struct slice target, int fd); /* stderr, file or syslog; owns fd */
void output_start(void);		      /* from now on it writes at the end of each turn */
void output_line(const struct log_entry *entry, struct slice role, pid_t pid);
void output_turn(void);	  /* writes what can be written now */
void output_finish(void); /* tries a little longer; the process ends after it */

#endif
