/*
 * logins: questions about users, asked once. SCRAM's question stays one from its name to its proof:
 * accounts knows by its number whose proof it is.
 */
#include "common/service/logins.h"

#include <bsd/stdlib.h>

#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/net/tls_server.h"
#include "common/wire/call.h"

enum { NONCE_OCTETS = 18 };

_Static_assert((int)TLS_BINDING_MAX <= (int)SASL_BINDING_MAX, "a binding has room");

struct login_question {
	logins_salted *salted;
	logins_done *done;
	void *arg;
};

static struct caller *accounts;
static struct channel *channel;
static uint32_t offered;
static void (*on_revoked)(struct slice user);

uint32_t logins_offered(void)
{
	return offered;
}

/* RFC 5929, RFC 9266 */
static bool can_bind(const struct stream *s)
{
	unsigned char octets[TLS_BINDING_MAX];

	return tls_server_binding(s, "tls-exporter", octets) > 0 ||
	       tls_server_binding(s, "tls-server-end-point", octets) > 0;
}

unsigned logins_mechanisms(const struct stream *s)
{
	return (offered & LOGIN_PLAIN ? SASL_PLAIN : 0) | (offered & LOGIN_LOGIN ? SASL_LOGIN : 0) |
	       (offered & LOGIN_SCRAM ? SASL_SCRAM : 0) |
	       (offered & LOGIN_SCRAM_PLUS && can_bind(s) ? SASL_SCRAM_PLUS : 0);
}

static size_t binding(void *arg, const char *type, unsigned char *octets)
{
	return tls_server_binding(arg, type, octets);
}

struct sasl_session *logins_sasl(struct stream *s, enum sasl_mechanism mechanism)
{
	char octets[NONCE_OCTETS];
	struct buffer nonce;
	struct sasl_session *session;
	struct sasl_terms terms = {
	    .mechanism = mechanism,
	    .plus_offered = (logins_mechanisms(s) & SASL_SCRAM_PLUS) != 0,
	    .binding = binding,
	    .arg = s,
	};

	arc4random_buf(octets, sizeof(octets));
	buffer_init(&nonce, SASL_NONCE_MAX);
	base64_encode(slice_make(octets, sizeof(octets)), &nonce);
	terms.nonce = buffer_slice(&nonce);
	session = sasl_new(&terms);
	buffer_free(&nonce);
	return session;
}

static const struct login_done *trouble(const char *why)
{
	static struct login_done done;

	done = (struct login_done){.result = LOGIN_TROUBLE, .text = slice_str(why)};
	return &done;
}

static void ended(void *arg, const void *answer)
{
	struct login_question q = *(struct login_question *)arg;

	memory_free(arg);
	q.done(q.arg, answer ? answer : trouble("accounts does not answer"));
}

static uint64_t ask(uint16_t number, const struct record *record, void *question,
		    struct login_question about)
{
	struct login_question *q = memory_get(sizeof(*q));
	uint64_t request;

	*q = about;
	request = caller_ask(accounts, number, record, question, LOGINS_TIMEOUT_US, ended, q);
	if (request == 0) {
		memory_free(q);
		about.done(about.arg, trouble("accounts can't be asked"));
	}
	return request;
}

uint64_t logins_check(struct login_check *question, logins_done *done, void *arg)
{
	return ask(LOGIN_CHECK, &login_check_record, question,
		   (struct login_question){.done = done, .arg = arg});
}

uint64_t logins_scram(struct login_scram *question, logins_salted *salted, logins_done *done,
		      void *arg)
{
	return ask(LOGIN_SCRAM_ASK, &login_scram_record, question,
		   (struct login_question){salted, done, arg});
}

void logins_prove(uint64_t request, struct slice auth_message, struct slice proof)
{
	struct login_proof m = {.request = request, .auth_message = auth_message, .proof = proof};

	/* Where that fails the question ends by its time, or with the channel. */
	if (channel != NULL)
		channel_send(channel, LOGIN_PROOF, &m);
}

void logins_forget(uint64_t request)
{
	struct login_forget m = {.request = request};
	void *question = caller_arg(accounts, request);

	if (question == NULL)
		return;
	caller_cancel(accounts, request);
	memory_free(question);
	if (channel != NULL)
		channel_send(channel, LOGIN_FORGET, &m);
}

static void on_mechanisms(struct channel *c, const void *record)
{
	(void)c;
	offered = ((const struct login_mechanisms *)record)->mechanisms;
}

static void on_salt(struct channel *c, const void *record)
{
	const struct login_salt *salt = record;
	const struct login_question *q = caller_arg(accounts, salt->request);

	(void)c;
	if (q != NULL && q->salted != NULL)
		q->salted(q->arg, salt);
}

static void on_done(struct channel *c, const void *record)
{
	const struct login_done *done = record;

	(void)c;
	caller_answered(accounts, done->request, done);
}

static void on_revoke(struct channel *c, const void *record)
{
	(void)c;
	on_revoked(((const struct login_revoked *)record)->user);
}

const struct route logins_routes[] = {
    {LOGIN_MECHANISMS, ROUTE_ALWAYS, on_mechanisms},
    {LOGIN_SALT, ROUTE_ALWAYS, on_salt},
    {LOGIN_DONE, ROUTE_ALWAYS, on_done},
    {LOGIN_REVOKED, ROUTE_ALWAYS, on_revoke},
    {0, 0, NULL},
};

void logins_up(struct channel *c, unsigned instance)
{
	(void)instance;
	channel = c;
	caller_use(accounts, c);
}

/* What is offered stays so: a client that comes now is told to try later, not that there is no way
 * to log in. */
void logins_down(struct channel *c)
{
	(void)c;
	channel = NULL;
	caller_use(accounts, NULL);
}

void logins_warm(void (*revoked)(struct slice user))
{
	on_revoked = revoked;
	accounts = caller_new_once(LOGINS_PENDING_MAX);
}
