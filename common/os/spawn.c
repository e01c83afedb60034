/*
 * spawn: fork and exec. Between the two the child calls nothing but async-signal-safe functions; a
 * step that fails is told to the parent through a close-on-exec pipe, whose silent end means
 * success.
 */
#include "common/os/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child tells when it fails. */
struct failure {
	int code;
	char step[12];
};

struct plan {
	const struct spawn *spawn;
	struct spawn_fd fds[SPAWN_FDS_MAX + 3]; /* with /dev/null where 0, 1, 2 are not given */
	size_t fd_count;
	int above; /* no number in the program reaches this */
	int tell;  /* the pipe */
};

static _Noreturn void give_up(int tell, const char *step)
{
	struct failure f = {.code = errno};
	strncpy(f.step, step, sizeof(f.step) - 1);
	/* When nobody reads, the exit code still says that the program did not start. */
	if (write(tell, &f, sizeof(f)) < 0)
		_exit(126);
	_exit(127);
}

/* What the system call takes; its handler 0 is the default. */
struct kernel_action {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

static void default_signals(void)
{
	struct sigaction action = {.sa_handler = SIG_DFL};
	for (int number = 1; number < NSIG; number++)
		sigaction(number, &action, NULL); /* some can't be changed: they are default */
	/* glibc keeps two for itself and refuses to touch them; its posix_spawn (make uses it)
	 * leaves them ignored in what it starts. */
	struct kernel_action original = {0};
	for (int number = __SIGRTMIN; number < SIGRTMIN; number++)
		syscall(SYS_rt_sigaction, number, &original, NULL, sizeof(original.mask));
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* First all out of the way, so that no number is overwritten while it is still to be copied. */
static void place_fds(struct plan *p)
{
	for (size_t i = 0; i < p->fd_count; i++) {
		p->fds[i].fd = fcntl(p->fds[i].fd, F_DUPFD_CLOEXEC, p->above);
		if (p->fds[i].fd < 0)
			give_up(p->tell, "descriptor");
	}
	for (size_t i = 0; i < p->fd_count; i++)
		if (dup2(p->fds[i].fd, p->fds[i].number) < 0)
			give_up(p->tell, "descriptor");
	/* All descriptors end at exec, but those that were given. */
	if (close_range(0, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		give_up(p->tell, "close_range");
	for (size_t i = 0; i < p->fd_count; i++)
		if (fcntl(p->fds[i].number, F_SETFD, 0) < 0)
			give_up(p->tell, "descriptor");
}

static _Noreturn void child(struct plan *p)
{
	default_signals();
	p->tell = fcntl(p->tell, F_DUPFD_CLOEXEC, p->above);
	if (p->tell < 0)
		_exit(126);
	if (setsid() < 0)
		give_up(p->tell, "setsid");
	if (chdir("/") < 0)
		give_up(p->tell, "chdir");
	umask(077);
	/* Only a hint: a kernel that refuses it runs the program as usual. */
	if (p->spawn->batch)
		(void)sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
	place_fds(p);
	execve(p->spawn->path, p->spawn->argv, p->spawn->environment);
	give_up(p->tell, "exec");
}

static bool plan_make(struct plan *p, const struct spawn *s, int null, struct error *e)
{
	bool standard[3] = {false, false, false};
	p->spawn = s;
	p->above = 3;
	if (s->fd_count > SPAWN_FDS_MAX)
		return error_set(e, E2BIG, "%s: over %d descriptors", s->path, SPAWN_FDS_MAX);
	for (size_t i = 0; i < s->fd_count; i++) {
		p->fds[p->fd_count++] = s->fds[i];
		if (s->fds[i].number >= p->above)
			p->above = s->fds[i].number + 1;
		if (s->fds[i].number < 3)
			standard[s->fds[i].number] = true;
	}
	for (int number = 0; number < 3; number++)
		if (!standard[number])
			p->fds[p->fd_count++] = (struct spawn_fd){null, number};
	return true;
}

/* Forks with all signals blocked: no handler of ours may run in the child. */
static pid_t fork_blocked(void)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = fork();
	int error = errno;
	if (pid != 0)
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return pid;
}

static pid_t start(struct plan *p, struct error *e)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0) {
		error_set(e, errno, "pipe: %s", strerror(errno));
		return -1;
	}
	p->tell = ends[1];
	pid_t pid = fork_blocked();
	if (pid == 0)
		child(p);
	int error = errno;
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		error_set(e, error, "fork: %s", strerror(error));
		return -1;
	}
	struct failure f;
	ssize_t n = TEMP_FAILURE_RETRY(read(ends[0], &f, sizeof(f)));
	close(ends[0]);
	if (n == 0)
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (n != sizeof(f))
		error_set(e, EIO, "%s did not start", p->spawn->path);
	else
		error_set(e, f.code, "%s: %.*s: %s", p->spawn->path, (int)sizeof(f.step), f.step,
			  strerror(f.code));
	return -1;
}

pid_t spawn_start(const struct spawn *s, struct error *e)
{
	struct plan p = {.fd_count = 0};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0) {
		error_set(e, errno, "/dev/null: %s", strerror(errno));
		return -1;
	}
	pid_t pid = plan_make(&p, s, null, e) ? start(&p, e) : -1;
	close(null);
	return pid;
}
