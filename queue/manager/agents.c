/*
 * Agents: two instances of local and of smtp, one for all mail and one for suspects, and one of
 * local-system when some mail goes to the machine's users. On a fresh channel an agent first tells
 * what it holds; it gets no job before, and no message becomes active before every agent that is
 * expected has told it once.
 */
#include <stdio.h>

#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "queue/manager/manager.h"

enum {
	HOLDINGS_MAX = 100000,
	OUTCOMES_PORTION =
	    32 * 1024, /* octets taken in a turn: outcomes of some hundred recipients */
	AWAY_US = 60 * 1000 * 1000, /* an agent that mail waits for is missed after that */
	MISSED_AGAIN_US = 600 * 1000 * 1000,
};

struct agent {
	struct channel *channel;
	bool told;	     /* what it holds, on this channel */
	bool told_once;	     /* since this manager's start */
	uint32_t most;	     /* jobs it takes at once */
	uint32_t held;	     /* deliveries that it holds from before this manager's start */
	struct buffer notes; /* struct job_noted, sent after the next flush */
};

/* Deliveries of a message from before this manager's start: agents have them, or outcomes are to be
 * written. */
struct holding {
	uint64_t message;
	uint32_t jobs[AGENTS];
	uint32_t outcomes;
};

static const struct {
	const char *name;
	enum agent_id all, suspects;
} transports[TRANSPORTS] = {
    [TRANSPORT_LOCAL] = {"local", AGENT_LOCAL, AGENT_LOCAL_SUSPECTS},
    [TRANSPORT_SMTP] = {"smtp", AGENT_SMTP, AGENT_SMTP_SUSPECTS},
    [TRANSPORT_SYSTEM] = {"system", AGENT_SYSTEM, AGENT_SYSTEM},
};

static struct agent agents[AGENTS];
static struct idmap *holdings;
static struct {
	uint64_t away_since, said; /* 0: it is there, or nothing waits for it; never */
} missing[TRANSPORTS];

const char *transport_name(unsigned t)
{
	return t < TRANSPORTS ? transports[t].name : "none";
}

enum agent_id agent_for(enum transport t, bool suspect)
{
	return suspect ? transports[t].suspects : transports[t].all;
}

static unsigned agent_of(const struct channel *c)
{
	for (unsigned i = 0; i < AGENTS; i++)
		if (agents[i].channel == c)
			return i;
	panic("an agent's channel without an agent");
}

struct channel *agent_channel(unsigned agent)
{
	return agents[agent].told ? agents[agent].channel : NULL;
}

bool agent_holds(unsigned agent)
{
	return agents[agent].held > 0;
}

bool agents_hold(uint64_t message)
{
	return holdings != NULL && idmap_get(holdings, message) != NULL;
}

/* NULL: there are too many. */
static struct holding *holding_of(uint64_t message)
{
	struct holding *h;

	if (holdings == NULL)
		holdings = idmap_new();
	h = idmap_get(holdings, message);
	if (h == NULL && idmap_count(holdings) < HOLDINGS_MAX) {
		h = memory_zero(1, sizeof(*h));
		h->message = message;
		idmap_put(holdings, message, h);
	}
	return h;
}

static void holding_release(struct holding *h)
{
	for (unsigned i = 0; i < AGENTS; i++)
		if (h->jobs[i] > 0)
			return;
	if (h->outcomes > 0)
		return;
	idmap_remove(holdings, h->message);
	memory_free(h);
}

/* One of a job that it has told that it holds; outcomes that it had kept come before it has told.
 */
void agents_keep(unsigned agent, uint64_t message)
{
	struct holding *h = holding_of(message);

	if (h == NULL)
		return;
	h->outcomes++;
	if (agents[agent].told && h->jobs[agent] > 0) {
		h->jobs[agent]--;
		agents[agent].held--;
	}
}

void agents_kept(uint64_t message)
{
	struct holding *h = holdings != NULL ? idmap_get(holdings, message) : NULL;

	if (h == NULL || h->outcomes == 0)
		return;
	h->outcomes--;
	holding_release(h);
}

/* What it held has died with it: those recipients are tried again. Outcomes that came are still
 * written. */
static void forget_holdings(unsigned agent)
{
	size_t at = 0;
	uint64_t id;
	void *value;

	while (holdings != NULL && idmap_next(holdings, &at, &id, &value)) {
		struct holding *h = value;

		h->jobs[agent] = 0;
		holding_release(h);
	}
	agents[agent].held = 0;
}

/* Is it in this house at all? The master links all that are, or will. */
static bool is_expected(unsigned agent)
{
	return agent != AGENT_SYSTEM || manager.system_users;
}

void agents_expect(void)
{
	bool known = true;

	for (unsigned i = 0; i < AGENTS; i++)
		known &= agents[i].told_once || !is_expected(i);
	manager.agents_known |= known;
}

void agents_windows(void)
{
	for (unsigned t = 0; t < TRANSPORTS; t++) {
		const struct agent *a = &agents[transports[t].all];

		schedule_agent(manager.schedule, t, a->told ? a->most : 0);
	}
}

static void agent_up(struct channel *c, unsigned agent)
{
	channel_portion(c, OUTCOMES_PORTION);
	agents[agent].channel = c;
	agents[agent].told = false;
	buffer_init(&agents[agent].notes, HOLDINGS_MAX * sizeof(struct job_noted));
}

void agents_up_local(struct channel *c, unsigned instance)
{
	if (instance > 1)
		panic("a third agent for local mail");
	agent_up(c, instance == 0 ? AGENT_LOCAL : AGENT_LOCAL_SUSPECTS);
}

void agents_up_smtp(struct channel *c, unsigned instance)
{
	if (instance > 1)
		panic("a third agent for remote mail");
	agent_up(c, instance == 0 ? AGENT_SMTP : AGENT_SMTP_SUSPECTS);
}

void agents_up_system(struct channel *c, unsigned instance)
{
	if (instance > 0)
		panic("a second agent for the machine's users");
	agent_up(c, AGENT_SYSTEM);
}

void agents_down(struct channel *c)
{
	unsigned agent = agent_of(c);

	agents[agent].channel = NULL;
	agents[agent].told = false;
	buffer_free(&agents[agent].notes);
	agents_windows();
	forget_holdings(agent);
	job_agent_died(agent);
}

static void on_holding(struct channel *c, const void *record)
{
	const struct job_holding *m = record;
	unsigned agent = agent_of(c);
	struct holding *h;

	if (agents[agent].told || m->message == 0) {
		channel_break(c, "holds jobs after it has told which");
		return;
	}
	h = holding_of(m->message);
	if (h == NULL)
		channel_break(c, "holds more jobs than an agent takes");
	else {
		h->jobs[agent]++;
		agents[agent].held++;
	}
}

static void on_holding_end(struct channel *c, const void *record)
{
	const struct job_holding_end *m = record;
	struct agent *a = &agents[agent_of(c)];

	a->told = a->told_once = true;
	a->most = m->most;
	agents_expect();
	agents_windows();
}

static void on_outcome(struct channel *c, const void *record)
{
	job_outcome(agent_of(c), record);
}

void agent_note(unsigned agent, uint64_t message, uint32_t recipient, uint32_t attempt)
{
	struct job_noted note = {message, recipient, attempt};
	struct channel *c = agents[agent].channel;

	if (c != NULL && !buffer_append(&agents[agent].notes, slice_make(&note, sizeof(note))))
		channel_break(c, "sends more outcomes than it was given jobs");
}

void agents_send_notes(void)
{
	for (unsigned i = 0; i < AGENTS; i++) {
		struct buffer *notes = &agents[i].notes;

		while (agents[i].channel != NULL && notes->len > 0) {
			struct job_noted note;

			memcpy(&note, buffer_slice(notes).ptr, sizeof(note));
			if (!channel_send(agents[i].channel, JOB_NOTED, &note))
				break;
			buffer_consume(notes, sizeof(note));
		}
	}
}

static bool is_missed(unsigned t)
{
	return missing[t].away_since != 0 && manager_now() - missing[t].away_since >= AWAY_US;
}

void agents_look(void)
{
	uint64_t now = manager_now();

	for (unsigned t = 0; t < TRANSPORTS; t++) {
		size_t jobs = jobs_waiting(t);

		if (jobs == 0 || agents[transports[t].all].told)
			missing[t].away_since = 0;
		else if (missing[t].away_since == 0)
			missing[t].away_since = now;
		if (!is_missed(t) ||
		    (missing[t].said != 0 && now - missing[t].said < MISSED_AGAIN_US))
			continue;
		missing[t].said = now;
		log_warning("%zu jobs wait for %s, which is not there; they stay in the queue",
			    jobs, transports[t].name);
	}
}

const char *agents_missing(void)
{
	static char text[80];
	size_t len = 0;

	text[0] = '\0';
	for (unsigned t = 0; t < TRANSPORTS; t++)
		if (is_missed(t))
			len +=
			    (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
					     len > 0 ? ", " : "mail waits for what is not there: ",
					     transports[t].name);
	return text;
}

const struct route agent_routes[] = {
    {JOB_OUTCOME, ROUTE_ALWAYS, on_outcome},
    {JOB_HOLDING, ROUTE_ALWAYS, on_holding},
    {JOB_HOLDING_END, ROUTE_ALWAYS, on_holding_end},
    {0, 0, NULL},
};
