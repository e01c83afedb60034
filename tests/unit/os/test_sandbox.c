/*
 * sandbox: every profile against every right. Each attempt runs in a child of its own that has lost
 * its rights twice: by the system call filter alone, as root where the test is root (it must
 * suffice), and by the whole checklist.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <bsd/stdlib.h>

#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/lock.h"
#include "common/os/log_output.h"
#include "common/os/loop.h"
#include "common/os/sandbox_parts.h"
#include "common/os/user.h"

enum { TEST_ID = 65534, NEVER = 0, BROKEN = 200 };

static char dir_path[] = "/tmp/test-sandbox-XXXXXX";
static int dir, empty, file, listener, unbound;
static pid_t parent;

static void setup(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	ck_assert_ptr_nonnull(mkdtemp(dir_path));
	ck_assert_int_eq(chmod(dir_path, 0777), 0);
	dir = open(dir_path, O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(mkdirat(dir, "empty", 0755), 0);
	empty = openat(dir, "empty", O_RDONLY | O_DIRECTORY);
	file = openat(dir, "file", O_RDWR | O_CREAT, 0666);
	ck_assert_int_eq(write(file, "content", 7), 7);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&any, sizeof(any)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	unbound = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert(dir >= 0 && empty >= 0 && file >= 0 && unbound >= 0);
	parent = getpid();
}

static void teardown(void)
{
	static const char *const names[] = {"file", "new", "link", "moved"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unlinkat(dir, names[i], 0);
	unlinkat(dir, "made", AT_REMOVEDIR);
	unlinkat(dir, "empty", AT_REMOVEDIR);
	rmdir(dir_path);
}

/* What a system call says: 0 or its errno. */
static int outcome(long result)
{
	return result == -1 ? errno : 0;
}

static struct sockaddr_in some_address(void)
{
	return (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int try_open(void)
{
	return outcome(open("/etc/passwd", O_RDONLY));
}

static int try_open_below(void)
{
	return outcome(openat(dir, "file", O_RDONLY));
}

static int try_open_to_write(void)
{
	return outcome(openat(dir, "file", O_WRONLY));
}

static int try_open_to_empty(void)
{
	return outcome(openat(dir, "file", O_RDONLY | O_TRUNC));
}

static int try_old_open(void)
{
	return outcome(syscall(SYS_open, "/etc/passwd", O_RDONLY));
}

static int try_openat2(void)
{
	uint64_t how[3] = {O_RDONLY, 0, 0};
	return outcome(syscall(SYS_openat2, dir, "file", how, sizeof(how)));
}

static int try_create(void)
{
	return outcome(openat(dir, "new", O_WRONLY | O_CREAT | O_EXCL, 0600));
}

static int try_stat_name(void)
{
	struct stat st;
	return outcome(fstatat(dir, "file", &st, 0));
}

static int try_mkdir(void)
{
	return outcome(mkdirat(dir, "made", 0700));
}

static int try_link(void)
{
	return outcome(linkat(dir, "file", dir, "link", 0));
}

static int try_symlink(void)
{
	return outcome(symlinkat("/etc/passwd", dir, "link"));
}

static int try_rename(void)
{
	return outcome(renameat(dir, "file", dir, "moved"));
}

static int try_unlink(void)
{
	return outcome(unlinkat(dir, "file", 0));
}

static int try_list(void)
{
	char entries[1024];
	return outcome(syscall(SYS_getdents64, dir, entries, sizeof(entries)));
}

static int try_truncate(void)
{
	return outcome(ftruncate(file, 0));
}

static int try_truncate_name(void)
{
	return outcome(truncate("/tmp/x", 0));
}

static int try_allocate(void)
{
	return outcome(disk_allocate(file, 8192));
}

static int try_lock(void)
{
	return outcome(lock_take(file, true));
}

static int try_lease(void)
{
	int alone = lock_alone(file);
	return outcome(alone < 0 && errno == EPERM ? -1 : 0);
}

static int try_pread(void)
{
	char c;
	return outcome(pread(file, &c, 1, 0));
}

static int try_pwrite(void)
{
	return outcome(pwrite(file, "x", 1, 0));
}

static int try_pwritev(void)
{
	struct iovec iov = {(char[]){"x"}, 1};
	return outcome(pwritev(file, &iov, 1, 0));
}

static int try_sync(void)
{
	return outcome(fdatasync(file));
}

static int try_writeback(void)
{
	return outcome(sync_file_range(file, 0, 0, SYNC_FILE_RANGE_WRITE));
}

static int try_sync_all(void)
{
	return outcome(syncfs(file));
}

static int try_chown(void)
{
	return outcome(fchown(file, 1, 1));
}

static int try_map_file(void)
{
	return outcome((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0));
}

static int try_map_code(void)
{
	return outcome((long)mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int try_make_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? BROKEN : outcome(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int try_memfd(void)
{
	return outcome(memfd_create("x", 0));
}

static int try_socket_inet(void)
{
	return outcome(socket(AF_INET, SOCK_STREAM, 0));
}

static int try_socket_inet6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	return errno == EAFNOSUPPORT ? 0 : outcome(fd);
}

static int try_socket_datagram(void)
{
	return outcome(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP));
}

static int try_socket_ping(void)
{
	return outcome(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
}

static int try_socket_raw(void)
{
	return outcome(socket(AF_INET, SOCK_RAW, IPPROTO_UDP));
}

static int try_socket_packet(void)
{
	return outcome(socket(AF_PACKET, SOCK_DGRAM, 0));
}

static int try_socket_netlink(void)
{
	return outcome(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int try_socket_unix(void)
{
	return outcome(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int try_socketpair(void)
{
	int fds[2];
	return outcome(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
}

static int try_connect(void)
{
	struct sockaddr_in to = some_address();
	return outcome(connect(unbound, (struct sockaddr *)&to, sizeof(to)));
}

/* To the listener, over a socket that the process makes itself. */
static int try_call(void)
{
	struct sockaddr_in to;
	socklen_t len = sizeof(to);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		return errno;
	if (getsockname(listener, (struct sockaddr *)&to, &len) < 0)
		return BROKEN;
	return outcome(connect(fd, (struct sockaddr *)&to, len));
}

static int try_serve(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		return errno;
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return errno;
	return outcome(listen(fd, 1));
}

static int try_option_of_tcp(void)
{
	return outcome(setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)));
}

static int try_send_to(void)
{
	struct sockaddr_in to = some_address();
	return outcome(sendto(unbound, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)));
}

static int try_bind(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	return outcome(bind(unbound, (struct sockaddr *)&at, sizeof(at)));
}

static int try_listen(void)
{
	return outcome(listen(listener, 2));
}

static int try_accept(void)
{
	int error = outcome(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	return error == EAGAIN ? 0 : error;
}

static int try_end_listening(void)
{
	return outcome(shutdown(listener, SHUT_RD));
}

static int try_end_writing(void)
{
	int error = outcome(shutdown(unbound, SHUT_WR));
	return error == ENOTCONN ? 0 : error;
}

static int try_drop_packets(void)
{
	struct sock_filter nothing[] = {{0x06 /* BPF_RET | BPF_K */, 0, 0, 0}};
	struct sock_fprog program = {1, nothing};
	return outcome(
	    setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)));
}

static int try_demand_hops(void)
{
	return outcome(setsockopt(listener, IPPROTO_IP, IP_MINTTL, &(int){255}, sizeof(int)));
}

static int try_buffer_size(void)
{
	return outcome(setsockopt(unbound, SOL_SOCKET, SO_SNDBUF, &(int){65536}, sizeof(int)));
}

static int try_block(void)
{
	return outcome(fcntl(listener, F_SETFL, 0));
}

static int try_append(void)
{
	return outcome(fcntl(file, F_SETFL, O_NONBLOCK | O_APPEND));
}

static int try_exec(void)
{
	char *none[] = {NULL};
	return outcome(execve("/bin/true", none, none));
}

static int try_fork(void)
{
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(0);
	return outcome(pid);
}

static int try_clone3(void)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	long pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		_exit(0);
	int error = outcome(pid);
	return error == ENOSYS ? EPERM : error; /* so that the C library falls back to clone */
}

static int try_kill_parent(void)
{
	return outcome(kill(parent, 0));
}

static int try_kill_thread(void)
{
	return outcome(syscall(SYS_tgkill, parent, parent, 0));
}

static int try_queue_signal(void)
{
	siginfo_t info = {.si_code = SI_QUEUE};
	return outcome(syscall(SYS_rt_sigqueueinfo, parent, SIGCONT, &info));
}

static int try_ptrace(void)
{
	return outcome(ptrace(PTRACE_SEIZE, parent, NULL, NULL));
}

static int try_write_memory(void)
{
	struct iovec iov = {&parent, sizeof(parent)};
	return outcome(process_vm_writev(parent, &iov, 1, &iov, 1, 0));
}

static int try_read_memory(void)
{
	struct iovec iov = {&parent, sizeof(parent)};
	return outcome(process_vm_readv(parent, &iov, 1, &iov, 1, 0));
}

static int try_become(void)
{
	return outcome(setuid(0));
}

static int try_group(void)
{
	return outcome(setresgid((gid_t)-1, getgid(), (gid_t)-1));
}

static int try_chroot(void)
{
	return outcome(chroot("."));
}

static int try_unshare(void)
{
	return outcome(unshare(CLONE_NEWUSER));
}

static int try_be_dumpable(void)
{
	return outcome(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int try_limit(void)
{
	struct rlimit limit = {100, 100};
	return outcome(setrlimit(RLIMIT_NOFILE, &limit));
}

static int try_ioctl(void)
{
	return outcome(syscall(SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x"));
}

static int try_io_uring(void)
{
	char params[256] = "";
	return outcome(syscall(SYS_io_uring_setup, 1, params));
}

static int try_bpf(void)
{
	return outcome(syscall(SYS_bpf, 0, NULL, 0));
}

static int try_keyring(void)
{
	return outcome(syscall(SYS_add_key, "user", "x", "y", 1, -3));
}

static int try_owner(void)
{
	return outcome(fcntl(listener, F_SETOWN, parent));
}

static const struct right {
	const char *name;
	int (*try)(void);
	unsigned flags; /* profiles with one of these may, by the filter */
} rights[] = {
    {"open a file", try_open, SANDBOX_FILES | SANDBOX_LOOKUP},
    {"open a file in a directory", try_open_below, SANDBOX_FILES | SANDBOX_LOOKUP},
    {"open a file to write", try_open_to_write, SANDBOX_FILES},
    {"empty a file", try_open_to_empty, SANDBOX_FILES},
    {"open a file the old way", try_old_open, NEVER},
    {"open a file the newest way", try_openat2, SANDBOX_FILES},
    {"make a file", try_create, SANDBOX_FILES},
    {"look at a name", try_stat_name, SANDBOX_FILES | SANDBOX_LOOKUP},
    {"make a directory", try_mkdir, SANDBOX_FILES},
    {"link", try_link, SANDBOX_FILES},
    {"link symbolically", try_symlink, NEVER},
    {"rename", try_rename, SANDBOX_FILES},
    {"unlink", try_unlink, SANDBOX_FILES},
    {"list a directory", try_list, SANDBOX_LIST},
    {"truncate its file", try_truncate, SANDBOX_RESIZE},
    {"truncate by name", try_truncate_name, NEVER},
    {"allocate", try_allocate, SANDBOX_RESIZE},
    {"lock", try_lock, SANDBOX_RESIZE},
    {"ask who has a file open", try_lease, SANDBOX_LEASE},
    {"read at a position", try_pread, SANDBOX_READ},
    {"write at a position", try_pwrite, SANDBOX_APPEND},
    {"write a vector at a position", try_pwritev, SANDBOX_APPEND},
    {"sync", try_sync, SANDBOX_APPEND | SANDBOX_FILES},
    {"begin to write a file", try_writeback, SANDBOX_APPEND | SANDBOX_FILES},
    {"sync a file system", try_sync_all, SANDBOX_SYNC_ALL},
    {"give a file away", try_chown, NEVER},
    {"map a file", try_map_file, SANDBOX_LOOKUP},
    {"map executable memory", try_map_code, NEVER},
    {"make memory executable", try_make_code, NEVER},
    {"make a file in memory", try_memfd, NEVER},
    {"make a stream socket", try_socket_inet, SANDBOX_CONNECT},
    {"make a stream socket of IPv6", try_socket_inet6, SANDBOX_CONNECT},
    {"make a datagram socket", try_socket_datagram, SANDBOX_DATAGRAM},
    {"make a socket for pings", try_socket_ping, NEVER},
    {"make a raw socket", try_socket_raw, NEVER},
    {"make a packet socket", try_socket_packet, NEVER},
    {"make a netlink socket", try_socket_netlink, NEVER},
    {"make a local socket", try_socket_unix, SANDBOX_LOOKUP},
    {"make a socket pair", try_socketpair, SANDBOX_PAIR},
    {"connect", try_connect, SANDBOX_CONNECT | SANDBOX_DATAGRAM},
    {"call a server", try_call, SANDBOX_CONNECT},
    {"be a server", try_serve, NEVER},
    {"send to an address", try_send_to, SANDBOX_DATAGRAM},
    {"bind", try_bind, SANDBOX_CONNECT | SANDBOX_DATAGRAM},
    {"listen", try_listen, NEVER},
    {"accept", try_accept, SANDBOX_ACCEPT},
    {"end the master's listening", try_end_listening, NEVER},
    {"end writing", try_end_writing, SANDBOX_ACCEPT | SANDBOX_CONNECT | SANDBOX_PAIR},
    {"have a listener drop packets", try_drop_packets, NEVER},
    {"have a listener refuse far hosts", try_demand_hops, NEVER},
    {"set a buffer's size", try_buffer_size, SANDBOX_ACCEPT | SANDBOX_CONNECT | SANDBOX_DATAGRAM},
    {"set an option of TCP", try_option_of_tcp, SANDBOX_CONNECT},
    {"make a shared listener block", try_block, NEVER},
    {"make a shared file append", try_append, NEVER},
    {"execute", try_exec, NEVER},
    {"fork", try_fork, NEVER},
    {"fork the newest way", try_clone3, NEVER},
    {"signal its parent", try_kill_parent, NEVER},
    {"signal a thread of its parent", try_kill_thread, NEVER},
    {"queue a signal", try_queue_signal, NEVER},
    {"trace", try_ptrace, NEVER},
    {"write another's memory", try_write_memory, NEVER},
    {"read another's memory", try_read_memory, NEVER},
    {"become root", try_become, NEVER},
    {"change its group", try_group, SANDBOX_GROUP},
    {"change its root", try_chroot, NEVER},
    {"make a namespace", try_unshare, NEVER},
    {"be dumpable", try_be_dumpable, NEVER},
    {"set its limits", try_limit, NEVER},
    {"control a device", try_ioctl, NEVER},
    {"use io_uring", try_io_uring, NEVER},
    {"load a program into the kernel", try_bpf, NEVER},
    {"keep a key in the kernel", try_keyring, NEVER},
    {"own a descriptor's signals", try_owner, NEVER},
};

enum { RIGHTS = sizeof(rights) / sizeof(rights[0]) };

/* Runs `what` in a child and returns its exit code; a signal's death is 256 + its number. */
static int in_child(int (*enter)(const struct sandbox_profile *),
		    const struct sandbox_profile *profile, int (*what)(void))
{
	pid_t pid = fork();
	if (pid == 0) {
		if (enter(profile) != 0)
			_exit(BROKEN);
		_exit(what());
	}
	int state = -1;
	ck_assert_int_eq(waitpid(pid, &state, 0), pid);
	return WIFSIGNALED(state) ? 256 + WTERMSIG(state) : WEXITSTATUS(state);
}

static int enter_filter_alone(const struct sandbox_profile *profile)
{
	struct error e;
	return sandbox_filter(profile, &e) ? 0 : 1;
}

static int enter_whole(const struct sandbox_profile *profile)
{
	struct error e;
	struct sandbox_place place = {.uid = TEST_ID, .gid = TEST_ID, .root_dir = empty};
	loop_now();
	if (sandbox_enter(profile, &place, &e))
		return 0;
	fprintf(stderr, "%s\n", e.text);
	return 1;
}

static int enter_with_directory(const struct sandbox_profile *profile)
{
	struct error e;
	struct sandbox_place place = {
	    .uid = TEST_ID, .gid = TEST_ID, .root_dir = -1, .write_dirs = &dir, .write_count = 1};
	return sandbox_enter(profile, &place, &e) ? 0 : 1;
}

static int enter_with_directory_to_read(const struct sandbox_profile *profile)
{
	struct error e;
	struct sandbox_place place = {
	    .uid = TEST_ID, .gid = TEST_ID, .root_dir = -1, .read_dirs = &dir, .read_count = 1};
	return sandbox_enter(profile, &place, &e) ? 0 : 1;
}

/* For the next profile. */
static void as_it_was(void)
{
	teardown();
	memset(dir_path + strlen(dir_path) - 6, 'X', 6);
	setup();
}

START_TEST(the_filter_alone_grants_what_the_table_says_and_nothing_else)
{
	const struct right *right = &rights[_i];
	for (const struct sandbox_profile *p = sandbox_profiles; p->name; p++) {
		int result = in_child(enter_filter_alone, p, right->try);
		int expected = p->flags & right->flags ? 0 : EPERM;
		ck_assert_msg(result == expected, "%s: %s: %d instead of %d", p->name, right->name,
			      result, expected);
		if (result == 0)
			as_it_was();
	}
}
END_TEST

/* In the whole sandbox, rights on names are gone too where no directory was given. */
START_TEST(the_whole_sandbox_leaves_no_file_in_reach)
{
	const struct right *right = &rights[_i];
	bool names = right->flags & SANDBOX_FILES && right->try != try_sync &&
		     right->try != try_writeback && right->try != try_stat_name;
	if (right->flags != NEVER && !names)
		return; /* rights on what it was given */
	for (const struct sandbox_profile *p = sandbox_profiles; p->name; p++) {
		int result = in_child(enter_whole, p, right->try);
		if (names && sandbox_landlock_abi() > 0)
			ck_assert_msg(result == EPERM || result == EACCES || result == ENOENT ||
					  result == EXDEV,
				      "%s: %s: %d", p->name, right->name, result);
		else if (!names)
			ck_assert_msg(result == EPERM, "%s: %s: %d", p->name, right->name, result);
	}
}
END_TEST

START_TEST(only_roles_that_call_servers_can_in_the_whole_sandbox)
{
	for (const struct sandbox_profile *p = sandbox_profiles; p->name; p++) {
		int result = in_child(enter_whole, p, try_call);
		ck_assert_msg(result == (p->flags & SANDBOX_CONNECT ? 0 : EPERM), "%s: %d", p->name,
			      result);
		if (result == 0)
			as_it_was(); /* the listener's queue is short */
	}
}
END_TEST

static int work_below(void)
{
	int error = try_create();
	if (!error)
		error = try_mkdir();
	if (!error)
		error = outcome(linkat(dir, "new", dir, "made/link", 0));
	if (!error)
		error = outcome(renameat(dir, "made/link", dir, "link"));
	if (!error)
		error = outcome(unlinkat(dir, "link", 0));
	return error;
}

START_TEST(landlock_leaves_the_given_directories_and_nothing_else)
{
	static const char *const roles[] = {"queue", "local"};
	if (sandbox_landlock_abi() < 2)
		return;
	for (size_t i = 0; i < 2; i++) {
		const struct sandbox_profile *p = sandbox_find(roles[i]);
		ck_assert_int_eq(in_child(enter_with_directory, p, work_below), 0);
		ck_assert_int_eq(in_child(enter_with_directory, p, try_open), EACCES);
		ck_assert_int_eq(unlinkat(dir, "new", 0), 0);
		ck_assert_int_eq(unlinkat(dir, "made", AT_REMOVEDIR), 0);
		ck_assert_int_eq(in_child(enter_with_directory_to_read, p, try_open_below), 0);
		ck_assert_int_eq(in_child(enter_with_directory_to_read, p, try_create), EACCES);
	}
}
END_TEST

static int check_identity(void)
{
	char cwd[64];
	struct rlimit files, core;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != -1)
		return 1; /* not even asking is on the list */
	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur != files.rlim_max)
		return 2;
	if (getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_max != 0)
		return 3;
	if (syscall(SYS_getcwd, cwd, sizeof(cwd)) != -1)
		return 4;
	return getuid() == 0 || getgid() == 0 ? 5 : 0;
}

START_TEST(a_daemon_of_root_becomes_its_user)
{
	if (!user_is_root())
		return;
	for (const struct sandbox_profile *p = sandbox_profiles; p->name; p++)
		ck_assert_int_eq(in_child(enter_whole, p, check_identity), 0);
}
END_TEST

static int enter_as_root(const struct sandbox_profile *profile)
{
	struct error e;
	struct sandbox_place place = {.root_dir = -1};
	return sandbox_enter(profile, &place, &e) ? 1 : 0;
}

static int nothing(void)
{
	return 0;
}

START_TEST(a_daemon_may_not_stay_root)
{
	if (user_is_root())
		ck_assert_int_eq(in_child(enter_as_root, &sandbox_profiles[0], nothing), 0);
}
END_TEST

/* What every daemon needs. */

static struct loop_wake wake;
static int stage[2]; /* a pipe: tells the thread that the sandbox is closed */

static void *work_in_thread(void *arg)
{
	char *memory = malloc(1 << 20);
	if (!memory)
		return arg;
	memset(memory, 1, 1 << 20);
	free(memory);
	loop_wake_send(&wake);
	return NULL;
}

static void woken(void *arg)
{
	(void)arg;
	loop_wake_stop(&wake);
}

static int work(void)
{
	pthread_t thread;
	void *result;
	char text[CLOCK_TEXT_SIZE];
	loop_wake_start(&wake, woken, NULL);
	if (pthread_create(&thread, NULL, work_in_thread, &wake) != 0)
		return 1;
	loop_run();
	if (pthread_join(thread, &result) != 0 || result)
		return 2;
	char *memory = malloc(300000);
	if (!memory || !(memory = realloc(memory, 3000000)))
		return 3;
	memset(memory, 1, 3000000);
	free(memory);
	if (arc4random() == arc4random() && arc4random() == arc4random())
		return 4;
	if (clock_format_local(clock_wall_us(), text) == 0)
		return 5;
	if (write(stage[1], "x", 1) != 1 || read(stage[0], text, 1) != 1)
		return 6;
	if (fcntl(stage[0], F_SETFL, O_NONBLOCK) < 0 || read(stage[0], text, 1) != -1)
		return 7;
	return 0;
}

START_TEST(every_profile_can_loop_thread_allocate_and_write)
{
	clock_warm();
	ck_assert_int_eq(pipe(stage), 0);
	for (const struct sandbox_profile *p = sandbox_profiles; p->name; p++)
		ck_assert_msg(in_child(enter_whole, p, work) == 0, "%s", p->name);
}
END_TEST

static int pass_a_descriptor(void)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.room = ""};
	char c = 'x';
	struct iovec iov = {&c, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.room,
			   .msg_controllen = sizeof(control.room)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &file, sizeof(int));
	if (sendmsg(stage[0], &m, MSG_DONTWAIT) != 1)
		return 1;
	m.msg_controllen = sizeof(control.room);
	if (recvmsg(stage[1], &m, MSG_CMSG_CLOEXEC) != 1 || m.msg_controllen == 0)
		return 2;
	if (send(stage[0], "y", 1, 0) != 1 || recv(stage[1], &c, 1, 0) != 1)
		return 3;
	return 0;
}

START_TEST(every_profile_can_pass_descriptors_on_its_channels)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, stage), 0);
	for (const struct sandbox_profile *p = sandbox_profiles; p->name; p++)
		ck_assert_msg(in_child(enter_whole, p, pass_a_descriptor) == 0, "%s", p->name);
}
END_TEST

static int abort_itself(void)
{
	abort();
}

START_TEST(a_bug_of_ours_still_aborts)
{
	for (const struct sandbox_profile *p = sandbox_profiles; p->name; p++)
		ck_assert_int_eq(in_child(enter_whole, p, abort_itself), 256 + SIGABRT);
}
END_TEST

static void *open_in_thread(void *arg)
{
	char c;
	int *result = arg;
	if (read(stage[0], &c, 1) != 1)
		*result = BROKEN;
	else
		*result = outcome(socket(AF_INET, SOCK_STREAM, 0));
	return NULL;
}

static int thread_result = BROKEN;
static pthread_t early;

static int enter_with_thread(const struct sandbox_profile *profile)
{
	if (pthread_create(&early, NULL, open_in_thread, &thread_result) != 0)
		return 1;
	return enter_whole(profile);
}

static int ask_thread(void)
{
	if (write(stage[1], "x", 1) != 1 || pthread_join(early, NULL) != 0)
		return BROKEN;
	return thread_result;
}

START_TEST(threads_made_before_are_held_too)
{
	ck_assert_int_eq(pipe(stage), 0);
	ck_assert_int_eq(in_child(enter_with_thread, sandbox_find("smtpd"), ask_thread), EPERM);
}
END_TEST

START_TEST(a_role_that_is_not_in_the_table_has_no_profile)
{
	ck_assert_ptr_null(sandbox_find("nobody"));
	ck_assert_str_eq(sandbox_find("queue")->name, "queue");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sandbox");
	TCase *tc = tcase_create("sandbox");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, the_filter_alone_grants_what_the_table_says_and_nothing_else, 0,
			    RIGHTS);
	tcase_add_loop_test(tc, the_whole_sandbox_leaves_no_file_in_reach, 0, RIGHTS);
	tcase_add_test(tc, only_roles_that_call_servers_can_in_the_whole_sandbox);
	tcase_add_test(tc, landlock_leaves_the_given_directories_and_nothing_else);
	tcase_add_test(tc, a_daemon_of_root_becomes_its_user);
	tcase_add_test(tc, a_daemon_may_not_stay_root);
	tcase_add_test(tc, every_profile_can_loop_thread_allocate_and_write);
	tcase_add_test(tc, every_profile_can_pass_descriptors_on_its_channels);
	tcase_add_test(tc, a_bug_of_ours_still_aborts);
	tcase_add_test(tc, threads_made_before_are_held_too);
	tcase_add_test(tc, a_role_that_is_not_in_the_table_has_no_profile);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
