/*
 * scheme: reads an entry of a users table. The names of schemes are Dovecot's (its `doveadm pw
 * -l`); those of crypt(3) differ in the name alone, since a hash of libcrypt says itself what it
 * is.
 */
#include "common/base/encode.h"
#include "common/password/password.h"

static const struct {
	struct slice name;
	enum password_scheme scheme;
} names[] = {
    {{"SCRAM-SHA-256", 13}, PASSWORD_SCRAM_SHA_256},
    {{"CRYPT", 5}, PASSWORD_CRYPT},
    {{"BLF-CRYPT", 9}, PASSWORD_CRYPT},
    {{"SHA256-CRYPT", 12}, PASSWORD_CRYPT},
    {{"SHA512-CRYPT", 12}, PASSWORD_CRYPT},
    {{"YESCRYPT", 8}, PASSWORD_CRYPT},
    {{"ARGON2ID", 8}, PASSWORD_CRYPT},
    {{"ARGON2I", 7}, PASSWORD_CRYPT},
    {{"PLAIN", 5}, PASSWORD_PLAIN},
    {{"CLEARTEXT", 9}, PASSWORD_PLAIN},
};

/* A hash that libcrypt may check: with its prefix, so no DES, no locked account, no plain text. */
static enum password_scheme crypt_scheme(struct slice hash)
{
	return slice_starts(hash, SLICE("$")) && hash.len <= PASSWORD_ENTRY_MAX ? PASSWORD_CRYPT
										: PASSWORD_NONE;
}

enum password_scheme password_scheme(struct slice entry, struct slice *hash)
{
	struct slice name;
	*hash = entry;
	if (!slice_starts(entry, SLICE("{")))
		return crypt_scheme(entry);
	if (!slice_split(slice_from(entry, 1), '}', &name, hash))
		return PASSWORD_NONE;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_equal_fold(name, names[i].name))
			return names[i].scheme == PASSWORD_CRYPT ? crypt_scheme(*hash)
								 : names[i].scheme;
	return PASSWORD_NONE;
}

/* The next field of *rest, base64 of `least` to `most` octets. */
static bool take_octets(struct slice *rest, uint8_t *dst, size_t least, size_t most, size_t *len)
{
	struct slice text;
	struct buffer out;
	bool fine;
	slice_split(*rest, ',', &text, rest);
	buffer_init(&out, most);
	fine = base64_decode(text, &out) && out.len >= least;
	*len = fine ? out.len : 0;
	if (*len > 0) {
		memcpy(dst, buffer_slice(&out).ptr, *len);
		explicit_bzero(out.data, out.size);
	}
	buffer_free(&out);
	return fine;
}

bool password_scram_read(struct slice hash, struct scram_keys *keys)
{
	struct slice number;
	uint64_t iterations;
	size_t len;
	*keys = (struct scram_keys){0};
	if (!slice_split(hash, ',', &number, &hash) ||
	    !slice_number(number, PASSWORD_ITERATIONS_MAX, &iterations) ||
	    iterations < PASSWORD_ITERATIONS_MIN)
		return false;
	keys->iterations = (uint32_t)iterations;
	return take_octets(&hash, keys->salt, 1, SCRAM_SALT_MAX, &keys->salt_len) &&
	       take_octets(&hash, keys->stored, SCRAM_KEY_SIZE, SCRAM_KEY_SIZE, &len) &&
	       take_octets(&hash, keys->server, SCRAM_KEY_SIZE, SCRAM_KEY_SIZE, &len) &&
	       hash.len == 0;
}
