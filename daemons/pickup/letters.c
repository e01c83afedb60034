/*
 * The files of the drop directory. The kernel tells when there is a new one, so an empty directory
 * costs nothing; it is also looked through now and then, for what the kernel could not tell and for
 * what was left half-written. The oldest letter goes first. What came to nothing is tried again,
 * later each time, for ever: nobody but this server stands in its way.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/lookout.h"
#include "common/os/loop.h"
#include "common/os/watch.h"
#include "daemons/pickup/pickup.h"

#define LOOK_EVERY_US	 (60 * CLOCK_SECOND)
#define PART_OLD_US	 (3600 * CLOCK_SECOND) /* sendmail writes for moments */
#define RETRY_FIRST_US	 CLOCK_SECOND
#define RETRY_LONGEST_US (900 * CLOCK_SECOND)
#define LOOK_SOON_US	 (CLOCK_SECOND / 100) /* several files come together */

enum { EVICTIONS_MAX = 64 }; /* in one look: each goes through all letters */

static const char aside[] = "bad.";	 /* before the name of what is no letter */
static const char looking[] = "looking"; /* the name of the lookout's file */

static int dir = -1, news = -1;
static struct loop_watch watch;
static struct loop_timer looker, waker;
static struct loop_turn syncer;
static struct map *letters; /* by name */
static struct lookout *lookout;
static struct idmap *authors;	   /* by author_key() */
static struct heap ready, waiting; /* by age; by the time of the next try */
static unsigned sessions;
static unsigned evictions; /* left in this look */
static bool more, unsynced, draining, strange_told;

/* Names */

static void sync_directory(void *arg)
{
	(void)arg;
	if (unsynced && disk_fsync_dir(dir) < 0)
		log_error("the drop directory can't be synced: %s; after a power failure mail may "
			  "be sent twice",
			  strerror(errno));
	unsynced = false;
}

static bool remove_name(const char *name)
{
	unsynced = true;
	if (disk_unlink(dir, name) == 0 || errno == ENOENT)
		return true;
	log_error("drop/%s can't be removed: %s", name, strerror(errno));
	return false;
}

/* A regular file is kept for somebody to look at; anything else holds no mail. */
static void put_aside(const char *name, const char *why)
{
	char to[sizeof(aside) + NAME_MAX];
	struct stat st;
	if (disk_stat_at(dir, name, &st) < 0)
		return;
	snprintf(to, sizeof(to), "%s%.*s", aside, NAME_MAX - (int)sizeof(aside), name);
	if (S_ISREG(st.st_mode) && st.st_nlink == 1) {
		log_error("drop/%s, of uid %u: %s; it is kept as drop/%s", name,
			  (unsigned)st.st_uid, why, to);
		if (disk_rename(dir, name, dir, to) < 0)
			log_error("drop/%s can't be renamed: %s", name, strerror(errno));
		unsynced = true;
	} else if (!S_ISDIR(st.st_mode)) {
		log_error("drop/%s, of uid %u: %s; it is removed", name, (unsigned)st.st_uid, why);
		remove_name(name);
	} else if (!strange_told) {
		log_warning("drop/%s is a directory, and stays", name);
		strange_told = true;
	}
}

/* What a sendmail that was killed has left. */
static void see_part(const char *name)
{
	struct stat st;
	uint64_t now = clock_wall_us();
	if (disk_stat_at(dir, name, &st) < 0 ||
	    (uint64_t)st.st_mtim.tv_sec * CLOCK_SECOND + PART_OLD_US > now)
		return;
	log_warning("drop/%s, of uid %u, was never finished; it is removed: its author was told "
		    "that it was not sent",
		    name, (unsigned)st.st_uid);
	remove_name(name);
}

/* No key is 0. */
static uint64_t author_key(uint32_t uid)
{
	return (uint64_t)uid + 1;
}

static void drop_letter(struct letter *l)
{
	if (--l->author->letters == 0) {
		idmap_remove(authors, author_key(l->author->uid));
		memory_free(l->author);
	}
	map_remove(letters, slice_str(l->name));
	memory_free(l);
}

/* Where all places are taken, who has less than his share of them gets one of somebody who has
 * more, of a letter that has been tried and waits. That one is found again when there is room. */
static bool make_room(uint32_t uid)
{
	const struct author *own = idmap_get(authors, author_key(uid));
	size_t users = idmap_count(authors) + (own ? 0 : 1), share = LETTERS_MAX / users;
	struct letter *worst = NULL;
	struct slice name;
	void *value;
	if (own && own->letters >= share)
		return false;
	for (size_t at = 0; map_next(letters, &at, &name, &value);) {
		struct letter *l = value;
		if (l->waits && !l->sent && l->author->letters > share &&
		    (!worst || l->attempts > worst->attempts))
			worst = l;
	}
	if (!worst)
		return false;
	heap_remove(&waiting, &worst->node);
	drop_letter(worst);
	return true;
}

static void add(const char *name, const struct drop_name *n)
{
	struct letter *l;
	if (map_get(letters, slice_str(name)))
		return;
	if (map_count(letters) == LETTERS_MAX) {
		more = true;
		if (evictions == 0 || !make_room(n->uid))
			return;
		evictions--;
	}
	l = memory_zero(1, sizeof(*l));
	snprintf(l->name, sizeof(l->name), "%s", name);
	l->made = n->made;
	l->author = idmap_get(authors, author_key(n->uid));
	if (!l->author) {
		l->author = memory_zero(1, sizeof(*l->author));
		l->author->uid = n->uid;
		idmap_put(authors, author_key(n->uid), l->author);
	}
	l->author->letters++;
	map_put(letters, slice_str(l->name), l);
	heap_insert(&ready, &l->node, n->made);
}

static bool found(void *arg, const char *name, unsigned char type)
{
	struct drop_name n;
	(void)arg, (void)type;
	if (slice_starts(slice_str(name), slice_str(aside)) || strcmp(name, looking) == 0)
		return true;
	if (strlen(name) >= DROP_NAME_SIZE || !drop_name_read(slice_str(name), &n))
		put_aside(name, "its name is none of ours");
	else if (n.part)
		see_part(name);
	else
		add(name, &n);
	return true;
}

static void look(void *arg)
{
	(void)arg;
	if (draining)
		return;
	more = false;
	evictions = EVICTIONS_MAX;
	loop_timer_start(&looker, LOOK_EVERY_US, look, NULL);
	if (disk_list(dir, found, NULL) < 0) {
		log_error("the drop directory can't be listed: %s", strerror(errno));
		loop_timer_start(&looker, RETRY_FIRST_US, look, NULL);
	}
	letters_go();
}

static void told(void *arg, unsigned what)
{
	(void)arg, (void)what;
	watch_clear(news);
	loop_timer_start(&looker, LOOK_SOON_US, look, NULL);
}

/* Turns */

static void forget(struct letter *l)
{
	drop_letter(l);
	if (more && map_count(letters) < LETTERS_MAX / 2)
		loop_timer_start(&looker, LOOK_SOON_US, look, NULL);
}

static void wake(void *arg)
{
	struct heap_node *n;
	(void)arg;
	while ((n = heap_first(&waiting)) && n->key <= loop_now()) {
		struct letter *l = container_of(n, struct letter, node);
		heap_remove(&waiting, n);
		l->waits = false;
		heap_insert(&ready, n, l->made);
	}
	if (n)
		loop_timer_start(&waker, n->key - loop_now(), wake, NULL);
	letters_go();
}

static void wait_again(struct letter *l)
{
	uint64_t us = RETRY_FIRST_US;
	for (unsigned i = 0; i < l->attempts && us < RETRY_LONGEST_US; i++)
		us *= 2;
	l->attempts++;
	l->waits = true;
	heap_insert(&waiting, &l->node,
		    loop_now() + (us < RETRY_LONGEST_US ? us : RETRY_LONGEST_US));
	loop_timer_start(&waker, heap_first(&waiting)->key - loop_now(), wake, NULL);
}

/* A letter that is in the queue must not go there again, so its name is remembered until it is
 * gone.
 */
static void finish(struct letter *l)
{
	l->sent = true;
	if (remove_name(l->name))
		forget(l);
	else
		wait_again(l);
}

/* A key for each phase: who survives the first has not survived the next. */
bool letter_look(const struct letter *l, enum letter_phase phase)
{
	uint32_t name = crc32c(0, l->name, strlen(l->name));
	return lookout_begin(lookout, (l->made << 24 ^ name) << 2 | (uint64_t)(phase + 1));
}

void letter_looked(void)
{
	lookout_end(lookout);
}

static void begin(struct letter *l)
{
	struct file f;
	const char *why = "";
	if (l->sent) {
		finish(l);
		return;
	}
	if (!letter_look(l, PHASE_OPEN)) {
		put_aside(l->name, LETTER_DEADLY);
		forget(l);
		return;
	}
	enum file_result result = file_open(dir, l->name, &f, &why);
	letter_looked();
	switch (result) {
	case FILE_GOOD:
		sessions++;
		session_begin(l, &f);
		break;
	case FILE_GONE:
		forget(l);
		break;
	case FILE_LATER:
		log_warning("drop/%s can't be read now: %s", l->name, why);
		wait_again(l);
		break;
	case FILE_BAD:
		put_aside(l->name, why);
		forget(l);
		break;
	}
}

void letters_go(void)
{
	struct heap_node *n;
	while (!draining && sessions < SESSIONS_MAX && submission_reachable() &&
	       (n = heap_first(&ready))) {
		heap_remove(&ready, n);
		begin(container_of(n, struct letter, node));
	}
}

/* In the next turn: a session that has ended is still in its own call. */
static void session_over(void)
{
	sessions--;
	if (draining && sessions == 0) {
		sync_directory(NULL);
		service_drained();
	}
	loop_timer_start(&waker, 0, wake, NULL);
}

void letter_sent(struct letter *l)
{
	finish(l);
	session_over();
}

void letter_later(struct letter *l, const char *why)
{
	log_warning("drop/%s waits: %s", l->name, why);
	wait_again(l);
	session_over();
}

void letter_aside(struct letter *l, const char *why)
{
	put_aside(l->name, why);
	forget(l);
	session_over();
}

/* Life */

void letters_descriptor(const struct service_descriptor *d)
{
	if (!slice_equal(d->kind, SLICE("directory")) || dir >= 0) {
		close(d->fd);
		return;
	}
	dir = d->fd;
}

void letters_warm(void)
{
	if (dir < 0)
		fatal("the master gave no drop directory");
	news = watch_directory(dir);
	if (news < 0)
		log_warning("the kernel does not tell of new mail in the drop directory (%s): it "
			    "is looked for each minute",
			    strerror(errno));
}

void letters_start(void)
{
	letters = map_new();
	authors = idmap_new();
	lookout = lookout_open(dir, looking);
	heap_init(&ready);
	heap_init(&waiting);
	loop_turn_add_blocking(&syncer, sync_directory, NULL);
	if (news >= 0)
		loop_watch_start(&watch, news, LOOP_READ, told, NULL);
	look(NULL);
}

void letters_drain(void)
{
	draining = true;
	loop_timer_stop(&looker);
	if (sessions == 0)
		service_drained();
}
