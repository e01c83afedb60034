/*
 * usage: what the files of this folder say to each other.
 *
 *	windows.c    what one user has sent: messages, recipients, new recipients, by time
 *	known.c      whom one user has written to
 *	book.c       all users, and the verdict on a message
 *	journal.c    the book's shadow on the disk; replay.c reads it again
 *	blocked.c    who is blocked, in memory and on the disk
 *	questions.c  submission, accounts and control ask
 *	listing.c    control asks for everybody
 *
 * A user is an address in lower case. Times are wall clock, seconds since 1970, and passed in.
 */
#ifndef DAEMONS_USAGE_USAGE_H
#define DAEMONS_USAGE_USAGE_H

#include "common/base/buffer.h"
#include "common/base/error.h"
#include "common/config/settings.h"
#include "common/dialogue/usage.h"
#include "common/service/service.h"

enum {
	SLOT_SECONDS = 300, /* so fine is time counted: an hour ends up to five minutes late */
	HOUR_SLOTS = 3600 / SLOT_SECONDS,
	DAY_SECONDS = 86400,
	DAY_SLOTS = DAY_SECONDS / SLOT_SECONDS,
	SLOTS_MAX = DAY_SLOTS + 1, /* of one user */
	KNOWN_MAX = 65536,	   /* recipients of one user that are remembered */
	KNOWN_ALL_MAX = 1 << 24,   /* of all: 128 MiB */
	KNOWN_DAYS = 400,	   /* who was not written to for so long is new again */
	USERS_MAX = 1 << 20,
	HELD_MAX = 200, /* messages of one user held in a day; those behind them are refused */
	BLOCKED_MAX = 20000,
	JOURNAL_SYNC_US = 1000000, /* what a crash may lose */
};

/* windows.c: what was sent in one slot. */
struct slot {
	uint32_t number; /* time / SLOT_SECONDS */
	uint32_t messages, recipients, fresh;
};
struct windows {
	struct slot *slots; /* in rising order; none empty */
	uint16_t count, room;
};
struct sums {
	uint32_t messages_hour, messages_day, recipients_hour, recipients_day, fresh_day;
};
/* Forgets what is older than a day. What lies ahead, since the clock went back, counts as now. */
void windows_forget(struct windows *w, uint64_t now);
/* False: it is so old that it does not count. */
bool windows_add(struct windows *w, uint64_t now, uint32_t messages, uint32_t recipients,
		 uint32_t fresh);
void windows_sum(const struct windows *w, uint64_t now, struct sums *sums);
void windows_free(struct windows *w);

/* known.c: an entry is the first 48 bits of a recipient's hash and, in the low 16, the day on
 * which the user has last written to him, in days since 1970. */
struct known {
	uint64_t *entries; /* by hash */
	uint32_t count, room;
};
#define KNOWN_HASH(entry) ((entry) & ~UINT64_C(0xffff))
static inline uint16_t known_day(uint64_t seconds)
{
	return (uint16_t)(seconds / DAY_SECONDS);
}
/* Sorts hashes and takes out what repeats; how many are left. */
size_t known_prepare(uint64_t *hashes, size_t count);
/* How many of these are not known; prepared. */
size_t known_fresh(const struct known *k, const uint64_t *hashes, size_t count);
/* Writes to these: makes of each hash its entry, and leaves in the array those that changed, which
 * is how many is returned. */
size_t known_write(struct known *k, uint64_t *hashes, size_t count, uint16_t today);
/* Puts entries, prepared; those of equal hashes are replaced. */
void known_put(struct known *k, const uint64_t *entries, size_t count);
/* Forgets who was not written to since that day; or the longest ago until `keep` are left. */
void known_forget(struct known *k, uint16_t oldest);
void known_shed(struct known *k, uint32_t keep);
void known_free(struct known *k);

/* book.c */
struct user {
	size_t place;		 /* in the book's list */
	uint32_t told;		 /* the day on which the administrator was told last; 0: never */
	uint32_t held, held_day; /* messages held on that day; not kept over a restart */
	struct windows windows;
	struct known known;
	size_t name_len;
	char name[];
};
static inline struct slice user_name_of(const struct user *u)
{
	return slice_make(u->name, u->name_len);
}
struct verdict {
	bool hold, tell;
	bool refuse; /* HELD_MAX */
	char text[201];
};
void book_limits(const struct settings_submission *limits);
/* A message to so many recipients, of these hashes (which are changed). What is held does not
 * count: the limits are on what goes out. */
void book_send(struct slice user, uint32_t recipients, uint64_t *hashes, size_t count, uint64_t now,
	       struct verdict *v);
/* NULL: nothing is known of him. */
struct user *book_find(struct slice user);
/* NULL: USERS_MAX are there. */
struct user *book_want(struct slice user);
/* All of them, by number; NULL: there is none. One that is dropped gives his place to the last. */
struct user *book_at(size_t place);
size_t book_count(void);
void book_drop(struct user *u);
/* After entries of u were put: keeps the limits. */
void book_known_changed(struct user *u, uint32_t before, uint64_t now);
/* What has run out goes; true: nothing is left of him. */
bool book_tidy(struct user *u, uint64_t now);
void book_free(void);

/* journal.c: README.md has the format. */
void journal_open(int dirfd, uint64_t now); /* reads what is there; the process ends if it can't */
void journal_start(void);		    /* from here on it writes, within JOURNAL_SYNC_US */
/* What a message, or a word to the administrator, has changed. */
void journal_sent(const struct user *u, uint64_t now, uint32_t recipients, uint32_t fresh,
		  const uint64_t *changed, size_t count);
void journal_told(const struct user *u);
void journal_renew(void); /* all is stated in a fresh file, a part a turn */
bool journal_renewing(void);
bool journal_flush(void); /* writes and syncs; false: it can't now, and will try again */
void journal_close(void);
uint64_t journal_octets(void); /* of the file that grows */

/* replay.c */
enum { JOURNAL_HEAD = 16, JOURNAL_FRAME = 8, JOURNAL_FIXED = 32, JOURNAL_VERSION = 1 };
enum journal_kind { JOURNAL_SENT = 1, JOURNAL_STATE };
enum {
	JOURNAL_PAYLOAD_MAX =
	    JOURNAL_FIXED + USAGE_USER_MAX + SLOTS_MAX * 16 + USAGE_RECIPIENTS_MAX * 8,
};
uint32_t journal_crc(uint64_t sequence, struct slice payload);
/* The sequence of a file that begins so; 0: it is none of ours. */
uint64_t journal_head(struct slice head);
/* Takes all that is good into the book; *end: where that ends. False: it can't be read. */
bool replay_file(int fd, uint64_t now, uint64_t *end, struct error *e);
/* One payload; false: not as the format says, nothing was changed. */
bool replay_payload(struct slice payload, uint64_t now);

/* blocked.c */
bool blocked_open(int dirfd, struct error *e);
bool blocked_is(struct slice user);
enum blocked_result { BLOCKED_DONE, BLOCKED_SO_ALREADY, BLOCKED_REFUSED, BLOCKED_NOT_WRITTEN };
/* Durable when it returns DONE. NOT_WRITTEN: in force until this process ends; e says why. */
enum blocked_result blocked_set(struct slice user, bool blocked, struct error *e);
/* Tries again what was NOT_WRITTEN; true: all is durable. */
bool blocked_save(struct error *e);
size_t blocked_count(void);
/* Walk, *at is 0 at first; empty at the end. */
struct slice blocked_next(size_t *at);
void blocked_free(void);

/* questions.c */
extern const struct route submission_routes[], control_routes[], accounts_routes[];
void questions_submission_up(struct channel *c, unsigned instance);
void questions_submission_down(struct channel *c);
void questions_accounts_up(struct channel *c, unsigned instance);
void questions_accounts_down(struct channel *c);
void questions_control_up(struct channel *c, unsigned instance);
void questions_control_down(struct channel *c);
/* Wall clock, seconds. */
uint64_t usage_now(void);

/* listing.c */
void listing_begin(struct channel *c, uint64_t request, struct slice user);
void listing_watch(struct channel *c); /* a fresh channel of control */
void listing_forget(struct channel *c);
void listings_start(void);

#endif
