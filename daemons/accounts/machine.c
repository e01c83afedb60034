/*
 * What is not in the configuration is not asked: there is no accounts-system then.
 */
#include "common/base/memory.h"
#include "common/os/user.h"
#include "common/wire/call.h"
#include "daemons/accounts/answer.h"
#include "daemons/accounts/login.h"
#include "daemons/accounts/machine.h"

/* Longer than accounts-system may take for a look-up, and its new start. */
#define MACHINE_TIMEOUT_US UINT64_C(30000000)

struct asked {
	shelf_done *done;
	void *arg;
};

static struct caller *system_accounts, *passwords;
static bool named, named_next;

void machine_begin(void)
{
	named_next = false;
}

void machine_name(void)
{
	named_next = true;
}

void machine_end(void)
{
	named = named_next;
}

static struct caller *caller(void)
{
	if (system_accounts == NULL)
		system_accounts = caller_new(ANSWERS_PENDING_MAX);
	return system_accounts;
}

static struct caller *password_caller(void)
{
	if (passwords == NULL)
		passwords = caller_new_once(LOGINS_MAX);
	return passwords;
}

static void give(const struct asked *a, enum accounts_result result, const char *text)
{
	struct accounts_answer m = {.result = result, .text = slice_str(text)};

	a->done(a->arg, &m);
}

static void heard(void *arg, const void *answer)
{
	struct asked a = *(struct asked *)arg;

	memory_free(arg);
	if (answer != NULL)
		a.done(a.arg, answer);
	else
		give(&a, ACCOUNTS_TROUBLE, "accounts-system does not answer");
}

void machine_ask(struct slice user, shelf_done *done, void *arg)
{
	struct accounts_ask m = {.users = MACHINE_USERS, .user = user};
	struct asked a = {done, arg}, *kept;

	if (!named) {
		give(&a, ACCOUNTS_TROUBLE, "the configuration does not name the system's users");
		return;
	}
	if (!user_name_valid(user)) {
		give(&a, ACCOUNTS_MISSING, "");
		return;
	}
	kept = memory_get(sizeof(*kept));
	*kept = a;
	if (caller_ask(caller(), ACCOUNTS_ASK, &accounts_ask_record, &m, MACHINE_TIMEOUT_US, heard,
		       kept) != 0)
		return;
	memory_free(kept);
	give(&a, ACCOUNTS_TROUBLE, "too many questions at once");
}

void machine_password(struct accounts_password *m, shelf_done *done, void *arg)
{
	struct asked a = {done, arg}, *kept;

	if (!named) {
		give(&a, ACCOUNTS_TROUBLE, "the configuration does not name the system's users");
		return;
	}
	if (!user_name_valid(m->user)) {
		give(&a, ACCOUNTS_MISSING, "");
		return;
	}
	kept = memory_get(sizeof(*kept));
	*kept = a;
	if (caller_ask(password_caller(), ACCOUNTS_PASSWORD, &accounts_password_record, m,
		       MACHINE_TIMEOUT_US, heard, kept) != 0)
		return;
	memory_free(kept);
	give(&a, ACCOUNTS_TROUBLE, "accounts-system is not there, or has too much to do");
}

static void answered(struct channel *c, struct caller *by, const struct accounts_answer *m)
{
	if (m->result == ACCOUNTS_KNOWN && (m->uid == 0 || m->gid == 0))
		channel_break(c, "root is nobody's user");
	else
		caller_answered(by, m->request, m);
}

static void on_answer(struct channel *c, const void *record)
{
	answered(c, caller(), record);
}

static void on_password_answer(struct channel *c, const void *record)
{
	answered(c, password_caller(), record);
}

const struct route machine_routes[] = {
    {ACCOUNTS_ANSWER, ROUTE_ALWAYS, on_answer},			  /* who that is */
    {ACCOUNTS_PASSWORD_ANSWER, ROUTE_ALWAYS, on_password_answer}, /* whether it holds */
    {0, 0, NULL},
};

void machine_up(struct channel *c, unsigned instance)
{
	(void)instance;
	caller_use(caller(), c);
	caller_use(password_caller(), c);
}

void machine_down(struct channel *c)
{
	(void)c;
	caller_use(caller(), NULL);
	caller_use(password_caller(), NULL);
}
