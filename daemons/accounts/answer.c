/*
 * A look-up may answer when the asker is another one already, whose questions have the same
 * numbers: an answer goes out only over the channel that its question came by. Router hears whether
 * somebody is a user, local-system alone the numbers and the home.
 */
#include "common/base/memory.h"
#include "daemons/accounts/answer.h"
#include "daemons/accounts/machine.h"
#include "daemons/accounts/shelf.h"

/* Who may ask. */
struct asker {
	struct channel *channel; /* NULL: none now */
	uint64_t number;	 /* counts its channels */
};

struct pending {
	uint64_t request;
	struct asker *asker;
	uint64_t number; /* of the asker's channel */
};

static struct asker router, local_system;
static size_t pending_count;

static void answer(struct asker *to, uint64_t request, const struct accounts_answer *from)
{
	struct accounts_answer m = *from;

	if (to != &local_system)
		m = (struct accounts_answer){.result = from->result, .text = from->text};
	m.request = request;
	channel_send(to->channel, ACCOUNTS_ANSWER, &m);
}

static void looked_up(void *arg, const struct accounts_answer *a)
{
	struct pending *p = arg;

	if (p->asker->channel != NULL && p->number == p->asker->number)
		answer(p->asker, p->request, a);
	pending_count--;
	memory_free(p);
}

static void on_ask(struct channel *c, const void *record)
{
	const struct accounts_ask *m = record;
	struct asker *asker = c == local_system.channel ? &local_system : &router;
	struct accounts_answer busy = {.result = ACCOUNTS_TROUBLE,
				       .text = SLICE("too many questions at once")};
	struct pending *p;

	if (pending_count >= ANSWERS_PENDING_MAX) {
		answer(asker, m->request, &busy);
		return;
	}
	p = memory_get(sizeof(*p));
	*p = (struct pending){m->request, asker, asker->number};
	pending_count++;
	if (slice_equal(m->users, MACHINE_USERS))
		machine_ask(m->user, looked_up, p);
	else
		shelf_ask(m->users, m->user, m->domain, looked_up, p);
}

const struct route answer_routes[] = {
    {ACCOUNTS_ASK, ROUTE_ALWAYS, on_ask}, /* is this a user? */
    {0, 0, NULL},
};

static void up(struct asker *asker, struct channel *c)
{
	asker->channel = c;
	asker->number++;
}

void answer_router_up(struct channel *c, unsigned instance)
{
	(void)instance;
	up(&router, c);
}

void answer_local_system_up(struct channel *c, unsigned instance)
{
	(void)instance;
	up(&local_system, c);
}

void answer_down(struct channel *c)
{
	if (router.channel == c)
		router.channel = NULL;
	if (local_system.channel == c)
		local_system.channel = NULL;
}
