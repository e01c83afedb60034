/*
 * journal: one file that grows by a frame for each message that went out, written and synced once a
 * second; nobody waits for it. When it has become long, a second file begins: what happens from
 * then on goes there, and between it, a part a turn, each user's whole state. When all are stated
 * and synced the first file goes. Read in order the two always give the book.
 *
 * A disk that fails costs what the files would have kept, not the service: all is stated again in
 * a fresh file as soon as that can be written.
 */
#include <errno.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "common/os/loop.h"
#include "daemons/usage/usage.h"

enum {
	PENDING_MAX = 16 * 1024 * 1024, /* not written yet: since the disk fails, or for a second */
	PENDING_WRITE = 256 * 1024,	/* is written before its second is over */
	RENEW_LEAST = 4 * 1024 * 1024,	/* of a file that is worth it ... */
	RENEW_TIMES = 3,		/* ... and so many times what was stated when it began */
	STATE_STEP = 256 * 1024,	/* octets stated in a step */
	USERS_STEP = 2000,		/* users looked at in a step */
	STEP_US = 5000,			/* between two steps, for who waits and for the disk */
};
#define RENEW_AGAIN_US (UINT64_C(86400) * 1000000) /* so that who has gone is forgotten */
#define RETRY_US       (UINT64_C(10) * 1000000)	   /* after a failure of the disk */

/* The one that grows and, while all is stated anew, the one before it. */
static const char *const names[2] = {"journal-0", "journal-1"};
static struct {
	int dirfd, fd;	/* fd -1: none can be written now */
	unsigned which; /* of names */
	bool other;	/* the other one is there, and needed */
	uint64_t sequence, end, stated;
	bool started, due, renewing, failed;
	size_t cursor;
	uint64_t walked; /* octets stated so far */
	struct buffer pending;
	struct loop_timer sync_timer, renew_timer, step_timer;
	struct loop_turn blocking;
} j = {.dirfd = -1, .fd = -1};

static void sync_due(void *arg)
{
	(void)arg; /* a turn's end follows */
	j.due = true;
}

static char *frame_begin(size_t len)
{
	size_t room, whole = JOURNAL_FRAME + len;
	if (!j.started || j.failed)
		return NULL; /* all is stated when it is well again */
	char *at = buffer_reserve(&j.pending, whole, &room);
	if (!at || room < whole) {
		j.failed = true;
		return NULL;
	}
	memset(at, 0, JOURNAL_FRAME + JOURNAL_FIXED);
	put_u32(at, (uint32_t)len);
	return at + JOURNAL_FRAME;
}

static void frame_end(char *payload, size_t len)
{
	put_u32(payload - 4, journal_crc(j.sequence, slice_make(payload, len)));
	buffer_grew(&j.pending, JOURNAL_FRAME + len);
	if (!loop_timer_active(&j.sync_timer) && !j.due)
		loop_timer_start(&j.sync_timer, JOURNAL_SYNC_US, sync_due, NULL);
}

static char *put_fixed(char *p, enum journal_kind kind, const struct user *u)
{
	p[0] = (char)kind;
	put_u16(p + 2, (uint16_t)u->name_len);
	put_u32(p + 4, u->told);
	memcpy(p + JOURNAL_FIXED, u->name, u->name_len);
	return p + JOURNAL_FIXED + u->name_len;
}

static void put_entries(char *to, const uint64_t *entries, size_t count)
{
	for (size_t i = 0; i < count; i++)
		put_u64(to + i * 8, entries[i]);
}

/* messages 0: nothing went out, but the administrator was told. */
static void put_sent(const struct user *u, uint64_t now, uint32_t messages, uint32_t recipients,
		     uint32_t fresh, const uint64_t *changed, size_t count)
{
	size_t len = JOURNAL_FIXED + u->name_len + count * 8;
	char *p = frame_begin(len);
	if (!p)
		return;
	put_u64(p + 8, now);
	put_u32(p + 16, messages);
	put_u32(p + 20, recipients);
	put_u32(p + 24, fresh);
	put_u32(p + 28, (uint32_t)count);
	put_entries(put_fixed(p, JOURNAL_SENT, u), changed, count);
	frame_end(p, len);
}

void journal_sent(const struct user *u, uint64_t now, uint32_t recipients, uint32_t fresh,
		  const uint64_t *changed, size_t count)
{
	put_sent(u, now, 1, recipients, fresh, changed, count);
}

void journal_told(const struct user *u)
{
	put_sent(u, 0, 0, 0, 0, NULL, 0);
}

static void put_state(const struct user *u)
{
	size_t slots = u->windows.count, count = u->known.count;
	size_t len = JOURNAL_FIXED + u->name_len + slots * 16 + count * 8;
	char *p = frame_begin(len);
	if (!p)
		return;
	put_u32(p + 16, (uint32_t)slots);
	put_u32(p + 28, (uint32_t)count);
	char *at = put_fixed(p, JOURNAL_STATE, u);
	for (size_t i = 0; i < slots; i++, at += 16) {
		const struct slot *s = &u->windows.slots[i];
		put_u32(at, s->number);
		put_u32(at + 4, s->messages);
		put_u32(at + 8, s->recipients);
		put_u32(at + 12, s->fresh);
	}
	put_entries(at, u->known.entries, count);
	frame_end(p, len);
	j.walked += JOURNAL_FRAME + len;
}

static bool trouble(const char *what)
{
	log_error("%s: %s: %s; what users send is counted in memory alone until it can be written",
		  names[j.which], what, strerror(errno));
	return false;
}

/* Of what is pending. After a failure the file is cut to what was whole. */
static bool write_pending(void)
{
	struct slice s = buffer_slice(&j.pending);
	if (j.fd < 0)
		return false;
	if (s.len > 0 && disk_pwrite(j.fd, s.ptr, s.len, j.end) < 0) {
		trouble("it can't be written");
		(void)disk_truncate(j.fd, j.end);
		return false;
	}
	j.end += s.len;
	buffer_reset(&j.pending);
	if (j.pending.size > PENDING_WRITE)
		buffer_release(&j.pending);
	return true;
}

static bool begin_file(void)
{
	uint8_t head[JOURNAL_HEAD];
	put_u32(head, UINT32_C(0x31555053));
	put_u32(head + 4, JOURNAL_VERSION);
	put_u64(head + 8, j.sequence);
	j.fd = disk_open(j.dirfd, names[j.which], O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
	j.end = JOURNAL_HEAD;
	return (j.fd >= 0 && disk_pwrite(j.fd, head, sizeof(head), 0) == 0 &&
		disk_fsync_dir(j.dirfd) == 0) ||
	       trouble("it can't be begun");
}

static void renew_due(void *arg)
{
	(void)arg;
	journal_renew();
}

void journal_renew(void)
{
	/* While the other one is needed it is this one that is made again. */
	if (!j.other) {
		if (j.fd >= 0 && !j.failed)
			write_pending();
		j.which = 1 - j.which;
		j.other = j.sequence > 0;
	}
	if (j.fd >= 0)
		disk_close(j.fd);
	j.sequence++;
	j.cursor = j.walked = 0;
	j.renewing = true;
	buffer_reset(&j.pending); /* the states will have it */
	j.failed = !begin_file();
	loop_timer_start(&j.renew_timer, j.failed ? RETRY_US : RENEW_AGAIN_US, renew_due, NULL);
}

bool journal_renewing(void)
{
	return j.renewing;
}

static void renewed(void)
{
	j.renewing = false;
	j.stated = j.walked;
	if (j.other && disk_unlink(j.dirfd, names[1 - j.which]) < 0 && errno != ENOENT)
		trouble("the one before it can't be removed");
	j.other = false;
}

/* A turn's end follows. */
static void again(void *arg)
{
	(void)arg;
}

/* States some more; what has run out is left away. */
static void step(void)
{
	uint64_t until = j.walked + STATE_STEP, now = usage_now();
	struct user *u;
	for (int i = 0; i < USERS_STEP && j.walked < until && (u = book_at(j.cursor)); i++) {
		if (book_tidy(u, now)) {
			book_drop(u);
			continue;
		}
		put_state(u);
		j.cursor++;
	}
	if (!book_at(j.cursor) && !j.failed && journal_flush())
		renewed();
	else
		loop_timer_start(&j.step_timer, STEP_US, again, NULL);
}

static void failed(void)
{
	j.failed = true;
	j.renewing = false;
	loop_timer_start(&j.renew_timer, RETRY_US, renew_due, NULL);
}

bool journal_flush(void)
{
	loop_timer_stop(&j.sync_timer);
	j.due = false;
	if (j.failed || !write_pending()) {
		if (!j.failed)
			failed();
		return false;
	}
	if (disk_fdatasync(j.fd) == 0)
		return true;
	trouble("it can't be synced");
	failed();
	return false;
}

static void at_turn_end(void *arg)
{
	(void)arg;
	if (j.failed) {
		if (!loop_timer_active(&j.renew_timer))
			failed();
		return;
	}
	if (j.due)
		journal_flush();
	else if (j.pending.len > PENDING_WRITE && !write_pending())
		failed();
	if (j.renewing && !j.failed && !loop_timer_active(&j.step_timer))
		step();
	else if (!j.failed && j.end > RENEW_LEAST && j.end > RENEW_TIMES * j.stated)
		journal_renew();
}

/* Opening */

static uint64_t sequence_of(const char *name, int *fd)
{
	char head[JOURNAL_HEAD];
	ssize_t n;
	*fd = disk_open(j.dirfd, name, O_RDWR | O_NOFOLLOW, 0);
	if (*fd < 0 && errno != ENOENT)
		fatal("%s can't be opened: %s", name, strerror(errno));
	if (*fd < 0)
		return 0;
	n = disk_pread(*fd, head, sizeof(head), 0);
	if (n < 0)
		fatal("%s can't be read: %s", name, strerror(errno));
	return journal_head(slice_make(head, (size_t)n));
}

static uint64_t replay(unsigned which, int fd, uint64_t now)
{
	struct stat st;
	struct error e;
	uint64_t end;
	if (!replay_file(fd, now, &end, &e))
		fatal("%s can't be read: %s", names[which], e.text);
	if (disk_stat(fd, &st) == 0 && (uint64_t)st.st_size > end)
		log_warning("%s: the last %llu octets are not whole, and are not believed",
			    names[which], (unsigned long long)st.st_size - end);
	return end;
}

void journal_open(int dirfd, uint64_t now)
{
	int fds[2];
	uint64_t sequences[2];
	j.dirfd = dirfd;
	j.fd = -1;
	buffer_init(&j.pending, PENDING_MAX);
	for (unsigned i = 0; i < 2; i++)
		sequences[i] = sequence_of(names[i], &fds[i]);
	j.which = sequences[1] > sequences[0];
	unsigned first = 1 - j.which;
	if (sequences[first] > 0) {
		replay(first, fds[first], now);
		j.other = true;
	}
	if (sequences[j.which] > 0) {
		j.end = replay(j.which, fds[j.which], now);
		j.sequence = sequences[j.which];
		j.fd = fds[j.which];
		fds[j.which] = -1;
		if (disk_truncate(j.fd, j.end) < 0)
			fatal("%s can't be cut: %s", names[j.which], strerror(errno));
	}
	for (unsigned i = 0; i < 2; i++)
		if (fds[i] >= 0)
			disk_close(fds[i]);
}

void journal_start(void)
{
	j.started = true;
	loop_turn_add_blocking(&j.blocking, at_turn_end, NULL);
	if (j.fd < 0) {
		journal_renew();
		return;
	}
	/* A crash came while all was stated: it begins anew, behind what is there. */
	j.renewing = j.other;
	loop_timer_start(&j.renew_timer, RENEW_AGAIN_US, renew_due, NULL);
}

void journal_close(void)
{
	if (j.started && !j.failed)
		journal_flush();
	loop_turn_remove(&j.blocking);
	loop_timer_stop(&j.sync_timer);
	loop_timer_stop(&j.renew_timer);
	loop_timer_stop(&j.step_timer);
	if (j.fd >= 0)
		disk_close(j.fd);
	buffer_free(&j.pending);
	memset(&j, 0, sizeof(j));
	j.dirfd = j.fd = -1;
}

uint64_t journal_octets(void)
{
	return j.end;
}
