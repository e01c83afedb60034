/*
 * Onward: what leaves for other servers. A routes table names the place of a single address; all
 * that is not ours goes by the first outbound statement that fits, else to the MX hosts of its
 * domain. The address itself is never rewritten (S41), only the name that is looked up.
 */
#include "common/mail/idna.h"
#include "common/table/next_hop.h"
#include "daemons/router/walk_parts.h"

/* Routes */

static void route_bad(struct walk *w, const char *why)
{
	walk_fail(w, 451, "4.3.5", "<%.*s>: %s", SLICE_FMT(w->node->text), why);
}

/* value is empty: to the MX hosts of the address' own domain. A text's reader has judged it; a
 * database holds what whoever made it has put there. */
static void route_smtp(struct walk *w, struct slice value)
{
	char own[NEXT_HOP_ITEM_SIZE], hops[NEXT_HOP_TEXT_MAX + 1];

	if (value.len > 0 && next_hop_parse(value, hops) != NULL)
		route_bad(w, "its next hop in the routes table is none");
	else if (w->kind == WALK_CHECK)
		resolve_accept(w);
	else if (value.len > 0)
		walk_send(w, slice_str(hops), 0);
	else if (next_hop_item(w->domain_name, own) == NULL)
		walk_send(w, slice_str(own), 0);
	else
		route_bad(w, "its domain has no MX hosts");
}

void onward_route(struct walk *w, struct slice value)
{
	static const struct slice SMTP = {"smtp:", 5};

	if (slice_starts(value, SMTP))
		route_smtp(w, slice_from(value, SMTP.len));
	else if (!slice_equal(value, SLICE("local")))
		route_bad(w, "it is routed by LMTP, which is not supported");
	else if (w->stage == STAGE_ROUTE)
		resolve_enter(w, STAGE_USER);
	else
		resolve_no_user(w); /* of @domain: the users were asked before */
}

/* Outbound */

/* local@domain with A-labels, folded; empty when the domain is no name. */
static struct slice subject_of(const struct address *a, char text[SUBJECT_SIZE])
{
	char whole[ADDRESS_SIZE], ascii_text[ADDRESS_SIZE];
	struct slice key = address_key(a, whole), ascii = address_domain(a);
	size_t before = key.len - a->domain_len;

	if (a->kind == ADDRESS_NAME && !idna_ascii(ascii, ascii_text, &ascii))
		return SLICE_EMPTY;
	memcpy(text, whole, before);
	slice_lower(ascii, text + before);
	return slice_make(text, before + ascii.len);
}

static void sender_set(struct walk *w)
{
	struct address a;

	w->from = SLICE_EMPTY;
	if (w->book->outbound_count > 0 && w->sender.len > 0 &&
	    address_parse(w->sender, ADDRESS_UTF8 | ADDRESS_DOMAINLESS, &a) == ADDRESS_FINE)
		w->from = subject_of(&a, w->from_text);
}

/* What an address is looked up as: itself, its domain, then .parent for each that is above. Each
 * is the end of its text from *from on, 0 at first. False: that was all. */
static bool pattern_next(struct slice subject, size_t *from)
{
	size_t at = slice_find_last(subject, '@');

	if (at == subject.len)
		return false;
	if (*from <= at)
		*from = at + 1;
	else
		*from += 1 + slice_find(slice_from(subject, *from + 1), '.');
	return *from < subject.len;
}

static bool fits(const struct outbound *o, struct slice subject)
{
	size_t from = 0;

	if (o->direction == OUTBOUND_ALL)
		return true;
	if (subject.len == 0 || map_count(o->patterns) == 0)
		return false;
	do {
		if (map_get(o->patterns, slice_from(subject, from)) != NULL)
			return true;
	} while (pattern_next(subject, &from));
	return false;
}

static void send_onward(struct walk *w, const struct outbound *o)
{
	char own[NEXT_HOP_ITEM_SIZE];
	const char *fault;

	if (o != NULL)
		walk_say(w, "outbound", "statement %u takes it", o->number);
	if (o != NULL && o->via != NULL) {
		walk_send(w, slice_str(o->via), 0);
		return;
	}
	fault = next_hop_item(address_domain(&w->address), own);
	if (fault == NULL)
		walk_send(w, slice_str(own), 0);
	else
		walk_fail(w, 550, "5.1.2", "<%.*s>: Recipient address rejected: bad domain name",
			  SLICE_FMT(w->node->text));
}

/* The recipient itself, of a domain that no table of ours knows: whoever sends, and whoever of that
 * domain is meant, it goes the same way. */
static bool is_whole(const struct walk *w)
{
	return resolve_is_root(w) && !w->node->bare;
}

static struct slice subject_now(const struct walk *w)
{
	return w->book->outbounds[w->statement].direction == OUTBOUND_FROM ? w->from : w->to;
}

static void table_heard(void *arg, enum table_result result, struct slice value)
{
	struct walk *w = arg;
	const struct outbound *o = &w->book->outbounds[w->statement];

	(void)value;
	w->waiting = false;
	if (!w->gone && result == TABLE_FOUND) {
		send_onward(w, o);
	} else if (!w->gone && result == TABLE_ERROR) {
		resolve_trouble(w, slice_str(o->tables.tables[w->index]->spec),
				SLICE("the table could not be read"));
	} else if (!pattern_next(subject_now(w), &w->pattern)) {
		w->index++;
		w->pattern = 0;
	}
	walk_run(w);
}

/* The tables of the statement: each is asked for one pattern after the other. */
static void ask_tables(struct walk *w, const struct outbound *o)
{
	struct slice subject = subject_now(w);
	const struct shelf_table *t;

	if (w->index >= o->tables.count || subject.len == 0) {
		w->statement++;
		w->index = w->pattern = 0;
		return;
	}
	t = o->tables.tables[w->index];
	if (t->table == NULL) {
		resolve_trouble(w, slice_str(t->spec), SLICE("bad table"));
		return;
	}
	w->waiting = true;
	table_lookup(t->table, slice_from(subject, w->pattern), table_heard, w);
}

void onward_ask(struct walk *w)
{
	const struct outbound *o;

	if (w->statement >= w->book->outbound_count) {
		w->result.whole = w->book->outbound_count == 0 && is_whole(w);
		send_onward(w, NULL);
		return;
	}
	o = &w->book->outbounds[w->statement];
	if (w->statement == 0 && o->direction == OUTBOUND_ALL)
		w->result.whole = is_whole(w);
	if (w->index == 0 && w->pattern == 0 && fits(o, subject_now(w)))
		send_onward(w, o);
	else
		ask_tables(w, o);
}

void onward_begin(struct walk *w)
{
	if (resolve_is_root(w) && !w->trusted) {
		walk_fail(w, 554, "5.7.1", "<%.*s>: Relay access denied", SLICE_FMT(w->node->text));
		return;
	}
	w->to = subject_of(&w->address, w->to_text);
	if (w->address.kind == ADDRESS_NO_DOMAIN) {
		resolve_no_user(w);
	} else if (w->to.len == 0) {
		walk_fail(w, 550, "5.1.2", "<%.*s>: Recipient address rejected: bad domain name",
			  SLICE_FMT(w->node->text));
	} else if (w->kind == WALK_CHECK) {
		resolve_accept(w);
		w->result.whole = is_whole(w);
	} else {
		sender_set(w);
		w->statement = w->pattern = 0;
		resolve_enter(w, STAGE_OUTBOUND);
	}
}
