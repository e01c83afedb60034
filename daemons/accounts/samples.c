/*
 * Kinds are told apart by what they cost: SCRAM by its iterations, a hash by its first octets,
 * which name the method ($y$, $6$). What is cheap or can't be checked is no kind.
 */
#include "daemons/accounts/samples.h"

#include "common/password/password.h"

struct sample {
	enum password_scheme scheme; /* PASSWORD_NONE: free */
	uint32_t kind;
	uint64_t count;
	size_t len;
	char entry[PASSWORD_ENTRY_MAX];
};

static struct sample samples[SAMPLES_MAX];

static bool kind_of(struct slice entry, enum password_scheme *scheme, uint32_t *kind)
{
	struct scram_keys keys;
	struct slice hash;

	*kind = 0;
	*scheme = password_scheme(entry, &hash);
	if (entry.len > PASSWORD_ENTRY_MAX)
		return false;
	if (*scheme == PASSWORD_CRYPT && hash.len >= 3) {
		memcpy(kind, hash.ptr, 3);
		return password_fault(entry) == NULL;
	}
	if (*scheme != PASSWORD_SCRAM_SHA_256 || !password_scram_read(hash, &keys))
		return false;
	*kind = keys.iterations;
	explicit_bzero(&keys, sizeof(keys));
	return true;
}

void samples_note(struct slice entry)
{
	enum password_scheme scheme;
	uint32_t kind;
	struct sample *place = &samples[0];

	if (!kind_of(entry, &scheme, &kind))
		return;
	for (size_t i = 0; i < SAMPLES_MAX; i++) {
		struct sample *s = &samples[i];

		if (s->scheme == scheme && s->kind == kind) {
			s->count++;
			return;
		}
		if (s->count < place->count)
			place = s; /* the rarest makes room */
	}
	*place = (struct sample){.scheme = scheme, .kind = kind, .count = 1, .len = entry.len};
	memcpy(place->entry, entry.ptr, entry.len);
}

void samples_fade(void)
{
	for (size_t i = 0; i < SAMPLES_MAX; i++)
		samples[i].count /= 2;
}

struct slice samples_commonest(void)
{
	const struct sample *best = &samples[0];

	for (size_t i = 1; i < SAMPLES_MAX; i++)
		if (samples[i].len > 0 && (best->len == 0 || samples[i].count > best->count))
			best = &samples[i];
	return slice_make(best->entry, best->len);
}

uint32_t samples_iterations(void)
{
	const struct sample *best = NULL;

	for (size_t i = 0; i < SAMPLES_MAX; i++)
		if (samples[i].scheme == PASSWORD_SCRAM_SHA_256 &&
		    (best == NULL || samples[i].count > best->count))
			best = &samples[i];
	return best != NULL ? best->kind : PASSWORD_ITERATIONS;
}
