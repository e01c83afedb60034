/*
 * Which addresses does a next hop have? Its MX records, then A and AAAA of each host, so many at
 * once; then our own addresses are taken out, and what is left is put in order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <bsd/stdlib.h>

#include "common/base/memory.h"
#include "daemons/resolver/kinds.h"
#include "daemons/resolver/order.h"
#include "daemons/resolver/own.h"

enum {
	LIMIT_US = 30 * 1000 * 1000,
	LOOKUPS_AT_ONCE = 16,	 /* of one question */
	HOST_ADDRESSES_MAX = 16, /* of one host and family */
	SMTP_PORT = 25,
};

struct hosts_question;

struct lookup {
	struct dns_query query;
	struct hosts_question *question;
	size_t host; /* number in the list */
};

/* What is needed while it is worked on: those that wait are small. */
struct work {
	struct mx_list hosts;
	struct lookup lookups[LOOKUPS_AT_ONCE];
	char text[DNS_TEXT_SIZE]; /* of the first that failed for now, else of the last that found
				     nothing */
};

struct hosts_question {
	struct question base;
	char name[REPLY_NAME_SIZE];
	bool by_mx;
	uint32_t port;
	struct dns_query mx;
	bool mx_secure;
	struct work *work; /* NULL before it is begun */
	size_t next;	   /* look-up that is to be begun: two of each host */
	size_t open;	   /* that are under way */
	struct target *targets;
	size_t count, size;
	bool trouble; /* a look-up failed for now */
};

static void send_refusal(struct question *q, struct verdict v, const char *text)
{
	struct resolve_done m = {.request = q->request,
				 .code = v.code,
				 .enhanced = slice_str(v.enhanced),
				 .text = slice_sub(slice_str(text), 0, RESOLVER_TEXT_MAX)};
	questions_send(q, RESOLVE_DONE, &m);
}

static void send_targets(struct hosts_question *q)
{
	char address[NET_IP_TEXT], site[RESOLVER_SITE_MAX + 1] = "";
	struct resolve_done done = {.request = q->base.request};
	for (size_t i = 0; i < q->count; i++) {
		const struct target *t = &q->targets[i];
		struct resolve_address m = {.request = q->base.request,
					    .host = slice_str(q->work->hosts.list[t->host].host),
					    .preference = t->preference,
					    .best =
						t->preference == q->work->hosts.list[0].preference,
					    .secure = t->secure};
		m.address = slice_make(address, net_ip_format(&t->address, address));
		questions_send(&q->base, RESOLVE_ADDRESS, &m);
	}
	if (q->by_mx)
		mx_site(&q->work->hosts, site);
	done.site = slice_str(site);
	questions_send(&q->base, RESOLVE_DONE, &done);
}

/* S39: all hosts behind us are left out; true when it is answered with that. */
static bool refuse_own(struct hosts_question *q)
{
	static const struct verdict loop = {550, "5.4.6"}, unreachable = {451, "4.4.4"};
	char text[RESOLVER_TEXT_MAX + 1];
	uint32_t own;
	for (size_t i = 0; i < q->count; i++)
		q->targets[i].ours = own_has(&q->targets[i].address);
	if (!order_drop_own(q->targets, &q->count, &own) || q->count > 0)
		return false;
	if (own == q->work->hosts.list[0].preference) {
		snprintf(text, sizeof(text), "mail for %s loops back to myself", q->name);
		send_refusal(&q->base, loop, text);
	} else {
		snprintf(text, sizeof(text), "the better MX hosts of %s have no address: %.100s",
			 q->name, q->work->text);
		send_refusal(&q->base, unreachable, text);
	}
	return true;
}

/* What was found so far is the answer. S37: the domain's own address never stands in for its MX
 * hosts. */
static void answer(struct hosts_question *q)
{
	if (q->by_mx && q->port == SMTP_PORT && refuse_own(q))
		return;
	if (q->count == 0) {
		send_refusal(&q->base, q->trouble ? verdict_later : verdict_no_domain,
			     q->work->text);
		return;
	}
	order_targets(q->targets, &q->count, RESOLVER_ADDRESSES_MAX, arc4random_uniform);
	send_targets(q);
}

static void add_target(struct hosts_question *q, size_t host, const struct net_address *a,
		       bool secure)
{
	if (q->count == q->size) {
		q->size = q->size > 0 ? 2 * q->size : 8;
		q->targets = memory_resize(q->targets, q->size, sizeof(*q->targets));
	}
	q->targets[q->count++] = (struct target){.address = *a,
						 .preference = q->work->hosts.list[host].preference,
						 .host = host,
						 .secure = secure};
}

static void take_addresses(struct hosts_question *q, size_t host, const struct dns_answer *a)
{
	struct reply p = a->reply;
	struct reply_record r;
	for (unsigned n = 0; n < HOST_ADDRESSES_MAX && reply_next(&p, &r); n++)
		add_target(q, host, &r.address, a->secure && q->mx_secure);
}

static void begin_lookups(struct hosts_question *q);

static void looked_up(void *arg, const struct dns_answer *a)
{
	struct lookup *l = arg;
	struct hosts_question *q = l->question;
	l->question = NULL;
	q->open--;
	if (a->status == DNS_FOUND)
		take_addresses(q, l->host, a);
	else if (!q->trouble)
		snprintf(q->work->text, sizeof(q->work->text), "%s", a->text);
	/* What a lame server says must not make mail come back. */
	if (a->status == DNS_TROUBLE || (a->status == DNS_NODATA && a->empty))
		q->trouble = true;
	begin_lookups(q);
}

static struct lookup *free_lookup(struct hosts_question *q)
{
	for (size_t i = 0; i < LOOKUPS_AT_ONCE; i++)
		if (!q->work->lookups[i].question)
			return &q->work->lookups[i];
	return NULL;
}

static void begin_lookups(struct hosts_question *q)
{
	static const uint16_t types[] = {REPLY_A, REPLY_AAAA};
	struct lookup *l;
	while (q->next < 2 * q->work->hosts.count && (l = free_lookup(q))) {
		l->question = q;
		l->host = q->next / 2;
		q->open++;
		dns_ask(&l->query, DNS_FOR_MAIL, q->work->hosts.list[l->host].host,
			types[q->next % 2], looked_up, l);
		q->next++;
	}
	if (q->open > 0)
		return;
	answer(q);
	questions_end(&q->base);
}

static void mx_answered(void *arg, const struct dns_answer *a)
{
	struct hosts_question *q = arg;
	struct verdict v = verdict_mx(q->name, a, &q->work->hosts);
	if (v.code) {
		send_refusal(&q->base, v, a->text);
		questions_end(&q->base);
		return;
	}
	q->mx_secure = a->secure;
	begin_lookups(q);
}

static void begin(struct question *base)
{
	struct hosts_question *q = (struct hosts_question *)base;
	q->work = memory_zero(1, sizeof(*q->work));
	if (!reply_name_usable(slice_str(q->name))) {
		send_refusal(base, verdict_bad_name, "that is no name of a domain or host");
		questions_end(base);
	} else if (q->by_mx) {
		dns_ask(&q->mx, DNS_FOR_MAIL, q->name, REPLY_MX, mx_answered, q);
	} else {
		mx_implicit(q->name, &q->work->hosts);
		q->mx_secure = true;
		begin_lookups(q);
	}
}

/* A host whose addresses nobody tells does not keep mail from the others (S37). */
static void give_up(struct question *base, const char *why)
{
	struct hosts_question *q = (struct hosts_question *)base;
	char text[RESOLVER_TEXT_MAX + 1];
	if (q->count > 0) {
		answer(q);
		return;
	}
	snprintf(text, sizeof(text), "addresses of %s: %s", q->name, why);
	send_refusal(base, verdict_later, text);
}

static void free_question(struct question *base)
{
	struct hosts_question *q = (struct hosts_question *)base;
	dns_cancel(&q->mx);
	for (size_t i = 0; q->work && i < LOOKUPS_AT_ONCE; i++)
		dns_cancel(&q->work->lookups[i].query);
	memory_free(q->targets);
	memory_free(q->work);
	memory_free(q);
}

static const struct question_kind kind = {
    .limit = LIMIT_US, .begin = begin, .give_up = give_up, .free = free_question};

void hosts_asked(struct channel *c, const void *record)
{
	const struct resolve_hosts *m = record;
	struct hosts_question *q = memory_zero(1, sizeof(*q));
	slice_copy(m->name, q->name, sizeof(q->name)); /* what does not fit is no name */
	q->by_mx = m->mx;
	q->port = m->port;
	questions_add(&q->base, &kind, c, m->request);
}
