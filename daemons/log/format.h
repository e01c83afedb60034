/*
 * format: a log line as it is written.
 */
#ifndef DAEMONS_LOG_FORMAT_H
#define DAEMONS_LOG_FORMAT_H

#include "common/base/buffer.h"
#include "common/os/log_output.h"

enum { FORMAT_LINE_MAX = 4 * LOG_LINE_MAX }; /* octets of a text; JSON makes it longer */

/* Appends "TIME NAME/ROLE[PID]: TEXT\n", TIME as RFC 3339 5.6 in local time; false: no room. */
bool format_text(struct buffer *b, const char *name, struct slice role, pid_t pid,
		 const struct log_entry *entry);
/* "Nov 24 06:02:03 HOST NAME/ROLE[PID]: TEXT\n", as Postfix writes a file of its own. */
bool format_host(struct buffer *b, const char *host, const char *name, struct slice role, pid_t pid,
		 const struct log_entry *entry);
/* The text and a newline. */
bool format_bare(struct buffer *b, const struct log_entry *entry);
/* The same as a packet to the system's logger (RFC 3164 4.1), and a newline. */
bool format_syslog(struct buffer *b, const char *name, struct slice role, pid_t pid,
		   const struct log_entry *entry);

#endif
