/*
 * move: copies records in batches. The helper reads them, checks them against the digest of their
 * STATE line, and writes them as one synced batch of an own lease; then a STATE line with the new
 * place takes each over. Until that line the message lies where it lay. Large files stay where they
 * are, but give back what they do not need.
 */
#include "queue/store/move.h"

#include <errno.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "queue/store/format.h"
#include "queue/store/ledger_parts.h"
#include "queue/store/segments_parts.h"

#define OWN_WRITER UINT32_MAX /* no channel has this number */

enum { WISHES_MAX = 1 << 20, MOVE_WALK = 1000 };

struct wish {
	uint64_t id, due; /* clock of the loop */
};

struct moved {
	struct entry was; /* as at the copy's beginning */
	int ledger_fd, segment_fd;
	struct buffer line; /* its STATE line */
	uint32_t offset, ordinal;
	int err;
};

struct copy_job {
	struct helper_job job;
	struct move *m;
	bool out;
	struct moved *items; /* MOVES_MAX */
	size_t count;
	struct writer_lease lease;
	int fd;
	uint64_t offset, sequence, end; /* of the batch in the segment */
	uint32_t ordinal;
	char *data;
	size_t len, size;
	int err;
};

struct move {
	struct ledger *l;
	struct segments *s;
	struct helper *h;
	struct wish *wishes; /* a ring, by due time */
	size_t first, count, size;
	struct loop_timer timer;
	struct writer_lease lease; /* number 0: none */
	int fd;
	uint64_t end, sequence;
	uint32_t ordinal;
	bool asked; /* for a lease */
	struct copy_job copy;
	uint32_t emptied; /* a sparse segment whose messages are walked over; 0 none */
	bool walking;
	size_t cursor;
	bool closing;
};

bool move_sparse(uint64_t live, uint64_t octets)
{
	return octets > MOVE_SPARSE_MIN && live < octets / 2;
}

static void step(void *arg);

static void add_wish(struct move *m, uint64_t id, uint64_t due)
{
	if (m->count == WISHES_MAX)
		return; /* move_look() finds it again when the spool gets sparse */
	if (m->count == m->size) {
		size_t size = m->size ? m->size * 2 : 256;
		struct wish *grown = memory_zero(size, sizeof(*grown));
		for (size_t i = 0; i < m->count; i++)
			grown[i] = m->wishes[(m->first + i) % m->size];
		memory_free(m->wishes);
		m->wishes = grown;
		m->size = size;
		m->first = 0;
	}
	m->wishes[(m->first + m->count++) % m->size] = (struct wish){id, due};
}

/* After a million messages the ring has 16 MiB. */
static void forget_wishes(struct move *m)
{
	memory_free(m->wishes);
	m->wishes = NULL;
	m->size = m->first = 0;
}

static void step_in(struct move *m, uint64_t us)
{
	if (!m->closing && !loop_timer_active(&m->timer))
		loop_timer_start(&m->timer, us, step, m);
}

void move_later(struct move *m, const struct entry *e)
{
	const struct segment_entry *seg = index_segment(ledger_index(m->l), e->segment);
	if (seg && seg->line.own)
		return;
	add_wish(m, e->id, loop_now() + MOVE_DELAY_US);
	step_in(m, MOVE_DELAY_US);
}

void move_now(struct move *m)
{
	if (m->count > 0)
		m->wishes[m->first].due = 0;
	loop_timer_start(&m->timer, 0, step, m);
}

static void own_sealed(struct move *m, bool retire)
{
	if (!m->lease.number)
		return;
	struct segment_entry *e = index_segment(ledger_index(m->l), m->lease.segment);
	disk_close(m->fd);
	segments_seal(m->s, e, m->ordinal, m->end, retire);
	m->lease.number = 0;
}

static void leased(void *arg, const struct writer_lease *lease, int fd)
{
	struct move *m = arg;
	m->asked = false;
	if (!lease) {
		step_in(m, SPOOL_LOOK_US);
		return;
	}
	m->lease = *lease;
	m->fd = fd;
	m->end = m->sequence = 0;
	m->ordinal = 0;
	step_in(m, 0);
}

/* The message's record goes into the copy; false: no room in this one. */
static bool choose(struct move *m, struct entry *e)
{
	struct copy_job *c = &m->copy;
	size_t room = (size_t)(m->lease.size - m->end);
	size_t need = c->len + e->length;
	if (batch_align(need) > room || need > c->size)
		return false;
	struct moved *it = &c->items[c->count++];
	struct ledger_file *f = ledger_file_of(m->l, e->place.file);
	struct pool_file *p = pool_file(m->s, e->segment);
	it->was = *e;
	it->err = 0;
	it->ledger_fd = f ? f->fd : -1;
	it->segment_fd = p->read_fd;
	p->reading++;
	segments_pin(m->s, e->segment);
	c->len += e->length;
	return true;
}

/* At rest, in a segment that is not the manager's own (or one that is emptied). */
static bool movable(const struct move *m, const struct entry *e)
{
	const struct segment_entry *seg = index_segment(ledger_index(m->l), e->segment);
	return !e->state && e->place.file != 0 && seg && pool_file(m->s, e->segment) &&
	       (!seg->line.own || (e->segment == m->emptied && seg->line.state == SEGMENT_SEALED));
}

/* Copies one record behind the others; what is wrong with it is in it->err. */
static void copy_one(struct copy_job *c, struct moved *it, uint32_t mark)
{
	struct line l;
	char name[16], *to = c->data + c->len;
	int fd = it->segment_fd;
	if (fd < 0) {
		segment_name(it->was.segment, name);
		fd = disk_open_file(c->m->s->setup.segments_dirfd, name, O_RDONLY);
	}
	ssize_t n = fd < 0 ? -1 : disk_pread(fd, to, it->was.length, it->was.offset);
	it->err = n < 0 ? errno : 0;
	if (fd >= 0 && fd != it->segment_fd)
		disk_close(fd);
	if (it->err)
		return;
	if (ledger_line_read(it->ledger_fd, it->was.place.offset, true, &it->line) < 0) {
		it->err = EAGAIN; /* not the record's fault */
		return;
	}
	struct slice line = buffer_slice(&it->line);
	static const uint8_t none[DIGEST_SIZE];
	if (!line_decode(&line, &l) || l.kind != LINE_STATE || l.state.id != it->was.id) {
		it->err = EAGAIN;
		return;
	}
	bool known = memcmp(l.state.digest, none, DIGEST_SIZE) != 0;
	it->err = record_check(slice_make(to, (size_t)n), &it->was, known ? l.state.digest : NULL);
	if (it->err)
		return;
	if (known)
		large_trim(c->m->s, it->was.file, slice_make(to, (size_t)n));
	it->offset = (uint32_t)(c->offset + c->len);
	it->ordinal = c->ordinal++;
	record_seal(to, it->ordinal, mark);
	c->len += it->was.length;
}

static void copy_run(struct helper_job *job)
{
	struct copy_job *c = (struct copy_job *)(void *)job;
	uint32_t first = c->ordinal, mark = record_mark(c->lease.number, c->lease.nonce);
	c->len = BATCH_HEADER_SIZE;
	c->err = 0;
	for (size_t i = 0; i < c->count; i++)
		copy_one(c, &c->items[i], mark);
	c->end = c->offset;
	if (c->ordinal == first)
		return;
	struct batch_head head = {.lease = c->lease.number,
				  .sequence = c->sequence,
				  .offset = c->offset,
				  .octets = (uint32_t)(c->len - BATCH_HEADER_SIZE),
				  .records = c->ordinal - first,
				  .ordinal = first};
	memcpy(head.nonce, c->lease.nonce, NONCE_SIZE);
	batch_head_encode(&head, (uint8_t *)c->data);
	size_t whole = (size_t)batch_align(c->len);
	memset(c->data + c->len, 0, whole - c->len);
	if (disk_pwrite(c->fd, c->data, whole, c->offset) < 0 || disk_fdatasync(c->fd) < 0)
		c->err = errno;
	c->end = c->offset + whole;
}

/* The copy is durable: from this line on the message lies there. */
static void take_over(struct move *m, struct entry *e, const struct moved *it)
{
	struct line line = {.kind = LINE_STATE};
	struct index *ix = ledger_index(m->l);
	bool same_line =
	    e->place.file == it->was.place.file && e->place.offset == it->was.place.offset;
	if (e->segment != it->was.segment || e->offset != it->was.offset ||
	    (!e->state && !same_line) ||
	    !index_describe(ix, e, buffer_slice(&it->line), &line.state)) {
		add_wish(m, e->id, loop_now() + MOVE_DELAY_US);
		return;
	}
	line.state.lease = m->copy.lease.number;
	line.state.segment = m->copy.lease.segment;
	line.state.offset = it->offset;
	line.state.ordinal = it->ordinal;
	ledger_write(m->l, &line);
}

static void spoilt(struct move *m, struct entry *e, int err)
{
	struct log_line log;
	if (e->state || err == EAGAIN) { /* who uses it now finds out himself */
		add_wish(m, e->id, loop_now() + MOVE_DELAY_US);
		return;
	}
	log_start(&log, LOG_LEVEL_ERROR, e->id, "corrupt");
	log_text(&log, "reason", "its record in segment %u: %s", e->segment,
		 err == EBADMSG ? "not what was committed" : strerror(err));
	log_end(&log);
	struct line line = {
	    .kind = LINE_DISPOSITION,
	    .message = {.id = e->id, .disposition = MESSAGE_CORRUPT, .next = e->next}};
	ledger_write(m->l, &line);
}

static void copy_done(struct helper_job *job)
{
	struct copy_job *c = (struct copy_job *)(void *)job;
	struct move *m = c->m;
	c->out = false;
	ledger_unhold(m->l);
	if (!c->err && c->end > m->end) {
		m->end = c->end;
		m->ordinal = c->ordinal;
		m->sequence++;
	}
	for (size_t i = 0; i < c->count; i++) {
		struct moved *it = &c->items[i];
		struct entry *e = index_get(ledger_index(m->l), it->was.id);
		if (e && !c->err && !it->err)
			take_over(m, e, it);
		else if (e)
			spoilt(m, e, c->err ? EAGAIN : it->err);
		pool_file(m->s, it->was.segment)->reading--;
		segments_unpin(m->s, it->was.segment);
		if (it->line.size > LEDGER_LINE_KEEP)
			buffer_free(&it->line);
	}
	c->count = 0;
	if (c->err) {
		log_error("segments/%08u: %s", c->lease.segment, strerror(c->err));
		own_sealed(m, true);
	}
	step_in(m, c->err ? SPOOL_LOOK_US : 0);
}

static void copy_start(struct move *m)
{
	struct copy_job *c = &m->copy;
	c->job = (struct helper_job){.run = copy_run, .done = copy_done};
	c->m = m;
	c->lease = m->lease;
	c->fd = m->fd;
	c->offset = m->end;
	c->sequence = m->sequence;
	c->ordinal = m->ordinal;
	ledger_flush(m->l);
	ledger_hold(m->l);
	c->out = true;
	if (helper_submit(m->h, &c->job))
		return;
	for (size_t i = 0; i < c->count; i++)
		c->items[i].err = EAGAIN;
	c->end = m->end;
	c->err = 0;
	copy_done(&c->job);
}

/* One is due: what waits with it goes too, so that mail that comes one by one shares a batch, with
 * its 4 KiB and its sync. False: the copy is full. */
static bool gather(struct move *m)
{
	for (size_t left = MOVE_WALK; left > 0 && m->count > 0; left--) {
		struct wish w = m->wishes[m->first];
		struct entry *e = index_get(ledger_index(m->l), w.id);
		if (e && movable(m, e) && (m->copy.count == MOVES_MAX || !choose(m, e)))
			return false;
		m->first = (m->first + 1) % m->size;
		m->count--;
	}
	return true;
}

static void want(void *arg, struct entry *e)
{
	struct move *m = arg;
	if (e->segment == m->emptied && movable(m, e))
		add_wish(m, e->id, 0);
}

static void step(void *arg)
{
	struct move *m = arg;
	if (m->copy.out || m->closing)
		return;
	if (m->walking)
		m->walking = index_walk(ledger_index(m->l), &m->cursor, MOVE_WALK, want, m);
	if (m->count == 0) {
		forget_wishes(m);
		if (m->walking)
			step_in(m, 0);
		else
			m->emptied = 0;
		return;
	}
	uint64_t due = m->wishes[m->first].due, now = loop_now();
	if (due > now) {
		step_in(m, due - now);
		return;
	}
	if (!ledger_safe(m->l)) {
		step_in(m, SPOOL_LOOK_US);
		return;
	}
	if (!m->lease.number) {
		if (!m->asked)
			segments_lease(m->s, OWN_WRITER, true, NULL, leased, m);
		m->asked = true;
		return;
	}
	m->copy.len = BATCH_HEADER_SIZE;
	bool all = gather(m);
	if (m->copy.count > 0) {
		copy_start(m);
		return;
	}
	if (!all) /* not even one fits */
		own_sealed(m, false);
	step_in(m, 0);
}

void move_look(struct move *m)
{
	struct index *ix = ledger_index(m->l);
	struct segment_entry *e, *worst = NULL;
	uint64_t live = 0, octets = 0, size = m->s->setup.segment_size;
	uint32_t cursor = 0;
	while ((e = index_segment_next(ix, &cursor))) {
		live += e->live_octets;
		octets += size;
		if (e->line.state == SEGMENT_SEALED && e->live > 0 &&
		    (!worst || e->live_octets < worst->live_octets))
			worst = e;
	}
	if (!worst || m->emptied || m->count > 0 || !move_sparse(live, octets))
		return;
	m->emptied = worst->line.segment;
	m->cursor = 0;
	m->walking = true;
	step_in(m, 0);
}

struct move *move_open(struct ledger *l, struct segments *s, struct helper *h)
{
	struct move *m = memory_zero(1, sizeof(*m));
	m->l = l;
	m->s = s;
	m->h = h;
	m->fd = -1;
	m->copy.items = memory_zero(MOVES_MAX, sizeof(*m->copy.items));
	for (size_t i = 0; i < MOVES_MAX; i++)
		buffer_init(&m->copy.items[i].line, LEDGER_LINE_MAX);
	/* The largest record, and the batch around it. */
	m->copy.size = RECORD_LENGTH_MAX + BATCH_HEADER_SIZE;
	m->copy.data = memory_get(m->copy.size + BATCH_ALIGN);
	return m;
}

void move_close(struct move **mp)
{
	struct move *m = *mp;
	if (!m)
		return;
	m->closing = true;
	helper_drain(m->h);
	loop_timer_stop(&m->timer);
	segments_lease_cancel(m->s, m);
	own_sealed(m, false);
	for (size_t i = 0; i < MOVES_MAX; i++)
		buffer_free(&m->copy.items[i].line);
	memory_free(m->copy.items);
	memory_free(m->copy.data);
	memory_free(m->wishes);
	memory_free(m);
	*mp = NULL;
}
