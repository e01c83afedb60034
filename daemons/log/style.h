/*
 * style: in which words an event is written (`log ... text|postfix|json`). An event may become
 * several lines, or none.
 */
#ifndef DAEMONS_LOG_STYLE_H
#define DAEMONS_LOG_STYLE_H

#include "common/base/buffer.h"
#include "common/os/log_output.h"

enum style { STYLE_TEXT, STYLE_POSTFIX, STYLE_JSON };

/* Of the setting's word; text for any other. */
enum style style_find(struct slice word);

/* One line is ready: as whom, and what. False: no room, no more lines. */
typedef bool style_line(void *arg, struct slice role, struct slice text);
/* False when line() said so. */
bool style_write(enum style style, const struct log_entry *entry, struct slice role, pid_t pid,
		 style_line *line, void *arg);

/* postfix.c: the lines that Postfix writes, as programs know them that read its log (pflogsumm,
 * logwatch, fail2ban, exporters). */
bool postfix_write(const struct log_entry *entry, struct slice role, style_line *line, void *arg);
/* json.c: one object a line: time, role, pid, level, id, event, then the event's pairs. */
bool json_write(const struct log_entry *entry, struct slice role, pid_t pid, style_line *line,
		void *arg);

#endif
