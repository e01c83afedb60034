/*
 * index: stubs lie in chunks and never move; a map finds them by id. Whatever a line changes is
 * first taken out of the counts and the digest and afterwards put in again, so that these are
 * always sums over what is there.
 */
#include "queue/store/index.h"

#include "common/base/bytes.h"
#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "queue/store/index_parts.h"

_Static_assert(sizeof(struct entry) == ENTRY_SIZE, "a stub has the size that index.h says");

struct index *index_new(size_t extra, const struct index_calls *calls)
{
	struct index *ix = memory_zero(1, sizeof(*ix));
	ix->stride = (sizeof(struct entry) + extra + 7) & ~(size_t)7;
	if (calls)
		ix->calls = *calls;
	ix->by_id = idmap_new();
	buffer_init(&ix->scratch, LEDGER_LINE_MAX);
	return ix;
}

static struct entry *slot(const struct index *ix, size_t number)
{
	return (struct entry *)(void *)(ix->chunks[number / INDEX_CHUNK] +
					number % INDEX_CHUNK * ix->stride);
}

void index_free(struct index **ixp)
{
	struct index *ix = *ixp;
	if (!ix)
		return;
	for (size_t i = 0; i < ix->chunk_count * INDEX_CHUNK; i++)
		if (slot(ix, i)->id && slot(ix, i)->state)
			state_drop(ix, slot(ix, i));
	for (size_t i = 0; i < ix->chunk_count; i++)
		memory_free(ix->chunks[i]);
	memory_free(ix->chunks);
	for (uint32_t i = 0; i < ix->segment_count; i++)
		memory_free(ix->segments[i]);
	memory_free(ix->segments);
	memory_free(ix->stated);
	idmap_free(&ix->by_id);
	buffer_free(&ix->scratch);
	memory_free(ix);
	*ixp = NULL;
}

void index_set_calls(struct index *ix, const struct index_calls *calls)
{
	ix->calls = *calls;
}

void index_replay(struct index *ix, struct slice (*fetch)(void *arg, struct place place), void *arg)
{
	ix->fetch = fetch;
	ix->fetch_arg = arg;
}

/* A free stub is all zero but for `state`, which is the next free one. */
static void give_slot(struct index *ix, struct entry *e)
{
	memset(e, 0, ix->stride);
	e->state = (struct message_state *)(void *)ix->free_slot;
	ix->free_slot = e;
}

static void add_chunk(struct index *ix)
{
	ix->chunks = memory_resize(ix->chunks, ix->chunk_count + 1, sizeof(*ix->chunks));
	ix->chunks[ix->chunk_count++] = memory_zero(INDEX_CHUNK, ix->stride);
	size_t first = (ix->chunk_count - 1) * INDEX_CHUNK;
	for (size_t i = first + INDEX_CHUNK; i > first; i--)
		give_slot(ix, slot(ix, i - 1));
}

static struct entry *take_slot(struct index *ix, uint64_t id)
{
	if (!ix->free_slot)
		add_chunk(ix);
	struct entry *e = ix->free_slot;
	/* a chunk has slots. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	ix->free_slot = (struct entry *)(void *)e->state;
	e->state = NULL;
	e->id = id;
	idmap_put(ix->by_id, id, e);
	return e;
}

/* Not secret, and fast, for it is taken twice a line: it guards against mistakes, not strangers. */
static uint64_t hash(const uint64_t *words, size_t count)
{
	uint64_t h = count;
	for (size_t i = 0; i < count; i++) {
		h = (h ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 32;
	}
	return h * UINT64_C(0xd6e8feb86659fd93);
}

static uint64_t entry_hash(const struct entry *e)
{
	const uint64_t words[] = {
	    e->id,
	    e->next,
	    e->file,
	    (uint64_t)e->segment << 32 | e->offset,
	    (uint64_t)e->length << 32 | e->ordinal,
	    (uint64_t)e->place.file << 32 | e->place.offset,
	    (uint64_t)e->mark << 32 | e->arrived,
	    (uint64_t)e->alive << 46 | (uint64_t)e->count << 28 | (uint64_t)e->attempts << 14 |
		(uint64_t)e->disposition << 8 | e->deaths,
	    e->state ? e->state->chain : 0,
	};
	return hash(words, sizeof(words) / sizeof(words[0]));
}

static uint64_t segment_hash(const struct line_segment *s)
{
	if (s->state == SEGMENT_FREE)
		return 0;
	const uint64_t words[] = {
	    s->lease,
	    get_u64(s->nonce),
	    get_u64(s->nonce + 8),
	    s->end,
	    (uint64_t)s->segment << 32 | s->writer,
	    (uint64_t)s->known << 32 | s->records,
	    (uint64_t)s->state << 16 | (uint64_t)s->own << 8 | s->retire,
	};
	return hash(words, sizeof(words) / sizeof(words[0]));
}

static struct stated *stated_of(const struct index *ix, uint32_t file)
{
	for (size_t i = ix->stated_count; i > 0; i--)
		if (ix->stated[i - 1].file == file)
			return &ix->stated[i - 1];
	return NULL;
}

/* sign: 1 what e says counts from now on, -1 it does not any more. */
static void account(struct index *ix, const struct entry *e, int sign)
{
	uint64_t h = entry_hash(e);
	ix->digest += sign > 0 ? h : -h;
	ix->counts.messages += (size_t)sign;
	ix->counts.by_disposition[e->disposition] += (size_t)sign;
	ix->counts.recipients += (size_t)sign * e->alive;
}

static void leave_place(struct index *ix, const struct entry *e)
{
	struct stated *s = stated_of(ix, e->place.file);
	if (s)
		s->live--;
}

static void enter_place(struct index *ix, const struct entry *e, size_t octets)
{
	if (e->place.file == 0)
		return;
	struct stated *s = stated_of(ix, e->place.file);
	if (!s) {
		ix->stated = memory_resize(ix->stated, ix->stated_count + 1, sizeof(*ix->stated));
		s = &ix->stated[ix->stated_count++];
		*s = (struct stated){.file = e->place.file};
	}
	s->live++;
	s->all++;
	s->octets += octets;
}

static void leave_segment(struct index *ix, const struct entry *e, uint64_t position)
{
	struct segment_entry *s = ix->segments[e->segment];
	s->live--;
	s->live_octets -= e->length;
	s->ended_at = position;
}

/* No message is left, but memory for many. */
static void forget_chunks(struct index *ix)
{
	for (size_t i = 0; i < ix->chunk_count; i++)
		memory_free(ix->chunks[i]);
	ix->chunk_count = 0;
	ix->free_slot = NULL;
	idmap_free(&ix->by_id);
	ix->by_id = idmap_new();
}

/* The accounts are without e already. */
static void remove_entry(struct index *ix, struct entry *e, uint64_t position)
{
	if (ix->calls.ended)
		ix->calls.ended(ix->calls.arg, e);
	leave_place(ix, e);
	leave_segment(ix, e, position);
	if (e->state)
		state_drop(ix, e);
	idmap_remove(ix->by_id, e->id);
	give_slot(ix, e);
	if (ix->counts.messages == 0 && ix->chunk_count > INDEX_CHUNKS_KEPT)
		forget_chunks(ix);
}

static struct segment_entry *want_segment(struct index *ix, uint32_t number)
{
	if (number >= ix->segment_count) {
		uint32_t size = number + 64;
		ix->segments = memory_resize(ix->segments, size, sizeof(*ix->segments));
		memset(ix->segments + ix->segment_count, 0,
		       (size - ix->segment_count) * sizeof(*ix->segments));
		ix->segment_count = size;
	}
	if (!ix->segments[number]) {
		ix->segments[number] = memory_zero(1, sizeof(struct segment_entry));
		ix->segments[number]->line.segment = number;
	}
	return ix->segments[number];
}

/* What the line makes of the segment; false: it can't follow on what it is. */
static bool segment_after(const struct segment_entry *e, enum line_kind kind,
			  struct line_segment *to, const struct line_segment *l)
{
	bool same = e->line.lease == l->lease;
	switch (kind) {
	case LINE_LEASED:
		*to = *l;
		to->state = SEGMENT_LEASED;
		to->known = to->records = 0;
		to->end = 0;
		return e->line.state == SEGMENT_FREE && e->live == 0;
	case LINE_SEALED:
		to->state = SEGMENT_SEALED;
		to->known = to->records = l->records;
		to->end = l->end;
		to->retire = l->retire;
		return e->line.state == SEGMENT_LEASED && same && l->records >= e->line.known;
	case LINE_FREE:
		to->state = SEGMENT_FREE;
		return e->line.state == SEGMENT_SEALED && same && e->live == 0;
	default:
		*to = *l;
		return e->line.state == SEGMENT_FREE || same;
	}
}

static bool apply_segment(struct index *ix, const struct line *l, uint64_t position)
{
	struct segment_entry *e = want_segment(ix, l->segment.segment);
	struct line_segment after = e->line;
	if (!segment_after(e, l->kind, &after, &l->segment))
		return false;
	ix->digest += segment_hash(&after) - segment_hash(&e->line);
	e->line = after;
	if (l->kind != LINE_SEGMENT)
		e->ended_at = position;
	return true;
}

/* The record lies in a lease of its segment, and is known from now on. */
static bool enter_segment(struct index *ix, const struct line_state *s)
{
	struct segment_entry *seg = index_segment(ix, s->segment);
	if (!seg || seg->line.lease != s->lease)
		return false;
	if (s->ordinal >= seg->line.known) {
		if (seg->line.state != SEGMENT_LEASED)
			return false;
		ix->digest -= segment_hash(&seg->line);
		seg->line.known = s->ordinal + 1;
		ix->digest += segment_hash(&seg->line);
	}
	seg->live++;
	seg->live_octets += s->length;
	return true;
}

static uint32_t count_alive(const struct line_state *s)
{
	uint32_t ended = 0;
	struct slice list = s->recipients;
	struct line_recipient r;
	while (line_recipient_next(&list, &r))
		ended += recipient_ended(r.status) ? 1 + r.alike : 0;
	return s->count - ended;
}

static bool apply_state(struct index *ix, const struct line *l, struct slice raw,
			struct place place, uint64_t position)
{
	const struct line_state *s = &l->state;
	struct entry *e = idmap_get(ix->by_id, s->id);
	if (!enter_segment(ix, s))
		return false;
	if (e) {
		account(ix, e, -1);
		leave_place(ix, e);
		leave_segment(ix, e, position);
	} else {
		e = take_slot(ix, s->id);
	}
	e->next = s->next;
	e->file = s->file;
	e->segment = s->segment;
	e->offset = s->offset;
	e->length = s->length;
	e->ordinal = s->ordinal;
	e->place = place;
	e->mark = crc32c(0, raw.ptr, raw.len);
	e->arrived = (uint32_t)(s->arrived / CLOCK_SECOND);
	e->alive = count_alive(s) & ENTRY_RECIPIENTS_MASK;
	e->count = s->count & ENTRY_RECIPIENTS_MASK;
	entry_attempts(e, s->attempts);
	e->disposition = s->disposition & (DISPOSITIONS - 1);
	e->deaths = s->deaths;
	enter_place(ix, e, raw.len);
	if (e->state && ix->fetch)
		state_drop(ix, e);
	else if (e->state)
		state_fill(ix, e, s);
	if (e->alive == 0)
		remove_entry(ix, e, position);
	else
		account(ix, e, 1);
	return true;
}

/* Of which message and recipient a line speaks. False: of a recipient there is none. */
static bool changes_recipient(const struct line *l, uint64_t *id, uint32_t *recipient)
{
	*recipient = 0;
	if (l->kind == LINE_ATTEMPT) {
		*id = l->attempt.id;
		*recipient = l->attempt.recipient;
		return true;
	}
	if (l->kind == LINE_RESULT) {
		*id = l->result.id;
		*recipient = l->result.recipient;
		return true;
	}
	if (l->kind == LINE_ADDED) {
		*id = l->added.id;
		*recipient = l->added.recipient;
		return true;
	}
	*id = l->message.id;
	return l->kind == LINE_TOLD;
}

/* False: it can't follow on what the state is. */
static bool change_state(struct entry *e, const struct line *l, struct slice raw)
{
	bool right = true;
	if (l->kind == LINE_ATTEMPT)
		state_attempt(e, &l->attempt);
	else if (l->kind == LINE_RESULT)
		state_result(e, &l->result);
	else if (l->kind == LINE_ADDED)
		right = state_added(e, &l->added);
	else
		state_told(e, (uint32_t)l->message.next);
	e->state->changed = true;
	e->state->chain = crc32c(e->state->chain, raw.ptr, raw.len);
	return right;
}

static void change_stub(struct entry *e, const struct line *l)
{
	if (l->kind == LINE_SUSPECT) {
		e->deaths = l->message.deaths;
	} else if (l->kind == LINE_DISPOSITION) {
		e->disposition = l->message.disposition & (DISPOSITIONS - 1);
		e->next = l->message.next;
	} else {
		e->alive = 0;
	}
}

/* A line about a message that has ended since is as if it were not there. */
static bool apply_message(struct index *ix, const struct line *l, struct slice raw,
			  uint64_t position)
{
	uint64_t id;
	uint32_t recipient;
	bool state = changes_recipient(l, &id, &recipient);
	struct entry *e = idmap_get(ix->by_id, id);
	if (!e)
		return true;
	if (recipient >= e->count)
		return false;
	account(ix, e, -1);
	bool right = true;
	if (state) {
		state_want(ix, e);
		right = change_state(e, l, raw);
	} else {
		change_stub(e, l);
	}
	if (e->alive == 0)
		remove_entry(ix, e, position);
	else
		account(ix, e, 1);
	return right;
}

bool index_apply(struct index *ix, const struct line *l, struct slice raw, struct place place,
		 uint64_t position)
{
	switch (l->kind) {
	case LINE_RESERVED:
		if (l->reserved.numbers > ix->reserved.numbers)
			ix->reserved.numbers = l->reserved.numbers;
		if (l->reserved.incarnations > ix->reserved.incarnations)
			ix->reserved.incarnations = l->reserved.incarnations;
		return true;
	case LINE_LEASED:
	case LINE_SEALED:
	case LINE_FREE:
	case LINE_SEGMENT:
		return apply_segment(ix, l, position);
	case LINE_STATE:
		return apply_state(ix, l, raw, place, position);
	case LINE_ATTEMPT:
	case LINE_RESULT:
	case LINE_SUSPECT:
	case LINE_DISPOSITION:
	case LINE_ENDED:
	case LINE_TOLD:
	case LINE_ADDED:
		return apply_message(ix, l, raw, position);
	case LINE_TIME:
		ix->time = l->time;
		return true;
	default: /* DAMAGE is for people; of snapshots the reader takes care */
		return true;
	}
}

struct entry *index_get(const struct index *ix, uint64_t id)
{
	return idmap_get(ix->by_id, id);
}

bool index_walk(struct index *ix, size_t *cursor, size_t most,
		void (*call)(void *arg, struct entry *e), void *arg)
{
	for (; most > 0 && *cursor < ix->chunk_count * INDEX_CHUNK; most--) {
		struct entry *e = slot(ix, (*cursor)++);
		if (e->id)
			call(arg, e);
	}
	return *cursor < ix->chunk_count * INDEX_CHUNK;
}

const struct index_counts *index_counts(const struct index *ix)
{
	return &ix->counts;
}

size_t index_octets(const struct index *ix)
{
	return ix->chunk_count * INDEX_CHUNK * ix->stride;
}

struct segment_entry *index_segment(const struct index *ix, uint32_t number)
{
	struct segment_entry *e = number < ix->segment_count ? ix->segments[number] : NULL;
	return e && e->line.state != SEGMENT_FREE ? e : NULL;
}

struct segment_entry *index_segment_next(const struct index *ix, uint32_t *cursor)
{
	while (*cursor < ix->segment_count) {
		struct segment_entry *e = index_segment(ix, (*cursor)++);
		if (e)
			return e;
	}
	return NULL;
}

const struct line_reserved *index_reserved(const struct index *ix)
{
	return &ix->reserved;
}

const struct line_time *index_time(const struct index *ix)
{
	return &ix->time;
}

size_t index_stated(const struct index *ix, uint32_t file, uint64_t *octets)
{
	const struct stated *s = stated_of(ix, file);
	*octets = s && s->all > 0 ? s->octets / s->all * s->live : 0;
	return s ? s->live : 0;
}

void index_file_gone(struct index *ix, uint32_t file)
{
	struct stated *s = stated_of(ix, file);
	if (s)
		*s = ix->stated[--ix->stated_count];
}

uint64_t index_digest(const struct index *ix)
{
	return ix->digest;
}
