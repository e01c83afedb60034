/*
 * The list is kept in order while it is read, so that of a set that is too large the best are
 * taken, and the same ones whatever the order of the packet.
 */
#include "daemons/resolver/mx.h"

#include <bsd/stdlib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buffer.h"
#include "common/base/bytes.h"

enum { HASH_TEXT = 17, SITE_WHOLE_MAX = MX_MAX * REPLY_NAME_SIZE };

static int compare(const struct mx *a, const struct mx *b)
{
	if (a->preference != b->preference)
		return a->preference < b->preference ? -1 : 1;
	return strcmp(a->host, b->host);
}

static void cut_out(struct mx_list *l, size_t at)
{
	l->count--;
	memmove(&l->list[at], &l->list[at + 1], (l->count - at) * sizeof(l->list[0]));
}

static void insert(struct mx_list *l, const struct mx *m)
{
	size_t at = 0;
	for (size_t i = 0; i < l->count; i++) {
		if (strcmp(l->list[i].host, m->host) != 0)
			continue;
		if (l->list[i].preference <= m->preference)
			return;
		cut_out(l, i);
		break;
	}
	while (at < l->count && compare(&l->list[at], m) < 0)
		at++;
	if (at == MX_MAX)
		return;
	if (l->count == MX_MAX)
		l->count--;
	memmove(&l->list[at + 1], &l->list[at], (l->count - at) * sizeof(l->list[0]));
	l->list[at] = *m;
	l->count++;
}

void mx_read(struct reply *p, struct mx_list *l)
{
	size_t records = reply_count(p), roots = 0;
	struct reply_record r;
	l->count = 0;
	while (reply_next(p, &r)) {
		struct mx m = {.preference = r.preference};
		if (r.name[0] == '\0') {
			roots++;
			continue;
		}
		memcpy(m.host, r.name, sizeof(m.host));
		insert(l, &m);
	}
	l->null = roots > 0 && roots == records;
}

void mx_implicit(const char *domain, struct mx_list *l)
{
	l->count = 1;
	l->null = false;
	l->list[0].preference = 0;
	snprintf(l->list[0].host, sizeof(l->list[0].host), "%s", domain);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Nobody can make a set that is cut to the name of another's. */
static const uint8_t *cut_key(void)
{
	static uint8_t key[16];
	static bool drawn;
	if (!drawn)
		arc4random_buf(key, sizeof(key));
	drawn = true;
	return key;
}

void mx_site(const struct mx_list *l, char site[RESOLVER_SITE_MAX + 1])
{
	const char *names[MX_MAX];
	struct buffer whole;
	struct slice s;
	buffer_init(&whole, SITE_WHOLE_MAX);
	for (size_t i = 0; i < l->count; i++)
		names[i] = l->list[i].host;
	qsort(names, l->count, sizeof(names[0]), compare_names);
	for (size_t i = 0; i < l->count; i++)
		buffer_printf(&whole, "%s%s", i > 0 ? "+" : "", names[i]);
	s = buffer_slice(&whole);
	if (s.len <= RESOLVER_SITE_MAX)
		snprintf(site, RESOLVER_SITE_MAX + 1, "%.*s", SLICE_FMT(s));
	else
		snprintf(site, RESOLVER_SITE_MAX + 1, "%.*s#%016" PRIx64,
			 RESOLVER_SITE_MAX - HASH_TEXT, s.ptr, siphash(cut_key(), s.ptr, s.len));
	buffer_free(&whole);
}
