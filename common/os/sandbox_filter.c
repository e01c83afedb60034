/*
 * sandbox_filter: a profile as a seccomp allow-list. What is on no list fails with EPERM; a call of
 * another architecture (32-bit on a 64-bit kernel) ends the process, since no program of ours makes
 * one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/os/sandbox_parts.h"

#define CALLS(...)                    \
	(const int[])                 \
	{                             \
		__VA_ARGS__, LIST_END \
	}

enum { LIST_END = __NR_SCMP_ERROR, EVERY_PROFILE = 0 };

/* Whole calls, whatever their arguments. */
static const struct call_group {
	unsigned flags; /* the profile has one of these, or EVERY_PROFILE */
	const int *calls;
} groups[] = {
    /* descriptors it has: sockets, channels, files; passing them */
    {EVERY_PROFILE,
     CALLS(SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(recvmsg),
	   SCMP_SYS(sendmsg), SCMP_SYS(recvfrom), SCMP_SYS(close), SCMP_SYS(fstat))},
    /* the loop */
    {EVERY_PROFILE,
     CALLS(SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait),
	   SCMP_SYS(epoll_pwait), SCMP_SYS(eventfd2), SCMP_SYS(poll), SCMP_SYS(ppoll))},
    /* clocks, randomness, what it is */
    {EVERY_PROFILE,
     CALLS(SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(nanosleep),
	   SCMP_SYS(clock_nanosleep), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid),
	   SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	   SCMP_SYS(getegid), SCMP_SYS(getrusage), SCMP_SYS(sysinfo))},
    /* memory; mmap and mprotect are below */
    {EVERY_PROFILE, CALLS(SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise))},
    /* threads and signals of its own; clone, tgkill and prctl are below */
    {EVERY_PROFILE,
     CALLS(SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield),
	   SCMP_SYS(sched_getaffinity), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	   SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(exit),
	   SCMP_SYS(exit_group))},
    /* socket, setsockopt and shutdown are below; what is connected, bound or sent to by address
     * is a socket of its own making, since those that it is given are connected */
    {SANDBOX_ACCEPT, CALLS(SCMP_SYS(accept4))},
    {SANDBOX_ACCEPT | SANDBOX_CONNECT | SANDBOX_DATAGRAM,
     CALLS(SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt))},
    {SANDBOX_CONNECT | SANDBOX_DATAGRAM, CALLS(SCMP_SYS(connect), SCMP_SYS(bind))},
    {SANDBOX_DATAGRAM, CALLS(SCMP_SYS(sendto))},
    {SANDBOX_APPEND,
     CALLS(SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(pwritev2), SCMP_SYS(lseek))},
    {SANDBOX_APPEND | SANDBOX_FILES,
     CALLS(SCMP_SYS(fdatasync), SCMP_SYS(fsync), SCMP_SYS(sync_file_range))},
    {SANDBOX_READ, CALLS(SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(preadv2), SCMP_SYS(lseek),
			 SCMP_SYS(fadvise64))},
    {SANDBOX_FILES, CALLS(SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(mkdirat), SCMP_SYS(linkat),
			  SCMP_SYS(unlinkat), SCMP_SYS(renameat), SCMP_SYS(renameat2),
			  SCMP_SYS(newfstatat), SCMP_SYS(fchmod), SCMP_SYS(fstatfs))},
    {SANDBOX_LOOKUP,
     CALLS(SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat),
	   SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(uname),
	   SCMP_SYS(umask), SCMP_SYS(dup), SCMP_SYS(getresuid), SCMP_SYS(getresgid),
	   SCMP_SYS(getgroups), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg), SCMP_SYS(select),
	   SCMP_SYS(pselect6), SCMP_SYS(alarm), SCMP_SYS(setitimer))},
    {SANDBOX_RESIZE, CALLS(SCMP_SYS(fallocate), SCMP_SYS(ftruncate))},
    {SANDBOX_LIST, CALLS(SCMP_SYS(getdents64))},
    {SANDBOX_GROUP, CALLS(SCMP_SYS(setresgid))},
    {SANDBOX_SYNC_ALL, CALLS(SCMP_SYS(syncfs), SCMP_SYS(uname))},
};

static int add_groups(scmp_filter_ctx f, unsigned flags)
{
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (groups[i].flags != EVERY_PROFILE && !(groups[i].flags & flags))
			continue;
		for (const int *call = groups[i].calls; *call != LIST_END; call++) {
			int r = seccomp_rule_add(f, SCMP_ACT_ALLOW, *call, 0);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

#define ALLOW(call, count, ...) \
	seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(call), count, __VA_ARGS__)
/* Whole arguments; the kernel looks at 32 bits of an int, so the filter does too. */
#define ARG_INT(n, value)  SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, UINT32_MAX, (uint32_t)(value))
#define ARG_NULL(n)	   SCMP_CMP64(n, SCMP_CMP_EQ, 0, 0)
#define ARG_HAS(n, bits)   SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, (uint64_t)(bits), (uint64_t)(bits))
#define ARG_LACKS(n, bits) SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, (uint64_t)(bits), 0)
/* Of the bits in mask just these. */
#define ARG_FLAGS(n, mask, bits) \
	SCMP_CMP64(n, SCMP_CMP_MASKED_EQ, (uint64_t)(mask), (uint64_t)(bits))

/* A socket's type, whatever its flags. */
#define ARG_TYPE(n, type) ARG_FLAGS(n, UINT32_MAX & ~(SOCK_NONBLOCK | SOCK_CLOEXEC), type)

/* Those that F_SETFL changes (fcntl(2)). */
enum { FLAGS_THAT_CHANGE = O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK };

/* Calls that are allowed with certain arguments only. */
static int add_conditional(scmp_filter_ctx f, pid_t self)
{
	static const int descriptor_commands[] = {F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC};
	int r = 0;
	/* only anonymous memory, never executable */
	r |= ALLOW(mmap, 2, ARG_LACKS(2, PROT_EXEC), ARG_HAS(3, MAP_ANONYMOUS));
	r |= ALLOW(mprotect, 1, ARG_LACKS(2, PROT_EXEC));
	/* threads, not processes; clone3 can't be judged by its arguments, and the C library falls
	 * back to clone when it is not there */
	r |= ALLOW(clone, 1, ARG_HAS(0, CLONE_THREAD | CLONE_VM));
	r |= seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	r |= ALLOW(prctl, 1, ARG_INT(0, PR_SET_NAME));
	/* abort() */
	r |= ALLOW(tgkill, 1, ARG_INT(0, self));
	/* send() on what is connected; no address */
	r |= ALLOW(sendto, 1, ARG_NULL(4));
	/* looking at its own limits */
	r |= ALLOW(prlimit64, 2, ARG_INT(0, 0), ARG_NULL(2));
	for (size_t i = 0; i < sizeof(descriptor_commands) / sizeof(descriptor_commands[0]); i++)
		r |= ALLOW(fcntl, 1, ARG_INT(1, descriptor_commands[i]));
	/* An open file's flags are everybody's who holds it: it may become non-blocking, nothing
	 * else. */
	r |= ALLOW(fcntl, 2, ARG_INT(1, F_SETFL), ARG_FLAGS(2, FLAGS_THAT_CHANGE, O_NONBLOCK));
	return r;
}

/* A listening socket is the master's and outlives a process that was taken over: what would spoil
 * it for the next one is not there (filters, devices, the end of listening). */
static int add_sockets(scmp_filter_ctx f, unsigned flags)
{
	static const struct {
		int level, name;
		unsigned flags; /* the profile has one of these */
	} options[] = {
	    {SOL_SOCKET, SO_SNDBUF, SANDBOX_ACCEPT | SANDBOX_CONNECT | SANDBOX_DATAGRAM},
	    {SOL_SOCKET, SO_RCVBUF, SANDBOX_ACCEPT | SANDBOX_CONNECT | SANDBOX_DATAGRAM},
	    {SOL_SOCKET, SO_REUSEADDR, SANDBOX_CONNECT | SANDBOX_DATAGRAM},
	    {SOL_SOCKET, SO_KEEPALIVE, SANDBOX_CONNECT},
	    {IPPROTO_TCP, TCP_NODELAY, SANDBOX_CONNECT},
	    {IPPROTO_TCP, TCP_MAXSEG, SANDBOX_CONNECT},
	    {IPPROTO_TCP, TCP_USER_TIMEOUT, SANDBOX_CONNECT},
	    {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, SANDBOX_CONNECT},
	    {IPPROTO_IP, IP_MTU_DISCOVER, SANDBOX_DATAGRAM},
	    {IPPROTO_IPV6, IPV6_V6ONLY, SANDBOX_CONNECT | SANDBOX_DATAGRAM},
	    {IPPROTO_IPV6, IPV6_MTU_DISCOVER, SANDBOX_DATAGRAM},
	    {IPPROTO_IPV6, IPV6_MTU, SANDBOX_DATAGRAM},
	};
	int r = 0;
	if (flags & (SANDBOX_ACCEPT | SANDBOX_CONNECT | SANDBOX_PAIR))
		r |= ALLOW(shutdown, 1, ARG_INT(1, SHUT_WR));
	if (flags & SANDBOX_PAIR)
		r |= ALLOW(socketpair, 3, ARG_INT(0, AF_UNIX), ARG_TYPE(1, SOCK_STREAM),
			   ARG_INT(2, 0));
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].flags & flags)
			r |= ALLOW(setsockopt, 2, ARG_INT(1, options[i].level),
				   ARG_INT(2, options[i].name));
	return r;
}

/* Sockets of its own: of the internet alone, of one type, with the protocol that the type has. */
static int add_own_sockets(scmp_filter_ctx f, unsigned flags)
{
	static const struct {
		unsigned flag;
		int type, protocol;
	} kinds[] = {
	    {SANDBOX_CONNECT, SOCK_STREAM, IPPROTO_TCP},
	    {SANDBOX_DATAGRAM, SOCK_DGRAM, IPPROTO_UDP},
	};
	static const int families[] = {AF_INET, AF_INET6};
	int r = 0;
	for (size_t i = 0; i < 4; i++) {
		int family = families[i % 2];
		size_t k = i / 2;
		if (!(flags & kinds[k].flag))
			continue;
		r |=
		    ALLOW(socket, 3, ARG_INT(0, family), ARG_TYPE(1, kinds[k].type), ARG_INT(2, 0));
		r |= ALLOW(socket, 3, ARG_INT(0, family), ARG_TYPE(1, kinds[k].type),
			   ARG_INT(2, kinds[k].protocol));
	}
	return r;
}

/* Files are opened to be read, and there is no other way to open one here. A map is a copy, or
 * can't be written. Of netlink there is the log of security events alone (PAM); the kernel wants
 * CAP_AUDIT_WRITE for it. */
static int add_lookup(scmp_filter_ctx f, unsigned flags)
{
	int r = 0;
	if (!(flags & SANDBOX_LOOKUP))
		return 0;
	r |= ALLOW(openat, 1, ARG_FLAGS(2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
	r |= ALLOW(mmap, 1, ARG_LACKS(2, PROT_EXEC | PROT_WRITE));
	r |= ALLOW(socket, 1, ARG_INT(0, AF_UNIX));
	r |= ALLOW(socket, 3, ARG_INT(0, AF_NETLINK), ARG_TYPE(1, SOCK_RAW),
		   ARG_INT(2, NETLINK_AUDIT));
	return r;
}

static int add_locks(scmp_filter_ctx f, unsigned flags)
{
	int r = 0;
	if (flags & SANDBOX_RESIZE)
		r |= ALLOW(fcntl, 1, ARG_INT(1, F_OFD_SETLK)) |
		     ALLOW(fcntl, 1, ARG_INT(1, F_OFD_GETLK));
	if (flags & SANDBOX_LEASE)
		r |= ALLOW(fcntl, 1, ARG_INT(1, F_SETLEASE));
	return r;
}

scmp_filter_ctx sandbox_filter_build(const struct sandbox_profile *profile, pid_t self,
				     struct error *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!f) {
		error_set(e, ENOMEM, "seccomp can't be used");
		return NULL;
	}
	int r = 0;
	r |= seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1); /* all threads */
	r |= seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	r |= seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: 70 calls, few steps */
	r |= add_groups(f, profile->flags);
	r |= add_conditional(f, self);
	r |= add_sockets(f, profile->flags);
	r |= add_own_sockets(f, profile->flags);
	r |= add_locks(f, profile->flags);
	r |= add_lookup(f, profile->flags);
	r |= sandbox_build_rules(f);
	if (r >= 0)
		return f;
	seccomp_release(f);
	error_set(e, EINVAL, "the system call filter can't be built");
	return NULL;
}

bool sandbox_filter(const struct sandbox_profile *profile, struct error *e)
{
	scmp_filter_ctx f = sandbox_filter_build(profile, getpid(), e);
	if (!f)
		return false;
	int r = seccomp_load(f);
	seccomp_release(f);
	if (r < 0)
		return error_set(e, -r, "the system call filter can't be loaded: %s", strerror(-r));
	return true;
}
