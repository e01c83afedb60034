/*
 * Five tallies of the same kind: by client, by network, by account, by client or network with an
 * account. A count is of one stretch of time, which begins with its first failure and is as long as
 * a ban. Entries stand in the order of their last use, those who have logged in apart.
 */
#include "daemons/accounts/failures.h"

#include <bsd/sys/queue.h>

#include "common/base/map.h"
#include "common/base/memory.h"

struct entry {
	TAILQ_ENTRY(entry) link;
	uint64_t begun;	 /* the first failure that counts */
	uint64_t banned; /* until then; 0: is not */
	uint64_t next;	 /* of an account: when the trickle has its next try */
	uint32_t count;
	uint32_t strange; /* of a client's pair: how many of its failures the account counts too */
	uint32_t tries;	  /* of a network's pair: that it had of the trickle */
	bool known;	  /* has logged in */
	size_t key_len;
	char key[];
};

TAILQ_HEAD(entry_list, entry);

struct tally {
	size_t most;
	struct map *map;		 /* NULL: nothing was counted yet */
	struct entry_list by_use, known; /* the longest unused first */
};

#define TALLY(tally, most)                                        \
	{                                                         \
		most, NULL, TAILQ_HEAD_INITIALIZER(tally.by_use), \
		    TAILQ_HEAD_INITIALIZER(tally.known)           \
	}

static struct tally clients = TALLY(clients, FAILURES_CLIENTS_MAX);
static struct tally networks = TALLY(networks, FAILURES_NETWORKS_MAX);
static struct tally accounts = TALLY(accounts, FAILURES_ACCOUNTS_MAX);
static struct tally pairs = TALLY(pairs, FAILURES_PAIRS_MAX);
static struct tally nears = TALLY(nears, FAILURES_NEARS_MAX);
static uint32_t ban_after = UINT32_MAX;
static uint64_t ban = 1;

void failures_settings(uint32_t after, uint64_t ban_us)
{
	ban_after = after > 0 ? after : UINT32_MAX;
	ban = ban_us;
}

static struct entry_list *list_of(struct tally *t, const struct entry *e)
{
	return e->known ? &t->known : &t->by_use;
}

static void entry_free(struct tally *t, struct entry *e)
{
	map_remove(t->map, slice_make(e->key, e->key_len));
	TAILQ_REMOVE(list_of(t, e), e, link);
	memory_free(e);
}

static struct entry *find(const struct tally *t, struct slice key)
{
	return key.len > 0 && t->map != NULL ? map_get(t->map, key) : NULL;
}

/* Makes it when it is not there, and counts anew when its stretch of time is over. */
static struct entry *use(struct tally *t, struct slice key, uint64_t now)
{
	struct entry *e = find(t, key), *oldest;

	if (key.len == 0)
		return NULL;
	if (t->map == NULL)
		t->map = map_new();
	if (e == NULL) {
		oldest = TAILQ_FIRST(&t->by_use);
		if (map_count(t->map) >= t->most)
			entry_free(t, oldest != NULL ? oldest : TAILQ_FIRST(&t->known));
		e = memory_zero(1, sizeof(*e) + key.len);
		e->begun = now;
		e->key_len = key.len;
		memcpy(e->key, key.ptr, key.len);
		map_put(t->map, slice_make(e->key, key.len), e);
	} else {
		TAILQ_REMOVE(list_of(t, e), e, link);
	}
	TAILQ_INSERT_TAIL(list_of(t, e), e, link);
	if (now - e->begun >= ban) {
		e->count = e->strange = e->tries = 0;
		e->begun = now;
	}
	return e;
}

/* The key of both: the first one's length, so that no two pairs have the same one. Empty: one of
 * them is not known. */
static struct slice pair_key(struct slice client, struct slice account, char text[FAILURES_KEY_MAX])
{
	if (client.len == 0 || account.len == 0 || client.len + account.len + 1 > FAILURES_KEY_MAX)
		return SLICE_EMPTY;
	text[0] = (char)client.len;
	memcpy(text + 1, client.ptr, client.len);
	memcpy(text + 1 + client.len, account.ptr, account.len);
	return slice_make(text, 1 + client.len + account.len);
}

static struct entry *find_pair(const struct tally *t, struct slice client, struct slice account)
{
	char text[FAILURES_KEY_MAX];

	return find(t, pair_key(client, account, text));
}

static struct entry *use_pair(struct tally *t, struct slice client, struct slice account,
			      uint64_t now)
{
	char text[FAILURES_KEY_MAX];

	return use(t, pair_key(client, account, text), now);
}

static bool is_banned(const struct entry *e, uint64_t now)
{
	return e != NULL && e->banned > now;
}

static bool is_known(const struct entry *e)
{
	return e != NULL && e->known;
}

static uint32_t recent(const struct entry *e, uint64_t now)
{
	return e != NULL && now - e->begun < ban ? e->count : 0;
}

bool failures_known(const struct failures_who *w)
{
	return is_known(find_pair(&pairs, w->client, w->account)) ||
	       is_known(find_pair(&nears, w->network, w->account));
}

/* One of the tries that all strangers have together; two may be saved up. */
static bool trickle(struct entry *account, uint64_t now)
{
	/* the least of ban-after is 1. NOLINTNEXTLINE(clang-analyzer-core.DivideZero) */
	uint64_t each = ban / FAILURES_TRICKLE / ban_after, saved = 2 * each;

	if (now < account->next)
		return false;
	if (now > saved && account->next < now - saved)
		account->next = now - saved;
	account->next += each;
	return true;
}

/* A try counts when it is given: one that is never ended, as an exchange of SCRAM can be, never
 * fails. */
static bool has_had_its_tries(const struct entry *near, uint64_t now)
{
	return near != NULL && now - near->begun < ban &&
	       (near->count >= FAILURES_NEAR_TRIES || near->tries >= FAILURES_NEAR_TRIES);
}

static bool may_try(const struct failures_who *w, struct entry *account, uint64_t now,
		    bool *admitted)
{
	struct entry *near = find_pair(&nears, w->network, w->account);

	if (*admitted || is_known(find_pair(&pairs, w->client, w->account)) ||
	    (is_known(near) && recent(near, now) < ban_after))
		return true;
	*admitted = !has_had_its_tries(near, now) && trickle(account, now);
	near = *admitted ? use_pair(&nears, w->network, w->account, now) : NULL;
	if (near != NULL)
		near->tries++;
	return *admitted;
}

unsigned failures_admit(const struct failures_who *w, uint64_t now, bool *admitted)
{
	const struct entry *client = find(&clients, w->client);
	struct entry *account = find(&accounts, w->account);

	if (is_banned(client, now))
		return FAILURES_CLIENT_BAN;
	if (is_banned(find(&networks, w->network), now) && !is_known(client))
		return FAILURES_NETWORK_BAN;
	if (is_banned(account, now) && !may_try(w, account, now, admitted))
		return FAILURES_ACCOUNT_BAN;
	return 0;
}

/* One more; true: a ban begins. */
static bool count(struct entry *e, uint32_t times, uint64_t now)
{
	if (e == NULL || ++e->count < (uint64_t)times * ban_after)
		return false;
	e->count = 0;
	e->banned = now + ban;
	e->next = 0; /* as many as can be saved up */
	return true;
}

static uint64_t delay_after(uint32_t failures)
{
	uint64_t delay = FAILURES_DELAY_US;

	while (--failures > 0 && delay < FAILURES_DELAY_MOST_US)
		delay *= 2;
	return delay;
}

unsigned failures_add(const struct failures_who *w, uint64_t now, uint64_t *delay)
{
	struct entry *client = use(&clients, w->client, now), *account = NULL;
	struct entry *network = use(&networks, w->network, now);
	struct entry *pair = use_pair(&pairs, w->client, w->account, now);
	struct entry *near = use_pair(&nears, w->network, w->account, now);
	unsigned begun = 0;

	if (pair != NULL)
		pair->count++;
	if (!is_known(pair)) {
		account = use(&accounts, w->account, now);
		if (pair != NULL)
			pair->strange++;
		if (near != NULL)
			near->count++;
	}
	*delay = delay_after(client != NULL ? client->count + 1 : 1);
	if (!is_banned(account, now) && count(account, 1, now))
		begun |= FAILURES_ACCOUNT_BAN;
	if (!is_banned(network, now) && count(network, FAILURES_NETWORK_TIMES, now))
		begun |= FAILURES_NETWORK_BAN;
	if (count(client, 1, now))
		begun |= FAILURES_CLIENT_BAN;
	return begun;
}

static void forgive(struct entry *e, uint32_t failures)
{
	if (e != NULL)
		e->count -= failures < e->count ? failures : e->count;
}

static void know(struct tally *t, struct entry *e)
{
	if (e == NULL || e->known)
		return;
	TAILQ_REMOVE(&t->by_use, e, link);
	e->known = true;
	TAILQ_INSERT_TAIL(&t->known, e, link);
}

void failures_success(const struct failures_who *w, uint64_t now)
{
	struct entry *pair = use_pair(&pairs, w->client, w->account, now);
	struct entry *near = use_pair(&nears, w->network, w->account, now);

	know(&nears, near);
	if (pair == NULL)
		return;
	forgive(find(&clients, w->client), pair->count);
	forgive(find(&networks, w->network), pair->count);
	forgive(find(&accounts, w->account), pair->strange);
	forgive(near, pair->strange);
	pair->count = pair->strange = 0;
	know(&pairs, pair);
	know(&clients, use(&clients, w->client, now));
}

static void forget(struct tally *t)
{
	struct entry *e;

	while ((e = TAILQ_FIRST(&t->by_use)) != NULL || (e = TAILQ_FIRST(&t->known)) != NULL)
		entry_free(t, e);
	map_free(&t->map);
}

void failures_forget(void)
{
	forget(&clients);
	forget(&networks);
	forget(&accounts);
	forget(&pairs);
	forget(&nears);
}
