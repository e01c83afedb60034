/*
 * date: the calendar by arithmetic, because gmtime_r and strftime bring a locale and a time zone
 * file into a process that may open none.
 */
#include "common/mail/date.h"

#include "common/mail/calendar.h"

enum { DAY = 86400, HOUR = 3600, MINUTE = 60 };

/* Seconds of the years 1 and 9999: what four digits hold. */
static const int64_t first_second = INT64_C(-62135596800);
static const int64_t last_second = INT64_C(253402300799);

struct calendar calendar_of(int64_t seconds)
{
	struct calendar c;
	int64_t days, era, day_of_era, year_of_era, day_of_year, month;

	if (seconds < first_second)
		seconds = first_second;
	if (seconds > last_second)
		seconds = last_second;
	days = (seconds - first_second) / DAY; /* since 1 January of year 1, a Monday */
	seconds = (seconds - first_second) % DAY;
	c.weekday = (int)((days + 1) % 7);
	c.hour = (int)(seconds / HOUR);
	c.minute = (int)(seconds % HOUR / MINUTE);
	c.second = (int)(seconds % MINUTE);

	/* eras of 400 years that begin on 1 March, so that the leap day is a year's last one */
	days += 306;
	era = days / 146097;
	day_of_era = days % 146097;
	year_of_era =
	    (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	month = (5 * day_of_year + 2) / 153; /* 0: March */
	c.day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
	c.month = (int)(month < 10 ? month + 3 : month - 9);
	c.year = (int)(era * 400 + year_of_era + (month >= 10));
	return c;
}

/* So many digits of number; where the next octet goes. Each message that is received has a date,
 * and printf would be dearer than all the rest of it. */
static char *digits(char *to, int number, int count)
{
	for (int i = count; i-- > 0; number /= 10)
		to[i] = (char)('0' + number % 10);
	return to + count;
}

static char *word(char *to, const char *three)
{
	memcpy(to, three, 3);
	return to + 3;
}

struct slice date_text(int64_t seconds, int offset, char dst[DATE_SIZE])
{
	static const char weekdays[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	int minutes;
	struct calendar c;
	char *to = dst;

	if (offset <= -DAY || offset >= DAY)
		offset = 0;
	offset -= offset % MINUTE;
	/* before the offset is added, so that the sum stays in 64 bits */
	if (seconds < first_second)
		seconds = first_second;
	if (seconds > last_second)
		seconds = last_second;
	c = calendar_of(seconds + offset);
	minutes = (offset < 0 ? -offset : offset) / MINUTE;
	to = word(to, weekdays[c.weekday]);
	*to++ = ',';
	*to++ = ' ';
	to = digits(to, c.day, c.day < 10 ? 1 : 2);
	*to++ = ' ';
	to = word(to, months[c.month - 1]);
	*to++ = ' ';
	to = digits(to, c.year, 4);
	*to++ = ' ';
	to = digits(to, c.hour, 2);
	*to++ = ':';
	to = digits(to, c.minute, 2);
	*to++ = ':';
	to = digits(to, c.second, 2);
	*to++ = ' ';
	*to++ = offset < 0 ? '-' : '+';
	to = digits(to, minutes / 60, 2);
	to = digits(to, minutes % 60, 2);
	*to = '\0';
	return slice_make(dst, (size_t)(to - dst));
}
