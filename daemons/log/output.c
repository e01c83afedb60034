/*
 * Lines gather in one buffer during a turn and leave in one write at its end. A file is simply
 * written; standard error may be a pipe that nobody reads, so it is asked before and gets no more
 * than a pipe takes whole; the system's logger gets a packet a line. A logger that has gone (its
 * socket is dead) needs a new socket, which only the master can open: the process ends, and gets it
 * at its next start.
 */
#include "daemons/log/output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/os/disk.h"
#include "common/os/loop.h"
#include "daemons/log/format.h"

enum {
	RETRY_US = 1000000, /* after a write that failed */
	FINISH_TRIES = 20,  /* of FINISH_WAIT_MS each, when the process ends */
	FINISH_WAIT_MS = 50,
	NOTE_SIZE = 64,
	WRITE_NOW = OUTPUT_MEMORY / 4, /* so much more does not wait for the turn's end */
};

enum target { TARGET_STDERR, TARGET_FILE, TARGET_SYSLOG };

static char tag[OUTPUT_NAME_MAX + 1] = "stagepost", our_host[OUTPUT_HOST_MAX + 1] = "localhost";
static enum style style;
static enum target target;
static int fd = -1;
static struct buffer waiting = {.limit = OUTPUT_MEMORY};
static size_t write_at = WRITE_NOW; /* from here on a line tries to have all written */
static uint64_t dropped;
static struct loop_turn turn;
static struct loop_watch room; /* only while the other end is full */
static struct loop_timer retry;

void output_name(struct slice name, enum style new_style, const char *host)
{
	if (name.len > 0)
		slice_copy(name, tag, sizeof(tag));
	style = new_style;
	slice_copy(slice_sub(slice_str(host), 0, OUTPUT_HOST_MAX), our_host, sizeof(our_host));
}

void output_use(struct slice name, int new_fd)
{
	loop_watch_stop(&room);
	loop_timer_stop(&retry);
	if (fd >= 0)
		close(fd);
	fd = new_fd;
	target = TARGET_STDERR;
	if (slice_equal(name, SLICE("file")))
		target = TARGET_FILE;
	else if (slice_equal(name, SLICE("syslog")))
		target = TARGET_SYSLOG;
}

struct writing {
	const struct log_entry *entry;
	pid_t pid;
};

static bool add_line(void *arg, struct slice role, struct slice text)
{
	const struct writing *w = arg;
	struct log_entry said = *w->entry;
	said.text = text;
	if (target == TARGET_SYSLOG)
		return format_syslog(&waiting, tag, role, w->pid, &said);
	switch (style) {
	case STYLE_POSTFIX:
		return format_host(&waiting, our_host, tag, role, w->pid, &said);
	case STYLE_JSON:
		return format_bare(&waiting, &said);
	case STYLE_TEXT:
		break;
	}
	return format_text(&waiting, tag, role, w->pid, &said);
}

static bool add(const struct log_entry *entry, struct slice role, pid_t pid)
{
	struct writing w = {entry, pid};
	return style_write(style, entry, role, pid, add_line, &w);
}

/* The count of dropped lines takes the place that comes first. */
static bool add_dropped(uint64_t wall_us)
{
	char text[NOTE_SIZE];
	struct log_entry note = {.level = LOG_LEVEL_WARNING, .wall_us = wall_us};
	int n = snprintf(text, sizeof(text), "- dropped lines=%llu", (unsigned long long)dropped);
	note.text = slice_make(text, (size_t)n);
	if (!add(&note, SLICE("log"), getpid()))
		return false;
	dropped = 0;
	return true;
}

void output_line(const struct log_entry *entry, struct slice role, pid_t pid)
{
	if (waiting.len > write_at)
		output_turn();
	if ((dropped > 0 && !add_dropped(entry->wall_us)) || !add(entry, role, pid))
		dropped++;
}

/* How many octets left, or -1 and errno. */
static ssize_t write_once(void)
{
	struct slice all = buffer_slice(&waiting);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	struct slice line, rest;
	struct iovec iov;
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	switch (target) {
	case TARGET_STDERR:
		errno = EAGAIN;
		if (poll(&p, 1, 0) <= 0)
			return -1;
		all.len = all.len < PIPE_BUF ? all.len : PIPE_BUF;
		break;
	case TARGET_FILE:
		break;
	case TARGET_SYSLOG:
		slice_split(all, '\n', &line, &rest);
		iov = (struct iovec){(void *)(uintptr_t)line.ptr, line.len};
		if (sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno != EMSGSIZE)
				return -1;
			dropped++; /* the logger will never take it */
		}
		return (ssize_t)line.len + 1;
	}
	return disk_point(DISK_WRITE, fd) < 0 ? -1 : write(fd, all.ptr, all.len);
}

static void again(void *arg)
{
	(void)arg;
	output_turn();
}

static void has_room(void *arg, unsigned what)
{
	(void)arg;
	(void)what;
	loop_watch_stop(&room);
	output_turn();
}

/* False: it stopped with errno. */
static bool write_all(void)
{
	while (waiting.len > 0) {
		ssize_t n = write_once();
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		buffer_consume(&waiting, (size_t)n);
	}
	return true;
}

void output_turn(void)
{
	if (fd < 0 || waiting.len == 0 || loop_timer_active(&retry))
		return;
	if (write_all()) {
		loop_watch_stop(&room);
		buffer_release(&waiting);
	} else if (errno == EAGAIN || errno == ENOBUFS) {
		loop_watch_start(&room, fd, LOOP_WRITE, has_room, NULL);
	} else if (target == TARGET_SYSLOG) {
		_exit(EX_UNAVAILABLE);
	} else {
		loop_timer_start(&retry, RETRY_US, again, NULL);
	}
	write_at = waiting.len + WRITE_NOW;
}

static void at_turn_end(void *arg)
{
	(void)arg;
	output_turn();
}

void output_start(void)
{
	loop_turn_add(&turn, at_turn_end, NULL);
}

void output_finish(void)
{
	for (int i = 0; i < FINISH_TRIES && fd >= 0 && !write_all(); i++) {
		struct pollfd p = {.fd = fd, .events = POLLOUT};
		if (errno != EAGAIN || poll(&p, 1, FINISH_WAIT_MS) < 0)
			return;
	}
}
