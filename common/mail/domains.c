/*
 * domains: a map whose entries are {length of the domain, domain, text}. Dropping all when it is
 * full needs no order of age: what is still of use comes back with the next question.
 */
#include "common/mail/domains.h"

#include "common/base/map.h"
#include "common/base/memory.h"
#include "common/mail/address.h"

struct domains {
	struct map *map;
	uint64_t generation;
};

struct entry {
	size_t text_len;
	char octets[]; /* the text, then the domain */
};

struct domains *domains_new(void)
{
	struct domains *d = memory_get(sizeof(*d));
	d->map = map_new();
	d->generation = 0;
	return d;
}

void domains_forget(struct domains *d)
{
	struct slice key;
	void *entry;
	for (size_t at = 0; map_next(d->map, &at, &key, &entry);) {
		map_remove(d->map, key);
		memory_free(entry);
	}
}

void domains_of(struct domains *d, uint64_t generation)
{
	if (d->generation == generation)
		return;
	domains_forget(d);
	d->generation = generation;
}

void domains_free(struct domains **domains)
{
	struct domains *d = *domains;
	*domains = NULL;
	if (!d)
		return;
	domains_forget(d);
	map_free(&d->map);
	memory_free(d);
}

static struct entry *entry_new(struct slice domain, struct slice text)
{
	struct entry *e = memory_get(sizeof(*e) + text.len + domain.len);
	e->text_len = text.len;
	if (text.len > 0)
		memcpy(e->octets, text.ptr, text.len);
	slice_lower(domain, e->octets + text.len);
	return e;
}

void domains_put(struct domains *d, struct slice domain, struct slice text)
{
	if (domain.len == 0 || domain.len > ADDRESS_MAX)
		return;
	if (map_count(d->map) >= DOMAINS_MAX)
		domains_forget(d);
	struct entry *e = entry_new(domain, text);
	memory_free(map_put(d->map, slice_make(e->octets + text.len, domain.len), e));
}

bool domains_find(const struct domains *d, struct slice domain, struct slice *text)
{
	char folded[ADDRESS_SIZE];
	if (domain.len > ADDRESS_MAX || map_count(d->map) == 0)
		return false;
	slice_lower(domain, folded);
	const struct entry *e = map_get(d->map, slice_make(folded, domain.len));
	if (!e)
		return false;
	*text = slice_make(e->octets, e->text_len);
	return true;
}
