/*
 * Askers that have something waiting are taken in turns, a signature each, some in a turn of the
 * loop; what they get leaves at the turn's end.
 */
#include "daemons/keys/askers.h"

#include <bsd/sys/queue.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/dialogue/keys.h"
#include "common/os/loop.h"
#include "daemons/keys/ring.h"
#include "daemons/keys/text.h"
#include "daemons/keys/tickets.h"

struct request {
	STAILQ_ENTRY(request) next;
	uint64_t number;
	uint32_t purpose, scheme;
	unsigned char name[KEYS_NAME_SIZE];
	size_t len;
	char text[];
};

struct asker {
	TAILQ_ENTRY(asker) next;
	struct channel *channel;
	enum tickets_service service;
	STAILQ_HEAD(, request) requests;
	size_t count;
};

static TAILQ_HEAD(, asker) askers = TAILQ_HEAD_INITIALIZER(askers);
static struct loop_turn turn;
static uint64_t told; /* when a text that is none was told last */

static struct asker *find(const struct channel *c)
{
	struct asker *a;
	TAILQ_FOREACH (a, &askers, next)
		if (a->channel == c)
			return a;
	return NULL;
}

/* Questions */

static void on_ask(struct channel *c, const void *record)
{
	const struct keys_ask *m = record;
	struct keys_present there = {.name = m->name, .present = ring_find(m->name) != NULL};
	channel_send(c, KEYS_PRESENT, &there);
}

static void refuse(struct channel *c, uint64_t request, const char *why)
{
	struct keys_signed m = {.request = request, .text = slice_str(why)};
	channel_send(c, KEYS_SIGNED, &m);
}

/* That is no client's doing: the process has another build, or another master. */
static void refuse_text(struct channel *c, uint64_t request)
{
	uint64_t now = loop_now();
	refuse(c, request, "that is nothing that a TLS server signs");
	if (told > 0 && now - told < ASKERS_TELL_US)
		return;
	told = now;
	log_error("a signature was refused for what no TLS server signs: one of the processes "
		  "that speak TLS is not what it should be");
}

static void on_sign(struct channel *c, const void *record)
{
	const struct keys_sign *m = record;
	struct asker *a = find(c);
	struct request *r;
	if (!text_fits(m->purpose, m->text)) {
		refuse_text(c, m->request);
		return;
	}
	if (!ring_find(m->name)) {
		refuse(c, m->request, "the certificate's key is not there");
		return;
	}
	if (a->count == ASKER_WAITING_MAX) {
		refuse(c, m->request, "too many handshakes at once");
		return;
	}
	r = memory_get(sizeof(*r) + m->text.len);
	r->number = m->request;
	r->purpose = m->purpose;
	r->scheme = m->scheme;
	memcpy(r->name, m->name.ptr, sizeof(r->name));
	r->len = m->text.len;
	memcpy(r->text, m->text.ptr, m->text.len);
	STAILQ_INSERT_TAIL(&a->requests, r, next);
	a->count++;
}

/* Signing */

static void answer(struct channel *c, const struct request *r)
{
	unsigned char signature[TLS_SIGNATURE_MAX];
	const struct tls_private *key = ring_find(slice_make(r->name, sizeof(r->name)));
	size_t len = key ? tls_private_sign(key, (enum tls_purpose)r->purpose, r->scheme,
					    slice_make(r->text, r->len), signature)
			 : 0;
	struct keys_signed m = {.request = r->number, .signature = slice_make(signature, len)};
	if (len > 0)
		channel_send(c, KEYS_SIGNED, &m);
	else
		refuse(c, r->number,
		       key ? "the key does not sign by that scheme"
			   : "the certificate's key is not there any more");
}

static void request_take(struct asker *a, struct request *r)
{
	STAILQ_REMOVE_HEAD(&a->requests, next);
	a->count--;
	memory_free(r);
}

static struct asker *next_asker(void)
{
	struct asker *a;
	TAILQ_FOREACH (a, &askers, next)
		if (a->count > 0)
			break;
	if (!a)
		return NULL;
	TAILQ_REMOVE(&askers, a, next);
	TAILQ_INSERT_TAIL(&askers, a, next);
	return a;
}

static void work(void *arg)
{
	struct asker *a;
	(void)arg;
	for (unsigned i = 0; i < SIGNATURES_A_TURN; i++) {
		a = next_asker();
		if (!a)
			return;
		struct request *r = STAILQ_FIRST(&a->requests);
		answer(a->channel, r);
		request_take(a, r);
	}
	loop_turn_again();
}

/* Life */

static void send_tickets(const struct asker *a)
{
	struct keys_tickets m = tickets_of(a->service);
	channel_send(a->channel, KEYS_TICKETS, &m);
}

static void send_all_tickets(void)
{
	const struct asker *a;
	TAILQ_FOREACH (a, &askers, next)
		send_tickets(a);
}

void askers_start(void)
{
	loop_turn_add(&turn, work, NULL);
	tickets_start(send_all_tickets);
}

static void up(struct channel *c, enum tickets_service service)
{
	struct asker *a = memory_zero(1, sizeof(*a));
	a->channel = c;
	a->service = service;
	STAILQ_INIT(&a->requests);
	TAILQ_INSERT_TAIL(&askers, a, next);
	send_tickets(a);
}

void askers_smtpd_up(struct channel *c, unsigned instance)
{
	(void)instance;
	up(c, TICKETS_SMTPD);
}

void askers_submission_up(struct channel *c, unsigned instance)
{
	(void)instance;
	up(c, TICKETS_SUBMISSION);
}

void askers_pop3d_up(struct channel *c, unsigned instance)
{
	(void)instance;
	up(c, TICKETS_POP3D);
}

void askers_down(struct channel *c)
{
	struct asker *a = find(c);
	struct request *r;
	while ((r = STAILQ_FIRST(&a->requests)))
		request_take(a, r);
	TAILQ_REMOVE(&askers, a, next);
	memory_free(a);
}

void askers_present(const unsigned char *name, bool present)
{
	struct keys_present m = {.name = slice_make(name, KEYS_NAME_SIZE), .present = present};
	const struct asker *a;
	TAILQ_FOREACH (a, &askers, next)
		channel_send(a->channel, KEYS_PRESENT, &m);
}

const struct route askers_routes[] = {
    {KEYS_ASK, ROUTE_ALWAYS, on_ask},	/* is the key there? */
    {KEYS_SIGN, ROUTE_ALWAYS, on_sign}, /* a handshake's signature */
    {0, 0, NULL},
};
