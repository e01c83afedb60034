/*
 * book: all users in memory, and what is said of a message. A verdict is a look-up, a sum over the
 * user's slots and a search for each recipient: some microseconds, and nothing is waited for.
 *
 * The limits are on what goes out, so a held message does not count, and its recipients stay new:
 * the user of a stolen account who was held once is not held for ever, and the thief who tries
 * again gets no further.
 */
#include <stdio.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "daemons/usage/usage.h"

static struct settings_submission limits;
static struct map *by_name;
static struct user **users;
static size_t user_count, user_room;
static uint64_t known_all; /* entries of all users */
static bool full_said;

void book_limits(const struct settings_submission *given)
{
	limits = *given;
}

struct user *book_find(struct slice user)
{
	return by_name ? map_get(by_name, user) : NULL;
}

struct user *book_at(size_t place)
{
	return place < user_count ? users[place] : NULL;
}

size_t book_count(void)
{
	return user_count;
}

struct user *book_want(struct slice name)
{
	struct user *u = book_find(name);
	if (u)
		return u;
	if (user_count == USERS_MAX) {
		if (!full_said)
			log_error("more than %d users have sent: further ones are not counted",
				  USERS_MAX);
		full_said = true;
		return NULL;
	}
	if (!by_name)
		by_name = map_new();
	if (user_count == user_room) {
		user_room = user_room == 0 ? 64 : 2 * user_room;
		users = memory_resize(users, user_room, sizeof(struct user *));
	}
	u = memory_zero(1, sizeof(*u) + name.len);
	memcpy(u->name, name.ptr, name.len);
	u->name_len = name.len;
	u->place = user_count;
	users[user_count++] = u;
	map_put(by_name, user_name_of(u), u);
	return u;
}

static void user_free(struct user *u)
{
	windows_free(&u->windows);
	known_free(&u->known);
	memory_free(u);
}

void book_drop(struct user *u)
{
	struct user *last = users[--user_count];
	users[u->place] = last;
	last->place = u->place;
	map_remove(by_name, user_name_of(u));
	known_all -= u->known.count;
	full_said = false;
	user_free(u);
}

/* Of all users those go who were not written to for the longest, until a quarter is free; at last
 * all, also those of days to come (the clock went back). */
static void shed_all(uint64_t now)
{
	for (uint64_t days = KNOWN_DAYS; known_all > KNOWN_ALL_MAX / 4 * 3; days /= 2) {
		known_all = 0;
		for (size_t i = 0; i < user_count; i++) {
			if (days == 0)
				known_free(&users[i]->known);
			else
				known_forget(&users[i]->known,
					     (uint16_t)(known_day(now) + 1 - days));
			known_all += users[i]->known.count;
		}
	}
}

void book_known_changed(struct user *u, uint32_t before, uint64_t now)
{
	if (u->known.count > KNOWN_MAX)
		known_shed(&u->known, KNOWN_MAX / 4 * 3);
	known_all = known_all + u->known.count - before;
	if (known_all > KNOWN_ALL_MAX)
		shed_all(now);
}

bool book_tidy(struct user *u, uint64_t now)
{
	uint32_t before = u->known.count;
	windows_forget(&u->windows, now);
	if (known_day(now) > KNOWN_DAYS)
		known_forget(&u->known, (uint16_t)(known_day(now) - KNOWN_DAYS));
	known_all = known_all + u->known.count - before;
	if (u->told > known_day(now)) /* the clock went back */
		u->told = known_day(now);
	return u->windows.count == 0 && u->known.count == 0 && u->told < known_day(now);
}

static bool over(struct verdict *v, uint32_t limit, uint64_t sum, const char *what)
{
	if (limit == 0 || sum <= limit)
		return false;
	v->hold = true;
	snprintf(v->text, sizeof(v->text), "over the limit of %u %s", limit, what);
	return true;
}

static void judge(const struct sums *s, uint64_t recipients, uint64_t fresh, struct verdict *v)
{
	(void)(over(v, limits.messages_hour, (uint64_t)s->messages_hour + 1,
		    "messages in an hour") ||
	       over(v, limits.messages_day, (uint64_t)s->messages_day + 1, "messages in a day") ||
	       over(v, limits.recipients_hour, s->recipients_hour + recipients,
		    "recipients in an hour") ||
	       over(v, limits.recipients_day, s->recipients_day + recipients,
		    "recipients in a day") ||
	       (fresh > 0 &&
		over(v, limits.new_recipients_day, s->fresh_day + fresh,
		     "recipients in a day to whom the user has never written before")));
}

/* What is held takes room on the disk, which a thief must not fill. */
static void hold(struct user *u, uint64_t now, struct verdict *v)
{
	if (u->held_day != known_day(now))
		u->held = 0;
	u->held_day = known_day(now);
	v->refuse = u->held >= HELD_MAX;
	u->held += !v->refuse;
}

static void tell(struct user *u, uint64_t now, struct verdict *v)
{
	if (u->told == known_day(now))
		return;
	v->tell = true;
	u->told = known_day(now);
	journal_told(u);
}

void book_send(struct slice name, uint32_t recipients, uint64_t *hashes, size_t count, uint64_t now,
	       struct verdict *v)
{
	struct sums sums;
	*v = (struct verdict){0};
	if (blocked_is(name)) {
		v->hold = true;
		snprintf(v->text, sizeof(v->text), "the user is blocked");
		return;
	}
	struct user *u = book_want(name);
	if (!u)
		return;
	count = known_prepare(hashes, count);
	size_t fresh = known_fresh(&u->known, hashes, count);
	windows_forget(&u->windows, now);
	windows_sum(&u->windows, now, &sums);
	judge(&sums, recipients, fresh, v);
	if (v->hold) {
		hold(u, now, v);
		tell(u, now, v);
		return;
	}
	uint32_t before = u->known.count;
	windows_add(&u->windows, now, 1, recipients, (uint32_t)fresh);
	count = known_write(&u->known, hashes, count, known_day(now));
	journal_sent(u, now, recipients, (uint32_t)fresh, hashes, count);
	book_known_changed(u, before, now);
}

void book_free(void)
{
	for (size_t i = 0; i < user_count; i++)
		user_free(users[i]);
	memory_free(users);
	users = NULL;
	user_count = user_room = 0;
	known_all = 0;
	map_free(&by_name);
}
