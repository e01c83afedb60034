/*
 * Mail that programs left while nobody listened comes by sessions that pickup hands over: as if its
 * author had come by the socket for programs (dialogue/pickup.h). Like connections they wait until
 * the queue has lent a segment.
 */
#include "common/dialogue/pickup.h"

#include <unistd.h>

#include "common/base/memory.h"
#include "daemons/smtpd/smtpd.h"

struct parked {
	TAILQ_ENTRY(parked) link;
	int fd;
	uint32_t uid;
};

static TAILQ_HEAD(, parked) parking = TAILQ_HEAD_INITIALIZER(parking);
static uint32_t parked_count;

void pickup_go_on(void)
{
	struct parked *p;

	while ((p = TAILQ_FIRST(&parking)) != NULL) {
		TAILQ_REMOVE(&parking, p, link);
		parked_count--;
		server_take(p->fd, p->uid);
		memory_free(p);
	}
}

static void on_session(struct channel *c, const void *record)
{
	const struct pickup_session *m = record;
	struct parked *p;

	(void)c;
	if (server_opened()) {
		server_take(m->fd, m->uid);
		return;
	}
	if (parked_count == PICKUP_SESSIONS_MAX) {
		close(m->fd);
		return;
	}
	p = memory_zero(1, sizeof(*p));
	*p = (struct parked){.fd = m->fd, .uid = m->uid};
	TAILQ_INSERT_TAIL(&parking, p, link);
	parked_count++;
}

const struct route pickup_routes[] = {
    {PICKUP_SESSION, ROUTE_ALWAYS, on_session},
    {0, 0, NULL},
};

void pickup_up(struct channel *c, unsigned instance)
{
	(void)c, (void)instance;
}

void pickup_down(struct channel *c)
{
	(void)c;
}
