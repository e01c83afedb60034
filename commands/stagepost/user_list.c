/*
 * The users of the tables in the order of the text, and, when the server runs, what usage knows of
 * each. Nothing of a password is shown but how it is kept.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands/stagepost/json.h"
#include "commands/stagepost/place.h"
#include "commands/stagepost/talk.h"
#include "commands/stagepost/user.h"
#include "commands/stagepost/users_file.h"
#include "commands/stagepost/users_place.h"
#include "commands/stagepost/words.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/password/password.h"

/* What usage said of one, by address. */
struct known {
	bool blocked;
	uint32_t hour, day;
	size_t len;
	char address[];
};

struct listing_of_users {
	const struct user_order *order;
	const struct users_place *place;
	struct map *known; /* NULL: the server does not say */
	size_t count;
};

static void keep(void *arg, const struct usage_listed *m)
{
	struct map *map = arg;
	struct known *k = memory_get(sizeof(*k) + m->user.len);
	k->blocked = m->blocked;
	k->hour = m->messages_hour;
	k->day = m->messages_day;
	k->len = m->user.len;
	if (m->user.len > 0)
		memcpy(k->address, m->user.ptr, m->user.len);
	memory_free(map_put(map, slice_make(k->address, k->len), k));
}

static void known_free(struct map **map)
{
	struct slice key;
	void *value;
	for (size_t at = 0; *map && map_next(*map, &at, &key, &value);) {
		map_remove(*map, key);
		memory_free(value);
	}
	map_free(map);
}

static struct map *ask_known(const struct user_order *o)
{
	static const struct talk_calls calls = {.usage = keep};
	struct usage_ask question = {.verb = USAGE_LIST};
	struct error e = {0};
	struct talk_end end;
	int code;
	struct config *config = place_known(o->config_path, &code);
	struct talk *t = config ? talk_open(config_string(config, "run"), &e) : NULL;
	struct map *map = t ? map_new() : NULL;
	config_free(&config);
	if (t &&
	    talk_ask(t, COMMAND_USAGE_ASK, &question, TALK_STATUS_US, &calls, map, &end) != EX_OK) {
		complain(end.code, "what they have sent is not known: %s", end.text);
		known_free(&map);
	}
	talk_free(&t);
	return map;
}

/* In the words of --scheme where it has them. */
static const char *kept_as(struct slice entry)
{
	static const struct {
		const char *prefix, *word;
	} hashes[] = {{"$y$", "yescrypt"}, {"$6$", "sha512-crypt"}, {"$5$", "sha256-crypt"},
		      {"$2", "blf-crypt"}, {"$argon2", "argon2"},   {"$gy$", "gost-yescrypt"},
		      {"$7$", "scrypt"},   {"$1$", "md5-crypt"}};
	struct slice hash;
	switch (password_scheme(entry, &hash)) {
	case PASSWORD_SCRAM_SHA_256:
		return "scram-sha-256";
	case PASSWORD_PLAIN:
		return "plain";
	case PASSWORD_CRYPT:
		for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++)
			if (slice_starts(hash, slice_str(hashes[i].prefix)))
				return hashes[i].word;
		return "crypt";
	case PASSWORD_NONE:
		break;
	}
	return "none";
}

static void line_json(const struct users_line *line, const char *table, const struct known *k,
		      bool known)
{
	json_t *o = json_object();
	json_put(o, "user", json_text(line->name));
	json_put(o, "scheme", json_text(slice_str(kept_as(line->password))));
	json_put(o, "table", json_text(slice_str(table)));
	json_put(o, "blocked", known ? json_boolean(k && k->blocked) : json_null());
	json_put(o, "messages_hour", known ? json_count(k ? k->hour : 0) : json_null());
	json_put(o, "messages_day", known ? json_count(k ? k->day : 0) : json_null());
	json_line(stdout, o);
}

static void line_text(struct listing_of_users *l, const struct users_line *line,
		      const struct known *k)
{
	if (l->count++ == 0)
		printf("%-32s %s\n", "USER",
		       l->known ? "SCHEME        SENT IN AN HOUR, A DAY" : "SCHEME");
	words_print(stdout, line->name);
	printf("%*s %*s", line->name.len < 32 ? (int)(32 - line->name.len) : 0, "",
	       l->known ? -13 : 0, kept_as(line->password));
	if (l->known)
		printf(" %8" PRIu32 " %8" PRIu32 "%s", k ? k->hour : 0, k ? k->day : 0,
		       k && k->blocked ? "   blocked" : "");
	putchar('\n');
}

static int list_table(struct listing_of_users *l, const struct users_table *t)
{
	struct users_file f;
	struct users_line line;
	int code;
	if (!t->text)
		return complain(EX_USAGE, "%s has no file", t->spec);
	code = users_file_open(&f, t->text, USERS_READ);
	if (code != EX_OK)
		return code;
	for (size_t at = 0; users_file_next(&f, &at, &line);) {
		struct users_name n;
		char name[ADDRESS_SIZE];
		const struct known *k = NULL;
		if (l->known && slice_copy(line.name, name, sizeof(name)) &&
		    users_name_read(&n, name, l->place->origin) == EX_OK)
			k = map_get(l->known, slice_str(n.address));
		if (l->order->json)
			line_json(&line, t->spec, k, l->known != NULL);
		else
			line_text(l, &line, k);
	}
	users_file_close(&f);
	return EX_OK;
}

int user_list(const struct user_order *o)
{
	struct users_place p;
	struct listing_of_users l = {.order = o, .place = &p};
	int code = users_place_read(&p, o->config_path, o->table);
	if (code != EX_OK)
		return code;
	l.known = ask_known(o);
	for (size_t i = 0; code == EX_OK && i < p.count; i++)
		code = list_table(&l, &p.tables[i]);
	known_free(&l.known);
	users_place_free(&p);
	return code;
}
