/*
 * The maildrop. The daemon maildrop gives us the channel of a child that is the owner of the
 * mailbox; the owner may do with it what he likes, so the child is believed nothing: its list is
 * counted and bounded, its parts are those that were asked for, and what it breaks is its owner's
 * session alone.
 */
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "common/wire/call.h"
#include "daemons/pop3d/pop3d.h"

enum {
	OPENINGS_MAX = 4096, /* questions to maildrop under way */
	ENTRIES_FIRST = 64,
	UIDS_FIRST = 2048,
	DELETE_COUNT = 8192, /* numbers in a MAILDROP_DELETE */
};

static struct caller *maildrop;
static size_t memory_used; /* by the lists of all sessions */

void box_warm(void)
{
	maildrop = caller_new_once(OPENINGS_MAX);
}

void box_free(struct box *b)
{
	if (b->opening)
		caller_cancel(maildrop, b->opening);
	channel_free(&b->channel);
	memory_free(b->entries);
	memory_free(b->uids);
	memory_used -= b->memory;
	*b = (struct box){0};
}

/* It can't be opened, but another try may do. */
static void open_failed(struct session *s, const char *code, const char *why, struct slice text)
{
	session_log_box(s, "no-maildrop", text);
	box_free(&s->box);
	memory_free(s->user);
	s->user = NULL;
	session_err(s, code, "%s", why);
	session_resume(s, PHASE_AUTHORIZATION);
}

/* The list */

/* Room for `more` of `unit` octets; false: all sessions together have too much. */
static bool grow(struct box *b, void **list, size_t used, size_t more, size_t *size, size_t first,
		 size_t unit)
{
	size_t want = *size ? *size : first;
	if (used + more <= *size)
		return true;
	while (want < used + more)
		want *= 2;
	size_t added = (want - *size) * unit;
	if (added > BOX_MEMORY_MAX - memory_used)
		return false;
	*list = memory_resize(*list, want, unit);
	memory_used += added;
	b->memory += added;
	*size = want;
	return true;
}

static bool uid_is_fine(struct slice uid)
{
	if (uid.len == 0 || uid.len > MAILDROP_UIDL_MAX)
		return false;
	for (size_t i = 0; i < uid.len; i++)
		if (uid.ptr[i] < 0x21 || uid.ptr[i] > 0x7e)
			return false;
	return true;
}

/* NULL: it was taken. */
static const char *take_entry(struct box *b, const char *entry)
{
	struct slice uid = slice_make(entry + 9, (uint8_t)entry[8]);
	uint64_t octets = get_u64(entry);
	if (!uid_is_fine(uid) || octets > INT64_MAX / MAILDROP_MESSAGES_MAX ||
	    b->count == MAILDROP_MESSAGES_MAX)
		return "a list that makes no sense";
	if (!grow(b, (void **)&b->entries, b->count, 1, &b->size, ENTRIES_FIRST,
		  sizeof(*b->entries)) ||
	    !grow(b, (void **)&b->uids, b->uids_len, uid.len, &b->uids_size, UIDS_FIRST, 1))
		return "no memory for the lists of so many sessions";
	b->entries[b->count++] = (struct entry){
	    .octets = octets, .uid = (uint32_t)b->uids_len, .uid_len = (uint8_t)uid.len};
	memcpy(b->uids + b->uids_len, uid.ptr, uid.len);
	b->uids_len += uid.len;
	b->octets += octets;
	return NULL;
}

static void on_listed(struct channel *c, const void *record)
{
	struct session *s = channel_owner(c);
	const struct maildrop_listed *m = record;
	const char *why = NULL;
	if (s->closing)
		return;
	if (s->phase != PHASE_OPENING || m->entries.len % MAILDROP_LIST_SIZE != 0) {
		channel_break(c, "a list that nobody asked for");
		return;
	}
	for (size_t at = 0; !why && at < m->entries.len; at += MAILDROP_LIST_SIZE)
		why = take_entry(&s->box, m->entries.ptr + at);
	if (why)
		open_failed(s, "SYS/TEMP", "the maildrop can't be opened now", slice_str(why));
}

static void on_state(struct channel *c, const void *record)
{
	struct session *s = channel_owner(c);
	const struct maildrop_state *m = record;
	if (s->closing)
		return;
	if (s->phase != PHASE_OPENING) {
		channel_break(c, "a state that nobody asked for");
		return;
	}
	if (m->state == MAILDROP_READY && m->messages == s->box.count) {
		session_log_box(s, "maildrop", m->text);
		session_ok(s, "%zu messages, %llu octets", s->box.count,
			   (unsigned long long)s->box.octets);
		session_resume(s, PHASE_TRANSACTION);
	} else if (m->state == MAILDROP_LOCKED) { /* RFC 2449 8.1.1 */
		open_failed(s, "IN-USE", "another session has the maildrop", m->text);
	} else {
		open_failed(s, "SYS/TEMP", "the maildrop can't be opened now", m->text);
	}
}

struct entry *box_entry(struct session *s, uint32_t number)
{
	struct entry *e = number > 0 && number <= s->box.count ? &s->box.entries[number - 1] : NULL;
	if (!e || e->deleted) {
		session_err(s, NULL, e ? "the message is deleted" : "there is no such message");
		return NULL;
	}
	return e;
}

struct slice box_uid(const struct session *s, const struct entry *e)
{
	return slice_make(s->box.uids + e->uid, e->uid_len);
}

/* Parts */

void box_read(struct session *s)
{
	struct maildrop_read m = {
	    .number = s->sending.number, .from = s->sending.from, .most = SEND_CHUNK};
	s->sending.asked = channel_send(s->box.channel, MAILDROP_READ, &m);
	if (!s->sending.asked) {
		session_cut(s, "maildrop");
		return;
	}
	session_wait(s, PHASE_SENDING, SESSION_PART_US);
}

static void on_part(struct channel *c, const void *record)
{
	struct session *s = channel_owner(c);
	const struct maildrop_part *m = record;
	struct sending *g = &s->sending;
	if (s->closing)
		return;
	if (s->phase != PHASE_SENDING || !g->asked || m->number != g->number ||
	    m->octets.len > SEND_CHUNK || (m->octets.len == 0 && !m->last && !m->failed)) {
		channel_break(c, "a part that nobody asked for");
		return;
	}
	g->asked = false;
	send_part(s, m);
}

/* QUIT */

/* RFC 1939 6: +OK means that all of them are gone; and that the lock is, so that who comes back at
 * once is not told that somebody has the maildrop. */
static void say_bye(struct session *s)
{
	if (s->removed > 0)
		session_ok(s, "bye, %u messages removed", s->removed);
	else
		session_ok(s, "bye");
	session_close(s, "quit");
}

void box_update_failed(struct session *s, const char *why)
{
	if (s->box.deleted == 0) { /* the child had nothing to do but to go */
		say_bye(s);
		return;
	}
	session_err(s, "SYS/TEMP", "%s", why);
	session_close(s, "maildrop");
}

static bool send_deleted(struct session *s)
{
	static char numbers[4 * DELETE_COUNT];
	struct maildrop_delete m = {0};
	size_t count = 0, left = s->box.deleted;
	for (size_t i = 0; left > 0 && i < s->box.count; i++) {
		if (!s->box.entries[i].deleted)
			continue;
		put_u32(numbers + 4 * count++, (uint32_t)i + 1);
		left--;
		if (count < DELETE_COUNT || left == 0)
			continue;
		m.numbers = slice_make(numbers, 4 * count);
		if (!channel_send(s->box.channel, MAILDROP_DELETE, &m))
			return false;
		count = 0;
	}
	m.numbers = slice_make(numbers, 4 * count);
	m.all = true;
	return channel_send(s->box.channel, MAILDROP_DELETE, &m);
}

void box_update(struct session *s)
{
	if (send_deleted(s))
		session_wait(s, PHASE_UPDATE,
			     s->box.deleted > 0 ? SESSION_UPDATE_US : SESSION_RELEASE_US);
	else
		box_update_failed(s, "nothing was removed");
}

static void on_deleted(struct channel *c, const void *record)
{
	struct session *s = channel_owner(c);
	const struct maildrop_deleted *m = record;
	if (s->closing)
		return;
	if (s->phase != PHASE_UPDATE) {
		channel_break(c, "messages removed that nobody wanted to go");
		return;
	}
	s->removed = m->deleted <= s->box.deleted ? m->deleted : 0;
	if (m->failed == 0 && m->deleted == s->box.deleted) {
		say_bye(s);
		return;
	}
	session_log_box(s, "not-removed", m->text);
	session_err(s, "SYS/TEMP", "some deleted messages are not removed");
	session_close(s, "quit");
}

static const struct route child_routes[] = {
    {MAILDROP_LISTED, ROUTE_ALWAYS, on_listed},
    {MAILDROP_STATE, ROUTE_ALWAYS, on_state},
    {MAILDROP_PART, ROUTE_ALWAYS, on_part},
    {MAILDROP_DELETED, ROUTE_ALWAYS, on_deleted},
    {0, 0, NULL},
};

/* The child has ended, or was not believed. */
static void child_gone(struct channel *c)
{
	struct session *s = channel_owner(c);
	if (s->closing)
		return;
	switch (s->phase) {
	case PHASE_OPENING:
		open_failed(s, "SYS/TEMP", "the maildrop can't be opened now",
			    SLICE("its process has ended"));
		break;
	case PHASE_UPDATE:
		box_update_failed(s, "some deleted messages may not be removed");
		break;
	default: /* within a reply, or between two commands: no reply would be understood */
		session_cut(s, "maildrop");
	}
}

/* Opening */

static void opened(void *arg, const void *answer)
{
	struct session *s = arg;
	const struct maildrop_opened *m = answer;
	s->box.opening = 0;
	if (!m || m->fd < 0) {
		open_failed(s, "SYS/TEMP", "the maildrop can't be opened now",
			    m ? m->text : SLICE("maildrop does not answer"));
		return;
	}
	s->box.channel =
	    channel_open(m->fd, &maildrop_session_dialogue, child_routes, child_gone, s);
}

void box_open(struct session *s, struct slice ticket)
{
	struct maildrop_open m = {.ticket = ticket};
	session_wait(s, PHASE_OPENING, SESSION_OPEN_US);
	s->box.opening = caller_ask(maildrop, MAILDROP_OPEN, &maildrop_open_record, &m,
				    SESSION_OPEN_US, opened, s);
	if (!s->box.opening)
		open_failed(s, "SYS/TEMP", "the maildrop can't be opened now",
			    SLICE("maildrop can't be asked"));
}

static void on_opened(struct channel *c, const void *record)
{
	const struct maildrop_opened *m = record;
	(void)c;
	if (!caller_answered(maildrop, m->request, m) && m->fd >= 0)
		close(m->fd); /* the session has ended meanwhile, and so does the child */
}

const struct route box_routes[] = {
    {MAILDROP_OPENED, ROUTE_ALWAYS, on_opened}, /* a child's channel, or why there is none */
    {0, 0, NULL},
};

void box_up(struct channel *c, unsigned instance)
{
	(void)instance;
	caller_use(maildrop, c);
}

void box_down(struct channel *c)
{
	(void)c;
	caller_use(maildrop, NULL);
}
