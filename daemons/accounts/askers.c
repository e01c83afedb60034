/*
 * Requests are numbered by each channel's other end.
 */
#include "daemons/accounts/askers.h"

#include "common/base/map.h"
#include "common/base/memory.h"
#include "daemons/accounts/login.h"

struct asker {
	LIST_ENTRY(asker) link;
	struct channel *channel;
	bool control;
	struct idmap *logins; /* by request */
};

static LIST_HEAD(, asker) askers = LIST_HEAD_INITIALIZER(askers);
static uint32_t offered;

static struct asker *find(const struct channel *c)
{
	struct asker *a;

	LIST_FOREACH (a, &askers, link)
		if (a->channel == c)
			return a;
	panic("a question by a channel that nobody opened");
}

static void send_offer(const struct asker *a)
{
	struct login_mechanisms m = {.mechanisms = offered};

	if (!a->control)
		channel_send(a->channel, LOGIN_MECHANISMS, &m);
}

static void up(struct channel *c, bool control)
{
	struct asker *a = memory_zero(1, sizeof(*a));

	a->channel = c;
	a->control = control;
	a->logins = idmap_new();
	LIST_INSERT_HEAD(&askers, a, link);
	send_offer(a);
}

void askers_up(struct channel *c, unsigned instance)
{
	(void)instance;
	up(c, false);
}

void askers_control_up(struct channel *c, unsigned instance)
{
	(void)instance;
	up(c, true);
}

void askers_down(struct channel *c)
{
	struct asker *a = find(c);
	uint64_t request;
	void *value;

	for (size_t at = 0; idmap_next(a->logins, &at, &request, &value);) {
		idmap_remove(a->logins, request);
		login_forget(value);
	}
	idmap_free(&a->logins);
	LIST_REMOVE(a, link);
	memory_free(a);
}

void askers_offer(uint32_t mechanisms)
{
	const struct asker *a;

	if (mechanisms == offered)
		return;
	offered = mechanisms;
	LIST_FOREACH (a, &askers, link)
		send_offer(a);
}

void askers_revoke(struct slice user)
{
	struct login_revoked m = {.user = user};
	const struct asker *a;

	LIST_FOREACH (a, &askers, link)
		if (!a->control)
			channel_send(a->channel, LOGIN_REVOKED, &m);
}

void askers_salt(const struct login *l)
{
	struct login_salt m = {.request = l->request,
			       .salt = slice_make(l->keys.salt, l->keys.salt_len),
			       .iterations = l->keys.iterations};

	if (l->asker != NULL)
		channel_send(l->asker->channel, LOGIN_SALT, &m);
}

void askers_done(struct login *l)
{
	bool holds = l->result == LOGIN_HOLDS;
	struct login_done m = {.request = l->request, .result = l->result};

	if (l->asker == NULL)
		return;
	if (holds)
		m.user = slice_str(l->name.address);
	else
		m.text = slice_str(l->text);
	if (holds && l->scram)
		m.signature = slice_make(l->signature, sizeof(l->signature));
	if (holds && l->has_ticket)
		m.ticket = slice_make(l->ticket, sizeof(l->ticket));
	channel_send(l->asker->channel, LOGIN_DONE, &m);
	idmap_remove(l->asker->logins, l->request);
	l->asker = NULL;
}

static void answer_at_once(const struct asker *a, uint64_t request, enum login_result result,
			   const char *text)
{
	struct login_done m = {.request = request, .result = result, .text = slice_str(text)};

	channel_send(a->channel, LOGIN_DONE, &m);
}

/* control tests for administrators, who alone are not counted. */
static bool service_of(const struct asker *a, struct slice word, enum login_service *service)
{
	if (slice_equal(word, SLICE("test")))
		*service = LOGIN_TEST;
	else if (slice_equal(word, SLICE("pop3")))
		*service = LOGIN_POP3;
	else if (slice_equal(word, SLICE("smtp")))
		*service = LOGIN_SMTP;
	else
		return false;
	return a->control == (*service == LOGIN_TEST);
}

/* NULL: it was answered, or the channel is broken. */
static struct login *begin(struct channel *c, uint64_t request, struct slice service,
			   struct slice mechanism, struct slice client)
{
	struct asker *a = find(c);
	enum login_service meant;
	struct login *l;

	if (request == 0 || idmap_get(a->logins, request) != NULL ||
	    !service_of(a, service, &meant)) {
		channel_break(c, "a login for %.*s that can't be", SLICE_FMT(service));
		return NULL;
	}
	l = login_new();
	if (l == NULL) {
		answer_at_once(a, request, LOGIN_TROUBLE, "too many logins at once");
		return NULL;
	}
	l->asker = a;
	l->request = request;
	l->service = meant;
	slice_copy(mechanism, l->mechanism, sizeof(l->mechanism));
	login_client(l, client);
	idmap_put(a->logins, request, l);
	return l;
}

static void on_check(struct channel *c, const void *record)
{
	const struct login_check *m = record;
	struct login *l = begin(c, m->request, m->service, m->mechanism, m->client);

	if (l == NULL)
		return;
	login_password(l, m->password);
	login_begin(l, m->user);
}

static void on_scram(struct channel *c, const void *record)
{
	const struct login_scram *m = record;
	struct login *l = begin(c, m->request, m->service, m->mechanism, m->client);

	if (l == NULL)
		return;
	l->scram = true;
	login_begin(l, m->user);
}

static void on_proof(struct channel *c, const void *record)
{
	const struct login_proof *m = record;
	struct asker *a = find(c);
	struct login *l = idmap_get(a->logins, m->request);

	if (l == NULL)
		answer_at_once(a, m->request, LOGIN_DENIED, "the exchange took too long");
	else if (l->state != LOGIN_SALTED || m->proof.len != SCRAM_KEY_SIZE)
		channel_break(c, "a proof that nobody waits for");
	else
		login_prove(l, m->auth_message, (const uint8_t *)m->proof.ptr);
}

static void on_forget(struct channel *c, const void *record)
{
	const struct login_forget *m = record;
	struct login *l = idmap_remove(find(c)->logins, m->request);

	if (l != NULL)
		login_forget(l);
}

const struct route askers_routes[] = {
    {LOGIN_CHECK, ROUTE_ALWAYS, on_check},     /* does this password hold? */
    {LOGIN_SCRAM_ASK, ROUTE_ALWAYS, on_scram}, /* salt and iterations of a user */
    {LOGIN_PROOF, ROUTE_ALWAYS, on_proof},     /* of the same */
    {LOGIN_FORGET, ROUTE_ALWAYS, on_forget},   /* the session has ended */
    {0, 0, NULL},
};

const struct route askers_control_routes[] = {
    {LOGIN_CHECK, ROUTE_ALWAYS, on_check},
    {LOGIN_FORGET, ROUTE_ALWAYS, on_forget},
    {0, 0, NULL},
};
