/*
 * What is a client's name? Whoever owns an address writes what he likes into its PTR record, so a
 * name counts only when it leads back to the address.
 */
#include "common/base/memory.h"
#include "daemons/resolver/kinds.h"

enum {
	LIMIT_US = 5 * 1000 * 1000,
	CANDIDATES_MAX = 5,
};

struct name_question;

struct candidate {
	struct dns_query query;
	struct name_question *question;
	bool confirmed; /* query.name leads back */
};

struct name_question {
	struct question base;
	struct net_address address; /* NET_NONE: it was none */
	struct dns_query ptr;
	struct candidate candidates[CANDIDATES_MAX];
	size_t count, open;
	bool trouble;
};

static void answer(const struct question *q, const char *name, bool trouble)
{
	struct resolve_named m = {
	    .request = q->request, .name = slice_str(name), .trouble = trouble};
	questions_send(q, RESOLVE_NAMED, &m);
}

/* The first one in the order of the records, so that the answer does not depend on who was fast. */
static void conclude(struct name_question *q)
{
	const char *name = "";
	for (size_t i = q->count; i-- > 0;)
		if (q->candidates[i].confirmed)
			name = q->candidates[i].query.name;
	answer(&q->base, name, name[0] == '\0' && q->trouble);
	questions_end(&q->base);
}

static void confirmed(void *arg, const struct dns_answer *a)
{
	struct candidate *c = arg;
	struct name_question *q = c->question;
	struct reply p = a->reply;
	struct reply_record r;
	if (a->status == DNS_TROUBLE)
		q->trouble = true;
	while (a->status == DNS_FOUND && !c->confirmed && reply_next(&p, &r))
		c->confirmed = net_address_same_host(&r.address, &q->address);
	if (--q->open == 0)
		conclude(q);
}

static void ptr_answered(void *arg, const struct dns_answer *a)
{
	struct name_question *q = arg;
	uint16_t type = q->address.family == NET_IPV6 ? REPLY_AAAA : REPLY_A;
	struct reply p = a->reply;
	struct reply_record r;
	q->trouble = a->status == DNS_TROUBLE;
	while (a->status == DNS_FOUND && q->count < CANDIDATES_MAX && reply_next(&p, &r)) {
		struct candidate *c = &q->candidates[q->count];
		if (!reply_name_usable(slice_str(r.name)))
			continue;
		c->question = q;
		dns_ask(&c->query, DNS_FOR_NAMES, r.name, type, confirmed, c);
		q->count++;
	}
	q->open = q->count; /* none is answered before this returns */
	if (q->count == 0)
		conclude(q);
}

static void begin(struct question *base)
{
	struct name_question *q = (struct name_question *)base;
	char reverse[REPLY_NAME_SIZE];
	if (q->address.family == NET_NONE) {
		answer(base, "", false);
		questions_end(base);
		return;
	}
	reply_reverse(&q->address, reverse);
	dns_ask(&q->ptr, DNS_FOR_NAMES, reverse, REPLY_PTR, ptr_answered, q);
}

static void give_up(struct question *base, const char *why)
{
	(void)why;
	answer(base, "", true);
}

static void free_question(struct question *base)
{
	struct name_question *q = (struct name_question *)base;
	dns_cancel(&q->ptr);
	for (size_t i = 0; i < q->count; i++)
		dns_cancel(&q->candidates[i].query);
	memory_free(q);
}

static const struct question_kind kind = {
    .limit = LIMIT_US, .begin = begin, .give_up = give_up, .free = free_question};

void name_asked(struct channel *c, const void *record)
{
	const struct resolve_name *m = record;
	struct name_question *q = memory_zero(1, sizeof(*q));
	if (!net_ip_parse(m->address, &q->address))
		q->address = (struct net_address){0};
	questions_add(&q->base, &kind, c, m->request);
}
