/*
 * The processes are kept as text of ours, since what arrives lives no longer than its message.
 */
#include "commands/stagepost/status.h"

#include <inttypes.h>
#include <string.h>
#include <sysexits.h>

#include "commands/stagepost/json.h"
#include "commands/stagepost/status_certificates.h"
#include "commands/stagepost/words.h"
#include "common/base/memory.h"
#include "common/os/user.h"

enum { TROUBLE_MAX = 400, PRESSURE_MAX = 200, USER_NAME_SIZE = 33 };

struct one {
	char name[ROLE_MAX + 1], state[ROLE_MAX + 1];
	uint32_t pid, uid;
	uint64_t restarts, started;
};

struct status {
	int landlock;
	uint64_t now;
	struct one *list;
	size_t count;
	bool all_serve, have_counts;
	struct queue_counts counts;
	char pressure[PRESSURE_MAX + 1];
	char trouble[TROUBLE_MAX], remark[TROUBLE_MAX];
	struct certificates certificates;
};

struct status *status_new(int landlock, uint64_t now)
{
	struct status *s = memory_zero(1, sizeof(*s));
	s->landlock = landlock;
	s->now = now;
	s->all_serve = true;
	return s;
}

void status_free(struct status **s)
{
	if (*s) {
		memory_free((*s)->list);
		certificates_free(&(*s)->certificates);
	}
	memory_free(*s);
	*s = NULL;
}

void status_process(struct status *s, const struct master_process *m)
{
	struct one *p;
	if (s->count == STATUS_PROCESSES_MAX)
		return;
	s->list = memory_resize(s->list, s->count + 1, sizeof(*s->list));
	p = &s->list[s->count++];
	*p = (struct one){
	    .pid = m->pid, .uid = m->uid, .restarts = m->restarts, .started = m->started};
	slice_copy(m->name, p->name, sizeof(p->name));
	slice_copy(m->state, p->state, sizeof(p->state));
	if (strcmp(p->state, "serving") != 0)
		s->all_serve = false;
}

bool status_runs(const struct status *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->list[i].name, name) == 0)
			return true;
	return false;
}

void status_certificate(struct status *s, const struct keys_certificate *m)
{
	certificates_add(&s->certificates, m);
}

void status_certificates_missing(struct status *s, const char *why)
{
	snprintf(s->certificates.missing, sizeof(s->certificates.missing), "%s", why);
}

void status_counts(struct status *s, const struct queue_counts *m)
{
	s->have_counts = true;
	s->counts = *m;
	slice_copy(m->pressure, s->pressure, sizeof(s->pressure));
	s->counts.pressure = slice_str(s->pressure);
}

void status_remark(struct status *s, const char *text)
{
	snprintf(s->remark, sizeof(s->remark), "%s", text);
}

void status_queue_missing(struct status *s, const char *why)
{
	status_stopped(s, why);
}

void status_stopped(struct status *s, const char *why)
{
	snprintf(s->trouble, sizeof(s->trouble), "%s", why);
}

const char *status_trouble(const struct status *s)
{
	return s->trouble;
}

static const char *state(const struct status *s, int code)
{
	if (code == EX_UNAVAILABLE)
		return "stopped";
	if (code != EX_OK)
		return "unknown";
	return s->all_serve && s->have_counts ? "running" : "degraded";
}

static json_t *queue_json(const struct queue_counts *c)
{
	json_t *o = json_object();
	json_put(o, "incoming", json_count(c->incoming));
	json_put(o, "active", json_count(c->active));
	json_put(o, "deferred", json_count(c->deferred));
	json_put(o, "hold", json_count(c->hold));
	json_put(o, "corrupt", json_count(c->corrupt));
	json_put(o, "segments", json_count(c->segments));
	json_put(o, "spool_bytes", json_count(c->spool_bytes));
	json_put(o, "pressure", c->pressure.len > 0 ? json_text(c->pressure) : json_null());
	return o;
}

json_t *status_json(const struct status *s, int code)
{
	json_t *o = json_object(), *list = json_array();
	json_put(o, "state", json_text(slice_str(state(s, code))));
	json_put(o, "queue", s->have_counts ? queue_json(&s->counts) : json_null());
	json_put(o, "processes", list);
	for (size_t i = 0; i < s->count; i++) {
		const struct one *p = &s->list[i];
		json_t *q = json_object();
		json_put(q, "name", json_text(slice_str(p->name)));
		json_put(q, "pid", json_count(p->pid));
		json_put(q, "uid", json_count(p->uid));
		json_put(q, "restarts", json_count(p->restarts));
		json_put(q, "started", json_count(p->started));
		json_put(q, "state", json_text(slice_str(p->state)));
		json_array_append_new(list, q);
	}
	json_put(o, "certificates", certificates_json(&s->certificates, s->now));
	json_put(o, "landlock", json_count((uint64_t)(s->landlock > 0 ? s->landlock : 0)));
	if (s->remark[0])
		json_put(o, "remark", json_text(slice_str(s->remark)));
	if (s->trouble[0])
		json_put(o, "trouble", json_text(slice_str(s->trouble)));
	return o;
}

static void queue_text(const struct status *s, FILE *to)
{
	const struct queue_counts *c = &s->counts;
	char size[SIZE_TEXT_SIZE];
	if (!s->have_counts) {
		fputs("queue     not known: ", to);
		words_print(to, slice_str(s->trouble));
		fputc('\n', to);
		return;
	}
	fprintf(to,
		"queue     %" PRIu64 " incoming, %" PRIu64 " active, %" PRIu64 " deferred, %" PRIu64
		" hold, %" PRIu64 " corrupt\n",
		c->incoming, c->active, c->deferred, c->hold, c->corrupt);
	fprintf(to, "spool     %s octets in %" PRIu64 " segments\n",
		words_size(c->spool_bytes, size), c->segments);
	if (c->pressure.len > 0) {
		fputs("          new mail gets 452: ", to);
		words_print(to, c->pressure);
		fputc('\n', to);
	}
	if (s->remark[0]) {
		fputs("          ", to);
		words_print(to, slice_str(s->remark));
		fputc('\n', to);
	}
}

void status_text(const struct status *s, FILE *to)
{
	char since[TIME_TEXT_SIZE], user[USER_NAME_SIZE];
	fprintf(to, "%s\n", state(s, EX_OK));
	queue_text(s, to);
	certificates_text(&s->certificates, s->now, to);
	if (s->landlock > 0)
		fprintf(to, "sandbox   system call filter, and Landlock version %d\n", s->landlock);
	else
		fputs("sandbox   system call filter; this kernel has no Landlock\n", to);
	fprintf(to, "%-12s %7s %-20s %-9s %8s %s\n", "PROCESS", "PID", "USER", "STATE", "RESTARTS",
		"SINCE");
	for (size_t i = 0; i < s->count; i++) {
		const struct one *p = &s->list[i];
		user_name(p->uid, user, sizeof(user));
		fprintf(to, "%-12s %7" PRIu32 " %-20s %-9s %8" PRIu64 " %s\n", p->name, p->pid,
			user, p->state, p->restarts, p->pid ? words_time(p->started, since) : "-");
	}
}
