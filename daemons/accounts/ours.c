/*
 * Names are folded as those of recipients are: ASCII letters in the local part, A-labels in the
 * domain. What is not ASCII is prepared by SASLprep first, so that a name typed on any keyboard is
 * the same name (RFC 4616 2, RFC 5802 5.1).
 */
#include "daemons/accounts/ours.h"

#include <stringprep.h>

#include "common/base/encode.h"
#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/mail/idna.h"

struct domain_name {
	uint32_t number;
	char name[];
};

struct deliver {
	struct ours_deliver view; /* into the texts */
	uint32_t domain;
	char *texts;
};

struct set {
	char *origin;
	struct map *names; /* of domains -> struct domain_name */
	struct deliver *delivers;
	size_t count, size;
};

static struct set used, next; /* next: while it is told */
static uint64_t set_number;   /* of the one in use */

static void set_free(struct set *s)
{
	struct slice key;
	void *value;

	for (size_t at = 0; s->names != NULL && map_next(s->names, &at, &key, &value);) {
		map_remove(s->names, key);
		memory_free(value);
	}
	map_free(&s->names);
	for (size_t i = 0; i < s->count; i++)
		memory_free(s->delivers[i].texts);
	memory_free(s->delivers);
	memory_free(s->origin);
	*s = (struct set){0};
}

void ours_begin(void)
{
	set_free(&next);
	next.names = map_new();
}

/* As look-ups have it: lower case, A-labels; the domain as it is where that can't be. */
static struct slice domain_key(struct slice domain, char text[ADDRESS_SIZE])
{
	struct slice ascii;

	if (!idna_ascii(domain, text, &ascii))
		return domain;
	slice_lower(ascii, text);
	return slice_make(text, ascii.len);
}

static void add_domain(const struct settings_domain *d)
{
	char text[ADDRESS_SIZE];
	struct slice key = domain_key(d->name, text);
	struct domain_name *n = memory_get(sizeof(*n) + key.len + 1);

	n->number = d->number;
	memcpy(n->name, key.ptr, key.len);
	n->name[key.len] = '\0';
	memory_free(map_put(next.names, slice_make(n->name, key.len), n));
}

/* One of a statement's texts, copied behind those that are there. */
static struct slice put(char **to, struct slice text)
{
	char *start = *to;

	if (text.len > 0)
		memcpy(start, text.ptr, text.len);
	*to += text.len;
	return slice_make(start, text.len);
}

static void add_deliver(const struct settings_deliver *d)
{
	struct deliver *fresh;
	char *to;

	if (next.count == next.size) {
		next.size = next.size ? 2 * next.size : 16;
		next.delivers = memory_resize(next.delivers, next.size, sizeof(*next.delivers));
	}
	fresh = &next.delivers[next.count++];
	fresh->domain = d->domain;
	fresh->texts = to =
	    memory_get(1 + d->kind.len + d->base.len + d->path.len + d->users.len + d->owner.len);
	fresh->view.kind = put(&to, d->kind);
	fresh->view.base = put(&to, d->base);
	fresh->view.path = put(&to, d->path);
	fresh->view.users = put(&to, d->users);
	fresh->view.owner = put(&to, d->owner);
}

void ours_setting(const struct record *record, const void *value)
{
	const struct settings_server *server = value;

	if (record == &settings_domain_record)
		add_domain(value);
	else if (record == &settings_deliver_record)
		add_deliver(value);
	else if (record == &settings_server_record && next.origin == NULL)
		next.origin = memory_string(server->origin);
}

void ours_end(void)
{
	set_free(&used);
	used = next;
	next = (struct set){0};
	set_number++;
}

/* RFC 4013, where it changes anything. Of the local part alone: domains have rules of their own
 * (idna), and a name in Hebrew before a domain in Latin letters would not be allowed as one text.
 */
static bool prepare(struct address *a)
{
	char text[2 * ADDRESS_SIZE]; /* it may grow */
	size_t len;

	if (ascii_only(address_local(a)))
		return true;
	if (!slice_copy(address_local(a), text, sizeof(text)) ||
	    stringprep(text, sizeof(text), 0, stringprep_saslprep) != STRINGPREP_OK)
		return false;
	len = strlen(text);
	if (len >= sizeof(a->local))
		return false;
	memcpy(a->local, text, len + 1);
	a->local_len = (uint8_t)len;
	return true;
}

/* Twice, since what is prepared may have letters to fold (full width), and what is folded may be
 * composed otherwise (T with a diaeresis, which has no code of its own, but t has). */
static bool prepare_folded(struct address *a)
{
	for (unsigned i = 0; i < 2; i++) {
		slice_lower(address_local(a), a->local);
		if (!prepare(a))
			return false;
	}
	return true;
}

static bool has_control(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
			return true;
	return false;
}

/* Is the domain ours? Then it stands in the name as look-ups have it. */
static bool find_domain(struct slice said, struct login_name *name)
{
	char text[ADDRESS_SIZE], origin[ADDRESS_SIZE];
	struct slice key = domain_key(said, text);
	const struct domain_name *d = used.names ? map_get(used.names, key) : NULL;

	name->number = d != NULL ? d->number : 0;
	if (d == NULL &&
	    (used.origin == NULL || !slice_equal(key, domain_key(slice_str(used.origin), origin))))
		return false;
	return slice_copy(key, name->domain, sizeof(name->domain));
}

const char *ours_name(struct slice said, struct login_name *name)
{
	struct slice local;
	struct address a;

	*name = (struct login_name){.set = set_number};
	if (!utf8_valid(said) || has_control(said))
		return "the name has characters that no name may have";
	if (said.len > ADDRESS_ROUTE_MAX ||
	    address_parse(said, ADDRESS_UTF8 | ADDRESS_DOMAINLESS, &a) != ADDRESS_FINE)
		return "the name is no address";
	if (!prepare_folded(&a))
		return "the name has characters that no name may have";
	if (a.kind == ADDRESS_NO_DOMAIN &&
	    (used.origin == NULL || !address_complete(&a, slice_str(used.origin))))
		return "the name is too long";
	if (a.kind != ADDRESS_NAME || !find_domain(address_domain(&a), name))
		return "the domain is not ours";
	local = address_local(&a);
	memcpy(name->user, local.ptr, local.len + 1); /* with its NUL */
	if (!address_path_safe(local) || !address_complete(&a, slice_str(name->domain)))
		return "the name can't be a user's";
	address_key(&a, name->address);
	return NULL;
}

bool ours_current(const struct login_name *name)
{
	return name->set == set_number;
}

bool ours_machine(const struct login_name *name)
{
	const struct ours_deliver *d;
	char origin[ADDRESS_SIZE];

	for (size_t n = 0; name->number != 0 && (d = ours_deliver(name->number, n)) != NULL; n++)
		if (slice_equal(d->users, SLICE("system")))
			return true;
	return used.origin != NULL &&
	       slice_equal(slice_str(name->domain), domain_key(slice_str(used.origin), origin));
}

const struct ours_deliver *ours_deliver(uint32_t domain, size_t n)
{
	for (size_t i = 0; i < used.count; i++)
		if (used.delivers[i].domain == domain && n-- == 0)
			return &used.delivers[i].view;
	return NULL;
}
