/*
 * Three questions. Status is answered from memory; stop is answered before it begins, since the one
 * who carries the answer ends with it; a reload is answered when every daemon serves with the new
 * settings, or when its time is over.
 */
#include "master/asks.h"

#include <sysexits.h>
#include <unistd.h>
#include <bsd/sys/queue.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "master/settings.h"
#include "master/supervisor.h"

enum { RELOAD_LIMIT_US = 60000000, FLUSH_US = 200000 };

struct waiting {
	TAILQ_ENTRY(waiting) next;
	struct process *asker;
	uint64_t request;
	char *text;
	struct loop_timer limit;
};

static TAILQ_HEAD(, waiting) list = TAILQ_HEAD_INITIALIZER(list);
static unsigned count;

static void answer(struct process *p, uint64_t request, unsigned code, struct slice text)
{
	struct master_done m = {
	    .request = request, .code = code, .text = slice_sub(text, 0, SETTINGS_REMARKS_MAX)};
	process_send(p, MASTER_DONE, &m);
}

static void status(struct process *to, uint64_t request)
{
	struct master_process own = {.request = request,
				     .name = SLICE("master"),
				     .pid = (uint32_t)getpid(),
				     .uid = getuid(),
				     .started = supervisor_born(),
				     .state = SLICE("serving")};
	struct process *p;
	process_send(to, MASTER_PROCESS, &own);
	TAILQ_FOREACH (p, processes(), next) {
		struct master_process m = {.request = request,
					   .name = slice_str(p->name),
					   .pid = (uint32_t)p->pid,
					   .uid = p->as.uid,
					   .restarts = p->starts ? p->starts - 1 : 0,
					   .started = p->started,
					   .state = slice_str(process_state_name(p))};
		process_send(to, MASTER_PROCESS, &m);
	}
	answer(to, request, EX_OK, SLICE_EMPTY);
}

static void waiting_end(struct waiting *w)
{
	TAILQ_REMOVE(&list, w, next);
	count--;
	loop_timer_stop(&w->limit);
	memory_free(w->text);
	memory_free(w);
}

static void too_long(void *arg)
{
	struct waiting *w = arg;
	struct process *p;
	struct buffer b;
	buffer_init(&b, SETTINGS_REMARKS_MAX);
	buffer_printf(&b, "not ready with the new settings yet:");
	TAILQ_FOREACH (p, processes(), next) {
		if (!supervisor_up_to_date(p))
			buffer_printf(&b, " %s", p->name);
	}
	answer(w->asker, w->request, EX_TEMPFAIL, buffer_slice(&b));
	buffer_free(&b);
	waiting_end(w);
}

static void reload(struct process *p, uint64_t request)
{
	struct error e = {0};
	struct buffer remarks;
	struct waiting *w;
	if (count == ASKS_WAITING_MAX) {
		answer(p, request, EX_TEMPFAIL, SLICE("too many reloads are under way"));
		return;
	}
	buffer_init(&remarks, SETTINGS_REMARKS_MAX);
	if (!supervisor_reload(&remarks, &e)) {
		answer(p, request, (unsigned)e.code, slice_str(e.text));
	} else {
		w = memory_zero(1, sizeof(*w));
		w->asker = p;
		w->request = request;
		w->text = memory_string(slice_trim(buffer_slice(&remarks)));
		TAILQ_INSERT_TAIL(&list, w, next);
		count++;
		loop_timer_start(&w->limit, RELOAD_LIMIT_US, too_long, w);
	}
	buffer_free(&remarks);
}

void asks_take(struct process *p, const struct master_ask *m)
{
	switch (m->verb) {
	case MASTER_VERB_STATUS:
		status(p, m->request);
		break;
	case MASTER_VERB_STOP:
		answer(p, m->request, EX_OK, SLICE_EMPTY);
		if (p->channel)
			channel_flush(p->channel, FLUSH_US);
		supervisor_stop();
		break;
	case MASTER_VERB_RELOAD:
		reload(p, m->request);
		break;
	default:
		answer(p, m->request, EX_USAGE, SLICE("the master does not know this verb"));
	}
}

void asks_go_on(void)
{
	struct waiting *w;
	if (!supervisor_settled())
		return;
	while ((w = TAILQ_FIRST(&list))) {
		answer(w->asker, w->request, EX_OK, slice_str(w->text));
		waiting_end(w);
	}
}

void asks_forget(const struct process *p)
{
	struct waiting *w, *after;
	TAILQ_FOREACH_SAFE (w, &list, next, after) {
		if (w->asker == p)
			waiting_end(w);
	}
}
