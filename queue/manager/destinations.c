/*
 * The destinations for an administrator: where mail goes, what waits there, and which are in
 * trouble. They come in the order in which they were made; who asks sorts them.
 */
#include <sysexits.h>

#include "common/os/clock.h"
#include "queue/manager/admin.h"

enum { DESTINATIONS_STEP = 1000 };

/* One that only has been used lately is of no interest. */
static bool is_shown(const struct destination_view *v)
{
	return v->queued > 0 || v->out > 0 || v->parked > 0 || v->failures > 0 || v->dead_until > 0;
}

static void send_destination(struct question *q, const struct destination_view *v)
{
	struct queue_destination m = {
	    .request = q->request,
	    .transport = slice_str(transport_name(v->transport)),
	    .key = v->key,
	    .queued = v->queued,
	    .out = v->out,
	    .deferred = v->parked,
	    .window = v->window,
	    .failures = v->failures,
	    .dead_until = v->dead_until > 0 ? manager_wall(v->dead_until) : 0,
	    .reply = v->reply,
	};

	admin_send(q, QUEUE_DESTINATION, &m);
}

bool destinations_step(struct question *q)
{
	struct destination_view view;

	for (int i = 0; i < DESTINATIONS_STEP && admin_room(); i++) {
		if (!schedule_walk_next(manager.schedule, &q->destinations, manager_now(), &view)) {
			admin_done(q, EX_OK, agents_missing());
			return false;
		}
		if (!is_shown(&view))
			continue;
		send_destination(q, &view);
		q->count++;
	}
	return true;
}
