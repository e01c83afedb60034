/*
 * The mailbox is held alone (common/mailbox/mbox_hold); then come the messages, and one sync. Of a
 * message that fails the file is cut to what it was before (S51).
 */
#include "daemons/local/mbox.h"

#include <errno.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/mailbox/mbox_hold.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "daemons/local/mbox_text.h"

enum { OUT_SIZE = 64 * 1024 };

struct mbox {
	const struct mbox_place *place;
	const struct mbox_item *items;
	size_t count;
	struct outcome trouble; /* of all of them */
	struct mbox_hold hold;
	uint64_t size; /* without what is being written */
	bool ours;     /* it ends with a message of ours */
	struct mbox_quote quote;
	uint64_t written; /* octets of the message so far */
	size_t out_len;
	char out[OUT_SIZE]; /* what of it is not in the file yet */
};

/* What the hold says, as the sender reads it. */
static void set_trouble(struct mbox *m, const struct error *e)
{
	if (e->code == ENAMETOOLONG)
		outcome_set(&m->trouble, 553, "5.1.3", false,
			    "the address is too long to name a mailbox");
	else if (e->code == EBUSY || e->code == EINVAL)
		outcome_set(&m->trouble, 451, "4.2.0", true, "mailbox %s %s", m->place->path,
			    e->text);
	else
		outcome_error(&m->trouble, e->code, "mailbox %s %s", m->place->path, e->text);
}

static bool flush(struct mbox *m)
{
	size_t len = m->out_len;
	m->out_len = 0;
	return len == 0 || disk_write(m->hold.fd, m->out, len) == 0;
}

/* A message that fits goes in one write. */
static bool write_octets(void *arg, struct slice octets)
{
	struct mbox *m = arg;
	m->written += octets.len;
	if (octets.len > sizeof(m->out) - m->out_len && !flush(m))
		return false;
	if (octets.len > sizeof(m->out))
		return disk_write(m->hold.fd, octets.ptr, octets.len) == 0;
	memcpy(m->out + m->out_len, octets.ptr, octets.len);
	m->out_len += octets.len;
	return true;
}

static bool put(void *arg, struct slice octets)
{
	struct mbox *m = arg;
	return mbox_quote(&m->quote, octets, write_octets, m);
}

/* What another has left half written must not swallow our first line. */
static bool put_separator(struct mbox *m)
{
	char last[2] = "";
	if (m->size == 0 || m->ours)
		return true;
	if (m->size == 1)
		return write_octets(m, SLICE("\n"));
	if (disk_pread(m->hold.fd, last, sizeof(last), m->size - sizeof(last)) != sizeof(last))
		return false;
	if (last[1] != '\n')
		return write_octets(m, SLICE("\n\n"));
	return last[0] == '\n' || write_octets(m, SLICE("\n"));
}

static bool put_from_line(struct mbox *m, const struct letter *letter)
{
	uint64_t now = clock_wall_us();
	char text[MBOX_FROM_SIZE];
	return write_octets(m,
			    mbox_from_line(letter->sender, now, clock_offset_minutes(now), text));
}

/* Cuts it to what it was; false: there is more in it than there should be. */
static bool cut(struct mbox *m, uint64_t size, struct outcome *o)
{
	if (disk_truncate(m->hold.fd, size) == 0)
		return true;
	outcome_remark(o, "; a part of the message is left behind");
	return false;
}

/* False: it makes no sense to go on with others. */
static bool append(struct mbox *m, const struct mbox_item *item, struct letter_room *room)
{
	enum letter_fault fault = LETTER_TROUBLE;
	m->quote = (struct mbox_quote){0};
	m->written = m->out_len = 0;
	if (put_separator(m) && put_from_line(m, item->letter))
		fault = letter_write(item->letter, room, put, m);
	if (!fault && mbox_quote_end(&m->quote, write_octets, m) && flush(m)) {
		m->size += m->written;
		m->ours = true;
		outcome_delivered(item->outcome, "mailbox");
		return true;
	}
	int error = errno;
	if (!outcome_letter(item->outcome, fault, item->letter))
		outcome_error(item->outcome, error, "mailbox %s can't be written to",
			      m->place->path);
	return cut(m, m->size, item->outcome);
}

/* Those that are in the file are not durable, and taken back. */
static void take_back(struct mbox *m, uint64_t size, int error)
{
	for (size_t i = 0; i < m->count; i++) {
		struct outcome *o = m->items[i].outcome;
		if (o->status != JOB_DELIVERED)
			continue;
		outcome_error(o, error, "mailbox %s can't be written to", m->place->path);
		cut(m, size, o);
	}
}

/* While it is empty its name may be one that nobody has synced: made now, or by a process that died
 * then. So a name is durable before the first message is, and needs no look later. */
static bool make_durable(struct mbox *m)
{
	if ((!m->hold.made && m->size > 0) || disk_fsync_dir(m->place->dir) == 0)
		return true;
	outcome_error(&m->trouble, errno, "mailbox %s can't be synced", m->place->path);
	return false;
}

static void append_all(struct mbox *m, struct letter_room *room)
{
	uint64_t before = m->size;
	size_t i = 0;
	while (i < m->count && append(m, &m->items[i], room))
		i++;
	for (size_t k = i + 1; k < m->count; k++)
		outcome_error(m->items[k].outcome, EIO, "mailbox %s can't be written to",
			      m->place->path);
	if (m->size > before && disk_fsync(m->hold.fd) < 0)
		take_back(m, before, errno);
}

/* False: none of them was delivered, and m->trouble says why. */
static bool deliver(struct mbox *m, struct letter_room *room)
{
	struct error e = {0};
	if (!mbox_hold_take(&m->hold, &e)) {
		set_trouble(m, &e);
		return false;
	}
	m->size = m->hold.size;
	bool durable = make_durable(m);
	if (durable)
		append_all(m, room);
	if (mbox_hold_end(&m->hold)) /* over NFS it may be then that it is not there */
		return durable;
	outcome_error(&m->trouble, errno, "mailbox %s can't be closed", m->place->path);
	return false;
}

void mbox_deliver(const struct mbox_place *place, const struct mbox_item *items, size_t count,
		  struct letter_room *room)
{
	struct mbox *m = memory_zero(1, sizeof(*m));
	m->place = place;
	m->items = items;
	m->count = count;
	m->hold = (struct mbox_hold){.dir = place->dir,
				     .name = place->name,
				     .group = place->group,
				     .tries = place->tries,
				     .wait_us = place->wait_us,
				     .make = true};
	if (!deliver(m, room))
		for (size_t i = 0; i < count; i++)
			*items[i].outcome = m->trouble;
	memory_free(m);
}
