/*
 * log_output: one sink at a time. The channel's sink gathers lines in a packet of this process,
 * which the loop sends at the end of the turn; what the log daemon does not take stays until it
 * does, and only lines that find the packet full are dropped.
 */
#include "common/os/log_output.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/encode.h"
#include "common/os/clock.h"
#include "common/os/loop.h"

enum {
	/* level, time, process id, role, each with what stands behind it, and the line's end */
	PREFIX_SIZE = 3 * (DECIMAL_MAX + 1) + LOG_ROLE_MAX + 1,
	NOTE_SIZE = PREFIX_SIZE + 64, /* the line that tells of dropped ones */
	GATHER_SIZE = LOG_PACKET_MAX - NOTE_SIZE,
	RETRY_US = 100 * 1000, /* when the loop has nothing else to wake it */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards all below but turn and retry */
static char role[LOG_ROLE_MAX];
static size_t role_len;
static int channel = -1;
static pid_t sender; /* who opened the channel: asked once, not for each line */
static char gathered[GATHER_SIZE];
static size_t gathered_len;
static uint64_t gathered_lines;
static uint64_t dropped;	/* since the start */
static uint64_t dropped_untold; /* not yet in a packet */
static struct loop_turn turn;
static struct loop_timer retry;

/* One word of the prefix and a blank; how long they are. */
static size_t put_number(char *to, uint64_t number)
{
	size_t len = decimal_write(number, to);
	to[len] = ' ';
	return len + 1;
}

/* "L TIME PID ROLE TEXT\n"; 0 when it does not fit. */
static size_t format_line(char *to, size_t size, enum log_level level, struct slice text)
{
	size_t len = 0;
	if (size < PREFIX_SIZE || text.len > size - PREFIX_SIZE)
		return 0;
	len += put_number(to, (uint64_t)level);
	len += put_number(to + len, clock_wall_us());
	len += put_number(to + len, (uint64_t)sender);
	memcpy(to + len, role, role_len);
	len += role_len;
	to[len++] = ' ';
	memcpy(to + len, text.ptr, text.len);
	len += text.len;
	to[len++] = '\n';
	return len;
}

static void forget_gathered(void)
{
	gathered_len = 0;
	gathered_lines = 0;
}

static void drop(uint64_t lines)
{
	dropped += lines;
	dropped_untold += lines;
}

/* With the mutex held. True when nothing is left. */
static bool send_gathered(void)
{
	if (gathered_len == 0 && dropped_untold == 0)
		return true;
	char note[NOTE_SIZE], text[64];
	size_t note_len = 0;
	if (dropped_untold > 0) {
		snprintf(text, sizeof(text), "- dropped lines=%llu",
			 (unsigned long long)dropped_untold);
		note_len = format_line(note, sizeof(note), LOG_LEVEL_WARNING, slice_str(text));
	}
	struct iovec iov[] = {{gathered, gathered_len}, {note, note_len}};
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n;
	do
		n = sendmsg(channel, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0) {
		dropped_untold = 0;
		forget_gathered();
		return true;
	}
	if (errno == EAGAIN || errno == ENOBUFS)
		return false;
	/* Nobody is there; the master gives a new channel. */
	drop(gathered_lines);
	forget_gathered();
	return true;
}

static void channel_sink(enum log_level level, struct slice text)
{
	int error = errno;
	pthread_mutex_lock(&mutex);
	if (PREFIX_SIZE + text.len > sizeof(gathered) - gathered_len)
		send_gathered();
	size_t len =
	    format_line(gathered + gathered_len, sizeof(gathered) - gathered_len, level, text);
	gathered_len += len;
	if (len > 0)
		gathered_lines++;
	else
		drop(1);
	/* What ends the process must not wait for a turn that never comes. */
	if (level >= LOG_LEVEL_ERROR)
		send_gathered();
	pthread_mutex_unlock(&mutex);
	errno = error;
}

static void at_turn_end(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&mutex);
	bool all = send_gathered();
	pthread_mutex_unlock(&mutex);
	if (all)
		loop_timer_stop(&retry);
	else if (!loop_timer_active(&retry))
		loop_timer_start(&retry, RETRY_US, at_turn_end, NULL);
}

static void set_role(const char *name)
{
	snprintf(role, sizeof(role), "%s", name);
	role_len = strlen(role);
}

void log_output_channel(int fd, const char *name, enum log_level least)
{
	pthread_mutex_lock(&mutex);
	set_role(name);
	channel = fd;
	sender = getpid();
	pthread_mutex_unlock(&mutex);
	loop_turn_add_last(&turn, at_turn_end, NULL);
	log_set_sink(channel_sink, least);
}

static void stderr_sink(enum log_level level, struct slice text)
{
	(void)level;
	char when[CLOCK_TEXT_SIZE];
	char line[sizeof(when) + PREFIX_SIZE + LOG_LINE_MAX];
	int error = errno;
	clock_format_local(clock_wall_us(), when);
	int n = snprintf(line, sizeof(line), "%s stagepost/%s[%d]: %.*s\n", when, role,
			 (int)getpid(), SLICE_FMT(text));
	/* Nowhere to tell that standard error is gone. */
	if (n > 0 && (size_t)n < sizeof(line) && write(STDERR_FILENO, line, (size_t)n) < 0)
		errno = 0;
	errno = error;
}

void log_output_stderr(const char *name, enum log_level least)
{
	pthread_mutex_lock(&mutex);
	set_role(name);
	pthread_mutex_unlock(&mutex);
	log_set_sink(stderr_sink, least);
}

void log_output_flush(void)
{
	pthread_mutex_lock(&mutex);
	if (channel >= 0)
		send_gathered();
	pthread_mutex_unlock(&mutex);
}

uint64_t log_output_dropped(void)
{
	pthread_mutex_lock(&mutex);
	uint64_t n = dropped;
	pthread_mutex_unlock(&mutex);
	return n;
}
