/*
 * clock: the only place that reads a clock. Times are microseconds in 64 bits.
 */
#ifndef COMMON_OS_CLOCK_H
#define COMMON_OS_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_SECOND UINT64_C(1000000) /* microseconds */

/* Since the boot, suspended time included; never goes back: for intervals and deadlines. */
uint64_t clock_boot_us(void);
/* Since the boot without suspended time: what a service manager compares with. */
uint64_t clock_monotonic_us(void);
/* Since 1970 UTC; the administrator may set it back: for what people and other hosts read. */
uint64_t clock_wall_us(void);

/* Reads the time zone once; call it before the sandbox. Afterwards nothing here opens a file. */
void clock_warm(void);

enum { CLOCK_TEXT_SIZE = 40 };

/* RFC 3339 5.6 local time with microseconds and offset, "2026-11-24T06:04:05.123456+00:00", and a
 * NUL; returns the length. */
size_t clock_format_local(uint64_t wall_us, char text[CLOCK_TEXT_SIZE]);
/* The local zone's offset from UTC at that time, in minutes east (RFC 5322 3.3 zone). */
int clock_offset_minutes(uint64_t wall_us);

#endif
