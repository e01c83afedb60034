/*
 * Answers are kept whole and dropped whole: all that came within the last USERS_KEPT_US, at most
 * USERS_KEPT_MAX. Most mail of a burst is for the same few names, and the manager asks again for
 * what smtpd has just asked.
 */
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/os/loop.h"
#include "common/wire/call.h"
#include "daemons/router/users.h"

/* A question's names as one key; it is also what is kept. */
struct kept {
	enum accounts_result result;
	size_t len;
	char key[];
};

struct asked {
	users_done *done;
	void *arg;
	struct kept *kept; /* to be: its result is not known yet */
};

static struct caller *accounts;
static struct map *answers;
static uint64_t since; /* the oldest of them came */

void users_begin(void)
{
	accounts = caller_new(USERS_PENDING_MAX);
	answers = map_new();
}

void users_forget(void)
{
	struct slice key;
	void *value;

	for (size_t at = 0; map_next(answers, &at, &key, &value);) {
		map_remove(answers, key);
		memory_free(value);
	}
}

/* A table's spec and a domain hold no NUL. */
static struct kept *kept_new(struct slice table, struct slice user, struct slice domain)
{
	struct kept *k = memory_get(sizeof(*k) + table.len + domain.len + user.len + 2);
	char *p = k->key;

	k->len = table.len + domain.len + user.len + 2;
	memcpy(p, table.ptr, table.len);
	p += table.len;
	*p++ = '\0';
	memcpy(p, domain.ptr, domain.len);
	p += domain.len;
	*p++ = '\0';
	memcpy(p, user.ptr, user.len);
	return k;
}

static void keep(struct kept *k, enum accounts_result result)
{
	if (map_count(answers) >= USERS_KEPT_MAX)
		users_forget();
	if (map_count(answers) == 0)
		since = loop_now();
	k->result = result;
	memory_free(map_put(answers, slice_make(k->key, k->len), k));
}

static void answered(void *arg, const void *answer)
{
	struct asked *a = arg;
	const struct accounts_answer *m = answer;
	enum accounts_result result = ACCOUNTS_TROUBLE;
	struct slice text = SLICE("accounts does not answer");
	users_done *done = a->done;
	void *done_arg = a->arg;

	if (m != NULL && (m->result == ACCOUNTS_KNOWN || m->result == ACCOUNTS_MISSING))
		result = (enum accounts_result)m->result;
	if (m != NULL)
		text = m->text;
	if (result == ACCOUNTS_TROUBLE)
		memory_free(a->kept);
	else
		keep(a->kept, result);
	memory_free(a);
	done(done_arg, result, text);
}

void users_ask(struct slice table, struct slice user, struct slice domain, users_done *done,
	       void *arg)
{
	struct accounts_ask ask = {.users = table, .user = user, .domain = domain};
	struct kept *k = kept_new(table, user, domain), *known;
	struct asked *a;

	if (map_count(answers) > 0 && loop_now() - since >= USERS_KEPT_US)
		users_forget();
	known = map_get(answers, slice_make(k->key, k->len));
	if (known != NULL) {
		memory_free(k);
		done(arg, known->result, SLICE_EMPTY);
		return;
	}
	a = memory_get(sizeof(*a));
	*a = (struct asked){done, arg, k};
	if (caller_ask(accounts, ACCOUNTS_ASK, &accounts_ask_record, &ask, USERS_TIMEOUT_US,
		       answered, a) != 0)
		return;
	memory_free(k);
	memory_free(a);
	done(arg, ACCOUNTS_TROUBLE, SLICE("too many questions wait for accounts"));
}

static void on_answer(struct channel *c, const void *record)
{
	const struct accounts_answer *m = record;

	(void)c;
	caller_answered(accounts, m->request, m);
}

const struct route users_routes[] = {
    {ACCOUNTS_ANSWER, ROUTE_ALWAYS, on_answer},
    {0, 0, NULL},
};

void users_up(struct channel *c, unsigned instance)
{
	(void)instance;
	caller_use(accounts, c);
}

void users_down(struct channel *c)
{
	(void)c;
	caller_use(accounts, NULL);
}
