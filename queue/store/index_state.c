/*
 * index_state: the recipients of an active message. One block of memory with the recipients in it;
 * texts and added addresses are copies of their own.
 */
#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "queue/store/index_parts.h"

static struct slice copy(struct slice s)
{
	if (s.len == 0)
		return SLICE_EMPTY;
	char *p = memory_get(s.len);
	memcpy(p, s.ptr, s.len);
	return slice_make(p, s.len);
}

static void drop(struct slice *s)
{
	memory_free((void *)s->ptr);
	*s = SLICE_EMPTY;
}

static void drop_texts(struct message_state *st)
{
	for (uint32_t i = 0; i < st->count; i++) {
		drop(&st->recipients[i].reply.text);
		drop(&st->recipients[i].reply.relay);
		drop(&st->recipients[i].address);
		drop(&st->recipients[i].original);
	}
}

void state_drop(struct index *ix, struct entry *e)
{
	drop_texts(e->state);
	memory_free(e->state);
	e->state = NULL;
	ix->counts.states--;
}

/* An empty state for `count` recipients, in the old one's memory when it fits. */
static struct message_state *make(struct index *ix, struct entry *e, uint32_t count)
{
	if (e->state && e->state->count != count)
		state_drop(ix, e);
	size_t size = sizeof(struct message_state) + count * sizeof(struct recipient_state);
	bool resting = e->state && e->state->resting;
	if (e->state) {
		drop_texts(e->state);
		memset(e->state, 0, size);
	} else {
		e->state = memory_zero(1, size);
		ix->counts.states++;
	}
	e->state->count = count;
	e->state->resting = resting;
	return e->state;
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
		*to = (struct recipient_state){.next = r.next,
					       .attempts = r.attempts,
					       .status = r.status,
					       .reply = r.reply,
					       .address = copy(r.address),
					       .original = copy(r.original)};
		to->reply.text = copy(r.reply.text);
		to->reply.relay = copy(r.reply.relay);
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

void state_attempt(struct entry *e, const struct line_attempt *a)
{
	struct recipient_state *r = &e->state->recipients[a->recipient];
	if (recipient_ended(r->status))
		return;
	r->status = RECIPIENT_ATTEMPT;
	r->attempts = a->attempt;
	if (e->attempts < a->attempt)
		e->attempts = a->attempt;
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
	/* The new text may be the old one. */
	struct slice text = copy(l->reply.text), relay = copy(l->reply.relay);
	drop(&r->reply.text);
	drop(&r->reply.relay);
	r->reply = l->reply;
	r->reply.text = text;
	r->reply.relay = relay;
}

void state_told(struct entry *e)
{
	for (uint32_t i = 0; i < e->state->count; i++) {
		struct recipient_state *r = &e->state->recipients[i];
		if (r->status != RECIPIENT_FAILED && r->status != RECIPIENT_REACHED)
			continue;
		r->status = r->status == RECIPIENT_FAILED ? RECIPIENT_BOUNCED : RECIPIENT_DELIVERED;
		e->alive--;
	}
}

/* Anything but a recipient as it was at the arrival. */
static bool worth_a_line(const struct message_state *st, uint32_t i)
{
	const struct recipient_state *r = &st->recipients[i];
	return i >= st->received || r->status != RECIPIENT_PENDING || r->attempts > 0 ||
	       r->next != 0 || r->reply.code != 0 || r->reply.text.len > 0 ||
	       r->reply.relay.len > 0;
}

/* What is to be written of a state: `expanded` is replaced by those added. */
struct description {
	const struct message_state *state;
	uint32_t expanded; /* count of the state: none */
	const struct line_recipient *added;
	size_t added_count;
};

/* So that a message with the most recipients fits into one line. */
static size_t text_budget(const struct description *d)
{
	size_t used = 256, lines = d->added_count;
	for (size_t i = 0; i < d->added_count; i++)
		used += 40 + d->added[i].address.len + d->added[i].original.len;
	for (uint32_t i = 0; i < d->state->count; i++) {
		if (!worth_a_line(d->state, i) && i != d->expanded)
			continue;
		lines++;
		used +=
		    40 + d->state->recipients[i].address.len + d->state->recipients[i].original.len;
	}
	if (lines == 0 || used >= LEDGER_LINE_MAX)
		return 0;
	size_t each = (LEDGER_LINE_MAX - used) / lines, most = REPLY_TEXT_MAX + REPLY_RELAY_MAX;
	return each < most ? each : most;
}

static bool describe_recipients(struct index *ix, const struct description *d)
{
	size_t text = text_budget(d);
	buffer_reset(&ix->scratch);
	for (uint32_t i = 0; i < d->state->count; i++) {
		const struct recipient_state *r = &d->state->recipients[i];
		if (!worth_a_line(d->state, i) && i != d->expanded)
			continue;
		struct line_recipient l = {.number = i,
					   .status =
					       i == d->expanded ? RECIPIENT_EXPANDED : r->status,
					   .attempts = r->attempts,
					   .next = r->next,
					   .reply = r->reply,
					   .address = r->address,
					   .original = r->original};
		if (!line_recipient_add(&ix->scratch, &l, text))
			return false;
	}
	for (size_t i = 0; i < d->added_count; i++) {
		struct line_recipient l = {.number = d->state->count + (uint32_t)i,
					   .address = d->added[i].address,
					   .original = d->added[i].original};
		if (l.address.len == 0 || !line_recipient_add(&ix->scratch, &l, text))
			return false;
	}
	return ix->scratch.len + 256 <= LEDGER_LINE_MAX;
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

static bool describe_state(struct index *ix, const struct entry *e, const struct description *d,
			   struct line_state *out)
{
	memset(out, 0, sizeof(*out));
	if (!describe_recipients(ix, d))
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
	if (e->state) {
		struct description d = {.state = e->state, .expanded = e->state->count};
		return describe_state(ix, e, &d, out);
	}
	struct line l;
	if (crc32c(0, old.ptr, old.len) != e->mark || !line_decode(&old, &l) ||
	    l.kind != LINE_STATE || l.state.id != e->id)
		return false;
	*out = l.state;
	describe_stub(ix, e, out);
	return true;
}

bool index_describe_expanded(struct index *ix, const struct entry *e, uint32_t recipient,
			     const struct line_recipient *added, size_t count,
			     struct line_state *out)
{
	struct description d = {e->state, recipient, added, count};
	if (e->state->count - e->state->received + count > RECIPIENTS_ADDED_MAX ||
	    !describe_state(ix, e, &d, out))
		return false;
	out->count += (uint32_t)count;
	return true;
}
