/*
 * check: does a password hold? What libcrypt takes to compute a hash goes to the heap, a thread's
 * stack may be small. Comparisons never end early: how long one takes says nothing of where two
 * texts differ.
 */
#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/base/encode.h"
#include "common/base/memory.h"
#include "common/password/password.h"

static bool equal(struct slice a, struct slice b)
{
	return a.len == b.len && CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0;
}

static bool crypt_holds(struct slice hash, struct slice password)
{
	char text[PASSWORD_MAX + 1], setting[PASSWORD_ENTRY_MAX + 1];
	struct crypt_data *data = memory_zero(1, sizeof(*data));
	const char *made = NULL;
	bool holds;

	errno = 0;
	if (slice_copy(password, text, sizeof(text)) && slice_copy(hash, setting, sizeof(setting)))
		made = crypt_rn(text, setting, data, sizeof(*data));
	if (!made && errno == ENOMEM)
		password_no_memory();
	holds = made && made[0] == '$' && equal(slice_str(made), hash);
	explicit_bzero(text, sizeof(text));
	explicit_bzero(data, sizeof(*data));
	memory_free(data);
	return holds;
}

static bool scram_holds(struct slice hash, struct slice password)
{
	struct scram_keys kept, made;
	bool holds;

	if (!password_scram_read(hash, &kept))
		return false;
	made = kept;
	holds = password_scram_derive(password, &made) &&
		CRYPTO_memcmp(made.stored, kept.stored, sizeof(kept.stored)) == 0;
	OPENSSL_cleanse(&made, sizeof(made));
	OPENSSL_cleanse(&kept, sizeof(kept));
	return holds;
}

static bool scheme_holds(enum password_scheme scheme, struct slice hash, struct slice password)
{
	switch (scheme) {
	case PASSWORD_SCRAM_SHA_256:
		return scram_holds(hash, password);
	case PASSWORD_CRYPT:
		return crypt_holds(hash, password);
	case PASSWORD_PLAIN:
		return equal(hash, password);
	default:
		return false;
	}
}

bool password_check(struct slice entry, struct slice password)
{
	struct slice hash;
	enum password_scheme scheme = password_scheme(entry, &hash);
	struct buffer prepared;
	bool holds;

	if (scheme == PASSWORD_NONE || password.len == 0 || password.len > PASSWORD_MAX)
		return false;
	holds = scheme_holds(scheme, hash, password);
	if (holds || ascii_only(password))
		return holds;
	/* typed on another keyboard, the same text may be other octets: RFC 4013 */
	buffer_init(&prepared, PASSWORD_MAX);
	if (password_prepare(password, true, &prepared) &&
	    !slice_equal(buffer_slice(&prepared), password))
		holds = scheme_holds(scheme, hash, buffer_slice(&prepared));
	if (prepared.data)
		explicit_bzero(prepared.data, prepared.size);
	buffer_free(&prepared);
	return holds;
}

const char *password_fault(struct slice entry)
{
	struct slice hash;
	struct scram_keys keys;
	char setting[PASSWORD_ENTRY_MAX + 1];
	const char *fault = NULL;

	switch (password_scheme(entry, &hash)) {
	case PASSWORD_SCRAM_SHA_256:
		fault = password_scram_read(hash, &keys) ? NULL : "its SCRAM keys can't be read";
		OPENSSL_cleanse(&keys, sizeof(keys));
		return fault;
	case PASSWORD_CRYPT:
		if (!slice_copy(hash, setting, sizeof(setting)) ||
		    crypt_checksalt(setting) == CRYPT_SALT_INVALID)
			fault = "libcrypt does not know this kind of hash";
		return fault;
	case PASSWORD_PLAIN:
		return NULL;
	default:
		/* as in shadow(5): somebody who has no password */
		if (entry.len == 0 || entry.ptr[0] == '*' || entry.ptr[0] == '!' ||
		    (entry.ptr[0] == '{' &&
		     (hash.len == 0 || hash.ptr[0] == '*' || hash.ptr[0] == '!')))
			return NULL;
		return "its scheme is not one that can be checked here";
	}
}

bool password_scram_check(const struct scram_keys *keys, struct slice auth_message,
			  const uint8_t proof[SCRAM_KEY_SIZE], uint8_t signature[SCRAM_KEY_SIZE])
{
	uint8_t client[SCRAM_KEY_SIZE], stored[SCRAM_KEY_SIZE];
	const uint8_t *message = (const uint8_t *)auth_message.ptr;
	bool could = HMAC(EVP_sha256(), keys->stored, SCRAM_KEY_SIZE, message, auth_message.len,
			  client, NULL) != NULL;

	/* ClientKey := ClientProof XOR ClientSignature; StoredKey := H(ClientKey) (RFC 5802 3) */
	for (size_t i = 0; i < SCRAM_KEY_SIZE; i++)
		client[i] ^= proof[i];
	could = could &&
		EVP_Digest(client, sizeof(client), stored, NULL, EVP_sha256(), NULL) == 1 &&
		HMAC(EVP_sha256(), keys->server, SCRAM_KEY_SIZE, message, auth_message.len,
		     signature, NULL) != NULL;
	if (!could)
		password_no_memory();
	bool holds = CRYPTO_memcmp(stored, keys->stored, sizeof(stored)) == 0;
	if (!holds)
		OPENSSL_cleanse(signature, SCRAM_KEY_SIZE);
	OPENSSL_cleanse(client, sizeof(client));
	OPENSSL_cleanse(stored, sizeof(stored));
	return holds;
}
