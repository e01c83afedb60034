/*
 * A configuration turned into the octets that daemons get: each settings record is encoded once and
 * sent to whoever is started or told anew. Listeners, paths and numbers of processes can't change
 * while the master runs; a new configuration that wants them changed is taken without that.
 */
#include "master/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <sysexits.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/dialogue/master.h"
#include "common/wire/codec.h"
#include "master/services.h"

enum { SETTING_UPKEEP = 32 }; /* octets of a message beside its name and value, at most */

struct setting {
	const struct record *record;
	char *octets; /* encoded */
	size_t len;
};

struct settings {
	struct config *config;
	struct setting *list;
	size_t count, size;
	size_t octets; /* of all, as they are sent */
	bool failed;   /* over a limit */
};

/* Directives whose value is fixed at the start. */
static const char *const fixed_strings[] = {"spool", "run", "state"};

struct report {
	struct buffer *remarks;
	struct buffer errors; /* what is said of a file that is refused: no warning stands before */
	struct error *first;
	bool set;
};

static void take_report(void *arg, enum config_severity severity, const char *place,
			const char *text)
{
	struct report *r = arg;
	bool bad = severity == CONFIG_ERROR;
	buffer_printf(bad ? &r->errors : r->remarks, "%s: %s%s\n", place,
		      bad ? "" : "warning: ", text);
	if (!bad || r->set)
		return;
	r->set = true;
	error_set(r->first, EX_CONFIG, "%s: %s", place, text);
}

static void list_add(struct settings *s, const struct record *record, struct slice octets)
{
	if (s->count == s->size) {
		s->size = s->size ? 2 * s->size : 64;
		s->list = memory_resize(s->list, s->size, sizeof(*s->list));
	}
	s->list[s->count++] = (struct setting){record, memory_string(octets), octets.len};
	s->octets += SETTING_UPKEEP + strlen(record->name) + octets.len;
}

static void encode_one(void *arg, const struct record *record, const void *value)
{
	struct settings *s = arg;
	struct buffer b;
	buffer_init(&b, SETTINGS_MAX);
	if (s->count < SETTINGS_COUNT_MAX && s->octets < SETTINGS_OCTETS_MAX &&
	    codec_encode(record, value, &b))
		list_add(s, record, buffer_slice(&b));
	else
		s->failed = true;
	buffer_free(&b);
}

static bool encode_all(struct settings *s, struct error *e)
{
	config_each(s->config, NULL, encode_one, s);
	if (!s->failed)
		return true;
	return error_set(
	    e, EX_CONFIG, "%s: more than %d settings, or one over %d octets, or all over %d octets",
	    config_path(s->config), SETTINGS_COUNT_MAX, SETTINGS_MAX, SETTINGS_OCTETS_MAX);
}

/* Mailboxes belong to one user: local runs as that user. */
struct owner_check {
	struct slice first;
	struct error *e;
	bool good;
};

static void check_owner(void *arg, const struct record *record, const void *value)
{
	const struct settings_deliver *d = value;
	struct owner_check *check = arg;
	(void)record;
	if (!slice_equal(d->kind, SLICE("maildir")))
		return; /* a relay has no mailboxes, and a system user's are his own */
	if (!check->first.len)
		check->first = d->owner;
	if (check->good && !slice_equal(check->first, d->owner))
		check->good =
		    error_set(check->e, EX_CONFIG,
			      "mailboxes of two owners, %.*s and %.*s: one owner is supported",
			      SLICE_FMT(check->first), SLICE_FMT(d->owner));
}

static bool check(const struct config *config, struct buffer *remarks, struct error *e)
{
	struct report report = {.remarks = remarks, .first = e};
	buffer_init(&report.errors, SETTINGS_REMARKS_MAX);
	int code = config_check(config, take_report, &report);
	if (code != EX_OK) {
		if (!report.set)
			error_set(e, code, "%s does not check", config_path(config));
		e->code = code;
		buffer_reset(remarks);
		buffer_append(remarks, buffer_slice(&report.errors));
	}
	buffer_free(&report.errors);
	return code == EX_OK;
}

bool settings_load(const char *path, struct settings **result, struct buffer *remarks,
		   struct error *e)
{
	struct settings *s = memory_zero(1, sizeof(*s));
	struct owner_check owners = {.e = e, .good = true};
	bool good = config_load(path, &s->config, e) && check(s->config, remarks, e);
	if (good) {
		config_each(s->config, &settings_deliver_record, check_owner, &owners);
		good = owners.good && encode_all(s, e);
		if (!good)
			buffer_printf(remarks, "%s\n", e->text);
	}
	if (!good) {
		settings_free(&s);
		return false;
	}
	*result = s;
	return true;
}

static void list_clear(struct settings *s)
{
	for (size_t i = 0; i < s->count; i++)
		memory_free(s->list[i].octets);
	memory_free(s->list);
	s->list = NULL;
	s->count = s->size = s->octets = 0;
}

void settings_free(struct settings **s)
{
	if (!*s)
		return;
	list_clear(*s);
	config_free(&(*s)->config);
	memory_free(*s);
	*s = NULL;
}

void settings_log_remarks(const struct buffer *remarks)
{
	struct slice rest = buffer_slice(remarks), line;
	while (rest.len > 0) {
		slice_split(rest, '\n', &line, &rest);
		if (line.len > 0)
			log_warning("%.*s", SLICE_FMT(line));
	}
}

const struct config *settings_config(const struct settings *s)
{
	return s->config;
}

static bool is_listen(const struct setting *item)
{
	return item->record == &settings_listen_record;
}

bool settings_listeners(const struct settings *s, settings_listener_call *call, void *arg)
{
	struct settings_listen l;
	for (size_t i = 0; i < s->count; i++) {
		const struct setting *item = &s->list[i];
		if (!is_listen(item))
			continue;
		if (!codec_decode(item->record, slice_make(item->octets, item->len), &l))
			panic("a listen record that was encoded here does not decode");
		if (!call(arg, l.address, l.kind))
			return false;
	}
	return true;
}

/* The addresses and kinds, as one text to compare. */
static bool add_listener(void *arg, struct slice address, struct slice kind)
{
	return buffer_printf(arg, "%.*s %.*s\n", SLICE_FMT(address), SLICE_FMT(kind));
}

static bool same_listeners(const struct settings *a, const struct settings *b)
{
	struct buffer x, y;
	bool same;
	buffer_init(&x, CONFIG_TEXT_MAX);
	buffer_init(&y, CONFIG_TEXT_MAX);
	same = settings_listeners(a, add_listener, &x) && settings_listeners(b, add_listener, &y) &&
	       slice_equal(buffer_slice(&x), buffer_slice(&y));
	buffer_free(&x);
	buffer_free(&y);
	return same;
}

static void take_listeners(struct settings *s, const struct settings *old)
{
	struct settings fresh = {0};
	for (size_t i = 0; i < s->count; i++)
		if (!is_listen(&s->list[i]))
			list_add(&fresh, s->list[i].record,
				 slice_make(s->list[i].octets, s->list[i].len));
	for (size_t i = 0; i < old->count; i++)
		if (is_listen(&old->list[i]))
			list_add(&fresh, old->list[i].record,
				 slice_make(old->list[i].octets, old->list[i].len));
	list_clear(s);
	s->list = fresh.list;
	s->count = fresh.count;
	s->size = fresh.size;
	s->octets = fresh.octets;
}

static void remark_fixed(struct buffer *remarks, const char *key)
{
	buffer_printf(remarks, "%s: a change needs a restart; it stays as it is\n", key);
}

void settings_keep_fixed(struct settings *s, const struct settings *old, struct buffer *remarks)
{
	for (size_t i = 0; i < sizeof(fixed_strings) / sizeof(fixed_strings[0]); i++) {
		const char *key = fixed_strings[i];
		if (strcmp(config_string(s->config, key), config_string(old->config, key)) != 0)
			remark_fixed(remarks, key);
	}
	for (unsigned i = 0; i < ROLES; i++) {
		const char *key = services[i].count_key;
		if (key && config_number(s->config, key) != config_number(old->config, key))
			remark_fixed(remarks, key);
	}
	if (!same_listeners(s, old)) {
		remark_fixed(remarks, "listen");
		take_listeners(s, old);
	}
}

bool settings_send(const struct settings *s, uint64_t generation, struct channel *c)
{
	struct master_settings_begin begin = {.generation = generation};
	struct master_settings_end end = {.generation = generation};
	if (!channel_send(c, MASTER_SETTINGS_BEGIN, &begin))
		return false;
	for (size_t i = 0; i < s->count; i++) {
		struct master_setting one = {.record = slice_str(s->list[i].record->name),
					     .value =
						 slice_make(s->list[i].octets, s->list[i].len)};
		if (!channel_send(c, MASTER_SETTING, &one))
			return false;
	}
	return channel_send(c, MASTER_SETTINGS_END, &end);
}
