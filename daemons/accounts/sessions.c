/*
 * How long sessions live nobody tells us, so a user stays until he makes room. A walk that a change
 * began goes through the list once, in portions; a change in the middle begins it anew.
 */
#include "daemons/accounts/sessions.h"

#include <bsd/sys/queue.h>
#include <openssl/evp.h>

#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/os/loop.h"
#include "daemons/accounts/askers.h"
#include "daemons/accounts/shelf.h"
#include "daemons/accounts/sources.h"

struct session {
	TAILQ_ENTRY(session) link;
	struct login_name name;
	uint8_t entry[SESSIONS_DIGEST];
	uint64_t looked; /* the walk that has seen it last */
	char spec[];
};

static struct map *by_address;
static TAILQ_HEAD(session_list, session) by_login = TAILQ_HEAD_INITIALIZER(by_login);
static uint64_t walk; /* counts them */
static struct loop_timer timer;

void sessions_digest(struct slice entry, uint8_t digest[SESSIONS_DIGEST])
{
	if (EVP_Digest(entry.ptr, entry.len, digest, NULL, EVP_sha256(), NULL) != 1)
		fatal("OpenSSL has no SHA-256");
}

static void forget(struct session *s)
{
	map_remove(by_address, slice_str(s->name.address));
	TAILQ_REMOVE(&by_login, s, link);
	memory_free(s);
}

static void end_sessions(struct session *s)
{
	askers_revoke(slice_str(s->name.address));
	forget(s);
}

static void looked_up(void *arg, enum table_result result, struct slice value)
{
	struct session *s = arg;
	struct table_user user;
	uint8_t digest[SESSIONS_DIGEST];

	if (result == TABLE_ERROR)
		return; /* not known: he stays */
	table_user_read(value, &user);
	sessions_digest(user.password, digest);
	if (result == TABLE_MISSING || memcmp(digest, s->entry, sizeof(digest)) != 0)
		end_sessions(s);
}

static void look_at(struct session *s)
{
	struct login_name now;

	s->looked = walk;
	if (!sources_have(SLICE("table"), slice_str(s->spec)) ||
	    ours_name(slice_str(s->name.address), &now) != NULL)
		end_sessions(s);
	else
		shelf_entry(slice_str(s->spec), slice_str(s->name.user), slice_str(s->name.domain),
			    looked_up, s);
}

/* Those that were looked at go last. */
static void look_on(void *arg)
{
	struct session *s;

	(void)arg;
	for (unsigned i = 0; i < SESSIONS_PORTION; i++) {
		s = TAILQ_FIRST(&by_login);
		if (s == NULL || s->looked == walk)
			return;
		TAILQ_REMOVE(&by_login, s, link);
		TAILQ_INSERT_TAIL(&by_login, s, link);
		look_at(s);
	}
	loop_timer_start(&timer, 0, look_on, NULL);
}

void sessions_look(void)
{
	if (by_address == NULL)
		return;
	walk++;
	loop_timer_start(&timer, 0, look_on, NULL);
}

bool sessions_note(const struct login_name *name, struct slice spec,
		   const uint8_t entry[SESSIONS_DIGEST])
{
	struct session *s;

	if (by_address == NULL)
		by_address = map_new();
	s = map_get(by_address, slice_str(name->address));
	if (s != NULL && memcmp(s->entry, entry, sizeof(s->entry)) == 0)
		forget(s);
	else if (s != NULL)
		end_sessions(
		    s); /* of the former password; the new session is not known there yet */
	else if (map_count(by_address) >= SESSIONS_MAX)
		end_sessions(TAILQ_FIRST(&by_login));
	s = memory_zero(1, sizeof(*s) + spec.len + 1);
	s->name = *name;
	memcpy(s->entry, entry, sizeof(s->entry));
	memcpy(s->spec, spec.ptr, spec.len);
	map_put(by_address, slice_str(s->name.address), s);
	TAILQ_INSERT_TAIL(&by_login, s, link);
	look_at(s); /* the table may have changed while the password was checked */
	return map_get(by_address, slice_str(name->address)) != NULL;
}
