/*
 * dsn_parts: what the files of dsn share. Private to them.
 */
#ifndef COMMON_MAIL_DSN_PARTS_H
#define COMMON_MAIL_DSN_PARTS_H

#include "common/mail/dsn.h"

/* Lines folded at blanks, with room for one error. */
struct dsn_out {
	struct buffer *out;
	size_t column;
	bool full;
};

void dsn_put(struct dsn_out *o, struct slice s);
/* s as it is, but for octets that could harm: controls (utf8_steers() too), what is no UTF-8, and
 * without `utf8` all that is not ASCII, become '?'. */
void dsn_put_clean(struct dsn_out *o, struct slice s, bool utf8);
/* The same word by word, going to a next line, which begins with `indent`, where one gets long. */
void dsn_put_words(struct dsn_out *o, struct slice s, bool utf8, struct slice indent);
void dsn_line_end(struct dsn_out *o);
void dsn_put_number(struct dsn_out *o, uint64_t number);

/* Every recipient of that action; *at 0 at first. NULL at the end. */
const struct dsn_recipient *dsn_next(const struct dsn *d, enum dsn_action action, size_t *at);

/* dsn_status.c, dsn_text.c: a part's content. */
void dsn_status_write(const struct dsn *d, const struct dsn_plan *plan, struct dsn_out *o);
void dsn_text_write(const struct dsn *d, const struct dsn_plan *plan, struct dsn_out *o);

#endif
