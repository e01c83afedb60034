/*
 * Writers: each channel of one gets a number that is never used again. What it wants is asked of
 * the store; what it says is believed only as far as the store can check it.
 */
#include <bsd/sys/queue.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "common/dialogue/bounce.h"
#include "queue/manager/manager.h"

enum { LEASES_WANTED_MAX = 8, FILES_WANTED_MAX = 1024 };

struct writer_peer {
	TAILQ_ENTRY(writer_peer) link;
	struct channel *channel;
	uint32_t number;
	uint32_t incarnation;
	uint32_t leases_wanted, files_wanted; /* asked for, and not granted yet */
	bool lease_asked, file_asked;	      /* the store is at it */
};

static TAILQ_HEAD(, writer_peer) peers = TAILQ_HEAD_INITIALIZER(peers);
static uint32_t last_number;
static bool full;
/* The notice that the store is hearing, from the message on that is to arrive next. */
static const struct writer_entry *noticed;
static size_t noticed_count;

static struct writer_peer *peer_of(struct channel *c)
{
	struct writer_peer *w;

	TAILQ_FOREACH (w, &peers, link)
		if (w->channel == c)
			return w;
	panic("a writer's channel without a writer");
}

const char *writers_pressure_reason(void)
{
	struct spool_status status;

	spool_status(manager.spool, &status);
	if (status.pressure)
		return "the spool has no room";
	if (spool_counts(manager.spool)->messages >= manager.limits.queue_messages)
		return "queue-messages is reached";
	return "";
}

static void tell_pressure(struct channel *c)
{
	struct writer_pressure m = {.full = full, .reason = slice_str(writers_pressure_reason())};

	channel_send(c, WRITER_PRESSURE, &m);
}

void writers_pressure(void)
{
	bool now = writers_pressure_reason()[0] != '\0';
	struct writer_peer *w;

	if (now == full)
		return;
	full = now;
	TAILQ_FOREACH (w, &peers, link)
		tell_pressure(w->channel);
}

void writers_up(struct channel *c, unsigned instance)
{
	struct writer_peer *w = memory_zero(1, sizeof(*w));

	(void)instance;
	w->channel = c;
	w->number = ++last_number;
	TAILQ_INSERT_TAIL(&peers, w, link);
	tell_pressure(c);
}

void writers_down(struct channel *c)
{
	struct writer_peer *w = peer_of(c);

	spool_lease_cancel(manager.spool, w);
	spool_writer_lost(manager.spool, w->number);
	TAILQ_REMOVE(&peers, w, link);
	memory_free(w);
}

static void leased(void *arg, const struct writer_lease *lease, int fd);
static void filed(void *arg, uint64_t number, const uint8_t nonce[NONCE_SIZE], int fd);

/* Asks the store for what the writer wants: one of each at a time. */
static void peer_serve(struct writer_peer *w)
{
	if (w->leases_wanted > 0 && !w->lease_asked) {
		w->lease_asked = true;
		spool_lease(manager.spool, w->number, &w->incarnation, leased, w);
	}
	if (w->files_wanted > 0 && !w->file_asked) {
		w->file_asked = true;
		spool_file(manager.spool, w->number, filed, w);
	}
}

/* Not now: the next look asks again. */
void writers_serve(void)
{
	struct writer_peer *w;

	TAILQ_FOREACH (w, &peers, link)
		peer_serve(w);
}

/* The lease is the writer's now; false: it could not be sent. */
static bool lease_send(struct writer_peer *w, const struct writer_lease *lease, int fd)
{
	struct writer_leased m = {
	    .number = lease->number,
	    .nonce = slice_make(lease->nonce, NONCE_SIZE),
	    .segment = lease->segment,
	    .size = lease->size,
	    .spool = lease->spool,
	    .incarnation = lease->incarnation,
	    .fd = fd,
	};
	bool sent = channel_send(w->channel, WRITER_LEASED, &m);

	close(fd); /* from here on the lock on it is the writer's alone */
	return sent;
}

static void leased(void *arg, const struct writer_lease *lease, int fd)
{
	struct writer_peer *w = arg;

	w->lease_asked = false;
	if (lease == NULL)
		return;
	if (lease_send(w, lease, fd)) {
		w->leases_wanted--;
		peer_serve(w);
	} else /* it comes back unused */
		spool_sealed(manager.spool, w->number, lease->number, 0, 0, false);
}

static void filed(void *arg, uint64_t number, const uint8_t nonce[NONCE_SIZE], int fd)
{
	struct writer_peer *w = arg;
	struct writer_filed m = {
	    .number = number,
	    .nonce = slice_make(nonce, NONCE_SIZE),
	    .fd = fd,
	};
	bool sent;

	w->file_asked = false;
	if (number == 0)
		return;
	sent = channel_send(w->channel, WRITER_FILED, &m);
	close(fd);
	if (sent) {
		w->files_wanted--;
		peer_serve(w);
	} else
		spool_file_abandoned(manager.spool, w->number, number);
}

static void on_want_lease(struct channel *c, const void *record)
{
	const struct writer_want_lease *m = record;
	struct writer_peer *w = peer_of(c);

	if (w->leases_wanted == LEASES_WANTED_MAX) {
		channel_break(c, "wants more leases than it can use");
		return;
	}
	if (m->fresh)
		w->incarnation = 0;
	w->leases_wanted++;
	peer_serve(w);
}

static void on_want_file(struct channel *c, const void *record)
{
	const struct writer_want_file *m = record;
	struct writer_peer *w = peer_of(c);

	if (w->files_wanted + m->count > FILES_WANTED_MAX) {
		channel_break(c, "wants more files than it can use");
		return;
	}
	w->files_wanted += m->count;
	peer_serve(w);
}

static void entry_get(const char *p, struct writer_entry *e)
{
	e->id = get_u64(p);
	e->offset = get_u64(p + 8);
	e->length = get_u32(p + 16);
	e->ordinal = get_u32(p + 20);
	e->file = get_u64(p + 24);
	e->recipients = get_u32(p + 32);
	e->origin = get_u32(p + 36);
	memcpy(e->digest, p + 40, DIGEST_SIZE);
	e->parent = get_u64(p + 72);
	e->parent_mark = get_u32(p + 80);
	e->held = (get_u32(p + 84) & WRITER_ENTRY_HELD) != 0;
}

uint32_t writers_origin(uint64_t id)
{
	while (noticed_count > 0 && noticed->id != id) {
		noticed++;
		noticed_count--;
	}
	return noticed_count > 0 ? noticed->origin : 0;
}

/* reports: by bounce. Another writer that reports on a message would silence the true report. */
static void take_notice(struct channel *c, const struct writer_notice *m, bool reports)
{
	static struct writer_entry entries[WRITER_NOTICE_ENTRIES];
	struct writer_peer *w = peer_of(c);
	size_t count = m->entries.len / WRITER_ENTRY_SIZE;
	bool allowed = m->entries.len % WRITER_ENTRY_SIZE == 0;

	for (size_t i = 0; i < count; i++) {
		entry_get(m->entries.ptr + i * WRITER_ENTRY_SIZE, &entries[i]);
		allowed = allowed && (reports || entries[i].parent == 0);
	}
	noticed = entries;
	noticed_count = count;
	if (!allowed || !spool_notice(manager.spool, w->number, m->lease, entries, count))
		channel_break(c, "a notice that can't be true");
	noticed_count = 0;
	if (!full && spool_counts(manager.spool)->messages >= manager.limits.queue_messages)
		writers_pressure();
}

static void on_notice(struct channel *c, const void *record)
{
	take_notice(c, record, false);
}

static void on_bounce_notice(struct channel *c, const void *record)
{
	take_notice(c, record, true);
}

static void on_sealed(struct channel *c, const void *record)
{
	const struct writer_sealed *m = record;

	if (!spool_sealed(manager.spool, peer_of(c)->number, m->lease, m->records, m->end, false))
		channel_break(c, "sealed what it does not have");
}

static void on_failed(struct channel *c, const void *record)
{
	const struct writer_failed *m = record;

	log_error("a writer's commit failed: %s; its segment is not lent again",
		  strerror((int)m->error));
	if (!spool_sealed(manager.spool, peer_of(c)->number, m->lease, m->records, m->end, true))
		channel_break(c, "a failure of what it does not have");
}

static void on_abandoned(struct channel *c, const void *record)
{
	const struct writer_abandoned *m = record;

	if (!spool_file_abandoned(manager.spool, peer_of(c)->number, m->file))
		channel_break(c, "abandoned a file that it does not have");
}

/* clang-format off */
#define WRITER_ROUTES \
	{WRITER_WANT_LEASE, ROUTE_ALWAYS, on_want_lease}, \
	{WRITER_WANT_FILE, ROUTE_ALWAYS, on_want_file}, \
	{WRITER_SEALED, ROUTE_ALWAYS, on_sealed}, \
	{WRITER_FAILED, ROUTE_ALWAYS, on_failed}, \
	{WRITER_ABANDONED, ROUTE_ALWAYS, on_abandoned}

const struct route writer_routes[] = {
    WRITER_ROUTES,
    {WRITER_NOTICE, ROUTE_ALWAYS, on_notice},
    {0, 0, NULL},
};
const struct route bounce_routes[] = {
    WRITER_ROUTES,
    {WRITER_NOTICE, ROUTE_ALWAYS, on_bounce_notice},
    {BOUNCE_DONE, ROUTE_ALWAYS, report_done},
    {0, 0, NULL},
};
/* clang-format on */
