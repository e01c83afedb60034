/*
 * pop3d is believed nothing but what a user may do anyway: numbers are looked at, and only what was
 * marked before the last word is removed. A channel that closes before that removes nothing.
 */
#include "daemons/maildrop/session.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "common/os/loop.h"
#include "common/wire/channel.h"

enum {
	STATE_LISTS = 1 << 0,
	STATE_SERVES = 1 << 1,
	LAST_WORDS_US = 10 * 1000 * 1000, /* that pop3d may take to read them */
};

static struct drop *drop;
static bool *marked;
static size_t listed;

/* The end of the process, in good order: locks go, and then what was said is sent: who hears that
 * the session is over can begin another. */
static _Noreturn void leave(struct channel *c)
{
	if (drop && drop->messages)
		drop->kind->close(drop);
	channel_flush(c, LAST_WORDS_US);
	_exit(0);
}

static void on_closed(struct channel *c)
{
	leave(c);
}

static void say_state(struct channel *c, enum maildrop_standing standing, const char *text)
{
	struct maildrop_state m = {.state = standing,
				   .messages = drop ? (uint32_t)drop->count : 0,
				   .text = slice_sub(slice_str(text), 0, MAILDROP_TEXT_MAX)};
	channel_send(c, MAILDROP_STATE, &m);
}

/* Listing */

static void put_entry(char *entry, size_t index)
{
	put_u64(entry, drop->kind->octets(drop, index));
	memset(entry + 8, 0, MAILDROP_LIST_SIZE - 8);
	entry[8] = (char)drop->kind->unique(drop, index, entry + 9);
}

static void list_some(struct channel *c)
{
	static char entries[MAILDROP_LIST_COUNT * MAILDROP_LIST_SIZE];
	size_t count = 0;
	while (count < MAILDROP_LIST_COUNT && listed < drop->count)
		put_entry(entries + MAILDROP_LIST_SIZE * count++, listed++);
	struct maildrop_listed m = {slice_make(entries, count * MAILDROP_LIST_SIZE)};
	channel_send(c, MAILDROP_LISTED, &m);
}

/* As much as pop3d takes; goes on when there is room again. */
static void list(struct channel *c)
{
	char text[64] = "";
	while (listed < drop->count && channel_queued(c) <= CHANNEL_QUEUE_MAX / 4)
		list_some(c);
	if (listed < drop->count)
		return;
	if (drop->skipped > 0)
		snprintf(text, sizeof(text), "%zu files are not shown", drop->skipped);
	channel_on_room(c, NULL);
	channel_set_state(c, STATE_SERVES);
	say_state(c, MAILDROP_READY, text);
}

/* Requests */

static void on_read(struct channel *c, const void *record)
{
	static char octets[MAILDROP_PART_MAX];
	const struct maildrop_read *m = record;
	struct maildrop_part part = {.number = m->number};
	if (m->number == 0 || m->number > drop->count || m->most == 0) {
		channel_break(c, "message %u of %zu", m->number, drop->count);
		return;
	}
	ssize_t n = drop->kind->read(drop, m->number - 1, m->from, octets, m->most, &part.last);
	part.failed = n < 0;
	part.octets = slice_make(octets, n > 0 ? (size_t)n : 0);
	channel_send(c, MAILDROP_PART, &part);
}

static void remove_marked(struct channel *c)
{
	struct maildrop_deleted m = {0};
	struct error e = {0};
	uint32_t count = 0;
	for (size_t i = 0; i < drop->count; i++)
		count += marked[i];
	m.deleted = count > 0 ? (uint32_t)drop->kind->remove(drop, marked, &e) : 0;
	m.failed = count - m.deleted;
	m.text = slice_sub(slice_str(e.text), 0, MAILDROP_TEXT_MAX);
	channel_send(c, MAILDROP_DELETED, &m);
	leave(c);
}

static void on_delete(struct channel *c, const void *record)
{
	const struct maildrop_delete *m = record;
	for (size_t i = 0; i + 4 <= m->numbers.len; i += 4) {
		uint32_t number = get_u32(m->numbers.ptr + i);
		if (number == 0 || number > drop->count) {
			channel_break(c, "message %u of %zu", number, drop->count);
			return;
		}
		marked[number - 1] = true;
	}
	if (m->all)
		remove_marked(c);
}

static const struct route routes[] = {
    {MAILDROP_READ, STATE_SERVES, on_read},
    {MAILDROP_DELETE, STATE_SERVES, on_delete},
    {0, 0, NULL},
};

static struct channel *open_channel(int fd)
{
	struct channel *c = channel_open(fd, &maildrop_session_dialogue, routes, on_closed, NULL);
	channel_set_state(c, STATE_LISTS);
	return c;
}

void session_serve(struct drop *d, int fd)
{
	struct error e = {0};
	struct channel *c = open_channel(fd);
	drop = d;
	enum maildrop_standing standing = d->kind->open(d, &e);
	if (standing != MAILDROP_READY) {
		say_state(c, standing, e.text);
		leave(c);
	}
	marked = memory_zero(d->count + 1, sizeof(*marked));
	channel_on_room(c, list);
	list(c);
	loop_run();
	leave(c);
}

void session_refuse(int fd, const char *why)
{
	struct channel *c = open_channel(fd);
	say_state(c, MAILDROP_TROUBLE, why);
	leave(c);
}
