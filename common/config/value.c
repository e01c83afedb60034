/*
 * value: from words to values and back, a function for each type. What comes out is canonical:
 * paths absolute, domains in lower case, numbers in octets and microseconds.
 */
#include <stdio.h>
#include <sysexits.h>

#include "common/config/tree.h"
#include "common/config/pattern.h"
#include "common/table/next_hop.h"

/* One statement's values on their way into a node. */
struct reading {
	struct config *c;
	struct node *n;
	const struct text_value *values;
	size_t count;
	struct text_place place; /* of the directive */
	struct error *e;
};

static bool too_large(struct reading *r)
{
	return text_error(r->e, r->place, "the configuration is too large");
}

static bool wants(struct reading *r, size_t least, size_t most)
{
	if (r->count < least || r->count > most)
		return text_error(r->e, r->count > most ? r->values[most].place : r->place,
				  "`%s` is written: %s %s", r->n->schema->name, r->n->schema->name,
				  value_syntax(r->n->schema));
	return true;
}

static bool put(struct reading *r, size_t at, struct slice text)
{
	r->n->texts[at] = arena_copy(&r->c->arena, text);
	return r->n->texts[at].ptr || too_large(r);
}

static bool put_limited(struct reading *r, size_t at, struct slice text, size_t from)
{
	if (text.len > r->n->schema->most)
		return text_error(r->e, r->values[from].place, "at most %llu octets",
				  (unsigned long long)r->n->schema->most);
	return put(r, at, text);
}

static bool put_path(struct reading *r, size_t at, struct slice path, size_t from)
{
	if (path.len == 0)
		return text_error(r->e, r->values[from].place, "the path is empty");
	const char *absolute = path_absolute(&r->c->arena, r->c->directory, path);
	return absolute ? put_limited(r, at, slice_str(absolute), from) : too_large(r);
}

static bool is_choice(const char *choices, struct slice word)
{
	struct slice rest = slice_str(choices), choice;
	while ((choice = slice_word(&rest)).len > 0)
		if (slice_equal(choice, word))
			return true;
	return false;
}

static bool put_choice(struct reading *r, size_t at, size_t from, const char *choices)
{
	struct slice word = r->values[from].text, rest = slice_str(choices), choice, near = {0};
	if (is_choice(choices, word))
		return put(r, at, word);
	unsigned limit = edit_tolerance(word.len);
	while ((choice = slice_word(&rest)).len > 0) {
		unsigned distance = edit_distance(word, choice, limit);
		if (distance <= limit && (near.len == 0 || distance < limit)) {
			near = choice;
			limit = distance;
		}
	}
	if (near.len > 0)
		return text_error(r->e, r->values[from].place, "`%.*s`; did you mean `%.*s`?",
				  SLICE_FMT(slice_sub(word, 0, 80)), SLICE_FMT(near));
	return text_error(r->e, r->values[from].place, "`%.*s`; it must be one of: %s",
			  SLICE_FMT(slice_sub(word, 0, 80)), choices);
}

static bool read_nothing(struct reading *r)
{
	return wants(r, 0, 0);
}

static bool read_word(struct reading *r)
{
	return wants(r, 1, 1) && put_limited(r, 0, r->values[0].text, 0);
}

static bool read_path(struct reading *r)
{
	return wants(r, 1, 1) && put_path(r, 0, r->values[0].text, 0);
}

static bool read_choice(struct reading *r)
{
	return wants(r, 1, 1) && put_choice(r, 0, 0, r->n->schema->choices);
}

/* The number of a value and its unit; false when text is no number or has another unit. */
static bool scaled(struct slice text, const char *letters, const uint64_t *factors,
		   bool bare_allowed, uint64_t *number)
{
	uint64_t factor = 1;
	const char *letter = text.len > 0 ? strchr(letters, text.ptr[text.len - 1]) : NULL;
	if (letter && *letter) {
		factor = factors[letter - letters];
		text.len--;
	} else if (!bare_allowed && !slice_equal(text, SLICE("0"))) {
		return false;
	}
	if (!slice_number(text, UINT64_MAX / factor, number))
		return false;
	*number *= factor;
	return true;
}

static const uint64_t SIZES[] = {1 << 10, 1 << 20, 1 << 30};
#define TIME_UNIT(seconds) ((uint64_t)(seconds)*1000000)
static const uint64_t TIMES[] = {TIME_UNIT(1), TIME_UNIT(60), TIME_UNIT(3600), TIME_UNIT(86400),
				 TIME_UNIT(7 * 86400)};
static const char SIZE_LETTERS[] = "KMG", TIME_LETTERS[] = "smhdw";

bool size_parse(struct slice text, uint64_t *octets)
{
	return scaled(text, SIZE_LETTERS, SIZES, true, octets);
}

bool time_parse(struct slice text, uint64_t *us)
{
	return scaled(text, TIME_LETTERS, TIMES, false, us);
}

static void scaled_text(uint64_t number, const char *letters, const uint64_t *factors, char *text,
			size_t size)
{
	for (size_t i = strlen(letters); i-- > 0 && number > 0;) {
		if (number % factors[i] == 0) {
			snprintf(text, size, "%llu%c", (unsigned long long)(number / factors[i]),
				 letters[i]);
			return;
		}
	}
	snprintf(text, size, "%llu", (unsigned long long)number);
}

void size_text(uint64_t octets, char *text, size_t size)
{
	scaled_text(octets, SIZE_LETTERS, SIZES, text, size);
}

void time_text(uint64_t us, char *text, size_t size)
{
	scaled_text(us, TIME_LETTERS, TIMES, text, size);
}

static void number_text(enum schema_type type, uint64_t number, char *text, size_t size)
{
	if (type == TYPE_SIZE)
		size_text(number, text, size);
	else if (type == TYPE_TIME)
		time_text(number, text, size);
	else
		snprintf(text, size, "%llu", (unsigned long long)number);
}

static bool read_number(struct reading *r)
{
	const struct schema *s = r->n->schema;
	char text[32], least[32], most[32];
	uint64_t number;
	if (!wants(r, 1, 1))
		return false;
	struct slice word = r->values[0].text;
	bool good = s->type == TYPE_SIZE   ? size_parse(word, &number)
		    : s->type == TYPE_TIME ? time_parse(word, &number)
					   : slice_number(word, UINT64_MAX, &number);
	if (!good)
		return text_error(r->e, r->values[0].place, "`%.*s` is no %s",
				  SLICE_FMT(slice_sub(word, 0, 80)),
				  s->type == TYPE_SIZE	 ? "size: 100, 10K, 50M, 1G"
				  : s->type == TYPE_TIME ? "time: 30s, 5m, 1h, 5d, 1w"
							 : "number");
	if (number < s->least || number > s->most) {
		number_text(s->type, s->least, least, sizeof(least));
		number_text(s->type, s->most, most, sizeof(most));
		return text_error(r->e, r->values[0].place, "`%s` must be from %s to %s", s->name,
				  least, most);
	}
	r->n->number = number;
	number_text(s->type, number, text, sizeof(text));
	return put(r, 0, slice_str(text));
}

static bool read_networks(struct reading *r)
{
	char canonical[NETWORK_TEXT_SIZE];
	for (size_t i = 0; i < r->count; i++) {
		const char *fault = network_parse(r->values[i].text, canonical);
		if (!fault && r->n->schema->type == TYPE_HOSTS && !network_is_host(canonical))
			fault = "an address without /BITS is wanted";
		if (fault)
			return text_error(r->e, r->values[i].place, "`%.*s`: %s",
					  SLICE_FMT(slice_sub(r->values[i].text, 0, 80)), fault);
		if (!put(r, i, slice_str(canonical)))
			return false;
	}
	return true;
}

static bool read_domains(struct reading *r)
{
	char lower[HOST_NAME_MAX_OCTETS];
	if (!wants(r, 1, TEXT_VALUES_MAX))
		return false;
	for (size_t i = 0; i < r->count; i++) {
		struct slice name = r->values[i].text;
		if (name.len > sizeof(lower))
			return put_limited(r, i, name, i);
		slice_lower(name, lower);
		if (!put(r, i, slice_make(lower, name.len)))
			return false;
	}
	return true;
}

static bool put_table(struct reading *r, size_t at)
{
	struct slice spec = r->values[at].text;
	const char *file = table_spec_path(spec.ptr);
	if (!file || *file == '\0')
		return put_limited(r, at, spec, at); /* check has table_open judge it */
	size_t prefix = (size_t)(file - spec.ptr);
	const char *path = path_absolute(&r->c->arena, r->c->directory, slice_from(spec, prefix));
	if (!path)
		return too_large(r);
	const char *suffix = table_spec_suffix(spec.ptr);
	size_t len = strlen(path), more = strlen(suffix);
	char *text = arena_get(&r->c->arena, prefix + len + more);
	if (!text)
		return too_large(r);
	memcpy(text, spec.ptr, prefix);
	memcpy(text + prefix, path, len);
	memcpy(text + prefix + len, suffix, more);
	return put_limited(r, at, slice_make(text, prefix + len + more), at);
}

static bool read_tables(struct reading *r)
{
	if (!wants(r, 1, TEXT_VALUES_MAX))
		return false;
	for (size_t i = 0; i < r->count; i++)
		if (!put_table(r, i))
			return false;
	return true;
}

static bool read_users(struct reading *r)
{
	return wants(r, 1, 1) && put_table(r, 0);
}

static bool read_listen(struct reading *r)
{
	return wants(r, 2, 2) && put_limited(r, 0, r->values[0].text, 0) &&
	       put_choice(r, 1, 1, r->n->schema->choices);
}

/* texts: target, path (empty but for file), format */
static bool read_log(struct reading *r)
{
	if (!wants(r, 1, 3) || !put_choice(r, 0, 0, "syslog stderr file"))
		return false;
	bool file = slice_equal(r->values[0].text, SLICE("file"));
	size_t before = file ? 2 : 1;
	if (!wants(r, before, before + 1))
		return false;
	r->n->texts[1] = r->n->texts[2] = SLICE("");
	if (file && !put_path(r, 1, r->values[1].text, 1))
		return false;
	r->n->text_count = 3;
	if (r->count == before)
		return put(r, 2, SLICE("text"));
	return put_choice(r, 2, before, "text postfix json");
}

/* The path of mailboxes of this machine's users; check judges the rest of it. */
static bool put_system_path(struct reading *r)
{
	bool mbox = slice_equal(r->n->texts[1], SLICE("mbox"));
	r->n->text_count = 3;
	if (r->count == 2)
		return put(r, 2, mbox ? SLICE("/var/mail/%n") : SLICE("~/Maildir"));
	struct slice path = r->values[2].text;
	if (slice_starts(path, SLICE("~/")) || slice_starts(path, SLICE("/")))
		return put_limited(r, 2, path, 2);
	return text_error(r->e, r->values[2].place,
			  "the path of system users' mailboxes begins with ~/ or with /");
}

static bool read_deliver(struct reading *r)
{
	if (!wants(r, 2, 3) || !put_choice(r, 0, 0, r->n->schema->choices))
		return false;
	if (slice_equal(r->n->texts[0], SLICE("system")))
		return put_choice(r, 1, 1, "maildir mbox") && put_system_path(r);
	if (!wants(r, 2, 2))
		return false;
	/* a % of the directory's own name would be taken for one of the template */
	if (!slice_starts(r->values[1].text, SLICE("/")) && strchr(r->c->directory, '%'))
		return text_error(r->e, r->values[1].place,
				  "the configuration's directory has a %% in its name: write the "
				  "path from / on");
	return put_path(r, 1, r->values[1].text, 1);
}

static bool read_next_hops(struct reading *r)
{
	const char *keyword = r->n->schema->choices;
	char item[NEXT_HOP_ITEM_SIZE];
	size_t total = 0;
	if (!wants(r, 1, TEXT_VALUES_MAX))
		return false;
	if (keyword && r->count == 1 && slice_equal(r->values[0].text, slice_str(keyword)))
		return put(r, 0, slice_str(keyword));
	for (size_t i = 0; i < r->count; i++) {
		struct slice text = r->values[i].text;
		const char *fault = next_hop_item(text, item);
		if (!fault && slice_equal_fold(text, SLICE("mx")))
			fault = keyword ? "mx stands alone"
					: "to go by MX, leave `via` out; for a host, write [mx]";
		if (fault)
			return text_error(r->e, r->values[i].place, "`%.*s`: %s",
					  SLICE_FMT(slice_sub(text, 0, 80)), fault);
		total += strlen(item) + (i > 0);
		if (total > r->n->schema->most)
			return text_error(r->e, r->values[i].place, "these are too many hosts");
		if (!put(r, i, slice_str(item)))
			return false;
	}
	return true;
}

/* texts: from or to, then the patterns */
static bool read_outbound(struct reading *r)
{
	if (r->count == 0)
		return true;
	if (!put_choice(r, 0, 0, "from to") || !wants(r, 2, TEXT_VALUES_MAX))
		return false;
	for (size_t i = 1; i < r->count; i++) {
		struct slice text = r->values[i].text;
		char lower[HOST_NAME_MAX_OCTETS + ADDRESS_MAX_OCTETS];
		const char *fault = pattern_fault(text);
		if (fault)
			return text_error(r->e, r->values[i].place, "`%.*s`: %s",
					  SLICE_FMT(slice_sub(text, 0, 80)), fault);
		if (pattern_is_table(text)) {
			if (!put_table(r, i))
				return false;
			continue;
		}
		slice_lower(text, lower);
		if (!put(r, i, slice_make(lower, text.len)))
			return false;
	}
	return true;
}

static bool read_servers(struct reading *r)
{
	char canonical[NETWORK_TEXT_SIZE];
	if (!wants(r, 1, TEXT_VALUES_MAX))
		return false;
	for (size_t i = 0; i < r->count; i++) {
		const char *fault = server_parse(r->values[i].text, canonical);
		if (fault)
			return text_error(r->e, r->values[i].place, "`%.*s`: %s",
					  SLICE_FMT(slice_sub(r->values[i].text, 0, 80)), fault);
		if (!put(r, i, slice_str(canonical)))
			return false;
	}
	return true;
}

static bool read_choices(struct reading *r)
{
	if (!wants(r, 1, TEXT_VALUES_MAX))
		return false;
	for (size_t i = 0; i < r->count; i++)
		if (!put_choice(r, i, i, r->n->schema->choices))
			return false;
	return true;
}

/* texts: the tables, or pam or dovecot and its one value */
static bool read_passwords(struct reading *r)
{
	if (!wants(r, 1, TEXT_VALUES_MAX))
		return false;
	bool pam = slice_equal(r->values[0].text, SLICE("pam"));
	if (!pam && !slice_equal(r->values[0].text, SLICE("dovecot")))
		return read_tables(r);
	if (!wants(r, 2, 2) || !put(r, 0, r->values[0].text))
		return false;
	if (pam)
		return put_limited(r, 1, r->values[1].text, 1);
	struct slice path = r->values[1].text;
	if (!slice_starts(path, SLICE("unix:/")))
		return text_error(r->e, r->values[1].place,
				  "Dovecot's socket is written unix:/PATH");
	return put_limited(r, 1, path, 1);
}

/* texts: what is given, canonical; number: of an hour in the upper half, of a day in the lower */
static bool read_rates(struct reading *r)
{
	uint64_t rates[2] = {0, 0};
	if (!wants(r, 1, 2))
		return false;
	for (size_t i = 0; i < r->count; i++) {
		struct slice word = r->values[i].text, number, unit;
		uint64_t value;
		bool good = slice_split(word, '/', &number, &unit) &&
			    slice_number(number, UINT32_MAX, &value) && value > 0;
		size_t which = slice_equal(unit, SLICE("d"));
		if (!good || (!which && !slice_equal(unit, SLICE("h"))) || rates[which])
			return text_error(r->e, r->values[i].place,
					  "`%.*s` is no rate: 200/h, 1000/d, or both",
					  SLICE_FMT(slice_sub(word, 0, 80)));
		rates[which] = value;
		if (!put(r, i, word))
			return false;
	}
	r->n->number = rates[0] << 32 | rates[1];
	return true;
}

static const struct {
	bool (*read)(struct reading *r);
	const char *syntax;
} TYPES[TYPE_COUNT] = {
    [TYPE_NOTHING] = {read_nothing, ""},
    [TYPE_WORD] = {read_word, "TEXT"},
    [TYPE_PATH] = {read_path, "PATH"},
    [TYPE_NUMBER] = {read_number, "NUMBER"},
    [TYPE_SIZE] = {read_number, "SIZE"},
    [TYPE_TIME] = {read_number, "TIME"},
    [TYPE_CHOICE] = {read_choice, NULL},
    [TYPE_NETWORKS] = {read_networks, "[NETWORK ...]"},
    [TYPE_HOSTS] = {read_networks, "[ADDRESS ...]"},
    [TYPE_DOMAINS] = {read_domains, "NAME ..."},
    [TYPE_TABLES] = {read_tables, "TABLE ..."},
    [TYPE_USERS] = {read_users, "TABLE | system | any"},
    [TYPE_LISTEN] = {read_listen, "HOST:PORT smtp | submission | submissions | pop3 | pop3s"},
    [TYPE_LOG] = {read_log, "syslog | stderr | file PATH [text | postfix | json]"},
    [TYPE_DELIVER] = {read_deliver, "maildir PATH | system maildir | mbox [PATH]"},
    [TYPE_NEXT_HOPS] = {read_next_hops, "HOST ..."},
    [TYPE_OUTBOUND] = {read_outbound, "[from | to PATTERN ...]"},
    [TYPE_CHOICES] = {read_choices, NULL},
    [TYPE_PASSWORDS] = {read_passwords, "TABLE ... | pam SERVICE | dovecot unix:PATH"},
    [TYPE_RATES] = {read_rates, "NUMBER/h | NUMBER/d ..."},
    [TYPE_SERVERS] = {read_servers, "ADDRESS:PORT ..."},
};

const char *value_syntax(const struct schema *s)
{
	return TYPES[s->type].syntax ? TYPES[s->type].syntax : s->choices;
}

bool value_read(struct config *c, struct node *n, const struct text_value *values, size_t count,
		struct text_place place, struct error *e)
{
	enum { TEXTS_LEAST = 3 }; /* a log has three, however it is written */
	struct reading r = {c, n, values, count, place, e};
	size_t room = count > TEXTS_LEAST ? count : TEXTS_LEAST;
	n->texts = arena_get(&c->arena, room * sizeof(*n->texts));
	n->text_count = count;
	return n->texts ? TYPES[n->schema->type].read(&r) : too_large(&r);
}

bool value_print(const struct node *n, size_t at, struct buffer *out)
{
	struct slice s = n->texts[at];
	bool bare = s.len > 0 && s.ptr[0] != '#';
	for (size_t i = 0; i < s.len && bare; i++)
		bare = (unsigned char)s.ptr[i] > ' ' && !strchr("\"\\{};\177", s.ptr[i]);
	if (bare)
		return buffer_append(out, s);
	bool fits = buffer_byte(out, '"');
	for (size_t i = 0; i < s.len && fits; i++) {
		if (s.ptr[i] == '"' || s.ptr[i] == '\\')
			fits = buffer_byte(out, '\\');
		fits = fits && buffer_byte(out, s.ptr[i]);
	}
	return fits && buffer_byte(out, '"');
}
