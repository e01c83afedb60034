/*
 * Agents: two instances of local, one for all mail and one for suspects. On a fresh channel an
 * agent first tells what it holds; it gets no job before, and no message becomes active before
 * every agent has told it once.
 */
#include "common/base/map.h"
#include "common/base/memory.h"
#include "queue/manager/manager.h"

enum { HOLDINGS_MAX = 100000 };

struct agent {
	struct channel *channel;
	bool told;	     /* what it holds, on this channel */
	bool told_once;	     /* since this manager's start */
	uint32_t most;	     /* jobs it takes at once */
	uint32_t held;	     /* jobs that it holds from before this manager's start */
	struct buffer notes; /* struct job_noted, sent after the next flush */
};

/* Jobs of a message from before this manager's start: agents have them, or outcomes are to be
 * written. */
struct holding {
	uint64_t message;
	uint32_t jobs[AGENTS];
	uint32_t outcomes;
};

static struct agent agents[AGENTS];
static struct idmap *holdings;

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

static void set_window(void)
{
	schedule_agent(manager.schedule, TRANSPORT_LOCAL,
		       agents[AGENT_ALL].told ? agents[AGENT_ALL].most : 0);
}

void agents_up(struct channel *c, unsigned instance)
{
	if (instance >= AGENTS)
		panic("a third agent for local mail");
	agents[instance].channel = c;
	agents[instance].told = false;
	buffer_init(&agents[instance].notes, HOLDINGS_MAX * sizeof(struct job_noted));
}

void agents_down(struct channel *c)
{
	unsigned agent = agent_of(c);

	agents[agent].channel = NULL;
	agents[agent].told = false;
	buffer_free(&agents[agent].notes);
	set_window();
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
	manager.agents_known = true;
	for (unsigned i = 0; i < AGENTS; i++)
		manager.agents_known &= agents[i].told_once;
	set_window();
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

const struct route agent_routes[] = {
    {JOB_OUTCOME, ROUTE_ALWAYS, on_outcome},
    {JOB_HOLDING, ROUTE_ALWAYS, on_holding},
    {JOB_HOLDING_END, ROUTE_ALWAYS, on_holding_end},
    {0, 0, NULL},
};
