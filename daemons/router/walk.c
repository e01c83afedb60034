/*
 * A walk: addresses to be looked at, depth first, and what came of each. Steps are taken in a loop
 * until a look-up has to be waited for; a look-up that answers at once only lets the loop go on, so
 * the stack does not grow with the aliases. After some steps other questions have their turn.
 *
 * Addresses that were looked at are remembered, so every address is walked once, whatever the
 * aliases say; one that leads back to itself is found among its ancestors (RFC 5321 6.3, S29).
 */
#include <stdarg.h>
#include <stdio.h>

#include "common/base/memory.h"
#include "daemons/router/walk_parts.h"

enum { STEPS_A_TURN = 500 }; /* two milliseconds or so */

static struct walk *spare; /* the last one's memory: most walks end before the next begins */
static size_t addresses;   /* of all but checks that are under way */

static struct walk *walk_memory(void)
{
	struct walk *w = spare != NULL ? spare : memory_get(sizeof(*w));

	spare = NULL;
	memset(w, 0, offsetof(struct walk, user_text));
	return w;
}

struct walk *walk_new(struct book *book, const struct walk_question *question,
		      const struct walk_hooks *hooks, users_lookup *users, void *arg)
{
	struct walk *w = walk_memory();
	struct slice recipient = question->recipient;
	enum address_fault fault;

	w->book = book_hold(book);
	w->kind = question->kind;
	w->trusted = question->trusted || w->kind == WALK_ROUTE; /* it was accepted */
	w->expanded = w->alone = question->expanded && w->kind != WALK_CHECK;
	w->hooks = hooks;
	w->users = users;
	w->arg = arg;
	arena_init(&w->arena, WALK_MEMORY_MAX);
	TAILQ_INIT(&w->todo);
	TAILQ_INIT(&w->outcomes);
	w->sender = arena_copy(&w->arena, question->sender);
	if (w->kind == WALK_OWNER)
		owners_login(w, question->login);
	fault = address_parse(recipient, ADDRESS_UTF8 | ADDRESS_DOMAINLESS, &w->address);
	if (fault == ADDRESS_FINE)
		walk_add(w, &w->address, w->address.kind == ADDRESS_NO_DOMAIN, false, NULL);
	else
		walk_end(w, 553, "5.1.3", "<%.*s>: %s address rejected: %s",
			 SLICE_FMT(slice_sub(recipient, 0, ADDRESS_MAX)),
			 w->kind == WALK_OWNER ? "Sender" : "Recipient", address_fault_text(fault));
	return w;
}

size_t walk_addresses(void)
{
	return addresses;
}

static void addresses_drop(struct walk *w)
{
	if (w->kind != WALK_CHECK)
		addresses -= w->nodes;
	w->nodes = 0;
}

static void walk_destroy(struct walk *w)
{
	addresses_drop(w);
	book_release(&w->book);
	map_free(&w->seen);
	arena_free(&w->arena);
	memory_free(spare);
	spare = w;
}

void walk_free(struct walk **walk)
{
	struct walk *w = *walk;

	*walk = NULL;
	if (w == NULL)
		return;
	w->gone = true;
	addresses_drop(w);
	if (!w->running && !w->waiting)
		walk_destroy(w);
}

/* Everything was looked at: one failure alone is the recipient's, with others it is its address'
 * own. */
static void walk_finish(struct walk *w)
{
	const struct outcome *o;

	if (w->kind == WALK_OWNER) {
		owners_finish(w);
		w->hooks->done(w->arg, &w->result);
		return;
	}
	if (w->outcome_count > 1)
		w->result.code = 0;
	if (w->outcome_count == 0 && w->result.code == 0 && w->kind != WALK_CHECK)
		walk_end(w, 451, "4.3.5", "its alias leads nowhere");
	/* RFC 5321 4.5.1: what was accepted for postmaster is kept until somebody reads it. */
	if (w->result.code >= 500 && w->for_postmaster)
		walk_end(w, 451, "4.3.5",
			 "nobody is set up to read mail for postmaster: "
			 "set `postmaster ADDRESS`, an alias or a user");
	if (w->result.code == 0)
		TAILQ_FOREACH (o, &w->outcomes, link)
			w->hooks->delivery(w->arg, &o->delivery);
	w->hooks->done(w->arg, &w->result);
}

static void rested(void *arg)
{
	struct walk *w = arg;

	w->waiting = false;
	walk_run(w);
}

void walk_run(struct walk *w)
{
	if (w->running)
		return;
	w->running = true;
	for (int steps = 0; !w->waiting && !w->over && !w->gone; steps++) {
		if (steps == STEPS_A_TURN) {
			w->waiting = true;
			loop_timer_start(&w->rest, 0, rested, w);
			break;
		}
		resolve_step(w);
	}
	w->running = false;
	if (w->gone && !w->waiting)
		walk_destroy(w);
	else if (w->over)
		walk_finish(w);
}

void walk_start(struct walk *w)
{
	walk_run(w);
}

void walk_say(struct walk *w, const char *what, const char *format, ...)
{
	char text[ROUTER_STEP_MAX + 1];
	struct walk_step step = {.what = what};
	va_list ap;

	if (w->hooks->step == NULL)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	step.text = slice_str(text);
	if (w->node != NULL) {
		step.depth = w->node->depth;
		step.address = w->node->text;
	}
	w->hooks->step(w->arg, &step);
}

static void __attribute__((format(printf, 4, 0)))
result_set(struct walk *w, unsigned code, const char *enhanced, const char *format, va_list ap)
{
	w->result.code = code;
	snprintf(w->result.enhanced, sizeof(w->result.enhanced), "%s", enhanced);
	vsnprintf(w->result.text, sizeof(w->result.text), format, ap);
}

static void outcomes_drop(struct walk *w)
{
	TAILQ_INIT(&w->outcomes);
	w->outcome_count = 0;
	w->over = true;
}

void walk_accept(struct walk *w)
{
	w->result.code = 0;
	w->result.enhanced[0] = w->result.text[0] = '\0';
	outcomes_drop(w);
}

void walk_end(struct walk *w, unsigned code, const char *enhanced, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	result_set(w, code, enhanced, format, ap);
	va_end(ap);
	w->ended = true;
	outcomes_drop(w);
	walk_say(w, "refuse", "%u %s %s", code, enhanced, w->result.text);
}

static bool is_seen(const struct walk *w, struct slice marked)
{
	if (w->seen != NULL)
		return map_get(w->seen, marked) != NULL;
	for (size_t i = 0; i < w->few_count; i++)
		if (slice_equal(w->few[i], marked))
			return true;
	return false;
}

/* Most recipients lead to one address: that needs no map. */
static void seen_add(struct walk *w, struct slice marked)
{
	if (w->few_count < SEEN_FEW) {
		w->few[w->few_count++] = marked;
		return;
	}
	if (w->seen == NULL) {
		w->seen = map_new();
		for (size_t i = 0; i < SEEN_FEW; i++)
			map_put(w->seen, w->few[i], w);
	}
	map_put(w->seen, marked, w);
}

/* Remembers mark + key; false when it was there already. */
static bool remember(struct walk *w, char mark, struct slice key)
{
	char text[ADDRESS_SIZE + 1];
	struct slice marked = slice_make(text, key.len + 1);

	text[0] = mark;
	memcpy(text + 1, key.ptr, key.len);
	if (is_seen(w, marked))
		return false;
	marked = arena_copy(&w->arena, marked);
	if (marked.ptr == NULL) {
		walk_end(w, 451, "4.6.0", "aliases lead to too many addresses");
		return false;
	}
	seen_add(w, marked);
	return true;
}

static struct outcome *outcome_add(struct walk *w, struct slice address, struct slice key)
{
	struct outcome *o;

	if (!remember(w, '=', key))
		return NULL;
	if (w->outcome_count == WALK_RESULTS_MAX) {
		walk_end(w, 451, "4.6.0", "aliases lead to more than %d addresses",
			 WALK_RESULTS_MAX);
		return NULL;
	}
	o = arena_get(&w->arena, sizeof(*o));
	if (o == NULL) {
		walk_end(w, 451, "4.6.0", "aliases lead to too many addresses");
		return NULL;
	}
	*o = (struct outcome){.delivery = {.address = address, .transport = WALK_NONE}};
	TAILQ_INSERT_TAIL(&w->outcomes, o, link);
	w->outcome_count++;
	return o;
}

void walk_deliver(struct walk *w, const struct deliver *d)
{
	struct outcome *o = outcome_add(w, w->node->text, w->node->key);

	w->stage = STAGE_NEXT;
	if (o == NULL)
		return;
	o->delivery.transport = d->kind == DELIVER_SYSTEM ? WALK_SYSTEM : WALK_LOCAL;
	o->delivery.deliver = d->number;
	o->delivery.user = arena_copy(&w->arena, w->user);
	o->delivery.domain = arena_copy(&w->arena, w->domain_name);
	if (o->delivery.domain.ptr == NULL)
		walk_end(w, 451, "4.6.0", "aliases lead to too many addresses");
}

void walk_send(struct walk *w, struct slice next_hop, uint32_t deliver)
{
	struct outcome *o;

	walk_say(w, "smtp", "to %s%.*s", next_hop.ptr[0] == '[' ? "" : "the MX hosts of ",
		 SLICE_FMT(next_hop));
	o = outcome_add(w, w->node->text, w->node->key);
	w->stage = STAGE_NEXT;
	if (o == NULL)
		return;
	o->delivery.transport = WALK_SMTP;
	o->delivery.deliver = deliver;
	o->delivery.next_hop = arena_copy(&w->arena, next_hop);
	if (o->delivery.next_hop.ptr == NULL)
		walk_end(w, 451, "4.6.0", "aliases lead to too many addresses");
}

static void __attribute__((format(printf, 6, 0)))
fail_address(struct walk *w, struct slice address, struct slice key, unsigned code,
	     const char *enhanced, const char *format, va_list ap)
{
	struct outcome *o = outcome_add(w, address, key);
	struct walk_result first = w->result;

	if (o == NULL)
		return;
	result_set(w, code, enhanced, format, ap);
	walk_say(w, "refuse", "%u %s %s", code, enhanced, w->result.text);
	if (w->failed)
		w->result = first;
	w->failed = true;
}

void walk_fail(struct walk *w, unsigned code, const char *enhanced, const char *format, ...)
{
	va_list ap;

	w->stage = STAGE_NEXT;
	va_start(ap, format);
	fail_address(w, w->node->text, w->node->key, code, enhanced, format, ap);
	va_end(ap);
}

static void __attribute__((format(printf, 4, 5)))
fail_other(struct walk *w, struct slice address, struct slice key, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fail_address(w, address, key, 554, "5.4.6", format, ap);
	va_end(ap);
}

static bool is_ancestor(const struct node *n, struct slice key, bool bare)
{
	for (; n != NULL; n = n->parent)
		if (n->bare == bare && !n->final && slice_equal(n->key, key))
			return true;
	return false;
}

static bool is_root_key(const struct node *n, struct slice key)
{
	while (n->parent != NULL)
		n = n->parent;
	return slice_equal(n->key, key);
}

static struct node *node_new(struct walk *w, struct slice text, struct slice key)
{
	struct node *n;

	if (w->kind == WALK_OWNER && w->nodes >= WALK_OWNER_NODES_MAX) {
		outcomes_drop(w); /* a list so long is nobody's own address */
		return NULL;
	}
	n = arena_get(&w->arena, sizeof(*n));

	if (n == NULL || w->nodes >= WALK_NODES_MAX) {
		walk_end(w, 451, "4.6.0", "aliases lead to too many addresses");
		return NULL;
	}
	w->nodes++;
	addresses += w->kind != WALK_CHECK;
	*n = (struct node){.parent = w->node, .depth = w->node ? w->node->depth + 1 : 0};
	n->text = arena_copy(&w->arena, text);
	n->key = arena_copy(&w->arena, key);
	if (n->key.ptr == NULL) {
		walk_end(w, 451, "4.6.0", "aliases lead to too many addresses");
		return NULL;
	}
	return n;
}

void walk_domain(struct address *a, struct slice domain)
{
	a->kind = ADDRESS_NAME;
	a->domain_len = (uint8_t)domain.len;
	memcpy(a->domain, domain.ptr, domain.len);
	a->domain[domain.len] = '\0';
}

/* A name without a domain gets origin. False: that makes it too long. */
static bool complete(const struct walk *w, const struct address *a, char text[ADDRESS_SIZE],
		     struct slice *completed)
{
	struct address whole = *a;
	struct slice origin = slice_str(w->book->origin);

	if (a->kind == ADDRESS_NO_DOMAIN && origin.len > 0) {
		if (a->local_len + 3 + origin.len > ADDRESS_MAX)
			return false;
		walk_domain(&whole, origin);
	}
	*completed = address_text(&whole, text);
	return true;
}

struct node *walk_add(struct walk *w, const struct address *a, bool bare, bool final,
		      struct node *after)
{
	char text[ADDRESS_SIZE], key[ADDRESS_SIZE];
	struct slice whole, folded;
	struct node *n;

	if (!complete(w, a, text, &whole)) {
		walk_end(w, 451, "4.3.5", "an alias leads to a name that is too long");
		return after;
	}
	slice_lower(whole, key);
	folded = slice_make(key, whole.len);
	if (!final && is_ancestor(w->node, folded, bare)) {
		if (w->alone && is_root_key(w->node, folded)) {
			/* its alias was expanded before: what it names must not have it again */
			walk_end(w, 554, "5.4.6", "<%.*s>: its alias leads back to itself",
				 SLICE_FMT(whole));
			return after;
		}
		fail_other(w, arena_copy(&w->arena, whole), folded,
			   "<%.*s>: its alias leads back to itself", SLICE_FMT(whole));
		return after;
	}
	if (w->node != NULL && w->node->depth >= WALK_DEPTH_MAX) {
		fail_other(w, arena_copy(&w->arena, whole), folded,
			   "<%.*s>: aliases are nested more than %d deep", SLICE_FMT(whole),
			   WALK_DEPTH_MAX);
		return after;
	}
	if (!remember(w, final ? '!' : bare ? '-' : '@', folded))
		return after;
	n = node_new(w, whole, folded);
	if (n == NULL)
		return after;
	n->bare = bare;
	n->final = final;
	if (after != NULL)
		TAILQ_INSERT_AFTER(&w->todo, after, n, link);
	else
		TAILQ_INSERT_HEAD(&w->todo, n, link);
	return n;
}
