/*
 * A new set is gathered beside the one in use. At the start descriptors come after the end of the
 * settings, at a reload before it. accounts may have taken new settings a moment before us, so what
 * is not in use is looked for in the new set too.
 */
#include "daemons/maildrop/bases.h"

#include <unistd.h>

#include "common/base/memory.h"
#include "common/os/sandbox.h"

struct set {
	struct {
		char *name;
		int fd;
	} list[SANDBOX_DIRS_MAX];
	size_t count;
};

static struct set in_use, fresh;

static void set_empty(struct set *s)
{
	for (size_t i = 0; i < s->count; i++) {
		memory_free(s->list[i].name);
		close(s->list[i].fd);
	}
	s->count = 0;
}

void bases_settings_begin(void)
{
	set_empty(&fresh);
}

void bases_settings_end(void)
{
	set_empty(&in_use);
	in_use = fresh;
	fresh.count = 0;
}

void bases_warm(void)
{
	bases_settings_end();
}

void bases_descriptor(const struct service_descriptor *d)
{
	if (!slice_equal(d->kind, SLICE("base")) || fresh.count == SANDBOX_DIRS_MAX) {
		close(d->fd);
		return;
	}
	fresh.list[fresh.count].name = memory_string(d->name);
	fresh.list[fresh.count].fd = d->fd;
	fresh.count++;
}

static int find_in(const struct set *s, struct slice name)
{
	for (size_t i = 0; i < s->count; i++)
		if (slice_equal(name, slice_str(s->list[i].name)))
			return s->list[i].fd;
	return -1;
}

int bases_find(struct slice name)
{
	int fd = find_in(&in_use, name);
	return fd >= 0 ? fd : find_in(&fresh, name);
}
