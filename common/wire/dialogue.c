/*
 * dialogue: the hash that two programs compare at the hello. It guards against programs of
 * different builds, not against an attacker, who holds one end anyway: FNV-1a over everything that
 * shapes the octets.
 */
#include "common/wire/dialogue.h"

static uint64_t hash_octets(uint64_t hash, const void *data, size_t len)
{
	const unsigned char *p = data;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* With the final NUL, so that "ab" "c" is not "a" "bc". */
static uint64_t hash_string(uint64_t hash, const char *str)
{
	return hash_octets(hash, str, strlen(str) + 1);
}

static uint64_t hash_number(uint64_t hash, uint64_t number)
{
	return hash_octets(hash, &number, sizeof(number));
}

static uint64_t hash_record(uint64_t hash, const struct record *r)
{
	hash = hash_string(hash, r->name);
	hash = hash_number(hash, r->field_count);
	for (size_t i = 0; i < r->field_count; i++) {
		hash = hash_string(hash, r->fields[i].name);
		hash = hash_number(hash, r->fields[i].kind);
		hash = hash_number(hash, r->fields[i].limit);
	}
	return hash;
}

uint64_t dialogue_hash(const struct dialogue *d)
{
	uint64_t hash = hash_string(UINT64_C(0xcbf29ce484222325), d->name);
	for (size_t i = 0; i < d->count; i++) {
		hash = hash_number(hash, d->messages[i].number);
		hash = hash_record(hash, d->messages[i].record);
	}
	return hash;
}

const struct record *dialogue_record(const struct dialogue *d, uint16_t number)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->messages[i].number == number)
			return d->messages[i].record;
	return NULL;
}
