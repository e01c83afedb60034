/*
 * A look-up may answer when router is another one already, whose questions have the same numbers:
 * an answer goes out only over the channel that its question came by.
 */
#include "common/base/memory.h"
#include "daemons/accounts/answer.h"
#include "daemons/accounts/shelf.h"

struct pending {
	uint64_t request;
	uint64_t channel; /* number of the channel */
};

static struct channel *router; /* NULL: none now */
static uint64_t router_number; /* counts its channels */
static size_t pending_count;

static void answer(uint64_t request, enum accounts_result result, const char *text)
{
	struct accounts_answer m = {.request = request, .result = result, .text = slice_str(text)};

	channel_send(router, ACCOUNTS_ANSWER, &m);
}

static void looked_up(void *arg, enum accounts_result result, const char *text)
{
	struct pending *p = arg;

	if (router != NULL && p->channel == router_number)
		answer(p->request, result, text);
	pending_count--;
	memory_free(p);
}

static void on_ask(struct channel *c, const void *record)
{
	const struct accounts_ask *m = record;
	struct pending *p;

	(void)c;
	if (pending_count >= ANSWERS_PENDING_MAX) {
		answer(m->request, ACCOUNTS_TROUBLE, "too many questions at once");
		return;
	}
	p = memory_get(sizeof(*p));
	*p = (struct pending){m->request, router_number};
	pending_count++;
	shelf_ask(m->users, m->user, m->domain, looked_up, p);
}

const struct route answer_routes[] = {
    {ACCOUNTS_ASK, ROUTE_ALWAYS, on_ask}, /* is this a user? */
    {0, 0, NULL},
};

void answer_up(struct channel *c, unsigned instance)
{
	(void)instance;
	router = c;
	router_number++;
}

void answer_down(struct channel *c)
{
	(void)c;
	router = NULL;
}
