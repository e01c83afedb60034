/*
 * clock: the clocks of the kernel, and the local time zone as the C library read it at
 * clock_warm(). localtime_r() never looks at the zone's file again, unlike localtime().
 */
#include "common/os/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/os/clock_read.h"

uint64_t clock_boot_us(void)
{
	return clock_read(CLOCK_BOOTTIME);
}

uint64_t clock_monotonic_us(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

uint64_t clock_wall_us(void)
{
	return clock_read(CLOCK_REALTIME);
}

static int local_time(uint64_t wall_us, struct tm *tm)
{
	time_t seconds = (time_t)(wall_us / CLOCK_SECOND);
	if (!localtime_r(&seconds, tm)) {
		*tm = (struct tm){.tm_mday = 1, .tm_year = 70};
		return 0;
	}
	return (int)(tm->tm_gmtoff / 60);
}

size_t clock_format_local(uint64_t wall_us, char text[CLOCK_TEXT_SIZE])
{
	struct tm tm;
	int offset = local_time(wall_us, &tm);
	int year = tm.tm_year + 1900;
	if (year > 9999) /* RFC 3339 1: no year over 9999 */
		year = 9999;
	int len = snprintf(text, CLOCK_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%06u%c%02d:%02d",
			   year, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
			   (unsigned)(wall_us % CLOCK_SECOND), offset < 0 ? '-' : '+',
			   abs(offset) / 60, abs(offset) % 60);
	return (size_t)len;
}

/* Asked for each message; it changes on a quarter of an hour at the soonest, if at all. */
static const uint64_t quarter = 15 * 60 * CLOCK_SECOND;
static _Thread_local uint64_t known = UINT64_MAX; /* the quarter whose offset this is */
static _Thread_local int offset;

int clock_offset_minutes(uint64_t wall_us)
{
	struct tm tm;
	if (wall_us / quarter != known) {
		known = wall_us / quarter;
		offset = local_time(wall_us, &tm);
	}
	return offset;
}

void clock_warm(void)
{
	tzset();
	known = UINT64_MAX;
	clock_offset_minutes(clock_wall_us());
}
