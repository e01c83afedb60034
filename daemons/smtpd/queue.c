/*
 * The queue as this room sees it: whether a message may begin, and what to do
 * when the queue manager has lent a segment or heard of a commit.
 */
#include "daemons/smtpd/smtpd.h"
#include "queue/writing/writing.h"

struct writer *queue_writer(void)
{
	return writing_writer();
}

bool queue_ready(struct refusal *why)
{
	if (writing_full())
		return refuse(why, 452, "4.3.1", "The queue is full, try later");
	switch (writer_state(writing_writer())) {
	case WRITER_READY:
		return true;
	case WRITER_FULL:
		return refuse(why, 452, "4.3.1", "Too much mail at once, try later");
	default:
		return refuse(why, 451, "4.3.0", "The queue is not there now, try later");
	}
}

const struct route queue_routes[] = {WRITING_ROUTES, {0, 0, NULL}};

void queue_up(struct channel *c, unsigned instance)
{
	writing_up(c, instance);
}

void queue_down(struct channel *c)
{
	writing_down(c);
}

void queue_start(void)
{
	static const struct writing_calls calls = {
	    .lent = server_queue_ready,
	    .noticed = server_check_drained,
	};

	writing_start(&calls);
}
