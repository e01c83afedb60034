/*
 * Jobs wait in a batch for each user: accounts is asked who that is, a child is made when there is
 * room for one, and is given one errand after the other, so that it never holds more than one
 * message that could be what kills it. A child serves for a limited time, then others have a turn.
 *
 * When a child dies, its errand is tried once more, alone in a child of its own; when that dies as
 * well it waits for its next attempt. It is never the message's fault: the user may end what runs
 * as the user, and has no say in what others get of the same message.
 */
#include "daemons/local/system.h"

#include <unistd.h>

#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/os/loop.h"
#include "common/wire/call.h"
#include "common/wire/codec.h"
#include "daemons/local/children.h"
#include "daemons/local/jobs.h"
#include "daemons/local/statements.h"

enum {
	ASKS_MAX = 4096,
	ASK_TIMEOUT_US = 60 * 1000 * 1000,
	TURN_US = 60 * 1000 * 1000, /* of one user, while others wait */
	KEY_SIZE = 72,
};

struct waiting {
	STAILQ_ENTRY(waiting) next;
	struct job *job;
	uint64_t message;
	uint32_t recipient, attempt;
	bool again; /* a child died of it, or beside it */
	int fd;	    /* of the large file; -1: none */
	size_t len;
	char octets[]; /* the errand */
};

enum batch_state { BATCH_ASKS, BATCH_READY, BATCH_RUNS };

/* Of one user; never empty between two calls of the loop. */
struct batch {
	TAILQ_ENTRY(batch) link; /* in ready */
	enum batch_state state;
	char key[KEY_SIZE]; /* '+' with the group of spools, else '-'; the user's name */
	STAILQ_HEAD(, waiting) errands; /* the first is with the child */
	struct person person;		/* slices point to home and groups */
	char *home;
	char groups[ACCOUNTS_GROUPS_MAX * 4];
	struct child *child;
	uint64_t since; /* the child was made */
};

static struct map *batches; /* by key */
static TAILQ_HEAD(, batch) ready = TAILQ_HEAD_INITIALIZER(ready);
static struct caller *accounts;
static uint64_t time_limit = CHILDREN_TIME_US;

static void waiting_done(struct batch *b, const struct outcome *o)
{
	struct waiting *w = STAILQ_FIRST(&b->errands);
	STAILQ_REMOVE_HEAD(&b->errands, next);
	if (w->fd >= 0)
		close(w->fd);
	jobs_done(w->job, o);
	memory_free(w);
}

static void batch_free(struct batch *b)
{
	if (b->child)
		children_end(&b->child);
	map_remove(batches, slice_str(b->key));
	memory_free(b->home);
	memory_free(b);
}

/* The same for all that wait. */
static void batch_done(struct batch *b, const struct outcome *o)
{
	while (!STAILQ_EMPTY(&b->errands))
		waiting_done(b, o);
	batch_free(b);
}

/* Children */

static void run(void)
{
	struct batch *b;
	while ((b = TAILQ_FIRST(&ready))) {
		b->child = children_new(&b->person, b);
		if (!b->child)
			return; /* room() comes */
		TAILQ_REMOVE(&ready, b, link);
		b->state = BATCH_RUNS;
		b->since = loop_now();
	}
}

static void wait_for_turn(struct batch *b)
{
	if (b->child)
		children_end(&b->child);
	b->state = BATCH_READY;
	TAILQ_INSERT_TAIL(&ready, b, link);
	run();
}

static void on_child_ready(void *arg)
{
	struct batch *b = arg;
	struct waiting *w = STAILQ_FIRST(&b->errands);
	children_give(b->child, slice_make(w->octets, w->len), w->fd);
}

/* What a child says is words, which are checked, about the errand that it was given. */
static void outcome_of(const struct job_outcome *m, struct outcome *o)
{
	if (!slice_copy(m->enhanced, o->enhanced, sizeof(o->enhanced)) ||
	    !slice_copy(m->text, o->text, sizeof(o->text)))
		outcome_set(o, 451, "4.3.0", false, "an outcome that makes no sense");
	o->status = m->status;
	o->code = m->code;
	o->site = m->site;
}

static void go_on(struct batch *b, bool another_child)
{
	bool turn_over = loop_now() - b->since > TURN_US;
	if (STAILQ_EMPTY(&b->errands))
		batch_free(b);
	else if (another_child || turn_over)
		wait_for_turn(b);
	else
		on_child_ready(b);
}

static void on_outcome(void *arg, const struct job_outcome *m)
{
	struct batch *b = arg;
	struct waiting *w = STAILQ_FIRST(&b->errands);
	bool alone = w->again;
	struct outcome o;
	outcome_of(m, &o);
	if (m->message == 0) { /* it can do nothing for this user */
		if (m->status != JOB_DEFERRED)
			outcome_set(&o, 451, "4.3.0", false, "an outcome of no delivery");
		batch_done(b, &o);
		return;
	}
	if (m->message != w->message || m->recipient != w->recipient || m->attempt != w->attempt ||
	    m->status == 0)
		outcome_set(&o, 451, "4.3.0", false, "an outcome of another delivery");
	waiting_done(b, &o);
	go_on(b, alone);
}

static void died(struct batch *b)
{
	struct waiting *w = STAILQ_FIRST(&b->errands);
	struct outcome o;
	if (!w->again) {
		w->again = true;
		wait_for_turn(b);
		return;
	}
	outcome_set(&o, 451, "4.3.0", false,
		    "two processes died while they delivered this message");
	waiting_done(b, &o);
	go_on(b, true);
}

static void on_child_gone(void *arg, enum child_end end)
{
	struct batch *b = arg;
	struct outcome o;
	b->child = NULL;
	switch (end) {
	case CHILD_DIED:
		died(b);
		return;
	case CHILD_LATE:
		outcome_set(&o, 451, "4.3.0", true, "the delivery took too long");
		break;
	case CHILD_NONE:
		outcome_set(&o, 452, "4.3.0", true, "no process for the delivery");
		break;
	}
	batch_done(b, &o);
}

static const struct children_calls calls = {on_child_ready, on_outcome, on_child_gone, run};

/* Accounts */

static void user_known(struct batch *b, const struct accounts_answer *a)
{
	b->home = memory_string(a->home);
	memcpy(b->groups, a->groups.ptr, a->groups.len);
	b->person = (struct person){.uid = a->uid,
				    .gid = a->gid,
				    .home = slice_str(b->home),
				    .groups = slice_make(b->groups, a->groups.len),
				    .spool = b->key[0] == '+'};
	wait_for_turn(b);
}

static void heard(void *arg, const void *answer)
{
	const struct accounts_answer *a = answer;
	struct batch *b = arg;
	struct outcome o;
	if (a && a->result == ACCOUNTS_KNOWN && a->uid != 0 && a->gid != 0 &&
	    a->groups.len % 4 == 0) {
		user_known(b, a);
		return;
	}
	if (a && a->result == ACCOUNTS_MISSING)
		outcome_set(&o, 550, "5.1.1", false, "no such user here");
	else /* S55 */
		outcome_set(&o, 451, "4.3.0", true, "the user can't be looked up now");
	batch_done(b, &o);
}

static void ask(struct batch *b)
{
	struct accounts_ask m = {.users = SLICE("system"), .user = slice_str(b->key + 1)};
	if (!caller_ask(accounts, ACCOUNTS_ASK, &accounts_ask_record, &m, ASK_TIMEOUT_US, heard, b))
		heard(b, NULL);
}

static void on_answer(struct channel *c, const void *record)
{
	const struct accounts_answer *m = record;
	(void)c;
	caller_answered(accounts, m->request, m);
}

const struct route system_accounts_routes[] = {
    {ACCOUNTS_ANSWER, ROUTE_ALWAYS, on_answer}, /* who that is */
    {0, 0, NULL},
};

void system_accounts_up(struct channel *c, unsigned instance)
{
	(void)instance;
	caller_use(accounts, c);
}

void system_accounts_down(struct channel *c)
{
	(void)c;
	caller_use(accounts, NULL);
}

/* Jobs */

/* Splits an expanded path: below the home, or an absolute directory and what is below it. */
static const char *split(struct slice template, const struct job_start *m, struct errand *e,
			 char path[MAILBOX_PATH_SIZE])
{
	struct slice rest = template;
	e->base = SLICE_EMPTY;
	if (slice_starts(template, SLICE("~/"))) {
		rest = slice_from(template, 2);
	} else {
		size_t percent = slice_find(template, '%');
		size_t slash = slice_find_last(slice_sub(template, 0, percent), '/');
		if (slash == 0 || slash >= percent || template.ptr[0] != '/')
			return "the configuration's path names no directory";
		e->base = slice_sub(template, 0, slash);
		rest = slice_from(template, slash + 1);
	}
	const char *fault = path_expand(rest, m->user, m->domain, path);
	e->path = slice_str(path);
	return fault;
}

static struct errand errand_of(const struct job_start *m)
{
	return (struct errand){.message = m->message,
			       .recipient = m->recipient,
			       .attempt = m->attempt,
			       .sender = m->sender,
			       .address = m->address,
			       .original = m->original,
			       .size = m->size,
			       .trace = m->trace,
			       .header = m->header,
			       .body = m->body,
			       .file = m->file,
			       .file_nonce = m->file_nonce,
			       .file_digest = m->file_digest,
			       .body_offset = m->body_offset,
			       .body_length = m->body_length,
			       .header_offset = m->header_offset,
			       .header_length = m->header_length,
			       .host = slice_str(statements_host()),
			       .fd = -1};
}

/* NULL: o says why it goes nowhere. */
static struct waiting *waiting_new(const struct job_start *m, bool *spool, struct outcome *o)
{
	const struct statement *s = statements_find(m->deliver);
	struct errand e = errand_of(m);
	char path[MAILBOX_PATH_SIZE];
	struct waiting *w;
	struct buffer b;
	if (!s || s->kind == STATEMENT_MAILDIR) {
		outcome_set(o, 451, "4.3.5", true,
			    "the configuration has changed: no deliver statement %u here",
			    m->deliver);
		return NULL;
	}
	const char *fault = split(s->path, m, &e, path);
	if (fault) {
		outcome_set(o, 553, "5.1.3", false, "%s", fault);
		return NULL;
	}
	e.mbox = s->kind == STATEMENT_SYSTEM_MBOX;
	*spool = e.mbox && e.base.len > 0;
	buffer_init(&b, ERRAND_MAX);
	if (!codec_encode(&errand_record, &e, &b))
		panic("an errand that can't be encoded");
	w = memory_get(sizeof(*w) + b.len);
	*w = (struct waiting){.message = m->message,
			      .recipient = m->recipient,
			      .attempt = m->attempt,
			      .fd = m->fd,
			      .len = b.len};
	memcpy(w->octets, buffer_slice(&b).ptr, b.len);
	buffer_free(&b);
	return w;
}

static void batch_add(const char *key, struct waiting *w)
{
	struct batch *b = map_get(batches, slice_str(key));
	bool fresh = !b;
	if (fresh) {
		b = memory_zero(1, sizeof(*b));
		slice_copy(slice_str(key), b->key, sizeof(b->key));
		STAILQ_INIT(&b->errands);
		map_put(batches, slice_str(b->key), b);
	}
	STAILQ_INSERT_TAIL(&b->errands, w, next);
	if (fresh)
		ask(b);
}

static void take(struct job *j, const struct job_start *m)
{
	char key[KEY_SIZE];
	struct outcome o;
	bool spool;
	struct waiting *w = waiting_new(m, &spool, &o);
	if (!w) {
		if (m->fd >= 0)
			close(m->fd);
		jobs_done(j, &o);
		return;
	}
	w->job = j;
	key[0] = spool ? '+' : '-';
	if (!slice_copy(m->user, key + 1, sizeof(key) - 1))
		panic("a user's name of %zu octets", m->user.len);
	batch_add(key, w);
}

void system_warm(void)
{
	batches = map_new();
	accounts = caller_new(ASKS_MAX);
	jobs_warm(take);
	children_warm();
}

void system_start(void)
{
	children_start(&calls, time_limit);
}

void system_time_limit(uint64_t us)
{
	time_limit = us;
}
