/*
 * Kept as text of ours, since what arrives lives no longer than its message.
 */
#include "commands/stagepost/status_certificates.h"

#include "commands/stagepost/json.h"
#include "commands/stagepost/status.h"
#include "commands/stagepost/words.h"
#include "common/base/memory.h"

enum { SECONDS_A_DAY = 86400 };

struct seen {
	char *certificate, *key, *names, *kind, *trouble;
	uint64_t from, until;
};

enum state { FINE, ENDING, ENDED, MISSING };
static const char *const state_names[] = {
    [FINE] = "fine", [ENDING] = "ending", [ENDED] = "ended", [MISSING] = "missing"};

void certificates_add(struct certificates *c, const struct keys_certificate *m)
{
	if (c->count == STATUS_CERTIFICATES_MAX)
		return;
	c->list = memory_resize(c->list, c->count + 1, sizeof(*c->list));
	c->list[c->count++] = (struct seen){.certificate = memory_string(m->certificate),
					    .key = memory_string(m->key),
					    .names = memory_string(m->names),
					    .kind = memory_string(m->kind),
					    .trouble = memory_string(m->trouble),
					    .from = m->from,
					    .until = m->until};
}

void certificates_free(struct certificates *c)
{
	for (size_t i = 0; i < c->count; i++) {
		struct seen *s = &c->list[i];
		memory_free(s->certificate);
		memory_free(s->key);
		memory_free(s->names);
		memory_free(s->kind);
		memory_free(s->trouble);
	}
	memory_free(c->list);
	*c = (struct certificates){0};
}

/* Without a kind none has been read. */
static enum state state_of(const struct seen *s, uint64_t now)
{
	if (!s->kind[0])
		return MISSING;
	if (s->until <= now)
		return ENDED;
	return s->until - now <= (uint64_t)STATUS_SOON_DAYS * SECONDS_A_DAY ? ENDING : FINE;
}

static json_t *names_json(const char *names)
{
	struct slice rest = slice_str(names), name;
	json_t *list = json_array();
	while ((name = slice_word(&rest)).len > 0)
		json_array_append_new(list, json_text(name));
	return list;
}

static json_t *one_json(const struct seen *s, uint64_t now)
{
	json_t *o = json_object();
	bool known = s->kind[0];
	json_put(o, "certificate", json_text(slice_str(s->certificate)));
	json_put(o, "key", json_text(slice_str(s->key)));
	json_put(o, "state", json_text(slice_str(state_names[state_of(s, now)])));
	json_put(o, "names", names_json(s->names));
	json_put(o, "kind", known ? json_text(slice_str(s->kind)) : json_null());
	json_put(o, "from", known ? json_count(s->from) : json_null());
	json_put(o, "until", known ? json_count(s->until) : json_null());
	json_put(o, "trouble", s->trouble[0] ? json_text(slice_str(s->trouble)) : json_null());
	return o;
}

json_t *certificates_json(const struct certificates *c, uint64_t now)
{
	json_t *list;
	if (c->missing[0])
		return json_null();
	list = json_array();
	for (size_t i = 0; i < c->count; i++)
		json_array_append_new(list, one_json(&c->list[i], now));
	return list;
}

static void one_text(const struct seen *s, uint64_t now, FILE *to)
{
	static const char *const remarks[] = {[FINE] = "",
					      [ENDING] = ": renew it SOON",
					      [ENDED] = ": it has ENDED, clients refuse it"};
	char end[TIME_TEXT_SIZE], in[TIME_TEXT_SIZE];
	enum state state = state_of(s, now);
	fputs("tls       ", to);
	words_print(to, slice_str(s->names[0] ? s->names : s->certificate));
	if (state == MISSING) {
		fputs(": no certificate", to);
	} else {
		fputs(": ", to);
		words_print(to, slice_str(s->kind));
		fprintf(to, ", until %s, %s%s", words_time(s->until, end),
			words_until(now, s->until, in), remarks[state]);
	}
	fputc('\n', to);
	if (s->trouble[0] || state != FINE) {
		fputs("          ", to);
		words_print(to, slice_str(s->certificate));
		if (s->trouble[0]) {
			fputs(", its new files are not used: ", to);
			words_print(to, slice_str(s->trouble));
		}
		fputc('\n', to);
	}
}

void certificates_text(const struct certificates *c, uint64_t now, FILE *to)
{
	if (c->missing[0]) {
		fputs("tls       not known: ", to);
		words_print(to, slice_str(c->missing));
		fputc('\n', to);
		return;
	}
	for (size_t i = 0; i < c->count; i++)
		one_text(&c->list[i], now, to);
}
