/*
 * Sites: mail for many domains goes to the same few servers, and shares their window and their dead
 * time. So the destination of a next hop is not its domain but the site of that, the set of its MX
 * hosts, which the resolver knows; answers are kept for a while, and one question serves all that
 * wait for it. A next hop that begins with a host, [in brackets], is a destination by itself.
 */
#include <stdio.h>

#include "common/base/bytes.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "queue/manager/asking.h"
#include "queue/manager/manager.h"

enum {
	SITES_MAX = 128 * 1024, /* 200 octets each */
	SITES_ASKED_MAX = 1000,
	TTL_MOST = 3600, /* seconds */
	TTL_LEAST = 10,
	TTL_FAILURE = 10, /* spares those of the same moment; the next attempt is to ask anew */
	PORT_SMTP = 25,
};

static const uint64_t PATIENCE_US = 2 * 1000000; /* of those that have their site with the others */

/* A question under way. */
struct search {
	struct inquiry inquiry;
	struct site *site;
	struct delivery_list deliveries; /* that wait for the answer */
};

/* What is known of a domain. There may be many. */
struct site {
	TAILQ_ENTRY(site) link; /* by age of the answer; not while it is asked for */
	struct search *search;	/* NULL: it is not asked for */
	uint64_t expires;	/* queue time */
	char *text;		/* code 0: its hosts; else what is replied */
	uint16_t code;
	uint16_t enhanced[3];
	uint16_t domain_length;
	char domain[];
};

static struct asking *resolver;
static struct map *sites; /* by domain */
static TAILQ_HEAD(, site) answered = TAILQ_HEAD_INITIALIZER(answered);
static TAILQ_HEAD(, active) patients = TAILQ_HEAD_INITIALIZER(patients);

static struct slice domain_of(const struct site *s)
{
	return slice_make(s->domain, s->domain_length);
}

/* What waits */

static void wait_begin(struct delivery *d, struct search *search)
{
	struct active *a = d->active;

	d->search = search;
	TAILQ_INSERT_TAIL(&search->deliveries, d, link);
	if (a->siting++ == 0) {
		a->patient_since = manager_now();
		TAILQ_INSERT_TAIL(&patients, a, patient);
	}
}

void sites_forget(struct delivery *d)
{
	struct active *a = d->active;

	TAILQ_REMOVE(&d->search->deliveries, d, link);
	d->search = NULL;
	if (--a->siting == 0)
		TAILQ_REMOVE(&patients, a, patient);
}

/* Destinations */

/* Those of one domain come together, most often: the text is kept once. */
static struct slice destination_keep(struct active *a, struct slice key)
{
	if (!slice_equal(key, a->destination))
		a->destination = arena_copy(&a->arena, key);
	return a->destination;
}

/* A name that is too long for a key is told from others by a checksum at its end. */
static bool place_at(struct delivery *d, struct slice key)
{
	char text[DESTINATION_KEY_MAX + 1];
	const size_t most = DESTINATION_KEY_MAX - 9;

	if (key.len > DESTINATION_KEY_MAX) {
		snprintf(text, sizeof(text), "%.*s+%08x", SLICE_FMT(slice_sub(key, 0, most)),
			 crc32c(0, key.ptr, key.len));
		key = slice_str(text);
	}
	d->destination = destination_keep(d->active, key);
	if (d->destination.ptr == NULL) {
		d->destination = SLICE_EMPTY;
		delivery_close(d); /* no memory: pending still */
		return false;
	}
	TAILQ_INSERT_TAIL(&d->active->loose, d, link);
	d->active->loose_count++;
	return true;
}

/* "example.org:587 [relay.example.org]:25": domain and port of the first item, and what follows it.
 */
static struct slice item_split(struct slice next_hop, uint64_t *port, struct slice *rest)
{
	struct slice item, name, number;

	slice_split(next_hop, ' ', &item, rest);
	slice_split(item, ':', &name, &number);
	if (number.len == 0 || !slice_number(number, UINT16_MAX, port))
		*port = PORT_SMTP;
	return name;
}

static void place_at_site(struct delivery *d, struct slice name)
{
	char key[RESOLVER_SITE_MAX + JOB_NEXT_HOP_MAX + 16];
	struct slice rest;
	uint64_t port;
	int len;

	item_split(d->next_hop, &port, &rest);
	len = snprintf(key, sizeof(key), "%.*s:%u%s%.*s", SLICE_FMT(name), (unsigned)port,
		       rest.len > 0 ? " " : "", SLICE_FMT(rest));
	place_at(d, slice_make(key, (size_t)len));
}

static void refuse(struct delivery *d, const struct reply *reply)
{
	struct active *a = d->active;
	struct result r = {
	    .recipient = d->recipient,
	    .address = d->address,
	    .original = d->original,
	    .status = reply->code >= 500 ? RECIPIENT_FAILED : RECIPIENT_DEFERRED,
	    .reply = *reply,
	};

	delivery_close(d);
	if (a->entry != NULL)
		result_take(a, &r);
}

/* The delivery waits for nothing now. Where there are further items smtp walks on to them, whatever
 * the first one's domain is like. */
static void place(struct delivery *d, const struct site *s)
{
	struct slice rest;
	uint64_t port;

	item_split(d->next_hop, &port, &rest);
	if (s->code == 0)
		place_at_site(d, slice_str(s->text));
	else if (rest.len > 0)
		place_at(d, d->next_hop);
	else
		refuse(d, &(struct reply){
			      .code = s->code,
			      .enhanced = {s->enhanced[0], s->enhanced[1], s->enhanced[2]},
			      .text = slice_str(s->text),
			  });
}

/* The cache */

static void site_free(struct site *s)
{
	map_remove(sites, domain_of(s));
	memory_free(s->text);
	memory_free(s);
}

static struct site *site_new(struct slice domain)
{
	struct site *s = memory_zero(1, sizeof(*s) + domain.len);

	memcpy(s->domain, domain.ptr, domain.len);
	s->domain_length = (uint16_t)domain.len;
	map_put(sites, domain_of(s), s);
	return s;
}

/* The deliveries are settled after all of them are placed, so that those of one message become jobs
 * together. */
static void serve(struct site *s, struct search *search)
{
	struct active *a, *next;
	struct delivery *d;
	TAILQ_HEAD(, active) settled = TAILQ_HEAD_INITIALIZER(settled);

	while ((d = TAILQ_FIRST(&search->deliveries)) != NULL) {
		a = d->active;
		if (!a->sited) {
			a->sited = true;
			TAILQ_INSERT_TAIL(&settled, a, served);
		}
		sites_forget(d);
		place(d, s);
	}
	TAILQ_FOREACH_SAFE (a, &settled, served, next) {
		a->sited = false;
		active_settle(a);
	}
}

static void keep(struct site *s, uint32_t seconds)
{
	s->expires = manager_now() + seconds * CLOCK_SECOND;
	TAILQ_INSERT_TAIL(&answered, s, link);
}

/* code 0: name; else the reply. */
static void search_ended(struct search *search, struct slice name, struct reply reply, uint32_t ttl)
{
	struct site *s = search->site;

	memory_free(s->text);
	s->text = memory_string(reply.code == 0 ? name : reply.text);
	s->code = reply.code;
	memcpy(s->enhanced, reply.enhanced, sizeof(s->enhanced));
	s->search = NULL;
	if (reply.code != 0)
		ttl = TTL_FAILURE;
	keep(s, ttl < TTL_LEAST ? TTL_LEAST : ttl > TTL_MOST ? TTL_MOST : ttl);
	serve(s, search);
	memory_free(search);
}

static struct search *search_of(struct inquiry *i)
{
	return container_of(i, struct search, inquiry);
}

static void on_answer(struct channel *c, const void *record)
{
	const struct resolve_site_answer *m = record;
	struct inquiry *i = asking_find(resolver, m->request);
	struct reply reply = reply_of(m->code, m->enhanced, m->text);

	(void)c;
	if (i == NULL)
		return;
	asking_end(resolver, i);
	if (m->code == 0 && m->site.len == 0)
		reply = reply_of(451, SLICE("4.4.3"), SLICE("the resolver names no host"));
	search_ended(search_of(i), m->site, reply, m->ttl);
}

static void fail(struct inquiry *i, const char *why)
{
	struct search *search = search_of(i);
	char text[RESOLVER_NAME_MAX + 100];

	snprintf(text, sizeof(text), "%.*s: %s", SLICE_FMT(domain_of(search->site)), why);
	search_ended(search, SLICE_EMPTY, reply_of(451, SLICE("4.4.3"), slice_str(text)),
		     TTL_FAILURE);
}

static void question_late(struct inquiry *i)
{
	fail(i, "the resolver does not answer");
}

/* The messages are not to blame for a domain. */
static void question_killed(struct inquiry *i)
{
	log_error("the resolver dies of the domain %.*s", SLICE_FMT(domain_of(search_of(i)->site)));
	asking_end(resolver, i);
	fail(i, "the resolver dies of it");
}

static bool send_question(struct channel *c, struct inquiry *i)
{
	struct resolve_site ask = {.request = i->number, .domain = domain_of(search_of(i)->site)};

	return channel_send(c, RESOLVE_SITE, &ask);
}

static void search_begin(struct site *s)
{
	struct search *search = memory_zero(1, sizeof(*search));

	search->site = s;
	TAILQ_INIT(&search->deliveries);
	s->search = search;
	asking_begin(resolver, &search->inquiry, false);
}

/* One that is answered, or asked for from now on; NULL: there are too many. */
static struct site *site_get(struct slice domain)
{
	struct site *s = map_get(sites, domain);

	if (s != NULL && (s->search != NULL || s->expires > manager_now()))
		return s;
	if (s != NULL)
		TAILQ_REMOVE(&answered, s, link);
	else {
		if (map_count(sites) >= SITES_MAX) {
			s = TAILQ_FIRST(&answered);
			if (s == NULL)
				return NULL;
			TAILQ_REMOVE(&answered, s, link);
			site_free(s);
		}
		s = site_new(domain);
	}
	search_begin(s);
	return s;
}

void sites_find(struct delivery *d)
{
	static const struct reply busy = {
	    .code = 451, .enhanced = {4, 3, 2}, .text = {"too many domains are looked up", 30}};
	struct slice rest, domain;
	struct site *s;
	uint64_t port;

	if (d->next_hop.ptr[0] == '[') {
		place_at(d, d->next_hop);
		return;
	}
	domain = item_split(d->next_hop, &port, &rest);
	s = site_get(domain);
	if (s == NULL)
		refuse(d, &busy);
	else if (s->search != NULL)
		wait_begin(d, s->search);
	else
		place(d, s);
}

const struct route resolver_routes[] = {
    {RESOLVE_SITE_ANSWER, ROUTE_ALWAYS, on_answer},
    {0, 0, NULL},
};

void sites_warm(void)
{
	static const struct asking_calls calls = {
	    .send = send_question,
	    .killed = question_killed,
	    .late = question_late,
	    .timeout_us = UINT64_C(45) * 1000000,
	    .most = SITES_ASKED_MAX,
	};

	resolver = asking_new(&calls);
	sites = map_new();
}

void sites_up(struct channel *c, unsigned instance)
{
	(void)instance;
	asking_up(resolver, c);
}

void sites_down(struct channel *c)
{
	(void)c;
	asking_down(resolver);
}

void sites_pump(void)
{
	asking_pump(resolver);
}

void sites_look(void)
{
	struct active *a, *next;

	asking_look(resolver);
	TAILQ_FOREACH_SAFE (a, &patients, patient, next) {
		if (manager_now() - a->patient_since < PATIENCE_US)
			break;
		if (a->routing == 0 && a->entry != NULL)
			jobs_group(a);
	}
}
