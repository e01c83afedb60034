/*
 * An answer goes out only over the channel that its question came by.
 */
#include "daemons/accounts-system/passwords.h"

#include "common/base/memory.h"
#include "common/base/turns.h"
#include "common/dialogue/accounts.h"
#include "common/wire/codec.h"
#include "daemons/accounts-system/children.h"

enum { QUESTION_MAX = 2048 }; /* octets of an encoded struct accounts_password */

struct question {
	struct turn turn;	  /* first; while it waits for a child */
	uint64_t request, number; /* of the channel */
	struct buffer octets;
};

static struct turns *waiting;
static struct question *next;	 /* has had its turn, and waits for a child; NULL: none */
static struct channel *accounts; /* NULL: none now */
static uint64_t channel_number;

static void wipe(struct question *q)
{
	if (q->octets.data)
		explicit_bzero(q->octets.data, q->octets.size);
	buffer_free(&q->octets);
}

static void answer(struct question *q, const struct accounts_answer *from)
{
	struct accounts_answer m = *from;
	m.request = q->request;
	if (accounts && q->number == channel_number)
		channel_send(accounts, ACCOUNTS_PASSWORD_ANSWER, &m);
	wipe(q);
	memory_free(q);
}

static void answered(void *arg, struct slice octets, const char *text)
{
	struct accounts_answer a = {.result = ACCOUNTS_TROUBLE, .text = slice_str(text)};
	if (octets.len > 0 && !codec_decode(&accounts_answer_record, octets, &a))
		panic("an answer that was decoded does not decode");
	answer(arg, &a);
}

static bool begin(struct question *q)
{
	if (!children_ask(CHILDREN_PASSWORD, buffer_slice(&q->octets), answered, q))
		return false;
	wipe(q);
	return true;
}

void passwords_room(void)
{
	if (!waiting)
		return;
	while ((next || (next = (struct question *)turns_take(waiting))) && begin(next))
		next = NULL;
}

void passwords_ask(struct channel *c, const void *record)
{
	static const struct accounts_answer busy = {.result = ACCOUNTS_TROUBLE,
						    .text = {"too many passwords at once", 26}};
	const struct accounts_password *m = record;
	struct question *q = memory_zero(1, sizeof(*q));
	size_t room;
	(void)c;
	q->request = m->request;
	q->number = channel_number;
	buffer_init(&q->octets, QUESTION_MAX);
	buffer_reserve(&q->octets, QUESTION_MAX, &room); /* it does not move while it grows */
	bool fits = codec_encode(&accounts_password_record, m, &q->octets);
	if (!waiting)
		waiting =
		    turns_new(PASSWORDS_WAITING_MAX, PASSWORDS_STRANGERS_MAX, PASSWORDS_CLIENT_MAX);
	if (fits && turns_add(waiting, m->turn, m->known, &q->turn))
		passwords_room();
	else
		answer(q, &busy);
}

void passwords_up(struct channel *c)
{
	accounts = c;
	channel_number++;
}

void passwords_down(struct channel *c)
{
	if (accounts == c)
		accounts = NULL;
}
