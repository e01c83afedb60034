/*
 * disk_faults: the build that tests strike at (FAULTS=1). STAGEPOST_FAULTS says at which call of
 * which role the disk (or what kernel_faults.c stands before) fails, waits, or takes the process
 * with it; STAGEPOST_DISK_TRACE where each call is recorded. A word in either that can't be
 * understood ends the process: a test that strikes nothing proves nothing.
 */
#include "common/os/disk_record.h"

#include <errno.h>
#include <fnmatch.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/slice.h"
#include "common/os/faults.h"
#include "common/os/taken_over_faults.h"
#include "common/os/trap.h"

enum { RULES_MAX = 64, ROLE_SIZE = 32, PATH_SIZE = 4096, EVERY_OP = DISK_OPS, CONDITION_SIZE = 32 };

enum action { ACTION_KILL, ACTION_FAIL, ACTION_DELAY, ACTION_SHORT, ACTION_LIE };

struct rule {
	char role[ROLE_SIZE];
	int op;		  /* enum disk_op, EVERY_OP or enum fault_op */
	uint64_t n, last; /* the calls that it strikes; n 0: the one that the condition names */
	uint64_t seen;	  /* such calls while the condition held */
	enum action action;
	int value; /* errno, milliseconds, or octets */
};

static const struct {
	const char *name;
	int value;
} errors[] = {
    {"EACCES", EACCES}, {"EAGAIN", EAGAIN},   {"EDQUOT", EDQUOT},   {"EEXIST", EEXIST},
    {"EFBIG", EFBIG},	{"EINVAL", EINVAL},   {"EIO", EIO},	    {"EMFILE", EMFILE},
    {"ENFILE", ENFILE}, {"ENOENT", ENOENT},   {"ENOMEM", ENOMEM},   {"ENOSPC", ENOSPC},
    {"EINTR", EINTR},	{"ENOBUFS", ENOBUFS}, {"ENOTDIR", ENOTDIR}, {"EPERM", EPERM},
    {"EROFS", EROFS},	{"ESTALE", ESTALE},
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static bool begun;
static char our_role[ROLE_SIZE] = "none";
static struct rule rules[RULES_MAX];
static size_t rule_count;
static uint64_t counts[FAULT_OPS]; /* calls so far; EVERY_OP: of all disk ops */
static bool named[FAULT_OPS];	   /* by a rule of our role, now or before */
static int trace = -1;
static const volatile char *condition; /* of the file that "while" names; NULL: always */

static const char *const other_names[FAULT_OPS] = {[EVERY_OP] = "*",
						   [FAULT_MEMORY] = "memory",
						   [FAULT_FORK] = "fork",
						   [FAULT_ACCEPT] = "accept",
						   [FAULT_OCTETS] = "octets"};

static int op_named(struct slice name)
{
	for (int op = EVERY_OP; op < FAULT_OPS; op++)
		if (slice_equal(name, slice_str(other_names[op])))
			return op;
	for (int op = 0; op < DISK_OPS; op++)
		if (slice_equal(name, slice_str(disk_op_names[op])))
			return op;
	return -1;
}

static const struct {
	const char *name;
	enum action action;
	bool has_value; /* "=NUMBER" behind it */
} actions[] = {
    {"kill", ACTION_KILL, false},
    {"delay", ACTION_DELAY, true},
    {"short", ACTION_SHORT, true},
    {"lie", ACTION_LIE, false},
};

static bool is_sync(int op)
{
	return op == DISK_FDATASYNC || op == DISK_FSYNC || op == DISK_FSYNC_DIR ||
	       op == DISK_SYNC_ALL;
}

static bool parse_action(struct slice text, struct rule *r)
{
	struct slice name, value;
	uint64_t number = 0;
	bool valued = slice_split(text, '=', &name, &value);
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (!slice_equal(name, slice_str(actions[i].name)))
			continue;
		if (valued != actions[i].has_value ||
		    (valued && !slice_number(value, INT32_MAX, &number)))
			return false;
		r->action = actions[i].action;
		r->value = (int)number;
		return r->action < ACTION_SHORT || r->op == FAULT_OCTETS ||
		       (r->action == ACTION_LIE && is_sync(r->op));
	}
	r->action = ACTION_FAIL;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (slice_equal(text, slice_str(errors[i].name)))
			r->value = errors[i].value;
	return r->value != 0;
}

/* "n", "n+", "n-m" or "@" */
static bool parse_calls(struct slice text, struct rule *r)
{
	struct slice first, last;
	if (slice_equal(text, SLICE("@")))
		return true;
	if (slice_split(text, '-', &first, &last))
		return slice_number(first, UINT64_MAX, &r->n) &&
		       slice_number(last, UINT64_MAX, &r->last);
	bool onwards = text.len > 0 && text.ptr[text.len - 1] == '+';
	if (!slice_number(slice_sub(text, 0, text.len - onwards), UINT64_MAX, &r->n))
		return false;
	r->last = onwards ? UINT64_MAX : r->n;
	return true;
}

static bool parse_rule(struct slice text, struct rule *r)
{
	struct slice role, op, calls, action;
	slice_split(text, ':', &role, &text);
	slice_split(text, ':', &op, &text);
	slice_split(text, ':', &calls, &action);
	r->op = op_named(op);
	return r->op >= 0 && role.len > 0 && slice_copy(role, r->role, sizeof(r->role)) &&
	       parse_calls(calls, r) && (r->n > 0 || slice_equal(calls, SLICE("@"))) &&
	       parse_action(action, r);
}

/* Mapped, because a process in its sandbox opens nothing. */
static void read_condition(struct slice name)
{
	char path[PATH_SIZE];
	void *at = MAP_FAILED;
	int fd = slice_copy(name, path, sizeof(path)) ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd >= 0)
		at = mmap(NULL, CONDITION_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		fatal("STAGEPOST_FAULTS: %.*s can't be read", SLICE_FMT(name));
	condition = at;
	close(fd);
}

static void read_rules(struct slice text)
{
	while (text.len > 0) {
		struct slice one;
		slice_split(text, ',', &one, &text);
		if (slice_starts(one, SLICE("while="))) {
			read_condition(slice_from(one, sizeof("while=") - 1));
			continue;
		}
		if (rule_count == RULES_MAX || !parse_rule(one, &rules[rule_count]))
			fatal("STAGEPOST_FAULTS: bad rule %.*s", SLICE_FMT(one));
		rule_count++;
	}
}

/* What is not of a disk is counted from here on, by the process that has the role. */
static void name_ops(void)
{
	for (size_t i = 0; i < rule_count; i++)
		if (fnmatch(rules[i].role, our_role, 0) == 0)
			named[rules[i].op] = true;
	for (int op = FAULT_MEMORY; op < FAULT_OPS; op++)
		counts[op] = 0;
}

static void open_trace(const char *where)
{
	uint64_t number;
	char path[PATH_SIZE];
	if (slice_number(slice_str(where), INT32_MAX, &number)) {
		trace = (int)number;
		return;
	}
	if (trace >= 0)
		close(trace);
	snprintf(path, sizeof(path), "%s.%s.%d", where, our_role, (int)getpid());
	trace = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (trace < 0)
		fatal("STAGEPOST_DISK_TRACE: %s can't be opened", path);
}

static void begin(void)
{
	const char *faults = getenv("STAGEPOST_FAULTS");
	const char *where = getenv("STAGEPOST_DISK_TRACE");
	if (!begun && faults)
		read_rules(slice_str(faults));
	if (where && *where)
		open_trace(where);
	begun = true;
}

void disk_faults_role(const char *name)
{
	pthread_mutex_lock(&mutex);
	snprintf(our_role, sizeof(our_role), "%s", name);
	begin();
	name_ops();
	pthread_mutex_unlock(&mutex);
	disk_record_open(name);
	taken_over_begin(name);
	trap_role(name);
}

bool disk_faults_built(void)
{
	return true;
}

static void record(enum disk_op op, int fd, uint64_t count)
{
	char line[128];
	int n = snprintf(line, sizeof(line), "%s %d %s %d %llu\n", our_role, (int)getpid(),
			 disk_op_names[op], fd, (unsigned long long)count);
	if (write(trace, line, (size_t)n) < 0)
		trace = -1;
}

/* The number behind the '1'. The rest of the page is zero. */
static uint64_t condition_number(void)
{
	uint64_t n = 0;
	for (int i = 1; i < CONDITION_SIZE && condition[i] >= '0' && condition[i] <= '9'; i++)
		n = 10 * n + (uint64_t)(condition[i] - '0');
	return n;
}

static bool strikes(struct rule *r, int op)
{
	if ((r->op != op && (r->op != EVERY_OP || op > EVERY_OP)) ||
	    fnmatch(r->role, our_role, 0) != 0)
		return false;
	if (condition != NULL && *condition != '1') {
		r->seen = 0;
		return false;
	}
	if (r->n == 0)
		return condition != NULL && ++r->seen == condition_number();
	return counts[r->op] >= r->n && counts[r->op] <= r->last;
}

static void wait_ms(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
	if (ms > 0)
		nanosleep(&t, NULL);
}

/* With the mutex held; how long to wait when it is free again. */
static int judge(int op, struct fault *f)
{
	int delay = 0;
	for (size_t i = 0; i < rule_count; i++) {
		if (!strikes(&rules[i], op))
			continue;
		switch (rules[i].action) {
		case ACTION_KILL:
			raise(SIGKILL);
			break;
		case ACTION_DELAY:
			delay += rules[i].value;
			break;
		case ACTION_FAIL:
			f->error = rules[i].value;
			break;
		case ACTION_SHORT:
			f->most = rules[i].value;
			f->odd = counts[op] % 2;
			break;
		case ACTION_LIE:
			f->lie = true;
			break;
		}
	}
	return delay;
}

int disk_point(enum disk_op op, int fd)
{
	struct fault f = {.error = 0};
	taken_over_point();
	pthread_mutex_lock(&mutex);
	if (!begun)
		begin();
	counts[op]++;
	counts[EVERY_OP]++;
	if (trace >= 0)
		record(op, fd, counts[op]);
	int delay = judge((int)op, &f);
	pthread_mutex_unlock(&mutex);
	wait_ms(delay);
	if (f.error == 0)
		return f.lie ? DISK_LIED : 0;
	errno = f.error;
	return -1;
}

bool fault_named(enum fault_op op)
{
	return named[op];
}

/* Only from disk_faults_role() on: before it nobody knows whose call it is. What judges must not be
 * judged itself. */
struct fault fault_point(enum fault_op op)
{
	static _Thread_local bool inside;
	struct fault f = {.error = 0};
	int before = errno;
	if (!named[op] || inside)
		return f;
	inside = true;
	pthread_mutex_lock(&mutex);
	counts[op]++;
	int delay = judge((int)op, &f);
	pthread_mutex_unlock(&mutex);
	inside = false;
	wait_ms(delay);
	errno = before;
	return f;
}
