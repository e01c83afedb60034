/*
 * libunbound never calls us into itself: what it answers is copied and waits in a list, and is
 * handed out when it has returned. So an answer's call may ask, cancel and change the
 * configuration.
 */
#include "daemons/resolver/dns.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unbound-event.h>
#include <unbound.h>

#include "common/base/memory.h"
#include "daemons/resolver/events.h"

enum {
	CLASS_IN = 1,
	SEC_BOGUS = 1,
	SEC_SECURE = 2,
	ANCHOR_LINE_MAX = 4096,
	SERVERS_TEXT_SIZE = 160,
};

TAILQ_HEAD(query_list, dns_query);

static struct query_list asked = TAILQ_HEAD_INITIALIZER(asked);
static struct query_list done = TAILQ_HEAD_INITIALIZER(done);
static struct ub_ctx *contexts[DNS_USES];
static char from[SERVERS_TEXT_SIZE]; /* " from 192.0.2.1, 192.0.2.2", for texts; may be empty */
static bool running;

const char *dns_type_name(uint16_t type)
{
	switch (type) {
	case REPLY_A:
		return "A";
	case REPLY_AAAA:
		return "AAAA";
	case REPLY_MX:
		return "MX";
	case REPLY_PTR:
		return "PTR";
	default:
		return "?";
	}
}

/* Configuration */

struct option {
	const char *name, *value;
};

/* Sizes are of one process for a whole mail server; times keep a server that was away for a moment
 * from being avoided for longer than mail waits for its next attempt. */
static const struct option options[] = {
    {"msg-cache-size:", "16m"},		{"rrset-cache-size:", "32m"},
    {"key-cache-size:", "4m"},		{"neg-cache-size:", "2m"},
    {"infra-cache-numhosts:", "10000"}, {"infra-host-ttl:", "60"},
    {"infra-keep-probing:", "yes"},	{"cache-max-ttl:", "86400"},
    {"cache-max-negative-ttl:", "300"}, {"outgoing-range:", "2048"},
    {"outgoing-num-tcp:", "64"},	{"num-queries-per-thread:", "2048"},
    {"rrset-roundrobin:", "no"},	{"minimal-responses:", "yes"},
};

/* Servers of a site know its private networks, and those have no signatures. */
static const struct option options_of_servers[] = {
    {"do-not-query-localhost:", "no"},
    {"unblock-lan-zones:", "yes"},
    {"insecure-lan-zones:", "yes"},
};

static bool fail(struct error *e, const char *what, int code)
{
	return error_set(e, EX_CONFIG, "%s: %s", what, ub_strerror(code));
}

static bool set_options(struct ub_ctx *c, const struct option *list, size_t count, struct error *e)
{
	for (size_t i = 0; i < count; i++) {
		int code = ub_ctx_set_option(c, list[i].name, list[i].value);
		if (code != 0)
			return fail(e, list[i].name, code);
	}
	return true;
}

static bool set_servers(struct ub_ctx *c, const struct servers *s, struct error *e)
{
	char address[NET_IP_TEXT], text[NET_IP_TEXT + 8];
	/* libunbound puts each in front of those before. */
	for (size_t i = s->count; i-- > 0;) {
		net_ip_format(&s->list[i], address);
		snprintf(text, sizeof(text), "%s@%u", address, s->list[i].port);
		int code = ub_ctx_set_fwd(c, text);
		if (code != 0)
			return fail(e, text, code);
	}
	return s->count == 0 || set_options(c, options_of_servers,
					    sizeof(options_of_servers) / sizeof(struct option), e);
}

/* One record a line; what is behind ';' is a comment. */
static bool set_anchor(struct ub_ctx *c, struct slice text, struct error *e)
{
	char record[ANCHOR_LINE_MAX];
	struct slice line, rest;
	size_t count = 0;
	while (text.len > 0) {
		slice_split(text, '\n', &line, &text);
		slice_split(line, ';', &line, &rest);
		line = slice_trim(line);
		if (line.len == 0)
			continue;
		if (!slice_copy(line, record, sizeof(record)))
			return error_set(e, EX_CONFIG, "trust anchor: a line is too long");
		int code = ub_ctx_add_ta(c, record);
		if (code != 0)
			return fail(e, "trust anchor", code);
		count++;
	}
	return count > 0 || error_set(e, EX_CONFIG, "trust anchor: the file has no record");
}

static bool set_validation(struct ub_ctx *c, const struct dns_config *config, struct error *e)
{
	char name[REPLY_NAME_SIZE];
	struct slice word, words = config->insecure;
	bool validates = config->anchor.len > 0;
	int code =
	    ub_ctx_set_option(c, "module-config:", validates ? "validator iterator" : "iterator");
	if (code != 0)
		return fail(e, "module-config", code);
	if (!validates)
		return true;
	while ((word = slice_word(&words)).len > 0) {
		if (!reply_name_usable(word) || !slice_copy(word, name, sizeof(name)))
			return error_set(e, EX_CONFIG, "insecure: %.*s is no domain",
					 SLICE_FMT(word));
		code = ub_ctx_set_option(c, "domain-insecure:", name);
		if (code != 0)
			return fail(e, name, code);
	}
	return set_anchor(c, config->anchor, e);
}

/* Domains that libunbound answers by itself, though a site's server may know them. The first call
 * takes the configuration in use, and so tells whether it can be. */
static bool set_zones(struct ub_ctx *c, struct error *e)
{
	static const char *const zones[] = {"test.", "home.arpa."};
	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
		int code = ub_ctx_zone_remove(c, zones[i]);
		if (code != 0)
			return fail(e, "the DNS", code);
	}
	return true;
}

static void write_from(const struct servers *s)
{
	char address[NET_IP_TEXT];
	size_t len = 0;
	from[0] = '\0';
	for (size_t i = 0; i < s->count && len + NET_IP_TEXT + 8 < sizeof(from); i++) {
		net_ip_format(&s->list[i], address);
		len += (size_t)snprintf(from + len, sizeof(from) - len, "%s%s",
					i == 0 ? " from " : ", ", address);
	}
}

static void begin(struct dns_query *q);

/* All that is under way goes over to the new contexts. */
static void replace_contexts(struct ub_ctx *fresh[DNS_USES])
{
	struct query_list again = TAILQ_HEAD_INITIALIZER(again);
	struct dns_query *q;
	TAILQ_CONCAT(&again, &asked, next);
	TAILQ_FOREACH (q, &again, next)
		ub_cancel(contexts[q->use], q->id);
	for (unsigned use = 0; use < DNS_USES; use++) {
		ub_ctx_delete(contexts[use]);
		contexts[use] = fresh[use];
		ub_ctx_debugout(contexts[use], NULL); /* a deletion lets it speak on stderr again */
	}
	while ((q = TAILQ_FIRST(&again))) {
		TAILQ_REMOVE(&again, q, next);
		begin(q);
	}
}

/* NULL: it can't be used. */
static struct ub_ctx *make_context(const struct dns_config *config, struct error *e)
{
	struct ub_ctx *c = ub_ctx_create_ub_event(events_base(dns_run));
	if (!c) {
		error_set(e, EX_OSERR, "libunbound can't be used");
		return NULL;
	}
	ub_ctx_debugout(c, NULL);
	if (set_options(c, options, sizeof(options) / sizeof(options[0]), e) &&
	    set_servers(c, &config->servers, e) && set_validation(c, config, e) && set_zones(c, e))
		return c;
	ub_ctx_delete(c);
	return NULL;
}

bool dns_configure(const struct dns_config *config, struct error *e)
{
	struct ub_ctx *fresh[DNS_USES] = {NULL};
	for (unsigned use = 0; use < DNS_USES; use++) {
		fresh[use] = make_context(config, e);
		if (fresh[use])
			continue;
		while (use-- > 0)
			ub_ctx_delete(fresh[use]);
		return false;
	}
	write_from(&config->servers);
	replace_contexts(fresh);
	return true;
}

/* Questions */

static void finish(struct dns_query *q, int rcode)
{
	q->state = DNS_DONE;
	q->rcode = rcode;
	TAILQ_REMOVE(&asked, q, next);
	TAILQ_INSERT_TAIL(&done, q, next);
}

static void answered(void *arg, int rcode, void *octets, int length, int security, char *why,
		     int limited)
{
	struct dns_query *q = arg;
	(void)limited;
	q->security = security;
	snprintf(q->why, sizeof(q->why), "%s", why ? why : "");
	if (rcode == 0 && octets && length > 0) {
		q->octets = memory_get((size_t)length);
		q->length = (size_t)length;
		memcpy(q->octets, octets, q->length);
	}
	finish(q, rcode);
}

static void begin(struct dns_query *q)
{
	q->state = DNS_ASKED;
	q->octets = NULL;
	q->length = 0;
	q->security = 0;
	q->why[0] = '\0';
	TAILQ_INSERT_TAIL(&asked, q, next);
	if (ub_resolve_event(contexts[q->use], q->name, q->type, CLASS_IN, q, answered, &q->id) !=
		0 &&
	    q->state == DNS_ASKED)
		finish(q, REPLY_SERVFAIL);
}

void dns_ask(struct dns_query *q, enum dns_use use, const char *name, uint16_t type, dns_call *call,
	     void *arg)
{
	q->use = use;
	snprintf(q->name, sizeof(q->name), "%s", name);
	q->type = type;
	q->call = call;
	q->arg = arg;
	begin(q);
}

void dns_cancel(struct dns_query *q)
{
	if (q->state == DNS_ASKED) {
		ub_cancel(contexts[q->use], q->id);
		TAILQ_REMOVE(&asked, q, next);
	} else if (q->state == DNS_DONE) {
		TAILQ_REMOVE(&done, q, next);
		memory_free(q->octets);
	}
	q->state = DNS_IDLE;
}

/* Answers */

static const char *rcode_name(int rcode)
{
	static const char *const names[] = {"no answer", "FORMERR", "SERVFAIL",
					    "NXDOMAIN",	 "NOTIMP",  "REFUSED"};
	return rcode >= 0 && rcode < 6 ? names[rcode] : "an error";
}

static const char *what_came(const struct dns_query *q, const struct dns_answer *a)
{
	switch (a->status) {
	case DNS_FOUND:
		return "found";
	case DNS_NODATA:
		return a->empty ? "an empty answer" : "no such record";
	case DNS_NO_DOMAIN:
		return "NXDOMAIN";
	case DNS_TROUBLE:
		break;
	}
	return q->security == SEC_BOGUS ? "not valid by DNSSEC" : rcode_name(q->rcode);
}

static void write_text(const struct dns_query *q, const struct dns_answer *a,
		       char text[DNS_TEXT_SIZE])
{
	bool why = a->status == DNS_TROUBLE && q->why[0];
	snprintf(text, DNS_TEXT_SIZE, "%s %s: %s%s%s%.100s%s", dns_type_name(q->type), q->name,
		 what_came(q, a), from, why ? " (" : "", why ? q->why : "", why ? ")" : "");
}

/* What libunbound can't fit into 64 KiB comes without records, which is not as if there were none.
 */
static void judge_count(struct dns_query *q, struct dns_answer *a)
{
	if (reply_count(&a->reply) > 0)
		a->status = DNS_FOUND;
	else if (!a->reply.cut) {
		a->status = DNS_NODATA;
		a->empty = !reply_has_soa(&a->reply);
	} else
		snprintf(q->why, sizeof(q->why), "the answer is too large");
}

static void judge(struct dns_query *q, struct dns_answer *a)
{
	a->status = DNS_TROUBLE;
	if (q->rcode != REPLY_NOERROR || q->security == SEC_BOGUS || !q->octets)
		return;
	if (!reply_open(slice_make(q->octets, q->length), q->type, &a->reply)) {
		q->rcode = REPLY_SERVFAIL;
		return;
	}
	if (a->reply.rcode == REPLY_NXDOMAIN)
		a->status = DNS_NO_DOMAIN;
	else if (a->reply.rcode == REPLY_NOERROR)
		judge_count(q, a);
	else
		q->rcode = (int)a->reply.rcode;
	a->secure = q->security == SEC_SECURE;
	a->ttl = reply_ttl(&a->reply);
}

static void hand_out(struct dns_query *q)
{
	char text[DNS_TEXT_SIZE];
	struct dns_answer a = {.text = text};
	char *octets = q->octets;
	judge(q, &a);
	write_text(q, &a, text);
	q->state = DNS_IDLE;
	q->octets = NULL;
	q->call(q->arg, &a); /* may free q */
	memory_free(octets);
}

void dns_run(void)
{
	struct dns_query *q;
	if (running)
		return;
	running = true;
	while ((q = TAILQ_FIRST(&done))) {
		TAILQ_REMOVE(&done, q, next);
		hand_out(q);
	}
	running = false;
}
