/*
 * The way of a job from host to host (RFC 5321 5.1): the items of its next hop in order, the
 * addresses of each in the order that the resolver gives. At most five addresses of an item are
 * tried, and two of those that answer (S40): a site where many hosts are down or refuse does not
 * hold a job for hours.
 */
#include "common/base/memory.h"
#include "common/dialogue/resolver.h"
#include "daemons/smtp/smtp.h"

void walk_free(struct walk *w)
{
	lookup_free(&w->lookup);
	memory_free(w->hosts);
	w->hosts = NULL;
	w->host_count = 0;
	w->used = 0;
}

static bool same_address(const struct net_address *a, const struct net_address *b)
{
	return a->port == b->port && net_address_same_host(a, b);
}

static bool was_tried(const struct walk *w, const struct net_address *a)
{
	for (unsigned i = 0; i < w->tried_count; i++)
		if (same_address(&w->tried[i], a))
			return true;
	return false;
}

void walk_tried(struct job *j, const struct net_address *a)
{
	struct walk *w = &j->walk;
	if (!was_tried(w, a) && w->tried_count < TRIED_MAX)
		w->tried[w->tried_count++] = *a;
}

/* A session that was used before may be lost before it is used again: not more than LOST_MAX. */
bool walk_may_use(const struct job *j, const struct session *s)
{
	const struct walk *w = &j->walk;
	return w->lost < LOST_MAX && w->sessions < ITEM_SESSIONS_MAX &&
	       !was_tried(w, &s->host.address);
}

void walk_greeted(struct job *j, const char *name)
{
	j->walk.sessions++;
	slice_copy(slice_str(name), j->walk.answered, sizeof(j->walk.answered));
}

void walk_ungreeted(struct job *j)
{
	j->walk.sessions--;
}

void walk_again(struct job *j)
{
	j->walk.again = true;
	walk_ungreeted(j);
	walk_next(j);
}

/* Another host is worth more than another address of the one that has just answered. */
static const struct host *find_host(struct walk *w, bool other)
{
	for (unsigned i = 0; i < w->host_count; i++) {
		const struct host *h = &w->hosts[i];
		if ((w->used >> i & 1) || was_tried(w, &h->address) ||
		    (other && strcmp(h->name, w->answered) == 0))
			continue;
		w->used |= UINT32_C(1) << i;
		w->last = i;
		w->addresses++;
		return h;
	}
	return NULL;
}

/* The next address of the item that is worth a try. */
static const struct host *next_host(struct walk *w)
{
	const struct host *h;
	if (w->again) {
		w->again = false;
		return &w->hosts[w->last];
	}
	if (w->addresses >= ITEM_ADDRESSES_MAX || w->sessions >= ITEM_SESSIONS_MAX ||
	    w->tried_count == TRIED_MAX)
		return NULL;
	h = find_host(w, true);
	return h ? h : find_host(w, false);
}

static void set_hosts(struct walk *w, const struct host *hosts, size_t count)
{
	w->hosts = memory_get(count * sizeof(hosts[0]));
	memcpy(w->hosts, hosts, count * sizeof(hosts[0]));
	w->host_count = count;
}

/* RFC 5321 5.1: the resolver was asked twice, by the manager for the site and by us for its hosts,
 * and a domain's owner may have said different things. */
static bool has_strayed(const struct job *j, struct slice site)
{
	struct slice key = slice_make(j->destination->key, j->destination->key_len);
	bool first = j->walk.item.host.ptr == j->next_hop.ptr;
	if (j->strayed || !first || slice_equal(key, j->next_hop))
		return false;
	return !slice_starts(key, site) || key.len == site.len || key.ptr[site.len] != ':';
}

static void note_answer(struct job *j, const struct resolve_done *m)
{
	char text[JOB_TEXT_MAX + 1];
	struct reason why;
	if (!m)
		reason_own(&why, 451, "4.4.3", false, text, "the resolver does not answer");
	else if (m->code == 0)
		reason_own(&why, 451, "4.4.4", false, text, "the resolver has found no address");
	else
		reason_own(&why, m->code, "", false, text, "%.*s", SLICE_FMT(m->text));
	if (m && m->code)
		slice_copy(m->enhanced, why.enhanced, sizeof(why.enhanced));
	job_note(j, &why);
}

static void on_hosts(void *arg, const struct resolve_done *m, const struct host *hosts,
		     size_t count)
{
	struct job *j = arg;
	if (m && m->code == 0 && count > 0) {
		set_hosts(&j->walk, hosts, count);
		if (j->walk.item.mx && has_strayed(j, m->site))
			destination_stray(j);
	} else {
		note_answer(j, m);
	}
	lookup_free(&j->walk.lookup);
	walk_next(j);
}

static bool literal_host(const struct next_hop *item, struct host *h)
{
	*h = (struct host){.best = true};
	if (!net_ip_parse(item->host, &h->address))
		return false;
	h->address.port = item->port;
	return slice_copy(item->host, h->name, sizeof(h->name));
}

/* The next item: its hosts are known, or asked for. False: there is none. */
static bool item_begin(struct job *j)
{
	struct walk *w = &j->walk;
	struct host literal;
	char text[JOB_TEXT_MAX + 1];
	struct reason why;
	walk_free(w);
	w->addresses = w->sessions = 0;
	if (!next_hop_next(&w->items, &w->item))
		return false;
	if (w->item.literal && literal_host(&w->item, &literal)) {
		set_hosts(w, &literal, 1);
		return true;
	}
	w->lookup = lookup_begin(w->item.host, w->item.mx, w->item.port, on_hosts, j);
	if (!w->lookup) {
		reason_own(&why, 451, "4.4.3", false, text, "too many questions to the resolver");
		job_note(j, &why);
	}
	return true;
}

/* No host is left: what the last ones said is the outcome. */
static void walk_end(struct job *j)
{
	struct destination *d = j->destination;
	char text[JOB_TEXT_MAX + 1];
	struct reason why;
	reason_own(&why, 451, "4.4.4", false, text, "there is no host to try: %.*s",
		   SLICE_FMT(j->next_hop));
	for (uint32_t i = 0; i < j->count; i++) {
		struct recipient *r = j->recipients[i];
		if (r->job && !r->outcome)
			recipient_note(r, &why);
		if (r->job && !j->walk.reached && outcome_is_site(r->outcome))
			destination_failed(d, r->outcome);
	}
	job_end_noted(j);
	job_free(j);
	destination_touch(d);
}

void walk_found(struct job *j)
{
	if (!j->walk.looking)
		return;
	j->walk.looking = false;
	j->destination->walking--;
}

void walk_next(struct job *j)
{
	struct walk *w = &j->walk;
	const struct host *h;
	if (j->pending == 0) {
		walk_found(j);
		walk_end(j);
		return;
	}
	if (!w->looking) {
		w->looking = true;
		w->since = loop_now();
		j->destination->walking++;
	}
	while (!(h = next_host(w))) {
		if (!item_begin(j)) {
			walk_found(j);
			walk_end(j);
			return;
		}
		if (w->lookup)
			return;
	}
	session_open(j, h);
}
