/*
 * A new set of settings is gathered beside the one in use. Base directories come once, before the
 * sandbox: the master starts this process again when they change.
 */
#include "daemons/local/statements.h"

#include <unistd.h>

#include "common/base/memory.h"
#include "common/config/settings.h"
#include "common/os/sandbox.h"
#include "daemons/local/maildir.h"

enum { STATEMENTS_MAX = 4096 };

struct kept {
	struct statement public;
	char *base, *path;
};

struct set {
	struct kept list[STATEMENTS_MAX];
	size_t count;
	char host[MAILDIR_HOST_MAX + 1];
};

static struct {
	char *name;
	int fd;
} bases[SANDBOX_DIRS_MAX];
static size_t base_count;
static struct set *in_use, *fresh;

static void set_free(struct set **set)
{
	if (!*set)
		return;
	for (size_t i = 0; i < (*set)->count; i++) {
		memory_free((*set)->list[i].base);
		memory_free((*set)->list[i].path);
	}
	memory_free(*set);
	*set = NULL;
}

void statements_settings_begin(void)
{
	set_free(&fresh);
	fresh = memory_zero(1, sizeof(*fresh));
}

/* False: it is none of ours. */
static bool kind_of(struct slice name, enum statement_kind *kind)
{
	if (slice_equal(name, SLICE("maildir")))
		*kind = STATEMENT_MAILDIR;
	else if (slice_equal(name, SLICE("system-maildir")))
		*kind = STATEMENT_SYSTEM_MAILDIR;
	else if (slice_equal(name, SLICE("system-mbox")))
		*kind = STATEMENT_SYSTEM_MBOX;
	else
		return false;
	return true;
}

static void add_deliver(const struct settings_deliver *d)
{
	struct kept *k = &fresh->list[fresh->count];
	enum statement_kind kind;
	if (!kind_of(d->kind, &kind))
		return;
	if (fresh->count == STATEMENTS_MAX)
		fatal("more than %d deliver statements", STATEMENTS_MAX);
	k->base = memory_string(d->base);
	k->path = memory_string(d->path);
	k->public = (struct statement){d->number, kind, -1, slice_str(k->path)};
	fresh->count++;
}

void statements_setting(const struct record *record, const void *value)
{
	if (record == &settings_deliver_record)
		add_deliver(value);
	else if (record == &settings_server_record)
		maildir_host(((const struct settings_server *)value)->hostname, fresh->host);
}

void statements_settings_end(void)
{
	set_free(&in_use);
	in_use = fresh;
	fresh = NULL;
}

void statements_descriptor(const struct service_descriptor *d)
{
	if (!slice_equal(d->kind, SLICE("directory")) || base_count == SANDBOX_DIRS_MAX) {
		close(d->fd);
		return;
	}
	bases[base_count].name = memory_string(d->name);
	bases[base_count].fd = d->fd;
	base_count++;
}

static int base_of(const char *name)
{
	for (size_t i = 0; i < base_count; i++)
		if (strcmp(bases[i].name, name) == 0)
			return bases[i].fd;
	return -1;
}

const struct statement *statements_find(uint32_t number)
{
	for (size_t i = 0; in_use && i < in_use->count; i++) {
		struct kept *k = &in_use->list[i];
		if (k->public.number != number)
			continue;
		k->public.base = base_of(k->base);
		return &k->public;
	}
	return NULL;
}

const char *statements_host(void)
{
	return in_use ? in_use->host : "localhost";
}
