/*
 * stop: asks the server to end, and returns when all its processes have. Those are watched through
 * descriptors of processes (pidfd), so no number can come to mean another process meanwhile. When
 * control does not answer, the master is asked by a signal.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "commands/stagepost/place.h"
#include "commands/stagepost/stagepost.h"
#include "commands/stagepost/talk.h"
#include "commands/stagepost/words.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/lock.h"

enum { WATCHED_MAX = 1024, LOCK_LOOK_MS = 5 };
#define ANSWER_US    UINT64_C(10000000) /* then control is taken for dead */
#define STOP_WAIT_US UINT64_C(60000000) /* the master kills what is left after 30 s */

struct watched {
	int fds[WATCHED_MAX];
	size_t count;
};

static void watch(struct watched *w, pid_t pid)
{
	int fd = w->count < WATCHED_MAX ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (fd >= 0)
		w->fds[w->count++] = fd;
}

static void on_process(void *arg, const struct master_process *m)
{
	if (m->pid > 1)
		watch(arg, (pid_t)m->pid);
}

static const struct talk_calls calls = {.process = on_process};

static int left_ms(uint64_t end)
{
	uint64_t now = clock_boot_us();
	return now < end ? (int)((end - now) / 1000) + 1 : 0;
}

static bool wait_processes(struct watched *w, uint64_t end)
{
	bool gone = true;
	for (size_t i = 0; i < w->count; i++) {
		struct pollfd p = {.fd = w->fds[i], .events = POLLIN};
		if (TEMP_FAILURE_RETRY(poll(&p, 1, left_ms(end))) <= 0)
			gone = false;
		close(w->fds[i]);
	}
	w->count = 0;
	return gone;
}

/* A lock tells nobody that it is free, so it is looked at again and again. */
static bool wait_lock(int lock, uint64_t end)
{
	while (lock >= 0 && lock_held_by_other(lock) > 0) {
		if (left_ms(end) == 0)
			return false;
		(void)poll(NULL, 0, LOCK_LOOK_MS);
	}
	return true;
}

static int wait_all(struct watched *w, int lock)
{
	uint64_t end = clock_boot_us() + STOP_WAIT_US;
	if (wait_processes(w, end) && wait_lock(lock, end)) {
		puts("stopped");
		return EX_OK;
	}
	return complain(EX_TEMPFAIL, "the server is stopping, but not all its processes have ended "
				     "yet; see its log");
}

/* 0: it stops. EX_NOPERM: it must not be asked otherwise. */
static int ask(const char *run, struct watched *w)
{
	struct master_ask status = {.verb = MASTER_VERB_STATUS}, stop = {.verb = MASTER_VERB_STOP};
	struct talk_end end;
	struct error e = {0};
	struct talk *t = talk_open(run, &e);
	int code;
	if (!t)
		return e.code == EX_NOPERM ? complain(e.code, "%s", e.text) : e.code;
	code = talk_ask(t, COMMAND_MASTER_ASK, &status, ANSWER_US, &calls, w, &end);
	if (code == EX_OK)
		code = talk_ask(t, COMMAND_MASTER_ASK, &stop, ANSWER_US, NULL, NULL, &end);
	if (code == EX_NOPERM)
		complain(code, "%s", end.text);
	talk_free(&t);
	return code;
}

/* Sends the signal to the process that holds the lock, and to no other: the descriptor is opened
 * first, then the lock is looked at again. */
static int signal_master(int lock, struct watched *w)
{
	pid_t pid = place_master(lock);
	int fd;
	if (pid <= 0)
		return pid == 0 ? EX_OK : complain(EX_TEMPFAIL, "spool/lock: %s", strerror(errno));
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0 && errno == ESRCH)
		return EX_OK;
	if (fd < 0)
		return complain(EX_TEMPFAIL, "process %d: %s", (int)pid, strerror(errno));
	w->fds[w->count++] = fd;
	if (place_master(lock) != pid)
		return EX_OK;
	if (syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) == 0 || errno == ESRCH)
		return EX_OK;
	return complain(errno == EPERM ? EX_NOPERM : EX_TEMPFAIL, "process %d: %s", (int)pid,
			strerror(errno));
}

static int without_control(struct watched *w, int lock, int lock_errno, int code)
{
	if (lock < 0 && lock_errno != ENOENT)
		return complain(lock_errno == EACCES ? EX_NOPERM : EX_TEMPFAIL, "spool/lock: %s",
				strerror(lock_errno));
	if (lock < 0 || place_master(lock) == 0) {
		puts("the server was stopped already");
		return EX_OK;
	}
	w->count = w->count < WATCHED_MAX ? w->count : WATCHED_MAX - 1;
	if (code != EX_UNAVAILABLE)
		complain(EX_OK, "control does not answer: the master is told by a signal");
	code = signal_master(lock, w);
	return code == EX_OK ? wait_all(w, lock) : code;
}

int verb_stop(const char *config_path, int argc, char **argv)
{
	static struct watched w;
	struct config *config;
	int lock, lock_errno, code;
	(void)argv;
	if (argc > 1)
		return complain(EX_USAGE, "stop takes no arguments");
	config = place_known(config_path, &code);
	if (!config)
		return code;
	lock = place_lock(config);
	lock_errno = errno;
	code = ask(config_string(config, "run"), &w);
	if (code == EX_OK)
		code = wait_all(&w, lock);
	else if (code != EX_NOPERM)
		code = without_control(&w, lock, lock_errno, code);
	if (lock >= 0)
		disk_close(lock);
	config_free(&config);
	return code;
}
