/*
 * Each certificate file has two places: what is used, and what came newer and waits until keys says
 * that it has the key. So a certificate and its key may change one after the other, and nothing
 * that can't sign is ever shown to a client. What is wrong with a file is logged by keys, which
 * reads all of them with the same eyes.
 */
#include "common/service/secure.h"

#include <unistd.h>
#include <bsd/sys/queue.h>

#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/config/settings.h"
#include "common/dialogue/keys.h"
#include "common/os/disk.h"
#include "common/os/loop.h"
#include "common/wire/call.h"

enum {
	SECURE_PENDING_MAX = 1024, /* handshakes that wait for a signature */
};
#define SECURE_SIGN_US UINT64_C(10000000) /* then the handshake fails */

_Static_assert((int)KEYS_NAME_SIZE == (int)TLS_KEY_NAME_SIZE &&
		   (int)KEYS_TICKET_NAME == (int)TLS_TICKET_NAME_SIZE &&
		   (int)KEYS_TICKET_SECRET == (int)TLS_TICKET_SECRET_SIZE,
	       "the words of keys are those of TLS");
_Static_assert((int)KEYS_TLS13_SERVER == (int)TLS_SIGN_13 &&
		   (int)KEYS_TLS12_SERVER == (int)TLS_SIGN_12,
	       "purposes are passed on as they are");

struct place {
	struct tls_certificate *certificate; /* NULL: none */
	bool signs;			     /* keys has its key */
};

struct paper {
	TAILQ_ENTRY(paper) next;
	char *path;
	unsigned number, coming; /* in the set in use and in the next one, from 1; 0: not there */
	struct place used, fresh;
	bool trying; /* fresh takes the place of used in what is offered now */
};

static TAILQ_HEAD(, paper) papers = TAILQ_HEAD_INITIALIZER(papers);
static unsigned minimum = 12, coming_minimum, coming_count, number_max;
static struct tls_server *server;
static size_t usable; /* certificates that the server offers */
static struct channel *keys;
static struct caller *caller;
static struct idmap *waiting; /* address of a tls_wait -> number of its call */
static struct loop_timer later;

/* What is offered */

static struct tls_certificate *offered(const struct paper *p)
{
	if (p->trying)
		return p->fresh.certificate;
	return p->used.signs ? p->used.certificate : NULL;
}

static bool offer(struct error *e)
{
	struct tls_certificate *list[TLS_CERTIFICATES_MAX] = {NULL};
	const struct paper *p;
	size_t count = 0;
	TAILQ_FOREACH (p, &papers, next)
		if (p->number > 0)
			list[p->number - 1] = offered(p);
	for (unsigned i = 0; i < number_max; i++)
		if (list[i])
			list[count++] = list[i];
	if (count > 0 && !tls_server_use(server, minimum, list, count, e))
		return false;
	usable = count;
	return true;
}

static void place_free(struct place *place)
{
	tls_certificate_free(&place->certificate);
	place->signs = false;
}

static void settle(struct paper *p)
{
	place_free(&p->used);
	p->used = p->fresh;
	p->fresh = (struct place){0};
	p->trying = false;
}

/* One of them is bad: so that it spoils itself alone. */
static void offer_one_by_one(void)
{
	struct error e = {0};
	struct paper *p;
	TAILQ_FOREACH (p, &papers, next)
		p->trying = false;
	TAILQ_FOREACH (p, &papers, next) {
		if (!p->fresh.certificate || !p->fresh.signs)
			continue;
		p->trying = true;
		if (offer(&e)) {
			settle(p);
			continue;
		}
		p->trying = false;
		place_free(&p->fresh);
		log_error("certificate %s: %s; %s", p->path, e.text,
			  p->used.certificate ? "the old one stays in use" : "it is not used");
	}
}

static void look(void *arg)
{
	struct error e = {0};
	struct paper *p;
	size_t tried = 0;
	(void)arg;
	if (!server)
		return;
	TAILQ_FOREACH (p, &papers, next) {
		p->trying = p->fresh.certificate && p->fresh.signs;
		tried += p->trying;
	}
	if (!offer(&e)) {
		if (tried == 0)
			log_error("certificates: %s", e.text);
		offer_one_by_one();
		return;
	}
	TAILQ_FOREACH (p, &papers, next)
		if (p->trying)
			settle(p);
}

/* Many changes come in a row: they are one. */
static void look_later(void)
{
	if (server && !loop_timer_active(&later))
		loop_timer_start(&later, 0, look, NULL);
}

/* Settings and files */

static struct paper *find(struct slice path)
{
	struct paper *p;
	TAILQ_FOREACH (p, &papers, next)
		if (slice_equal(path, slice_str(p->path)))
			return p;
	return NULL;
}

void secure_settings_begin(void)
{
	struct paper *p;
	coming_count = 0;
	coming_minimum = minimum;
	TAILQ_FOREACH (p, &papers, next)
		p->coming = 0;
}

void secure_setting(const struct record *record, const void *value)
{
	const struct settings_certificate *c = value;
	struct paper *p;
	if (record == &settings_tls_record)
		coming_minimum = ((const struct settings_tls *)value)->minimum;
	if (record != &settings_certificate_record)
		return;
	p = find(c->certificate);
	if (p && p->coming > 0)
		return;
	if (coming_count == TLS_CERTIFICATES_MAX) {
		log_error("certificate %.*s: more than %d are not used", SLICE_FMT(c->certificate),
			  TLS_CERTIFICATES_MAX);
		return;
	}
	if (!p) {
		p = memory_zero(1, sizeof(*p));
		p->path = memory_string(c->certificate);
		TAILQ_INSERT_TAIL(&papers, p, next);
	}
	p->coming = ++coming_count;
}

void secure_settings_end(void)
{
	struct paper *p, *following;
	minimum = coming_minimum;
	number_max = coming_count;
	for (p = TAILQ_FIRST(&papers); p; p = following) {
		following = TAILQ_NEXT(p, next);
		p->number = p->coming;
		if (p->number > 0)
			continue;
		TAILQ_REMOVE(&papers, p, next);
		place_free(&p->used);
		place_free(&p->fresh);
		memory_free(p->path);
		memory_free(p);
	}
	look_later();
}

static void ask(const struct place *place)
{
	struct keys_ask m;
	if (!keys || !place->certificate)
		return;
	m.name = slice_make(tls_certificate_key(place->certificate), TLS_KEY_NAME_SIZE);
	channel_send(keys, KEYS_ASK, &m);
}

static bool same_key(const struct place *place, struct slice name)
{
	return place->certificate &&
	       slice_equal(name,
			   slice_make(tls_certificate_key(place->certificate), TLS_KEY_NAME_SIZE));
}

bool secure_descriptor(const struct service_descriptor *d)
{
	struct buffer pem;
	struct tls_certificate *fresh = NULL;
	struct paper *p;
	if (!slice_equal(d->kind, SLICE("file")) || !slice_equal(d->detail, SLICE("certificate")))
		return false;
	p = find(d->name);
	buffer_init(&pem, TLS_PEM_MAX);
	if (p && disk_read_whole(d->fd, TLS_PEM_MAX, &pem) == 0)
		fresh = tls_certificate_read(buffer_slice(&pem), NULL);
	buffer_free(&pem);
	close(d->fd);
	if (fresh) {
		place_free(&p->fresh);
		p->fresh.certificate = fresh;
		ask(&p->fresh);
	}
	return true;
}

/* Signatures */

static uint64_t address_of(const struct tls_wait *wait)
{
	return (uintptr_t)wait;
}

static void answered(void *arg, const void *answer)
{
	const struct keys_signed *m = answer;
	struct tls_wait *wait = arg;
	idmap_remove(waiting, address_of(wait));
	if (!m)
		log_error("TLS: no signature within %d s",
			  (int)(SECURE_SIGN_US / UINT64_C(1000000)));
	else if (m->signature.len == 0)
		log_error("TLS: no signature: %.*s", SLICE_FMT(m->text));
	tls_signed(wait, m ? m->signature : SLICE_EMPTY);
}

static bool sign(void *arg, const unsigned char key[TLS_KEY_NAME_SIZE], enum tls_purpose purpose,
		 unsigned scheme, struct slice text, struct tls_wait *wait)
{
	struct keys_sign m = {.name = slice_make(key, TLS_KEY_NAME_SIZE),
			      .purpose = purpose,
			      .scheme = scheme,
			      .text = text};
	uint64_t call;
	(void)arg;
	if (text.len > KEYS_TEXT_MAX)
		return false;
	call = caller_ask(caller, KEYS_SIGN, &keys_sign_record, &m, SECURE_SIGN_US, answered, wait);
	if (call == 0)
		return false;
	idmap_put(waiting, address_of(wait), (void *)(uintptr_t)call);
	return true;
}

static void forget(void *arg, struct tls_wait *wait)
{
	(void)arg;
	caller_cancel(caller, (uintptr_t)idmap_remove(waiting, address_of(wait)));
}

void secure_warm(const char *role)
{
	static const struct tls_signer signer = {.sign = sign, .forget = forget};
	struct error e = {0};
	caller = caller_new(SECURE_PENDING_MAX);
	waiting = idmap_new();
	server = tls_server_new(role, &signer, &e);
	if (!server)
		log_error("there is no TLS: %s", e.text);
}

bool secure_ready(void)
{
	return usable > 0;
}

bool secure_start(struct stream *s)
{
	return secure_ready() && tls_server_start(server, s);
}

void secure_log(const struct stream *s, struct log_line *line)
{
	struct tls_facts facts;
	tls_server_facts(s, &facts);
	log_pair(line, "version", slice_str(facts.version));
	log_pair(line, "cipher", slice_str(facts.cipher));
	log_number(line, "bits", facts.bits);
	log_pair(line, "resumed", facts.resumed ? SLICE("yes") : SLICE("no"));
	if (facts.host[0] != '\0')
		log_pair(line, "host", slice_str(facts.host));
}

/* The link to keys */

static void mark(struct place *place, struct slice name, bool signs)
{
	if (!same_key(place, name) || place->signs == signs)
		return;
	place->signs = signs;
	look_later();
}

static void on_present(struct channel *c, const void *record)
{
	const struct keys_present *m = record;
	struct paper *p;
	(void)c;
	TAILQ_FOREACH (p, &papers, next) {
		mark(&p->used, m->name, m->present);
		mark(&p->fresh, m->name, m->present);
	}
}

static void on_signed(struct channel *c, const void *record)
{
	const struct keys_signed *m = record;
	(void)c;
	caller_answered(caller, m->request, m);
}

static const unsigned char *octets(struct slice s)
{
	return (const unsigned char *)s.ptr;
}

static void on_tickets(struct channel *c, const void *record)
{
	const struct keys_tickets *m = record;
	bool old = m->old_name.len > 0;
	if (m->name.len != KEYS_TICKET_NAME || m->secret.len != KEYS_TICKET_SECRET ||
	    (old &&
	     (m->old_name.len != KEYS_TICKET_NAME || m->old_secret.len != KEYS_TICKET_SECRET))) {
		channel_break(c, "a ticket key of another length");
		return;
	}
	if (server)
		tls_server_tickets(server, octets(m->name), octets(m->secret),
				   old ? octets(m->old_name) : NULL,
				   old ? octets(m->old_secret) : NULL);
}

const struct route secure_routes[] = {
    {KEYS_PRESENT, ROUTE_ALWAYS, on_present}, /* a key is there now, or not any more */
    {KEYS_SIGNED, ROUTE_ALWAYS, on_signed},
    {KEYS_TICKETS, ROUTE_ALWAYS, on_tickets}, /* what seals session tickets */
    {0, 0, NULL},
};

/* What was used is used on until keys says otherwise: its handshakes wait for it, and are asked
 * again here. */
void secure_up(struct channel *c, unsigned instance)
{
	const struct paper *p;
	(void)instance;
	keys = c;
	TAILQ_FOREACH (p, &papers, next) {
		ask(&p->used);
		ask(&p->fresh);
	}
	caller_use(caller, c);
}

void secure_down(struct channel *c)
{
	if (keys != c)
		return;
	keys = NULL;
	caller_use(caller, NULL);
}
