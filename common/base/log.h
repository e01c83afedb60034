/*
 * log: builds event lines; where they go is the sink's business (os/log_output).
 *
 * A line is: QID EVENT key=value key=value ... ; QID is "-" when the event is about no message.
 * A value is bare when all its octets are printable ASCII without blank, '"', '=' and '\';
 * otherwise it is quoted "..." with \" \\ and \xHH for every octet outside printable ASCII
 * (UTF-8 that is valid passes, but for what a terminal or a reader of lines takes as control: C1,
 * the separators U+2028 and U+2029, the marks of writing direction), so that no stranger's byte can
 * begin a line or a pair.
 */
#ifndef COMMON_BASE_LOG_H
#define COMMON_BASE_LOG_H

#include "common/base/slice.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };
enum { LOG_LINE_MAX = 2048 }; /* a longer line is cut at a pair's end and marked cut=yes */

struct log_line {
	enum log_level level;
	size_t len;
	bool cut;
	char text[LOG_LINE_MAX];
};

/* One event: start, pairs, end (which hands it to the sink). qid 0 gives "-". */
void log_start(struct log_line *l, enum log_level level, uint64_t qid, const char *event);
void log_pair(struct log_line *l, const char *key, struct slice value);
void log_text(struct log_line *l, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void log_number(struct log_line *l, const char *key, uint64_t value);
void log_end(struct log_line *l);

/* Short form for what has only a sentence: "- notice text=..." at that level. */
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same with an event and a text that is ready: "- EVENT text=...". A text that does not fit is
 * cut, and the line marked. */
void log_sentence(enum log_level level, const char *event, const char *text);

/* The sink gets each finished line (no newline). The default one (NULL) drops it. Lines under
 * `least` are not built. */
typedef void log_sink(enum log_level level, struct slice line);
void log_set_sink(log_sink *sink, enum log_level least);
bool log_has_sink(void); /* whether another than the default one is set */

/* Reading a line again (log daemon, tests): takes the next word or pair off *line. For a word *key
 * is empty and value is the word. value gets *len octets and a NUL behind them. False at the end
 * (*line is empty), and with *line unchanged where it is no pair or does not fit in size. */
bool log_read_pair(struct slice *line, struct slice *key, char *value, size_t size, size_t *len);

#endif
