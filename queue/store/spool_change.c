/*
 * spool_change: turns what the manager decides about a message into lines. The index follows them
 * at once; they leave with spool_flush().
 */
#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "queue/store/segments_parts.h"
#include "queue/store/spool_parts.h"

void spool_attempt(struct spool *sp, struct entry *e, uint32_t recipient)
{
	uint16_t before = e->state->recipients[recipient].attempts;
	struct line line = {.kind = LINE_ATTEMPT,
			    .attempt = {.id = e->id,
					.recipient = recipient,
					.attempt = before < UINT16_MAX ? before + 1 : before}};
	ledger_write(spool_ledger(sp), &line);
}

bool spool_result(struct spool *sp, struct entry *e, uint32_t recipient,
		  enum recipient_status status, uint64_t next, const struct reply *reply)
{
	uint32_t segment = e->segment;
	if (recipient_ended(e->state->recipients[recipient].status))
		return false;
	bool ends = recipient_ended(status) && e->alive == 1;
	struct line line = {.kind = LINE_RESULT,
			    .result = {.id = e->id,
				       .recipient = recipient,
				       .status = (uint8_t)status,
				       .next = next,
				       .ends = ends}};
	if (reply)
		line.result.reply = *reply;
	ledger_write(spool_ledger(sp), &line);
	if (ends)
		segments_consider(spool_segments(sp), segment);
	return ends;
}

static bool to_be_told(uint8_t status)
{
	return status == RECIPIENT_FAILED || status == RECIPIENT_REACHED;
}

/* Below which number those are that one notification tells of; told: how many. */
static uint32_t told_below(const struct entry *parent, uint32_t *told)
{
	const struct message_state *st = parent->state;
	uint32_t i;
	*told = 0;
	for (i = 0; i < st->count && *told < SPOOL_TOLD_MAX; i++)
		*told += to_be_told(st->recipients[i].status);
	return i;
}

uint32_t spool_told_below(const struct entry *parent)
{
	uint32_t told;
	return told_below(parent, &told);
}

uint32_t spool_told_mark(const struct entry *parent)
{
	uint32_t crc = 0, count = 0, below = spool_told_below(parent);
	for (uint32_t i = 0; i < below; i++) {
		uint8_t status = parent->state->recipients[i].status, octets[5];
		if (!to_be_told(status))
			continue;
		put_u32(octets, i);
		octets[4] = status;
		crc = crc32c(crc, octets, sizeof(octets));
		count++;
	}
	return count > 0 && crc == 0 ? 1 : crc;
}

bool spool_told(struct spool *sp, struct entry *parent)
{
	uint32_t told, segment = parent->segment;
	struct line line = {.kind = LINE_TOLD,
			    .message = {.id = parent->id, .next = told_below(parent, &told)}};
	if (told == 0)
		return false;
	bool ends = told == parent->alive;
	ledger_write(spool_ledger(sp), &line);
	if (ends)
		segments_consider(spool_segments(sp), segment);
	return ends;
}

void spool_suspect(struct spool *sp, struct entry *e)
{
	struct line line = {
	    .kind = LINE_SUSPECT,
	    .message = {.id = e->id,
			.deaths = e->deaths < DEATHS_UNREAD - 1 ? e->deaths + 1 : e->deaths}};
	ledger_write(spool_ledger(sp), &line);
}

bool spool_known(struct spool *sp, struct entry *e, struct slice record,
		 const struct stored_message *m)
{
	struct line line = {.kind = LINE_STATE};
	if (e->deaths != DEATHS_UNREAD)
		return e->state->received == m->recipient_count;
	if (m->recipient_count == 0 || m->recipient_count > RECIPIENTS_RECEIVED_MAX ||
	    !index_describe(ledger_index(spool_ledger(sp)), e, SLICE_EMPTY, &line.state))
		return false;
	line.state.recipients = SLICE_EMPTY;
	line.state.received = line.state.count = m->recipient_count;
	line.state.file = m->file.number;
	line.state.deaths = 1;
	record_digest(record, line.state.digest);
	ledger_write(spool_ledger(sp), &line);
	if (m->parent == 0)
		return true;
	segments_refused(e->id, m->parent);
	spool_delete(sp, e);
	return true;
}

bool spool_expand(struct spool *sp, struct entry *e, uint32_t recipient,
		  const struct spool_address *added, size_t count, bool *ended_by_it)
{
	*ended_by_it = false;
	if (recipient_ended(e->state->recipients[recipient].status))
		return false;
	if (count == 0) {
		*ended_by_it = spool_result(sp, e, recipient, RECIPIENT_EXPANDED, 0, NULL);
		return true;
	}
	if (count > RECIPIENTS_ADDED_MAX)
		return false;
	struct line_recipient *list = memory_zero(count, sizeof(*list));
	for (size_t i = 0; i < count; i++) {
		list[i].address = added[i].address;
		list[i].original = added[i].original;
	}
	struct line line = {.kind = LINE_ADDED};
	bool ok = index_describe_added(ledger_index(spool_ledger(sp)), e, recipient, list, count,
				       &line.added);
	if (ok)
		ledger_write(spool_ledger(sp), &line);
	memory_free(list);
	return ok;
}

void spool_dispose(struct spool *sp, struct entry *e, enum disposition disposition, uint64_t next)
{
	struct line line = {
	    .kind = LINE_DISPOSITION,
	    .message = {.id = e->id, .disposition = (uint8_t)disposition, .next = next}};
	if (e->disposition != disposition || e->next != next)
		ledger_write(spool_ledger(sp), &line);
}

void spool_rest(struct spool *sp, struct entry *e, enum disposition disposition, uint64_t next)
{
	if (!e->state)
		return;
	for (uint32_t i = 0; i < e->state->count; i++)
		if (e->state->recipients[i].status == RECIPIENT_ATTEMPT)
			spool_result(sp, e, i, RECIPIENT_PENDING, 0, NULL);
	struct line line = {.kind = LINE_STATE};
	if (!e->state->changed) {
		spool_dispose(sp, e, disposition, next);
	} else if (index_describe(ledger_index(spool_ledger(sp)), e, SLICE_EMPTY, &line.state)) {
		line.state.disposition = (uint8_t)disposition;
		line.state.next = next;
		ledger_write(spool_ledger(sp), &line);
	}
	/* Without a line on disk the state is all there is of it. */
	if (e->place.file == 0 || e->state->changed)
		e->state->resting = true;
	else
		index_unload(ledger_index(spool_ledger(sp)), e);
}

void spool_delete(struct spool *sp, struct entry *e)
{
	uint32_t segment = e->segment;
	struct line line = {.kind = LINE_ENDED, .message = {.id = e->id}};
	ledger_write(spool_ledger(sp), &line);
	segments_consider(spool_segments(sp), segment);
}
