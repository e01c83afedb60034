/*
 * One message for each pair of the configuration, and the end.
 */
#include "daemons/keys/status.h"

#include "common/dialogue/keys.h"
#include "daemons/keys/pairs.h"

struct question {
	struct channel *channel;
	uint64_t request;
};

static void tell(void *arg, const struct pair_facts *f)
{
	const struct question *q = arg;
	struct keys_certificate m = {.request = q->request,
				     .certificate = f->certificate,
				     .key = f->key,
				     .trouble = f->trouble};
	if (f->paper) {
		m.names = slice_str(f->paper->names);
		m.kind = slice_str(f->paper->kind);
		m.from = f->paper->from;
		m.until = f->paper->until;
	}
	channel_send(q->channel, KEYS_CERTIFICATE, &m);
}

static void on_status(struct channel *c, const void *record)
{
	const struct keys_status *m = record;
	struct question q = {.channel = c, .request = m->request};
	struct keys_status_end end = {.request = m->request};
	pairs_each(tell, &q);
	channel_send(c, KEYS_STATUS_END, &end);
}

const struct route status_routes[] = {
    {KEYS_STATUS, ROUTE_ALWAYS, on_status}, /* which certificates are there? */
    {0, 0, NULL},
};
