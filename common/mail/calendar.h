/*
 * calendar: seconds since 1970 UTC as a Gregorian date.
 */
#ifndef COMMON_MAIL_CALENDAR_H
#define COMMON_MAIL_CALENDAR_H

#include <stdint.h>

struct calendar {
	int year;    /* 1-9999 */
	int month;   /* 1-12 */
	int day;     /* 1-31 */
	int weekday; /* 0: Sunday */
	int hour, minute, second;
};

/* Times outside the years 1-9999 are cut to them. */
struct calendar calendar_of(int64_t seconds);

#endif
