/*
 * Before a user's message is committed usage counts it, and says whether it goes or is held
 * (dialogue/usage.h). Whom it writes to is told as hashes, for usage needs to know only whether
 * they are new.
 */
#include "common/dialogue/usage.h"

#include <openssl/sha.h>

#include "common/base/memory.h"
#include "common/wire/call.h"
#include "daemons/smtpd/smtpd.h"

enum { USAGE_PENDING_MAX = 16384, USAGE_TIMEOUT_US = 10000000, HASH_SIZE = 8 };

struct counted {
	struct session *session;
	usage_done *done;
};

static struct caller *usage;
static struct channel *channel;

static void answered(void *arg, const void *answer)
{
	const struct usage_verdict *v = answer;
	struct counted c = *(struct counted *)arg;

	memory_free(arg);
	c.session->counting = 0;
	if (v != NULL && v->tell)
		alarm_over_limit(c.session, v->text);
	c.done(c.session, v);
}

/* Of the address in lower case. */
static void put_hash(struct slice address, char *at)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	char folded[ADDRESS_SIZE];

	slice_lower(address, folded);
	SHA256((const unsigned char *)folded, address.len, hash);
	memcpy(at, hash, HASH_SIZE);
}

static bool send_recipients(uint64_t request, const struct transaction *t)
{
	static char hashes[USAGE_RECIPIENTS_PART * HASH_SIZE];
	struct usage_to m = {.request = request};
	uint32_t n = 0;
	bool sent = true;

	for (uint32_t i = 0; i < t->recipient_count && sent; i++) {
		put_hash(recipient_address(&t->recipients[i]), hashes + n++ * HASH_SIZE);
		if (n < USAGE_RECIPIENTS_PART && i + 1 < t->recipient_count)
			continue;
		m.hashes = slice_make(hashes, n * HASH_SIZE);
		sent = channel_send(channel, USAGE_TO, &m);
		n = 0;
	}
	return sent;
}

void usage_count(struct session *s, usage_done *done)
{
	const struct transaction *t = s->transaction;
	struct usage_sends m = {
	    .user = slice_str(s->user), .id = t->id, .recipients = t->recipient_count};
	struct counted *c = memory_get(sizeof(*c));

	*c = (struct counted){s, done};
	s->phase = PHASE_COUNT;
	stream_pause(s->stream);
	s->counting =
	    caller_ask(usage, USAGE_SENDS, &usage_sends_record, &m, USAGE_TIMEOUT_US, answered, c);
	if (s->counting != 0 && send_recipients(s->counting, t))
		return;
	caller_cancel(usage, s->counting);
	answered(c, NULL);
}

void usage_cancel(struct session *s)
{
	void *counted = caller_arg(usage, s->counting);

	if (s->counting == 0)
		return;
	caller_cancel(usage, s->counting);
	memory_free(counted);
	s->counting = 0;
}

static void on_verdict(struct channel *c, const void *record)
{
	const struct usage_verdict *v = record;

	(void)c;
	caller_answered(usage, v->request, v);
}

static void on_blocked(struct channel *c, const void *record)
{
	const struct usage_blocked *b = record;

	(void)c;
	if (b->blocked)
		server_end_user(b->user);
}

const struct route usage_routes[] = {
    {USAGE_VERDICT, ROUTE_ALWAYS, on_verdict},
    {USAGE_BLOCKED, ROUTE_ALWAYS, on_blocked},
    {0, 0, NULL},
};

void usage_up(struct channel *c, unsigned instance)
{
	(void)instance;
	channel = c;
	caller_use(usage, c);
}

void usage_down(struct channel *c)
{
	(void)c;
	channel = NULL;
	caller_use(usage, NULL);
}

void usage_warm(void)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];

	usage = caller_new_once(USAGE_PENDING_MAX);
	SHA256(hash, 0, hash); /* loads what OpenSSL loads late */
}
