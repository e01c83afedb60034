/*
 * log_output: where log lines go. A daemon's go to the log daemon by its channel, gathered for a
 * turn of the loop; a command's, and a daemon's before it has the channel, to standard error.
 * Nothing here waits, and any thread may log.
 *
 * A packet on the channel (SOCK_SEQPACKET or SOCK_DGRAM) is at most LOG_PACKET_MAX octets of whole
 * lines, each "L TIME PID ROLE TEXT\n": L the level's digit (enum log_level), TIME wall clock
 * microseconds, PID the sender's, ROLE its role. When the log daemon does not keep up, lines are
 * dropped and counted; the next packet then ends with a line whose TEXT is "- dropped lines=N".
 */
#ifndef COMMON_OS_LOG_OUTPUT_H
#define COMMON_OS_LOG_OUTPUT_H

#include <sys/types.h>

#include "common/base/log.h"

enum { LOG_PACKET_MAX = 32 * 1024, LOG_ROLE_MAX = 32 };

/* From now on, lines of this level and above go there: at the end of the loop's turn, when a packet
 * is full, and at once (with what was gathered) for LOG_LEVEL_ERROR. The descriptor stays open; it
 * is used with MSG_DONTWAIT. A child that goes on logging after fork() calls this again. A channel
 * that is closed at the other end drops all. */
void log_output_channel(int fd, const char *role, enum log_level least);
/* "TIME stagepost/ROLE[PID]: TEXT", RFC 3339 local time, each line in one write. Without a terminal
 * or a reader nothing happens. */
void log_output_stderr(const char *role, enum log_level least);
/* Sends what is gathered; for a process that ends outside the loop. */
void log_output_flush(void);
/* How many lines were dropped since the start. */
uint64_t log_output_dropped(void);

struct log_entry {
	enum log_level level;
	uint64_t wall_us;
	pid_t pid;
	struct slice role; /* into the packet */
	struct slice text;
};

/* Takes the next line off a packet (which may hold anything); false: none left, or not a line
 * (then the packet is emptied). */
bool log_output_next(struct slice *packet, struct log_entry *entry);

#endif
