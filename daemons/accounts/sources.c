/*
 * A kind of source is one row here and one function that asks it.
 */
#include "daemons/accounts/sources.h"

#include "common/base/memory.h"
#include "daemons/accounts/dovecot.h"
#include "daemons/accounts/pam.h"

static const struct {
	struct slice kind;
	source_ask *ask;
} kinds[] = {
    {{"table", 5}, login_ask_table}, /* file:, db:, static: */
    {{"pam", 3}, login_ask_pam},
    {{"dovecot", 7}, login_ask_dovecot},
};

static struct sources *used, *next;

static struct sources *sources_new(void)
{
	struct sources *s = memory_zero(1, sizeof(*s));

	s->holders = 1;
	return s;
}

void sources_begin(void)
{
	sources_release(&next);
	next = sources_new();
}

void sources_setting(const struct settings_passwords *p)
{
	struct source *fresh;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!slice_equal(kinds[i].kind, p->kind))
			continue;
		next->list = memory_resize(next->list, next->count + 1, sizeof(*next->list));
		fresh = &next->list[next->count++];
		*fresh = (struct source){kinds[i].ask, kinds[i].kind, memory_string(p->source)};
	}
}

void sources_end(void)
{
	sources_release(&used);
	used = next;
	next = NULL;
}

struct sources *sources_hold(void)
{
	if (used == NULL)
		used = sources_new();
	used->holders++;
	return used;
}

void sources_release(struct sources **sources)
{
	struct sources *s = *sources;

	*sources = NULL;
	if (s == NULL || --s->holders > 0)
		return;
	for (size_t i = 0; i < s->count; i++)
		memory_free(s->list[i].text);
	memory_free(s->list);
	memory_free(s);
}

bool sources_have(struct slice kind, struct slice text)
{
	for (size_t i = 0; used != NULL && i < used->count; i++)
		if (slice_equal(used->list[i].kind, kind) &&
		    slice_equal(slice_str(used->list[i].text), text))
			return true;
	return false;
}
