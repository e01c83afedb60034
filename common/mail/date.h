/*
 * date: RFC 5322 3.3, written. The time is passed in.
 */
#ifndef COMMON_MAIL_DATE_H
#define COMMON_MAIL_DATE_H

#include "common/base/slice.h"

enum { DATE_SIZE = 40 };

/* "Mon, 28 Sep 2026 10:00:00 +0200" of seconds since 1970 UTC, as seen `offset` seconds east of
 * UTC (under a day; cut to minutes). Years outside 1-9999 are cut to them. */
struct slice date_text(int64_t seconds, int offset, char dst[DATE_SIZE]);

#endif
