/*
 * taken_over_tries: the attempts themselves. Each is made so that it does no harm when it is
 * allowed: a file is truncated to its own size, a signal is 0, what is opened is closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/os/taken_over_faults.h"

enum { DESCRIPTORS = 1024 };

static int outcome(long result)
{
	return result == -1 ? errno : 0;
}

static int opened(int fd)
{
	int result = outcome(fd);
	if (fd >= 0)
		close(fd);
	return result;
}

/* Not the C library's, which asks for the same by a call that needs the right to names. */
static bool is_kind(int fd, mode_t kind, struct stat *st)
{
	return syscall(SYS_fstat, fd, st) == 0 && (st->st_mode & S_IFMT) == kind;
}

static int try_read(const char *path)
{
	return opened(open(path, O_RDONLY | O_CLOEXEC));
}

static int try_write(const char *path)
{
	return opened(open(path, O_WRONLY | O_CLOEXEC));
}

static int try_create(const char *path)
{
	return opened(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

/* By names from every directory that is open: up and out, or straight. */
static int try_escape(const char *target)
{
	char up[512] = "../../../../../../../../../../../..";
	int result = ENOENT;
	strncat(up, target, sizeof(up) - sizeof("../../../../../../../../../../../.."));
	for (int fd = 0; fd < DESCRIPTORS; fd++) {
		struct stat st;
		if (!is_kind(fd, S_IFDIR, &st))
			continue;
		result = opened(openat(fd, up, O_RDONLY | O_CLOEXEC));
		if (result == 0)
			return 0;
	}
	return result;
}

static int try_exec(const char *path)
{
	char *const argv[] = {(char[]){"taken-over"}, NULL};
	return outcome(execve(path, argv, argv + 1));
}

static int try_fork(const char *unused)
{
	(void)unused;
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return outcome(pid);
}

static int try_connect(const char *port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)atoi(port)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int result = fd < 0 ? errno : outcome(connect(fd, (struct sockaddr *)&to, sizeof(to)));
	if (fd >= 0)
		close(fd);
	return result == EINPROGRESS ? 0 : result;
}

static int try_datagram(const char *port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)atoi(port)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int result =
	    fd < 0 ? errno : outcome(sendto(fd, "", 1, 0, (struct sockaddr *)&to, sizeof(to)));
	if (fd >= 0)
		close(fd);
	return result;
}

static int try_listen(const char *unused)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	(void)unused;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int result = fd < 0 ? errno : outcome(bind(fd, (struct sockaddr *)&any, sizeof(any)));
	if (result == 0)
		result = outcome(listen(fd, 1));
	if (fd >= 0)
		close(fd);
	return result;
}

static int try_local_socket(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	strncpy(to.sun_path, path, sizeof(to.sun_path) - 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int result = fd < 0 ? errno : outcome(connect(fd, (struct sockaddr *)&to, sizeof(to)));
	if (fd >= 0)
		close(fd);
	return result;
}

static int try_raw(const char *unused)
{
	(void)unused;
	return opened(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
}

static int try_netlink(const char *unused)
{
	(void)unused;
	return opened(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static int try_ptrace(const char *pid)
{
	return outcome(ptrace(PTRACE_SEIZE, (pid_t)atoi(pid), NULL, NULL));
}

static int try_signal(const char *pid)
{
	return outcome(kill((pid_t)atoi(pid), 0));
}

static int try_memory(const char *pid)
{
	char here;
	struct iovec to = {&here, 1}, from = {(void *)(uintptr_t)0x400000, 1};
	int result = outcome(process_vm_readv((pid_t)atoi(pid), &to, 1, &from, 1, 0));
	return result == EFAULT ? 0 : result; /* we were let in, there is nothing at that place */
}

/* pidfd_getfd: a descriptor of another process */
static int try_steal(const char *pid)
{
	long other = syscall(SYS_pidfd_open, atoi(pid), 0);
	if (other < 0)
		return errno;
	int result = opened((int)syscall(SYS_pidfd_getfd, other, 0, 0));
	close((int)other);
	return result;
}

/* All regular files that are open for writing: is one allowed to be cut (to what it is)? ENOENT:
 * there is none. */
static int try_truncate(const char *unused)
{
	int result = ENOENT;
	(void)unused;
	for (int fd = 3; fd < DESCRIPTORS; fd++) {
		struct stat st;
		int flags = fcntl(fd, F_GETFL);
		if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || (flags & O_APPEND) ||
		    !is_kind(fd, S_IFREG, &st))
			continue;
		result = outcome(ftruncate(fd, st.st_size));
		if (result == 0)
			return 0;
	}
	return result;
}

/* All regular files that were given for writing alone: can what is in them be read? By the
 * descriptor, by a new one of it, by a mapping. */
static int try_read_back(const char *unused)
{
	int result = ENOENT;
	(void)unused;
	for (int fd = 3; fd < DESCRIPTORS; fd++) {
		struct stat st;
		char octet, name[32];
		int flags = fcntl(fd, F_GETFL);
		if (flags < 0 || (flags & O_ACCMODE) != O_WRONLY || !is_kind(fd, S_IFREG, &st) ||
		    (flags & O_APPEND))
			continue;
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		result = outcome(pread(fd, &octet, 1, 0));
		if (result != 0)
			result = opened(open(name, O_RDONLY | O_CLOEXEC));
		if (result != 0 && mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED)
			result = 0;
		if (result == 0)
			return 0;
	}
	return result;
}

static int try_executable_memory(const char *unused)
{
	(void)unused;
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) == MAP_FAILED
		   ? errno
		   : 0;
}

static int try_make_executable(const char *unused)
{
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	(void)unused;
	return at == MAP_FAILED ? errno : outcome(mprotect(at, 4096, PROT_READ | PROT_EXEC));
}

static int try_memory_file(const char *unused)
{
	(void)unused;
	return opened(memfd_create("taken-over", MFD_CLOEXEC));
}

static int try_become_root(const char *unused)
{
	(void)unused;
	return outcome(setresuid(0, 0, 0));
}

static int try_chroot(const char *unused)
{
	(void)unused;
	return outcome(chroot("."));
}

static int try_mount(const char *unused)
{
	(void)unused;
	return outcome(mount("none", "/", "tmpfs", MS_RDONLY, NULL));
}

static int try_namespace(const char *unused)
{
	(void)unused;
	return outcome(unshare(CLONE_NEWUSER));
}

static int try_dumpable(const char *unused)
{
	(void)unused;
	return outcome(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int try_clock(const char *unused)
{
	struct timespec t = {0, 0};
	(void)unused;
	return outcome(clock_settime(CLOCK_REALTIME, &t));
}

static int try_kernel(const char *name)
{
	struct bpf_insn none = {0};
	union bpf_attr program = {
	    .prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insns = (uintptr_t)&none, .insn_cnt = 1};
	struct io_uring_params ring = {0};
	struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof(event)};
	if (strcmp(name, "bpf") == 0)
		return opened((int)syscall(SYS_bpf, BPF_PROG_LOAD, &program, sizeof(program)));
	if (strcmp(name, "io_uring") == 0)
		return opened((int)syscall(SYS_io_uring_setup, 1, &ring));
	if (strcmp(name, "perf") == 0)
		return opened((int)syscall(SYS_perf_event_open, &event, 0, -1, -1, 0));
	if (strcmp(name, "keys") == 0)
		return outcome(
		    syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0));
	if (strcmp(name, "userfaultfd") == 0)
		return opened((int)syscall(SYS_userfaultfd, O_CLOEXEC));
	if (strcmp(name, "module") == 0)
		return outcome(syscall(SYS_init_module, NULL, 0, ""));
	if (strcmp(name, "handle") == 0)
		return opened((int)syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, O_RDONLY));
	return ENOTSUP;
}

/* A message of that number and no content to everybody we are connected with. */
static int try_speak(const char *number)
{
	unsigned char packet[8] = {(unsigned char)atoi(number)};
	for (int fd = 3; fd < DESCRIPTORS; fd++) {
		int type = 0;
		socklen_t len = sizeof(type);
		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET)
			(void)send(fd, packet, sizeof(packet), MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	return 0;
}

static const struct {
	const char *kind;
	int (*call)(const char *argument);
} tries[] = {
    {"read", try_read},
    {"write", try_write},
    {"create", try_create},
    {"escape", try_escape},
    {"exec", try_exec},
    {"fork", try_fork},
    {"connect", try_connect},
    {"datagram", try_datagram},
    {"listen", try_listen},
    {"local-socket", try_local_socket},
    {"raw", try_raw},
    {"netlink", try_netlink},
    {"ptrace", try_ptrace},
    {"signal", try_signal},
    {"memory", try_memory},
    {"steal", try_steal},
    {"truncate", try_truncate},
    {"read-back", try_read_back},
    {"executable-memory", try_executable_memory},
    {"make-executable", try_make_executable},
    {"memory-file", try_memory_file},
    {"root", try_become_root},
    {"chroot", try_chroot},
    {"mount", try_mount},
    {"namespace", try_namespace},
    {"dumpable", try_dumpable},
    {"clock", try_clock},
    {"kernel", try_kernel},
    {"speak", try_speak},
};

int taken_over_try(const char *kind, const char *argument)
{
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		if (strcmp(tries[i].kind, kind) == 0)
			return tries[i].call(argument);
	return ENOTSUP;
}
