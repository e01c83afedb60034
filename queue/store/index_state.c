/*
 * index_state: the recipients of an active message. One block of memory with the recipients in it,
 * and an arena with their texts and the addresses of those that were added: a message to many is
 * deferred by few servers, so a text that repeats is kept once.
 */
#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "queue/store/index_parts.h"

enum {
	STATE_FIXED = 256,    /* octets of a STATE line before the recipients, at most */
	RECIPIENT_LEAST = 40, /* of a recipient in it, without text and addresses */
	SCRATCH_KEEP = 1024 * 1024,
};

/* which: of st->last. */
static struct slice keep(struct message_state *st, struct slice s, unsigned which)
{
	if (s.len == 0)
		return SLICE_EMPTY;
	if (!slice_equal(s, st->last[which]))
		st->last[which] = arena_copy(&st->texts, s);
	return st->last[which];
}

static void keep_reply(struct message_state *st, struct recipient_state *r,
		       const struct reply *from)
{
	r->reply = *from;
	r->reply.text = keep(st, from->text, 0);
	r->reply.relay = keep(st, from->relay, 1);
}

void state_drop(struct index *ix, struct entry *e)
{
	arena_free(&e->state->texts);
	memory_free(e->state);
	e->state = NULL;
	ix->counts.states--;
}

static size_t state_size(uint32_t count)
{
	return sizeof(struct message_state) + count * sizeof(struct recipient_state);
}

/* An empty state for `count` recipients, in the old one's memory when it fits. */
static struct message_state *make(struct index *ix, struct entry *e, uint32_t count)
{
	bool resting = e->state && e->state->resting;
	if (e->state && e->state->room != count)
		state_drop(ix, e);
	if (e->state) {
		arena_free(&e->state->texts);
		memset(e->state, 0, state_size(count));
	} else {
		e->state = memory_zero(1, state_size(count));
		ix->counts.states++;
	}
	arena_init(&e->state->texts, SIZE_MAX);
	e->state->count = e->state->room = count;
	e->state->octets = STATE_FIXED + (uint64_t)count * RECIPIENT_LEAST;
	e->state->resting = resting;
	return e->state;
}

static void fill_added(struct message_state *st, uint32_t number, const struct line_recipient *r)
{
	struct recipient_state *to = &st->recipients[number];
	to->address = arena_copy(&st->texts, r->address);
	if (r->original.len > 0 && number > st->received &&
	    slice_equal(r->original, st->recipients[number - 1].original))
		to->original = st->recipients[number - 1].original;
	else if (r->original.len > 0)
		to->original = arena_copy(&st->texts, r->original);
	st->octets += r->address.len + r->original.len;
}

void state_fill(struct index *ix, struct entry *e, const struct line_state *s)
{
	struct message_state *st = make(ix, e, s->count);
	memcpy(st->digest, s->digest, DIGEST_SIZE);
	st->received = s->received;
	struct slice list = s->recipients;
	struct line_recipient r;
	while (line_recipient_next(&list, &r)) {
		struct recipient_state *to = &st->recipients[r.number];
		*to = (struct recipient_state){
		    .next = r.next, .attempts = r.attempts, .status = r.status};
		keep_reply(st, to, &r.reply);
		for (uint32_t i = 0; i < r.alike; i++)
			to[i + 1] = *to;
		if (r.address.len > 0)
			fill_added(st, r.number, &r);
	}
}

bool index_load(struct index *ix, struct entry *e, struct slice raw)
{
	struct line l;
	struct slice rest = raw;
	if (crc32c(0, raw.ptr, raw.len) != e->mark || !line_decode(&rest, &l) ||
	    l.kind != LINE_STATE || l.state.id != e->id || rest.len > 0)
		return false;
	state_fill(ix, e, &l.state);
	return true;
}

void index_load_fresh(struct index *ix, struct entry *e, const uint8_t digest[DIGEST_SIZE])
{
	struct message_state *st = make(ix, e, e->count);
	st->received = e->count;
	if (digest)
		memcpy(st->digest, digest, DIGEST_SIZE);
}

void index_unload(struct index *ix, struct entry *e)
{
	if (e->state)
		state_drop(ix, e);
}

void state_want(struct index *ix, struct entry *e)
{
	if (e->state)
		return;
	struct slice raw = ix->fetch ? ix->fetch(ix->fetch_arg, e->place) : SLICE_EMPTY;
	if (raw.len == 0 || !index_load(ix, e, raw)) {
		index_load_fresh(ix, e, NULL);
		e->alive = e->count;
	}
}

void entry_attempts(struct entry *e, uint32_t attempts)
{
	e->attempts =
	    (attempts < ENTRY_ATTEMPTS_MAX ? attempts : ENTRY_ATTEMPTS_MAX) & ENTRY_ATTEMPTS_MAX;
}

void state_attempt(struct entry *e, const struct line_attempt *a)
{
	struct recipient_state *r = &e->state->recipients[a->recipient];
	if (recipient_ended(r->status))
		return;
	r->status = RECIPIENT_ATTEMPT;
	r->attempts = a->attempt;
	if (e->attempts < a->attempt)
		entry_attempts(e, a->attempt);
}

void state_result(struct entry *e, const struct line_result *l)
{
	struct recipient_state *r = &e->state->recipients[l->recipient];
	if (recipient_ended(r->status))
		return;
	r->status = l->status;
	r->next = l->next;
	/* An attempt that did not take place. */
	if (r->status == RECIPIENT_PENDING && r->attempts > 0)
		r->attempts--;
	if (recipient_ended(r->status) && --e->alive == 0)
		return; /* nobody reads it any more */
	keep_reply(e->state, r, &l->reply);
}

void state_told(struct entry *e, uint32_t below)
{
	for (uint32_t i = 0; i < e->state->count && (below == 0 || i < below); i++) {
		struct recipient_state *r = &e->state->recipients[i];
		if (r->status != RECIPIENT_FAILED && r->status != RECIPIENT_REACHED)
			continue;
		r->status = r->status == RECIPIENT_FAILED ? RECIPIENT_BOUNCED : RECIPIENT_DELIVERED;
		e->alive--;
	}
}

/* The next numbers, one after the other, and not too many. */
static bool numbers_follow(const struct message_state *st, struct slice list)
{
	struct line_recipient r;
	for (uint32_t number = st->count; line_recipient_next(&list, &r); number++)
		if (r.number != number || number - st->received >= RECIPIENTS_ADDED_MAX)
			return false;
	return true;
}

bool state_added(struct entry *e, const struct line_added *a)
{
	struct message_state *st = e->state;
	struct slice list = a->recipients;
	struct line_recipient r;
	if (recipient_ended(st->recipients[a->recipient].status) || !numbers_follow(st, list))
		return false;
	while (line_recipient_next(&list, &r)) {
		if (st->count == st->room) {
			st->room = st->room < 8 ? 16 : st->room * 2;
			st = e->state = memory_resize(st, 1, state_size(st->room));
		}
		st->recipients[st->count] = (struct recipient_state){.status = RECIPIENT_PENDING};
		fill_added(st, st->count++, &r);
		st->octets += RECIPIENT_LEAST;
		e->alive++;
	}
	st->recipients[a->recipient].status = RECIPIENT_EXPANDED;
	e->alive--;
	e->count = st->count & ENTRY_RECIPIENTS_MASK;
	return true;
}

/* Anything but a recipient as it was at the arrival. */
static bool worth_a_line(const struct message_state *st, uint32_t i)
{
	const struct recipient_state *r = &st->recipients[i];
	return i >= st->received || r->status != RECIPIENT_PENDING || r->attempts > 0 ||
	       r->next != 0 || r->reply.code != 0 || r->reply.text.len > 0 ||
	       r->reply.relay.len > 0;
}

static bool same_text(struct slice a, struct slice b)
{
	return a.ptr == b.ptr ? a.len == b.len : slice_equal(a, b);
}

static bool alike(const struct line_recipient *a, const struct line_recipient *b)
{
	return a->status == b->status && a->attempts == b->attempts && a->next == b->next &&
	       a->reply.code == b->reply.code &&
	       memcmp(a->reply.enhanced, b->reply.enhanced, sizeof(a->reply.enhanced)) == 0 &&
	       same_text(a->reply.text, b->reply.text) && same_text(a->reply.relay, b->reply.relay);
}

static struct line_recipient recipient_line(const struct message_state *st, uint32_t i)
{
	const struct recipient_state *r = &st->recipients[i];
	struct line_recipient l = {.number = i,
				   .status = r->status,
				   .attempts = r->attempts,
				   .next = r->next,
				   .reply = r->reply,
				   .address = r->address,
				   .original = r->original};
	if (recipient_ended(r->status) && st->count > RECIPIENTS_TEXTS_MAX) {
		l.next = 0;
		l.reply.text = l.reply.relay = SLICE_EMPTY;
	}
	return l;
}

/* Received ones that follow on each other and are alike stand in one entry. False: recipient i is
 * not worth one. */
static bool entry_of(const struct message_state *st, uint32_t i, struct line_recipient *l)
{
	struct line_recipient next;
	*l = recipient_line(st, i);
	if (!worth_a_line(st, i))
		return false;
	for (i++; i < st->received && worth_a_line(st, i); i++) {
		next = recipient_line(st, i);
		if (!alike(l, &next))
			break;
		l->alike++;
	}
	return true;
}

/* What an entry keeps of a reply's text, so that a message with the most recipients fits into one
 * line. */
static size_t text_budget(const struct message_state *st)
{
	size_t entries = 0, most = REPLY_TEXT_MAX + REPLY_RELAY_MAX, each;
	struct line_recipient l;
	if (st->octets >= LEDGER_LINE_MAX)
		return 0;
	if (st->octets + st->count * most <= LEDGER_LINE_MAX)
		return most;
	for (uint32_t i = 0; i < st->count; i += l.alike + 1)
		entries += entry_of(st, i, &l);
	if (entries == 0)
		return 0;
	each = (LEDGER_LINE_MAX - st->octets) / entries;
	return each < most ? each : most;
}

/* Empty, and without the memory that a message to very many has taken. */
static void scratch_clear(struct index *ix)
{
	buffer_reset(&ix->scratch);
	if (ix->scratch.size > SCRATCH_KEEP)
		buffer_release(&ix->scratch);
}

static bool describe_recipients(struct index *ix, const struct message_state *st)
{
	size_t text = text_budget(st);
	struct line_recipient l;
	scratch_clear(ix);
	for (uint32_t i = 0; i < st->count; i += l.alike + 1)
		if (entry_of(st, i, &l) && !line_recipient_add(&ix->scratch, &l, text))
			return false;
	return ix->scratch.len + STATE_FIXED <= LEDGER_LINE_MAX;
}

/* What the stub and the table of segments know. */
static void describe_stub(const struct index *ix, const struct entry *e, struct line_state *out)
{
	out->id = e->id;
	out->lease = ix->segments[e->segment]->line.lease;
	out->file = e->file;
	out->segment = e->segment;
	out->offset = e->offset;
	out->length = e->length;
	out->ordinal = e->ordinal;
	out->next = e->next;
	out->disposition = e->disposition;
	out->deaths = e->deaths;
	out->attempts = e->attempts;
	out->count = e->count;
}

static bool describe_state(struct index *ix, const struct entry *e, struct line_state *out)
{
	memset(out, 0, sizeof(*out));
	if (!describe_recipients(ix, e->state))
		return false;
	out->recipients = buffer_slice(&ix->scratch);
	out->received = e->state->received;
	memcpy(out->digest, e->state->digest, DIGEST_SIZE);
	out->arrived = (uint64_t)e->arrived * CLOCK_SECOND;
	describe_stub(ix, e, out);
	return true;
}

bool index_describe(struct index *ix, const struct entry *e, struct slice old,
		    struct line_state *out)
{
	if (e->state)
		return describe_state(ix, e, out);
	struct line l;
	if (crc32c(0, old.ptr, old.len) != e->mark || !line_decode(&old, &l) ||
	    l.kind != LINE_STATE || l.state.id != e->id)
		return false;
	*out = l.state;
	describe_stub(ix, e, out);
	return true;
}

bool index_describe_added(struct index *ix, const struct entry *e, uint32_t recipient,
			  const struct line_recipient *added, size_t count, struct line_added *out)
{
	const struct message_state *st = e->state;
	uint64_t octets = st->octets;
	scratch_clear(ix);
	if (st->count - st->received + count > RECIPIENTS_ADDED_MAX)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct line_recipient l = {.number = st->count + (uint32_t)i,
					   .address = added[i].address,
					   .original = added[i].original};
		octets += RECIPIENT_LEAST + l.address.len + l.original.len;
		if (l.address.len == 0 || octets > LEDGER_LINE_MAX ||
		    !line_recipient_add(&ix->scratch, &l, 0))
			return false;
	}
	*out = (struct line_added){
	    .id = e->id, .recipient = recipient, .recipients = buffer_slice(&ix->scratch)};
	return true;
}
