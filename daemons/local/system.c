/*
 * Jobs wait in a batch for each user: accounts is asked who that is, a child is made when there is
 * room for one, and is given what waits, bundle after bundle. With nothing to do it is kept for a
 * moment, as long as nobody waits for its place. It serves for a limited time: then others have a
 * turn, and accounts is asked again.
 *
 * When a child dies, each of its errands is tried once more, alone in a child of its own; when that
 * dies as well it waits for its next attempt. It is never the message's fault: the user may end
 * what runs as the user, and has no say in what others get of the same message.
 */
#include "daemons/local/system.h"

#include <unistd.h>

#include "common/base/log.h"
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
	TURN_US = 60 * 1000 * 1000, /* of one child */
	IDLE_US = 2 * 1000 * 1000,  /* that it is kept without work */
	DRAIN_US = 1000 * 1000,	    /* for deliveries that the queue has waited for in vain */
	KEY_SIZE = 72,
};

struct waiting {
	STAILQ_ENTRY(waiting) next;
	struct job *job;
	uint64_t message;
	uint32_t recipient, attempt;
	bool again; /* a child died of it, or of another in the same bundle */
	int fd;	    /* of the large file; -1: none */
	size_t len;
	char octets[]; /* the errand */
};

enum batch_state { BATCH_ASKS, BATCH_READY, BATCH_RUNS, BATCH_IDLE };

/* Of one user; never empty between two calls of the loop, but when idle. */
struct batch {
	TAILQ_ENTRY(batch) link; /* in ready, or idle */
	enum batch_state state;
	char key[KEY_SIZE]; /* '+' with the group of spools, else '-'; the user's name */
	STAILQ_HEAD(, waiting) errands;
	unsigned given;	      /* of them, the first, are with the child */
	struct person person; /* slices point to home and groups */
	char *home;
	char groups[ACCOUNTS_GROUPS_MAX * 4];
	struct child *child;
	uint64_t since;		 /* the child was made */
	bool alone;		 /* what it was given, it was given alone: another child is next */
	struct loop_timer timer; /* while idle */
};

static struct map *batches; /* by key */
static TAILQ_HEAD(batch_list, batch) ready = TAILQ_HEAD_INITIALIZER(ready);
static struct batch_list idle = TAILQ_HEAD_INITIALIZER(idle); /* the longest idle first */
static struct loop_turn turn;
static struct loop_timer patience;
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
	if (b->state == BATCH_IDLE)
		TAILQ_REMOVE(&idle, b, link);
	loop_timer_stop(&b->timer);
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

static struct batch *first_idle(bool with_errands)
{
	struct batch *b;
	TAILQ_FOREACH (b, &idle, link)
		if (STAILQ_EMPTY(&b->errands) != with_errands)
			return b;
	return NULL;
}

/* For who waits; its place is free when it has ended. */
static void make_room(void)
{
	struct batch *b = first_idle(false);
	if (b)
		batch_free(b);
}

static void run(void)
{
	struct batch *b;
	while ((b = TAILQ_FIRST(&ready))) {
		b->child = children_new(&b->person, b);
		if (!b->child) {
			make_room();
			return; /* room() comes */
		}
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

static void idle_too_long(void *arg)
{
	struct batch *b = arg;
	if (STAILQ_EMPTY(&b->errands)) /* else it wakes up at the turn's end */
		batch_free(b);
}

static void leave_idle(struct batch *b)
{
	TAILQ_REMOVE(&idle, b, link);
	loop_timer_stop(&b->timer);
	b->state = BATCH_RUNS;
}

static bool turn_is_over(const struct batch *b)
{
	return loop_now() - b->since > TURN_US;
}

static void rest(struct batch *b)
{
	if (turn_is_over(b) || !TAILQ_EMPTY(&ready)) {
		batch_free(b);
		return;
	}
	b->state = BATCH_IDLE;
	TAILQ_INSERT_TAIL(&idle, b, link);
	loop_timer_start(&b->timer, IDLE_US, idle_too_long, b);
}

/* May it come behind others of the bundle? */
static bool fits_behind(const struct buffer *bundle, const struct waiting *w)
{
	return !w->again && w->fd < 0 && w->len + BUNDLE_PART_EXTRA <= bundle->limit - bundle->len;
}

/* As many as fit; what a child died of goes alone, and so does a large file. */
static void give(struct batch *b)
{
	struct waiting *w = STAILQ_FIRST(&b->errands);
	int fd = w->fd;
	struct buffer bundle;
	b->alone = w->again;
	b->given = 0;
	buffer_init(&bundle, BUNDLE_MAX);
	do {
		if (!bundle_add(&bundle, slice_make(w->octets, w->len)))
			panic("an errand of %zu octets", w->len);
		b->given++;
		w = STAILQ_NEXT(w, next);
	} while (!b->alone && fd < 0 && w && b->given < BUNDLE_COUNT_MAX &&
		 fits_behind(&bundle, w));
	children_give(b->child, buffer_slice(&bundle), b->given, fd);
	buffer_free(&bundle);
}

static void ask(struct batch *b);

/* The child can be given something. */
static void on_child_ready(void *arg)
{
	struct batch *b = arg;
	bool another_child = b->alone;
	b->alone = false;
	if (STAILQ_EMPTY(&b->errands)) {
		if (another_child)
			batch_free(b);
		else
			rest(b);
	} else if (turn_is_over(b)) {
		children_end(&b->child);
		ask(b);
	} else if (another_child) {
		wait_for_turn(b);
	} else {
		give(b);
	}
}

/* At the turn's end: so all that has come in it goes together. */
static void wake_idle(void *arg)
{
	struct batch *b;
	(void)arg;
	while ((b = first_idle(true))) {
		leave_idle(b);
		on_child_ready(b);
	}
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

static void on_outcome(void *arg, const struct job_outcome *m)
{
	struct batch *b = arg;
	struct waiting *w = STAILQ_FIRST(&b->errands);
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
	b->given--;
	waiting_done(b, &o);
}

static void died(struct batch *b)
{
	struct waiting *w = STAILQ_FIRST(&b->errands);
	struct outcome o;
	if (b->alone && b->given > 0) {
		outcome_set(&o, 451, "4.3.0", false,
			    "two processes died while they delivered this message");
		waiting_done(b, &o);
	} else {
		for (; b->given > 0; b->given--, w = STAILQ_NEXT(w, next))
			w->again = true;
	}
	b->alone = false;
	b->given = 0;
	if (STAILQ_EMPTY(&b->errands))
		batch_free(b);
	else
		wait_for_turn(b);
}

static void on_child_gone(void *arg, enum child_end end)
{
	struct batch *b = arg;
	struct outcome o;
	b->child = NULL;
	if (b->state == BATCH_IDLE)
		leave_idle(b);
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
	memory_free(b->home);
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
	b->state = BATCH_ASKS;
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
	struct slice rest;
	const char *fault = mailbox_path_split(template, &e->base, &rest);
	if (!fault)
		fault = mailbox_path_expand(rest, m->user, m->domain, path);
	e->path = slice_str(path);
	return fault;
}

static struct errand errand_of(const struct job_start *m)
{
	return (struct errand){.message = m->message,
			       .recipient = m->recipient,
			       .attempt = m->attempt,
			       .again = m->again,
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
	loop_turn_add(&turn, wake_idle, NULL);
}

static void out_of_patience(void *arg)
{
	(void)arg;
	log_warning(
	    "deliveries that do not end are ended: they are tried again after the next start");
	children_stop(service_drained);
}

/* The queue has gone before us, so no outcome is missed. A child that its user has stopped must not
 * hold up the server's end, nor outlive it. */
void system_drain(void)
{
	loop_timer_start(&patience, DRAIN_US, out_of_patience, NULL);
	jobs_drain();
}

void system_time_limit(uint64_t us)
{
	time_limit = us;
}
