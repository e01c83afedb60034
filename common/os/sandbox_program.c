/*
 * sandbox_program: a filter that is built once and loaded by many short-lived processes, each of
 * which would need milliseconds to build it. The number of the process that may send itself a
 * signal is put in when it is loaded.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/os/sandbox_parts.h"

enum {
	INSTRUCTIONS_MAX = BPF_MAXINSNS,
	NO_PROCESS = 0x7ffffff1, /* above every process id: stands for the one that loads it */
};

struct sandbox_program {
	const char *name; /* of the profile */
	size_t count;
	struct sock_filter code[INSTRUCTIONS_MAX];
};

/* A pipe holds more than the longest program. */
static bool export_code(scmp_filter_ctx f, struct sandbox_program *p, struct error *e)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(e, errno, "pipe: %s", strerror(errno));
	int r = seccomp_export_bpf(f, ends[1]);
	close(ends[1]);
	ssize_t n = r < 0 ? 0 : TEMP_FAILURE_RETRY(read(ends[0], p->code, sizeof(p->code)));
	close(ends[0]);
	p->count = n > 0 ? (size_t)n / sizeof(p->code[0]) : 0;
	return p->count > 0 || error_set(e, EINVAL, "the system call filter can't be compiled");
}

struct sandbox_program *sandbox_compile(const struct sandbox_profile *profile, struct error *e)
{
	scmp_filter_ctx f = sandbox_filter_build(profile, NO_PROCESS, e);
	struct sandbox_program *p = memory_zero(1, sizeof(*p));
	p->name = profile->name;
	if (f && export_code(f, p, e)) {
		seccomp_release(f);
		return p;
	}
	if (f)
		seccomp_release(f);
	memory_free(p);
	return NULL;
}

static bool load(const struct sandbox_program *program, struct error *e)
{
	struct sock_filter code[INSTRUCTIONS_MAX];
	struct sock_fprog p = {.len = (unsigned short)program->count, .filter = code};
	memcpy(code, program->code, program->count * sizeof(code[0]));
	for (size_t i = 0; i < program->count; i++)
		if (code[i].k == NO_PROCESS)
			code[i].k = (unsigned)getpid();
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p, 0, 0) < 0)
		return error_set(e, errno, "the system call filter can't be loaded: %s",
				 strerror(errno));
	return true;
}

bool sandbox_enter_compiled(const struct sandbox_program *program, struct error *e)
{
	struct rlimit core = {0, 0};
	sandbox_build_begin();
	if (setrlimit(RLIMIT_CORE, &core) < 0)
		return error_set(e, errno, "limit of core files: %s", strerror(errno));
	/* It is forgotten with a change of the user, which lies behind us. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return error_set(e, errno, "end with the parent: %s", strerror(errno));
	return (sandbox_refuse_rights(e) && load(program, e)) ||
	       error_prefix(e, "sandbox of %s", program->name);
}

bool sandbox_enter_beneath(const struct sandbox_program *program, int dir, struct error *e)
{
	struct sandbox_place place = {.write_dirs = &dir, .write_count = dir >= 0};
	return (sandbox_refuse_rights(e) &&
		sandbox_landlock(sandbox_find(program->name), &place, e) &&
		sandbox_enter_compiled(program, e)) ||
	       error_prefix(e, "sandbox of %s", program->name);
}
