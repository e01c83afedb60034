/*
 * A message is a line: queue id with a mark (* active, ! held), size, arrival, sender; then its
 * recipients at the right, each group of them under the reason why they wait.
 */
#include "commands/stagepost/mailq.h"

#include <inttypes.h>
#include <time.h>

#include "commands/stagepost/words.h"
#include "common/base/queue_id.h"

enum { RECIPIENT_COLUMN = 41, ARRIVAL_SIZE = 32, KIB = 1024 };

static const char *arrival(uint64_t seconds, char text[ARRIVAL_SIZE])
{
	time_t when = (time_t)seconds;
	struct tm local;
	if (!localtime_r(&when, &local) ||
	    strftime(text, ARRIVAL_SIZE, "%a %b %d %H:%M:%S", &local) == 0)
		return "-";
	return text;
}

void mailq_item(struct mailq *m, const struct queue_item *item)
{
	char id[QUEUE_ID_LEN + 1], when[ARRIVAL_SIZE];
	char mark = slice_equal(item->state, SLICE("active")) ? '*'
		    : slice_equal(item->state, SLICE("hold")) ? '!'
							      : ' ';
	if (m->messages++ == 0)
		fputs("-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n",
		      m->to);
	else
		fputc('\n', m->to);
	m->octets += item->size;
	m->reason[0] = '\0';
	queue_id_text(item->id, id);
	fprintf(m->to, "%s%c %7" PRIu64 " %20.20s  ", id, mark, item->size,
		arrival(item->arrived, when));
	if (item->sender.len > 0)
		words_print(m->to, item->sender);
	else
		fputs("MAILER-DAEMON", m->to);
	fputc('\n', m->to);
}

void mailq_recipient(struct mailq *m, const struct queue_recipient *r)
{
	if (r->reply.len > 0 && !slice_equal(r->reply, slice_str(m->reason))) {
		slice_copy(slice_sub(r->reply, 0, sizeof(m->reason) - 1), m->reason,
			   sizeof(m->reason));
		fputc('(', m->to);
		words_print(m->to, r->reply);
		fputs(")\n", m->to);
	}
	fprintf(m->to, "%*s", RECIPIENT_COLUMN, "");
	words_print(m->to, r->address);
	fputc('\n', m->to);
}

void mailq_end(const struct mailq *m)
{
	if (m->messages == 0)
		fputs("Mail queue is empty\n", m->to);
	else
		fprintf(m->to, "\n-- %" PRIu64 " Kbytes in %" PRIu64 " Request%s.\n",
			(m->octets + KIB - 1) / KIB, m->messages, m->messages == 1 ? "" : "s");
}
