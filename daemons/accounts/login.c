/*
 * Who is not there costs as much as who is: a hash of the commonest kind is computed for nothing,
 * and a refusal is due some time after the question came, however long the sources took.
 */
#include "daemons/accounts/login.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/net/sockaddr.h"
#include "daemons/accounts/askers.h"
#include "daemons/accounts/blocked.h"
#include "daemons/accounts/failures.h"
#include "daemons/accounts/hasher.h"
#include "daemons/accounts/mailbox.h"
#include "daemons/accounts/samples.h"
#include "daemons/accounts/sessions.h"
#include "daemons/accounts/shelf.h"

TAILQ_HEAD(login_list, login);

static struct login_list lists[] = {
    [LOGIN_ASKS] = TAILQ_HEAD_INITIALIZER(lists[LOGIN_ASKS]),
    [LOGIN_SALTED] = TAILQ_HEAD_INITIALIZER(lists[LOGIN_SALTED]),
    [LOGIN_WAITS] = TAILQ_HEAD_INITIALIZER(lists[LOGIN_WAITS]),
};
static size_t count;
static uint8_t secret[32];

void login_warm(void)
{
	uint8_t unused[32];

	/* what OpenSSL loads late it loads here */
	if (RAND_bytes(secret, sizeof(secret)) != 1 ||
	    EVP_Digest(secret, sizeof(secret), unused, NULL, EVP_sha256(), NULL) != 1 ||
	    HMAC(EVP_sha256(), secret, sizeof(secret), secret, sizeof(secret), unused, NULL) ==
		NULL)
		fatal("OpenSSL has no random octets or no SHA-256");
}

static void enter(struct login *l, enum login_state state)
{
	TAILQ_REMOVE(&lists[l->state], l, link);
	l->state = state;
	TAILQ_INSERT_TAIL(&lists[state], l, link);
}

static void wipe_password(struct login *l)
{
	if (l->password != NULL)
		explicit_bzero(l->password, l->password_len);
	memory_free(l->password);
	l->password = NULL;
}

static void login_free(struct login *l)
{
	TAILQ_REMOVE(&lists[l->state], l, link);
	loop_timer_stop(&l->timer);
	wipe_password(l);
	sources_release(&l->sources);
	explicit_bzero(l, sizeof(*l));
	memory_free(l);
	count--;
}

/* The last word. */
static void finish(struct login *l, enum login_result result)
{
	l->result = result;
	askers_done(l);
	login_free(l);
}

/* When there are too many, one that has its verdict, or waits for a stranger, makes room. */
static bool make_room(void)
{
	struct login *l = TAILQ_FIRST(&lists[LOGIN_WAITS]);

	if (count < LOGINS_MAX)
		return true;
	if (l == NULL && (l = TAILQ_FIRST(&lists[LOGIN_SALTED])) == NULL)
		return false;
	finish(l, LOGIN_DENIED);
	return true;
}

struct login *login_new(void)
{
	struct login *l;

	if (!make_room())
		return NULL;
	l = memory_zero(1, sizeof(*l));
	l->begun = loop_now();
	TAILQ_INSERT_TAIL(&lists[LOGIN_ASKS], l, link);
	count++;
	return l;
}

void login_client(struct login *l, struct slice client)
{
	struct net_address a;

	slice_copy(client, l->client, sizeof(l->client));
	if (!net_ip_parse(client, &a))
		return;
	l->client_key[0] = (char)a.family;
	memcpy(l->client_key + 1, a.bytes, a.family == NET_IPV4 ? 4 : 8);
	l->client_len = sizeof(l->client_key);
	l->network_len = a.family == NET_IPV4 ? 1 + 3 : 1 + 6; /* the /24, the /48 */
}

void login_password(struct login *l, struct slice password)
{
	l->password = memory_get(password.len + 1);
	l->password_len = password.len;
	if (password.len > 0)
		memcpy(l->password, password.ptr, password.len);
}

static struct failures_who who(const struct login *l)
{
	return (struct failures_who){.client = slice_make(l->client_key, l->client_len),
				     .network = slice_make(l->client_key, l->network_len),
				     .account = slice_str(l->name.address)};
}

struct slice login_turn(const struct login *l, bool *known)
{
	struct failures_who w = who(l);

	*known = failures_known(&w);
	return *known || l->client_key[0] == NET_IPV4 ? w.client : w.network;
}

static bool hash(struct login *l, struct slice entry, hasher_done *done)
{
	bool known;
	struct slice turn = login_turn(l, &known);

	return hasher_ask(turn, known, entry, slice_make(l->password, l->password_len), done, l);
}

void login_forget(struct login *l)
{
	l->asker = NULL;
	if (l->state != LOGIN_ASKS)
		login_free(l);
}

/* Refusals */

static void log_ban(const struct login *l, unsigned bans)
{
	struct log_line line;

	log_start(&line, LOG_LEVEL_WARNING, 0, "login-ban");
	if (bans & FAILURES_CLIENT_BAN)
		log_pair(&line, "client", slice_str(l->client));
	if (bans & FAILURES_NETWORK_BAN)
		log_pair(&line, "network-of", slice_str(l->client));
	if (bans & FAILURES_ACCOUNT_BAN)
		log_pair(&line, "user", slice_str(l->name.address));
	log_text(&line, "text", "too many failed logins, the last one from %s", l->client);
	log_end(&line);
}

/* Ends the attempt of one who is banned. That is looked at when it begins and again before it is
 * told what came of it, for many may be begun before the first has failed (else a client has as
 * many guesses as connections). */
static bool banned(struct login *l)
{
	struct failures_who w = who(l);
	unsigned bans = l->service == LOGIN_TEST ? 0 : failures_admit(&w, loop_now(), &l->admitted);

	if (bans == 0)
		return false;
	wipe_password(l);
	snprintf(l->text, sizeof(l->text), "%s is banned after too many failed logins",
		 bans & FAILURES_CLIENT_BAN    ? "the client"
		 : bans & FAILURES_NETWORK_BAN ? "the client's network"
					       : "the user");
	finish(l, LOGIN_BANNED);
	return true;
}

static void late(void *arg)
{
	finish(arg, LOGIN_DENIED);
}

static void refuse(struct login *l, const char *text, bool counts)
{
	uint64_t delay = FAILURES_DELAY_US, passed = loop_now() - l->begun;
	struct failures_who w = who(l);
	unsigned bans = 0;

	if (banned(l))
		return;
	wipe_password(l);
	snprintf(l->text, sizeof(l->text), "%s", text);
	if (l->service == LOGIN_TEST) {
		finish(l, LOGIN_DENIED);
		return;
	}
	if (counts)
		bans = failures_add(&w, loop_now(), &delay);
	if (bans != 0)
		log_ban(l, bans);
	if (l->asker == NULL) {
		login_free(l);
		return;
	}
	enter(l, LOGIN_WAITS);
	loop_timer_start(&l->timer, passed < delay ? delay - passed : 0, late, l);
}

void login_trouble(struct login *l, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(l->text, sizeof(l->text), format, ap);
	va_end(ap);
	finish(l, LOGIN_TROUBLE);
}

void login_fails(struct login *l, const char *text)
{
	refuse(l, text, true);
}

static void succeed(struct login *l)
{
	struct failures_who w = who(l);

	if (l->service != LOGIN_TEST)
		failures_success(&w, loop_now());
	finish(l, LOGIN_HOLDS);
}

static void granted(void *arg, enum mailbox_result result, const uint8_t *ticket, const char *text)
{
	struct login *l = arg;

	if (result == MAILBOX_GRANTED) {
		memcpy(l->ticket, ticket, sizeof(l->ticket));
		l->has_ticket = true;
		succeed(l);
	} else if (result == MAILBOX_NONE) {
		refuse(l, text, false);
	} else {
		login_trouble(l, "%s", text);
	}
}

void login_holds(struct login *l)
{
	if (banned(l))
		return;
	wipe_password(l);
	if (blocked_is(l->name.address)) {
		refuse(l, "the user is blocked", false);
		return;
	}
	if (l->by_table && l->service != LOGIN_TEST &&
	    !sessions_note(&l->name, slice_str(l->sources->list[l->source].text), l->entry)) {
		login_trouble(l, "the password has changed meanwhile");
		return;
	}
	if (l->service == LOGIN_POP3) {
		mailbox_grant(&l->name, granted, l);
		return;
	}
	succeed(l);
}

/* Nobody */

static void pretended(void *arg, bool holds)
{
	struct login *l = arg;

	(void)holds; /* it is somebody else's */
	login_fails(l, l->fault != NULL ? l->fault : "there is no such user");
}

/* A salt that is the same each time, as long as this process lives. */
static void make_up_keys(struct login *l)
{
	uint8_t digest[32];
	const char *name = l->name.address;

	l->has_keys = false;
	l->keys =
	    (struct scram_keys){.iterations = samples_iterations(), .salt_len = SCRAM_SALT_NEW};
	if (!HMAC(EVP_sha256(), secret, sizeof(secret), (const uint8_t *)name, strlen(name), digest,
		  NULL))
		fatal("out of memory: OpenSSL makes no salt");
	memcpy(l->keys.salt, digest, SCRAM_SALT_NEW);
}

static void proof_is_late(void *arg)
{
	struct login *l = arg;

	snprintf(l->text, sizeof(l->text), "the exchange took too long");
	finish(l, LOGIN_DENIED);
}

/* The first half of SCRAM is done. */
static void give_salt(struct login *l)
{
	if (l->asker == NULL) {
		login_free(l);
		return;
	}
	askers_salt(l);
	enter(l, LOGIN_SALTED);
	loop_timer_start(&l->timer, LOGIN_PROOF_US, proof_is_late, l);
}

static void nobody(struct login *l)
{
	struct slice entry = samples_commonest();

	if (l->scram) {
		login_keyless(l);
	} else if (entry.len == 0) {
		pretended(l, false);
	} else if (!hash(l, entry, pretended)) {
		login_trouble(l, "too many passwords wait to be checked");
	}
}

static void ask(struct login *l)
{
	if (!ours_current(&l->name))
		login_trouble(l, "the configuration has changed meanwhile");
	else if (l->source < l->sources->count)
		l->sources->list[l->source].ask(l, &l->sources->list[l->source]);
	else
		nobody(l);
}

void login_unknown(struct login *l)
{
	l->source++;
	ask(l);
}

void login_begin(struct login *l, struct slice user)
{
	l->fault = ours_name(user, &l->name);
	if (banned(l))
		return;
	l->sources = sources_hold();
	if (l->sources->count == 0)
		login_trouble(l, "the configuration names no passwords");
	else if (!blocked_known())
		login_trouble(l, "it is not known yet who is blocked");
	else if (l->fault != NULL)
		nobody(l);
	else
		ask(l);
}

/* Tables */

static void hashed(void *arg, bool holds)
{
	if (holds)
		login_holds(arg);
	else
		login_fails(arg, "the password is wrong");
}

void login_keyless(struct login *l)
{
	make_up_keys(l);
	give_salt(l);
}

static void use_scram(struct login *l, struct slice entry)
{
	struct slice hash;

	l->has_keys = password_scheme(entry, &hash) == PASSWORD_SCRAM_SHA_256 &&
		      password_scram_read(hash, &l->keys);
	if (l->has_keys)
		give_salt(l);
	else
		login_keyless(l);
}

static void use_entry(struct login *l, struct slice entry)
{
	const char *fault = password_fault(entry);

	if (fault != NULL) {
		log_error("users %s: the password of %s can't be checked: %s",
			  l->sources->list[l->source].text, l->name.address, fault);
		login_trouble(l, "the password's entry can't be checked: %s", fault);
		return;
	}
	samples_note(entry);
	sessions_digest(entry, l->entry);
	l->by_table = true;
	if (l->scram)
		use_scram(l, entry);
	else if (!hash(l, entry, hashed))
		login_trouble(l, "too many passwords wait to be checked");
}

static void found(void *arg, enum table_result result, struct slice value)
{
	struct login *l = arg;
	struct table_user user;

	if (result == TABLE_ERROR) { /* S55: an error is no miss */
		login_trouble(l, "the table %s can't be read now",
			      l->sources->list[l->source].text);
		return;
	}
	table_user_read(value, &user);
	/* a list of names says nothing of their passwords */
	if (result == TABLE_MISSING || user.password.len == 0)
		login_unknown(l);
	else
		use_entry(l, user.password);
}

void login_ask_table(struct login *l, const struct source *s)
{
	shelf_entry(slice_str(s->text), slice_str(l->name.user), slice_str(l->name.domain), found,
		    l);
}

void login_prove(struct login *l, struct slice auth_message, const uint8_t proof[SCRAM_KEY_SIZE])
{
	bool holds;

	loop_timer_stop(&l->timer);
	enter(l, LOGIN_ASKS);
	l->begun = loop_now();
	holds = password_scram_check(&l->keys, auth_message, proof, l->signature);
	if (holds && l->has_keys)
		login_holds(l);
	else if (l->has_keys)
		login_fails(l, "the password is wrong");
	else
		login_fails(l,
			    l->fault != NULL ? l->fault : "there is no such user, or no SCRAM key");
}
