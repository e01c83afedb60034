/*
 * Only tables that `auth { passwords }` names have passwords to be changed; a database is made of
 * the text beside it, which is what is changed.
 */
#include "commands/stagepost/users_place.h"

#include <string.h>
#include <sysexits.h>

#include "commands/stagepost/place.h"
#include "commands/stagepost/words.h"
#include "common/base/memory.h"
#include "common/mail/idna.h"
#include "common/table/table.h"

struct reading {
	struct users_place *place;
	struct slice only; /* empty: all */
	bool full;
};

/* Of a database PATH.db the text is PATH. */
static void set_text(struct users_table *t)
{
	const char *path = table_spec_path(t->spec);
	struct slice text = slice_str(path), suffix = SLICE(".db");
	if (!path)
		return;
	t->database = slice_starts(slice_str(t->spec), SLICE("db:"));
	if (t->database && slice_ends_fold(text, suffix))
		text.len -= suffix.len;
	t->text = memory_string(text);
}

/* A path of the configuration is absolute here; people write its end, as the configuration does. */
static bool is_end_of(struct slice only, struct slice path)
{
	size_t before = path.len - only.len;
	return only.len > 0 && only.len <= path.len &&
	       slice_equal(slice_from(path, before), only) &&
	       (before == 0 || only.ptr[0] == '/' || path.ptr[before - 1] == '/');
}

static bool is_meant(const struct reading *r, const struct users_table *t)
{
	const char *path = table_spec_path(t->spec);
	struct slice only = r->only;
	if (only.len == 0 || slice_equal(only, slice_str(t->spec)))
		return true;
	if (slice_starts(only,
			 slice_sub(slice_str(t->spec), 0, (size_t)(path ? path - t->spec : 0))))
		only = slice_from(only, (size_t)(path ? path - t->spec : 0));
	return path && (is_end_of(only, slice_str(path)) || is_end_of(only, slice_str(t->text)));
}

static void see_passwords(void *arg, const struct record *record, const void *value)
{
	const struct settings_passwords *p = value;
	struct reading *r = arg;
	struct users_table t = {0};
	(void)record;
	if (!slice_equal(p->kind, SLICE("table"))) {
		r->place->others = true;
		return;
	}
	t.spec = memory_string(p->source);
	set_text(&t);
	bool wanted = is_meant(r, &t);
	if (wanted && r->place->count < USERS_TABLES_MAX) {
		r->place->tables[r->place->count++] = t;
		return;
	}
	r->full = r->full || wanted;
	memory_free(t.spec);
	memory_free(t.text);
}

int users_place_read(struct users_place *p, const char *config_path, const char *only)
{
	struct reading r = {.place = p, .only = slice_str(only)};
	int code = EX_OK;
	*p = (struct users_place){0};
	struct config *config = place_config(config_path, &code);
	if (!config)
		return code;
	slice_copy(slice_str(config_string(config, "origin")), p->origin, sizeof(p->origin));
	config_each(config, &settings_passwords_record, see_passwords, &r);
	config_free(&config);
	if (r.full)
		code = complain(EX_CONFIG, "more than %d tables of passwords", USERS_TABLES_MAX);
	else if (p->count == 0 && only)
		code = complain(EX_USAGE, "%s is no table that `auth { passwords }` names", only);
	else if (p->count == 0 && p->others)
		code = complain(EX_USAGE, "passwords are kept elsewhere (PAM or Dovecot): they are "
					  "changed there");
	else if (p->count == 0)
		code = complain(EX_CONFIG, "there is no table of passwords; the configuration "
					   "needs `auth { passwords file:users }`");
	if (code != EX_OK)
		users_place_free(p);
	return code;
}

void users_place_free(struct users_place *p)
{
	for (size_t i = 0; i < p->count; i++) {
		memory_free(p->tables[i].spec);
		memory_free(p->tables[i].text);
	}
	p->count = 0;
}

/* As accounts does it. */
static bool with_labels(struct address *a)
{
	char text[ADDRESS_SIZE];
	struct slice ascii;
	return a->kind != ADDRESS_NAME || !idna_ascii(address_domain(a), text, &ascii) ||
	       address_complete(a, ascii);
}

int users_name_read(struct users_name *n, const char *text, const char *origin)
{
	struct address a, local;
	enum address_fault fault =
	    address_parse(slice_str(text), ADDRESS_UTF8 | ADDRESS_DOMAINLESS, &a);
	if (fault != ADDRESS_FINE)
		return complain(EX_USAGE, "%s: %s", text, address_fault_text(fault));
	local = a;
	local.kind = ADDRESS_NO_DOMAIN;
	local.domain_len = 0;
	if ((a.kind == ADDRESS_NO_DOMAIN && !address_complete(&a, slice_str(origin))) ||
	    !with_labels(&a))
		return complain(EX_USAGE, "%s: the name is too long", text);
	address_key(&a, n->address);
	address_key(&local, n->local);
	return EX_OK;
}
