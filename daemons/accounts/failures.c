/*
 * Three tallies of the same kind: by client, by account, by both. A count is of one stretch of
 * time, which begins with its first failure and is as long as a ban. Entries stand in the order of
 * their last use.
 */
#include "daemons/accounts/failures.h"

#include <bsd/sys/queue.h>

#include "common/base/map.h"
#include "common/base/memory.h"

struct entry {
	TAILQ_ENTRY(entry) link;
	uint64_t begun;	 /* the first failure that counts */
	uint64_t banned; /* until then; 0: is not */
	uint32_t count;
	uint32_t strange; /* of a pair: how many of its failures the account counts too */
	bool known;	  /* of a pair: it has logged in */
	size_t key_len;
	char key[];
};

struct tally {
	size_t most;
	struct map *map; /* NULL: nothing was counted yet */
	TAILQ_HEAD(, entry) by_use;
};

static struct tally clients = {FAILURES_CLIENTS_MAX, NULL, TAILQ_HEAD_INITIALIZER(clients.by_use)};
static struct tally accounts = {FAILURES_ACCOUNTS_MAX, NULL,
				TAILQ_HEAD_INITIALIZER(accounts.by_use)};
static struct tally pairs = {FAILURES_PAIRS_MAX, NULL, TAILQ_HEAD_INITIALIZER(pairs.by_use)};
static uint32_t ban_after = UINT32_MAX;
static uint64_t ban = 1;

void failures_settings(uint32_t after, uint64_t ban_us)
{
	ban_after = after > 0 ? after : UINT32_MAX;
	ban = ban_us;
}

static void entry_free(struct tally *t, struct entry *e)
{
	map_remove(t->map, slice_make(e->key, e->key_len));
	TAILQ_REMOVE(&t->by_use, e, link);
	memory_free(e);
}

static struct entry *find(const struct tally *t, struct slice key)
{
	return key.len > 0 && t->map != NULL ? map_get(t->map, key) : NULL;
}

/* Makes it when it is not there, and counts anew when its stretch of time is over. */
static struct entry *use(struct tally *t, struct slice key, uint64_t now)
{
	struct entry *e = find(t, key);

	if (key.len == 0)
		return NULL;
	if (t->map == NULL)
		t->map = map_new();
	if (e == NULL) {
		if (map_count(t->map) >= t->most)
			entry_free(t, TAILQ_FIRST(&t->by_use));
		e = memory_zero(1, sizeof(*e) + key.len);
		e->begun = now;
		e->key_len = key.len;
		memcpy(e->key, key.ptr, key.len);
		map_put(t->map, slice_make(e->key, key.len), e);
	} else {
		TAILQ_REMOVE(&t->by_use, e, link);
	}
	TAILQ_INSERT_TAIL(&t->by_use, e, link);
	if (now - e->begun >= ban) {
		e->count = e->strange = 0;
		e->begun = now;
	}
	return e;
}

/* The key of both: the client's length, so that no two pairs have the same one. Empty: one of them
 * is not known. */
static struct slice pair_key(struct slice client, struct slice account, char text[FAILURES_KEY_MAX])
{
	if (client.len == 0 || account.len == 0 || client.len + account.len + 1 > FAILURES_KEY_MAX)
		return SLICE_EMPTY;
	text[0] = (char)client.len;
	memcpy(text + 1, client.ptr, client.len);
	memcpy(text + 1 + client.len, account.ptr, account.len);
	return slice_make(text, 1 + client.len + account.len);
}

static bool is_banned(const struct entry *e, uint64_t now)
{
	return e != NULL && e->banned > now;
}

unsigned failures_banned(struct slice client, struct slice account, uint64_t now)
{
	char text[FAILURES_KEY_MAX];
	const struct entry *pair;

	if (is_banned(find(&clients, client), now))
		return FAILURES_CLIENT_BAN;
	if (!is_banned(find(&accounts, account), now))
		return 0;
	pair = find(&pairs, pair_key(client, account, text));
	return pair != NULL && pair->known ? 0 : FAILURES_ACCOUNT_BAN;
}

/* One more; true: a ban begins. */
static bool count(struct entry *e, uint64_t now)
{
	if (e == NULL || ++e->count < ban_after)
		return false;
	e->count = 0;
	e->banned = now + ban;
	return true;
}

static uint64_t delay_after(uint32_t failures)
{
	uint64_t delay = FAILURES_DELAY_US;

	while (--failures > 0 && delay < FAILURES_DELAY_MOST_US)
		delay *= 2;
	return delay;
}

unsigned failures_add(struct slice client, struct slice account, uint64_t now, uint64_t *delay)
{
	char text[FAILURES_KEY_MAX];
	struct entry *c = use(&clients, client, now), *a = NULL;
	struct entry *pair = use(&pairs, pair_key(client, account, text), now);
	unsigned begun = 0;

	if (pair != NULL)
		pair->count++;
	if (pair == NULL || !pair->known) {
		a = use(&accounts, account, now);
		if (pair != NULL)
			pair->strange++;
	}
	*delay = delay_after(c != NULL ? c->count + 1 : 1);
	if (count(a, now))
		begun |= FAILURES_ACCOUNT_BAN;
	if (count(c, now))
		begun |= FAILURES_CLIENT_BAN;
	return begun;
}

static void forgive(struct entry *e, uint32_t failures)
{
	if (e != NULL)
		e->count -= failures < e->count ? failures : e->count;
}

void failures_success(struct slice client, struct slice account, uint64_t now)
{
	char text[FAILURES_KEY_MAX];
	struct entry *pair = use(&pairs, pair_key(client, account, text), now);

	if (pair == NULL)
		return;
	forgive(find(&clients, client), pair->count);
	forgive(find(&accounts, account), pair->strange);
	pair->count = pair->strange = 0;
	pair->known = true;
}

static void forget(struct tally *t)
{
	struct entry *e;

	while ((e = TAILQ_FIRST(&t->by_use)) != NULL)
		entry_free(t, e);
	map_free(&t->map);
}

void failures_forget(void)
{
	forget(&clients);
	forget(&accounts);
	forget(&pairs);
}
