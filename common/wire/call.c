/*
 * call: a pending call keeps its question encoded, so that it can be asked again when the strings
 * it was made of are long gone. Calls are in one of two lists: waiting (no channel took them yet)
 * and asked; a fresh channel puts all back to waiting, oldest first. A caller that asks once keeps
 * no question, and has none waiting. Deadlines are a heap with one timer for the earliest.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/heap.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/os/loop.h"
#include "common/wire/call.h"
#include "common/wire/codec.h"

enum { RETRY_US = 20000 }; /* after a channel had no room for a question */

struct call {
	TAILQ_ENTRY(call) link;
	struct heap_node deadline;
	uint64_t request;
	uint16_t number;
	bool asked;
	int fd; /* goes with the question; -1: none */
	const struct record *record;
	struct buffer question;
	call_done *done;
	void *arg;
};

TAILQ_HEAD(call_list, call);

struct caller {
	struct channel *channel; /* NULL: none now */
	struct call_list waiting, asked;
	struct idmap *calls; /* by request */
	struct heap deadlines;
	struct loop_timer timer; /* for the earliest deadline */
	uint64_t timer_at;
	struct loop_timer retry;
	size_t most;
	bool once;     /* see caller_new_once() */
	uint64_t last; /* request number given out */
	bool busy;     /* in on_timer */
	bool gone;     /* freed meanwhile */
};

struct caller *caller_new(size_t most_pending)
{
	struct caller *c = memory_zero(1, sizeof(*c));
	c->most = most_pending;
	c->calls = idmap_new();
	heap_init(&c->deadlines);
	TAILQ_INIT(&c->waiting);
	TAILQ_INIT(&c->asked);
	return c;
}

struct caller *caller_new_once(size_t most_pending)
{
	struct caller *c = caller_new(most_pending);
	c->once = true;
	return c;
}

static void call_free(struct call *k)
{
	if (k->fd >= 0)
		close(k->fd);
	buffer_free(&k->question);
	memory_free(k);
}

/* Out of all lists; the caller owns it then. */
static void call_take(struct caller *c, struct call *k)
{
	TAILQ_REMOVE(k->asked ? &c->asked : &c->waiting, k, link);
	heap_remove(&c->deadlines, &k->deadline);
	idmap_remove(c->calls, k->request);
}

static void caller_destroy(struct caller *c)
{
	idmap_free(&c->calls);
	heap_free(&c->deadlines);
	memory_free(c);
}

void caller_free(struct caller **caller)
{
	struct caller *c = *caller;
	struct call *k;
	*caller = NULL;
	if (!c)
		return;
	while ((k = TAILQ_FIRST(&c->asked)) || (k = TAILQ_FIRST(&c->waiting))) {
		call_take(c, k);
		call_free(k);
	}
	loop_timer_stop(&c->timer);
	loop_timer_stop(&c->retry);
	c->gone = true;
	if (!c->busy)
		caller_destroy(c);
}

/* Asking */

/* Again, from what was kept: the first time the record itself was there. */
static bool call_ask(struct caller *c, struct call *k)
{
	_Alignas(max_align_t) char value[CHANNEL_RECORD_MAX];
	const struct record_field *f = codec_fd_field(k->record);
	if (!codec_decode(k->record, buffer_slice(&k->question), value))
		panic("call: the question %s does not decode", k->record->name);
	if (f)
		memcpy(value + f->offset, &k->fd, sizeof(int));
	return channel_send(c->channel, k->number, value);
}

static void on_retry(void *arg);

static void ask_waiting(struct caller *c)
{
	struct call *k;
	while (c->channel && (k = TAILQ_FIRST(&c->waiting))) {
		if (!call_ask(c, k)) {
			if (channel_alive(c->channel) && !loop_timer_active(&c->retry))
				loop_timer_start(&c->retry, RETRY_US, on_retry, c);
			return;
		}
		TAILQ_REMOVE(&c->waiting, k, link);
		TAILQ_INSERT_TAIL(&c->asked, k, link);
		k->asked = true;
	}
}

static void on_retry(void *arg)
{
	ask_waiting(arg);
}

/* They were asked over a channel that has died. */
static void fail_asked(struct caller *c)
{
	struct call *k;
	while ((k = TAILQ_FIRST(&c->asked))) {
		call_take(c, k);
		k->done(k->arg, NULL);
		call_free(k);
	}
}

void caller_use(struct caller *c, struct channel *channel)
{
	struct call *k;
	c->channel = channel;
	if (c->once) {
		fail_asked(c);
		return;
	}
	TAILQ_FOREACH (k, &c->asked, link)
		k->asked = false;
	TAILQ_CONCAT(&c->asked, &c->waiting, link);
	TAILQ_CONCAT(&c->waiting, &c->asked, link);
	ask_waiting(c);
}

/* Time */

static void on_timer(void *arg);

static void timer_set(struct caller *c)
{
	const struct heap_node *first = heap_first(&c->deadlines);
	if (!first || (loop_timer_active(&c->timer) && c->timer_at <= first->key))
		return;
	uint64_t now = loop_now();
	c->timer_at = first->key;
	loop_timer_start(&c->timer, first->key > now ? first->key - now : 0, on_timer, c);
}

static void on_timer(void *arg)
{
	struct caller *c = arg;
	uint64_t now = loop_now();
	struct heap_node *first;
	c->busy = true;
	while (!c->gone && (first = heap_first(&c->deadlines)) && first->key <= now) {
		struct call *k = container_of(first, struct call, deadline);
		call_take(c, k);
		k->done(k->arg, NULL);
		call_free(k);
	}
	c->busy = false;
	if (c->gone)
		caller_destroy(c);
	else
		timer_set(c);
}

static void *request_field(const struct record *record, void *value)
{
	const struct record_field *f = &record->fields[0];
	if (record->size > CHANNEL_RECORD_MAX)
		panic("call: the struct %s is too large", record->name);
	if (record->field_count == 0 || f->kind != RECORD_U64 || strcmp(f->name, "request") != 0)
		panic("call: %s does not begin with a u64 named request", record->name);
	return (char *)value + f->offset;
}

/* Keeps the question; false when a field is over its limit or the descriptor can't be copied. */
static bool call_keep(struct call *k, const struct record *record, const void *value)
{
	const struct record_field *f = codec_fd_field(record);
	k->record = record;
	k->fd = -1;
	buffer_init(&k->question, CHANNEL_PACKET_MAX);
	if (!codec_encode(record, value, &k->question))
		return false;
	if (!f)
		return true;
	int fd = *(const int *)(const void *)((const char *)value + f->offset);
	if (fd < 0)
		return true;
	k->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return k->fd >= 0;
}

uint64_t caller_ask(struct caller *c, uint16_t number, const struct record *record, void *value,
		    uint64_t timeout_us, call_done *done, void *arg)
{
	if (idmap_count(c->calls) >= c->most)
		return 0;
	struct call *k = memory_zero(1, sizeof(*k));
	k->request = c->last + 1;
	k->fd = -1;
	memcpy(request_field(record, value), &k->request, sizeof(k->request));
	bool kept = c->once || call_keep(k, record, value);
	k->asked = kept && c->channel && TAILQ_EMPTY(&c->waiting) &&
		   channel_send(c->channel, number, value);
	if (!kept || (c->once && !k->asked)) {
		call_free(k);
		return 0;
	}
	k->number = number;
	k->done = done;
	k->arg = arg;
	c->last = k->request;
	idmap_put(c->calls, k->request, k);
	heap_insert(&c->deadlines, &k->deadline, loop_now() + timeout_us);
	timer_set(c);
	if (k->asked) {
		TAILQ_INSERT_TAIL(&c->asked, k, link);
	} else {
		TAILQ_INSERT_TAIL(&c->waiting, k, link);
		ask_waiting(c);
	}
	return k->request;
}

/* Ending */

void caller_cancel(struct caller *c, uint64_t request)
{
	struct call *k = request ? idmap_get(c->calls, request) : NULL;
	if (!k)
		return;
	call_take(c, k);
	call_free(k);
}

bool caller_answered(struct caller *c, uint64_t request, const void *answer)
{
	struct call *k = request ? idmap_get(c->calls, request) : NULL;
	if (!k)
		return false;
	call_take(c, k);
	call_done *done = k->done;
	void *arg = k->arg;
	call_free(k);
	done(arg, answer);
	return true;
}

void *caller_arg(const struct caller *c, uint64_t request)
{
	const struct call *k = request ? idmap_get(c->calls, request) : NULL;
	return k ? k->arg : NULL;
}

size_t caller_pending(const struct caller *c)
{
	return idmap_count(c->calls);
}
