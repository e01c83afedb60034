/*
 * Which site is a domain's mail for? One look-up of MX records.
 */
#include <stdio.h>

#include "common/base/memory.h"
#include "daemons/resolver/kinds.h"

enum {
	TTL_LEAST = 5, /* seconds; also of what was trouble */
	TTL_MOST = 3600,
	LIMIT_US = 30 * 1000 * 1000,
};

struct site_question {
	struct question base;
	struct dns_query mx;
	char domain[REPLY_NAME_SIZE];
};

static uint32_t bounded_ttl(uint32_t ttl)
{
	return ttl < TTL_LEAST ? TTL_LEAST : ttl > TTL_MOST ? TTL_MOST : ttl;
}

static void refuse(struct question *q, struct verdict v, const char *text, uint32_t ttl)
{
	struct resolve_site_answer m = {.request = q->request,
					.code = v.code,
					.enhanced = slice_str(v.enhanced),
					.text = slice_str(text),
					.ttl = bounded_ttl(ttl)};
	questions_send(q, RESOLVE_SITE_ANSWER, &m);
}

static const char *sentence(struct verdict v, const struct dns_answer *a)
{
	if (v.code == verdict_null_mx.code)
		return "the domain does not accept mail (null MX)"; /* RFC 7505 */
	return a->status == DNS_FOUND ? "no MX record names a host" : "";
}

static void answered(void *arg, const struct dns_answer *a)
{
	struct site_question *q = arg;
	struct mx_list l;
	char site[RESOLVER_SITE_MAX + 1], text[RESOLVER_TEXT_MAX + 1];
	struct verdict v = verdict_mx(q->domain, a, &l);
	if (v.code) {
		const char *more = sentence(v, a);
		snprintf(text, sizeof(text), "%.330s%s%s", a->text, more[0] ? ": " : "", more);
		refuse(&q->base, v, text, a->ttl);
	} else {
		mx_site(&l, site);
		struct resolve_site_answer m = {.request = q->base.request,
						.site = slice_str(site),
						.secure = a->secure,
						.ttl = bounded_ttl(a->ttl)};
		questions_send(&q->base, RESOLVE_SITE_ANSWER, &m);
	}
	questions_end(&q->base);
}

static void begin(struct question *base)
{
	struct site_question *q = (struct site_question *)base;
	if (!reply_name_usable(slice_str(q->domain))) {
		refuse(base, verdict_bad_name, "that is no name of a domain", 0);
		questions_end(base);
		return;
	}
	dns_ask(&q->mx, DNS_FOR_MAIL, q->domain, REPLY_MX, answered, q);
}

static void give_up(struct question *base, const char *why)
{
	struct site_question *q = (struct site_question *)base;
	char text[RESOLVER_TEXT_MAX + 1];
	snprintf(text, sizeof(text), "MX %s: %s", q->domain, why);
	refuse(base, verdict_later, text, 0);
}

static void free_question(struct question *base)
{
	struct site_question *q = (struct site_question *)base;
	dns_cancel(&q->mx);
	memory_free(q);
}

static const struct question_kind kind = {
    .limit = LIMIT_US, .begin = begin, .give_up = give_up, .free = free_question};

void site_asked(struct channel *c, const void *record)
{
	const struct resolve_site *m = record;
	struct site_question *q = memory_zero(1, sizeof(*q));
	slice_copy(m->domain, q->domain, sizeof(q->domain)); /* what does not fit is no name */
	questions_add(&q->base, &kind, c, m->request);
}
