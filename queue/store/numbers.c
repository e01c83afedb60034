/*
 * numbers: asks for the next block when half of the present one is used, so that nobody waits.
 */
#include "queue/store/numbers.h"

static void reserved(void *arg)
{
	struct numbers *n = arg;
	n->limit = n->asked;
	n->incarnation_limit = n->incarnation_asked;
	n->more(n->arg);
}

static void reserve(struct numbers *n)
{
	if (n->wait.waiting ||
	    (n->limit - n->next >= NUMBERS_BLOCK / 2 &&
	     n->incarnation_limit - n->next_incarnation >= INCARNATIONS_BLOCK / 2))
		return;
	n->asked = n->next + NUMBERS_BLOCK;
	n->incarnation_asked = n->next_incarnation + INCARNATIONS_BLOCK;
	struct line line = {
	    .kind = LINE_RESERVED,
	    .reserved = {.numbers = n->asked, .incarnations = n->incarnation_asked}};
	ledger_write(n->ledger, &line);
	ledger_when_synced(n->ledger, &n->wait, ledger_position(n->ledger), true, reserved, n);
}

void numbers_start(struct numbers *n, struct ledger *ledger, void (*more)(void *arg), void *arg)
{
	const struct line_reserved *r = index_reserved(ledger_index(ledger));
	*n = (struct numbers){.ledger = ledger, .more = more, .arg = arg};
	n->next = n->limit = r->numbers ? r->numbers : 1;
	n->next_incarnation = n->incarnation_limit = r->incarnations ? r->incarnations : 1;
	reserve(n);
}

void numbers_stop(struct numbers *n)
{
	ledger_wait_cancel(n->ledger, &n->wait);
}

uint64_t numbers_draw(struct numbers *n)
{
	uint64_t number = n->next < n->limit ? n->next++ : 0;
	reserve(n);
	return number;
}

uint32_t numbers_draw_incarnation(struct numbers *n)
{
	uint32_t number = n->next_incarnation < n->incarnation_limit ? n->next_incarnation++ : 0;
	reserve(n);
	return number;
}
