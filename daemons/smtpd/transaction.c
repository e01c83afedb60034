/*
 * The transaction: what MAIL began. Its memory is one arena, given back whole.
 */
#include "common/base/memory.h"
#include "daemons/smtpd/smtpd.h"

static size_t heads, recipients; /* memory of all of them */

struct transaction *transaction_new(struct session *s, uint64_t id, struct slice sender)
{
	struct transaction *t = memory_zero(1, sizeof(*t));
	const struct settings_limits *limits = &smtpd_settings()->limits;

	t->session = s;
	t->id = id;
	t->message_size_max = limits->message_size;
	t->recipients_max = limits->recipients;
	arena_init(&t->arena, TRANSACTION_ARENA_FIXED +
				  (size_t)limits->recipients * TRANSACTION_ARENA_RECIPIENT);
	t->sender = arena_copy(&t->arena, sender);
	buffer_init(&t->head, HEADER_BLOCK_MAX + SESSION_OUTPUT_MAX);
	dot_reader_init(&t->dot);
	return t;
}

void transaction_free(struct transaction **t)
{
	struct transaction *old = *t;

	if (old == NULL)
		return;
	if (old->draft != NULL)
		draft_free(&old->draft);
	transaction_head_free(old);
	recipients -= old->recipient_octets;
	map_free(&old->seen);
	memory_free(old->recipients);
	memory_free(old->asked_key);
	arena_free(&old->arena);
	memory_free(old);
	*t = NULL;
}

struct recipient recipient_make(struct slice address, unsigned notify, struct slice orcpt,
				char *key)
{
	size_t len = address.len;

	memcpy(key, address.ptr, address.len);
	if (notify != 0 || orcpt.len > 0) {
		key[len++] = '\0';
		key[len++] = (char)('@' + notify);
		if (orcpt.len > 0)
			memcpy(key + len, orcpt.ptr, orcpt.len);
		len += orcpt.len;
	}
	return (struct recipient){slice_make(key, len), (uint16_t)address.len, (uint8_t)notify};
}

struct slice recipient_address(const struct recipient *r)
{
	return slice_sub(r->key, 0, r->address_len);
}

struct slice recipient_orcpt(const struct recipient *r)
{
	return slice_from(r->key, r->address_len + (size_t)2);
}

bool transaction_has(const struct transaction *t, const struct recipient *r)
{
	if (t->recipient_count == 0)
		return false;
	if (t->seen == NULL)
		return slice_equal(t->recipients[0].key, r->key);
	return map_get(t->seen, r->key) != NULL;
}

bool transaction_add(struct transaction *t, const struct recipient *r)
{
	size_t octets = r->key.len + RECIPIENT_MEMORY;
	size_t stored =
	    record_recipient_size(r->address_len, r->notify != 0, recipient_orcpt(r).len);
	struct recipient copy = *r;

	if (recipients + octets > RECIPIENTS_MEMORY_MAX ||
	    t->record_octets + stored > RECORD_RECIPIENTS_MAX)
		return false;
	copy.key = arena_copy(&t->arena, r->key);
	if (copy.key.ptr == NULL)
		return false;
	recipients += octets;
	t->recipient_octets += octets;
	t->record_octets += stored;
	if (t->recipient_count == t->recipient_size) {
		t->recipient_size = t->recipient_size ? t->recipient_size * 2 : 1;
		t->recipients = memory_resize(t->recipients, t->recipient_size, sizeof(copy));
	}
	t->recipients[t->recipient_count++] = copy;
	if (t->recipient_count == 2) {
		t->seen = map_new();
		map_put(t->seen, t->recipients[0].key, (void *)t);
	}
	if (t->seen != NULL)
		map_put(t->seen, copy.key, (void *)t);
	return true;
}

bool transaction_head_add(struct transaction *t, struct slice octets)
{
	size_t before = t->head.size;

	if (heads >= HEADS_MEMORY_MAX || !buffer_append(&t->head, octets))
		return false;
	heads += t->head.size - before;
	return true;
}

void transaction_head_free(struct transaction *t)
{
	heads -= t->head.size;
	buffer_free(&t->head);
}
