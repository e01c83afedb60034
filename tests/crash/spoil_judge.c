/*
 * spoil_judge: two starts on one spool, in a child with a limit of memory and of time, and what
 * they found held against what is true.
 */
#include "tests/crash/spoil.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/queue_id.h"
#include "common/os/sandbox.h"

/* The sanitizers' shadow needs all there is. */
#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

enum { VERDICT_SIZE = 1024, LIMIT_S = 60, MEMORY_LIMIT = 1024 * 1024 * 1024 };

/* Shared with the child. */
struct verdict {
	char text[VERDICT_SIZE];
	unsigned gone;
	bool refused;
};

static struct verdict *verdict;

/* The first thing that is wrong counts. */
__attribute__((format(printf, 1, 2))) static void wrong(const char *format, ...)
{
	va_list ap;
	if (verdict->text[0])
		return;
	va_start(ap, format);
	vsnprintf(verdict->text, VERDICT_SIZE, format, ap);
	va_end(ap);
}

static const struct truth *truth_of(const struct samples *s, uint64_t id)
{
	for (size_t i = 0; i < s->truth_count; i++)
		if (s->truths[i].message.id == id)
			return &s->truths[i];
	return NULL;
}

static bool was_addressed(const struct truth *t, const char *addresses)
{
	char all[RECOVERED_ADDRESSES], *rest;
	snprintf(all, sizeof(all), "%s", addresses);
	for (char *a = strtok_r(all, " ", &rest); a; a = strtok_r(NULL, " ", &rest))
		if (!strstr(t->message.addresses, a))
			return false;
	return true;
}

static void judge_message(const struct samples *s, const struct recovered_message *m,
			  const struct permitted *p)
{
	char id[QUEUE_ID_LEN + 1];
	const struct truth *t = truth_of(s, m->id);
	queue_id_text(m->id, id);
	if (m->disposition == MESSAGE_CORRUPT)
		return;
	if (!t) {
		if (!p->forged)
			wrong("FORGED: %s was never sent", id);
		return;
	}
	if (!m->whole)
		wrong("STUCK: %s can't be read and is not set aside", id);
	else if (memcmp(m->sum, t->message.sum, DIGEST_SIZE) != 0)
		wrong("ALTERED: %s", id);
	else if (!was_addressed(t, m->addresses) && !p->repeats)
		wrong("MISDIRECTED: %s to %s", id, m->addresses);
	if (t->ended && !p->repeats && !p->forged)
		wrong("REPEATED: %s had ended", id);
	if (t->message.disposition == MESSAGE_HELD && m->disposition == MESSAGE_QUEUED)
		wrong("RELEASED: %s was held", id);
}

static unsigned count_gone(const struct samples *s, const struct recovered *r, unsigned *missing)
{
	unsigned gone = 0;
	*missing = 0;
	for (size_t i = 0; i < s->truth_count; i++) {
		const struct truth *t = &s->truths[i];
		const struct recovered_message *m = recovered_find(r, t->message.id);
		if (t->ended)
			continue;
		*missing += m == NULL;
		gone +=
		    m == NULL || m->disposition == MESSAGE_CORRUPT || m->alive < t->message.alive;
	}
	return gone;
}

static void judge_start(const struct samples *s, const struct recovered *r,
			const struct permitted *p)
{
	unsigned missing;
	verdict->refused = r->refusal.code != 0;
	if (r->refusal.code) {
		if (!p->refusal)
			wrong("REFUSED: %s", r->refusal.text);
		return;
	}
	if (!r->done)
		wrong("ENDLESS: no end in %d s", CASE_US / 1000000);
	for (size_t i = 0; i < r->count; i++)
		judge_message(s, &r->messages[i], p);
	verdict->gone = count_gone(s, r, &missing);
	if (missing > 0 && r->complaints + r->torn == 0 && !p->silence)
		wrong("SILENT: %u messages are not there, nothing was said", missing);
	if (verdict->gone > p->gone)
		wrong("MORE than was hurt is gone: %u of at most %u", verdict->gone, p->gone);
}

static void judge_again(const struct recovered *first, const struct recovered *again)
{
	if (first->refusal.code || again->refusal.code) {
		if (!first->refusal.code != !again->refusal.code)
			wrong("ANOTHER: the second start said: %s", again->refusal.text);
		return;
	}
	if (!again->done)
		wrong("ENDLESS: the second start has no end");
	if (again->count != first->count)
		wrong("ANOTHER: %zu messages, then %zu", first->count, again->count);
	for (size_t i = 0; i < first->count && i < again->count; i++)
		if (again->messages[i].id != first->messages[i].id ||
		    again->messages[i].disposition != first->messages[i].disposition)
			wrong("ANOTHER: the second start has other messages");
	if (again->set_aside != first->set_aside)
		wrong("ANOTHER: %zu files set aside, then %zu", first->set_aside, again->set_aside);
}

static void start_twice(const struct samples *s, const char *directory, const struct permitted *p)
{
	struct recover_limits limits = {SAMPLE_SEGMENT, SAMPLE_LEDGER, CASE_US};
	struct recovered first, again;
	struct rlimit memory = {MEMORY_LIMIT, MEMORY_LIMIT};
	alarm(LIMIT_S);
	if (!SANITIZED && setrlimit(RLIMIT_AS, &memory) < 0)
		wrong("no limit can be set");
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	recover_run(fd, &limits, &first);
	judge_start(s, &first, p);
	recover_run(fd, &limits, &again);
	judge_again(&first, &again);
	if (getenv("SPOIL_LOG"))
		fprintf(stderr, "%s%.*s", first.refusal.text, SLICE_FMT(buffer_slice(&first.log)));
	_exit(0);
}

const char *judge(const struct samples *s, const char *directory, const struct permitted *p,
		  unsigned *gone, bool *refused)
{
	int status;
	if (!verdict)
		verdict = mmap(NULL, sizeof(*verdict), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(verdict, 0, sizeof(*verdict));
	pid_t pid = fork();
	if (pid == 0)
		start_twice(s, directory, p);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		fatal("no child");
	if (WIFSIGNALED(status))
		wrong("%s: signal %d", WTERMSIG(status) == SIGALRM ? "ENDLESS" : "CRASH",
		      WTERMSIG(status));
	else if (status != 0)
		wrong("CRASH: exit %d", WEXITSTATUS(status));
	*gone = verdict->gone;
	*refused = verdict->refused;
	return verdict->text[0] ? verdict->text : NULL;
}
