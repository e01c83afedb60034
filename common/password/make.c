/*
 * make: what is kept of a new password. SCRAM's keys are derived as RFC 5802 3 has it, with SHA-256
 * (RFC 7677); the rest is libcrypt's.
 */
#include <crypt.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stringprep.h>

#include "common/base/encode.h"
#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/password/password.h"

bool password_prepare(struct slice password, bool unassigned, struct buffer *out)
{
	char text[PASSWORD_MAX + 1]; /* what is prepared in place may grow: NFKC */
	int code = STRINGPREP_OK;
	bool fine =
	    password.len > 0 && password.len <= PASSWORD_MAX && utf8_valid(password) &&
	    slice_copy(password, text, sizeof(text)) &&
	    (code = stringprep(text, sizeof(text), unassigned ? 0 : STRINGPREP_NO_UNASSIGNED,
			       stringprep_saslprep)) == STRINGPREP_OK &&
	    text[0] != '\0' && buffer_append(out, slice_str(text));
	if (code == STRINGPREP_MALLOC_ERROR)
		password_no_memory();
	explicit_bzero(text, sizeof(text));
	return fine;
}

void password_no_memory(void)
{
	fatal("out of memory: a password can't be judged");
}

static bool hmac(const uint8_t *key, size_t len, const char *text, uint8_t out[SCRAM_KEY_SIZE])
{
	return HMAC(EVP_sha256(), key, (int)len, (const uint8_t *)text, strlen(text), out, NULL) !=
	       NULL;
}

bool password_scram_derive(struct slice prepared, struct scram_keys *keys)
{
	uint8_t salted[SCRAM_KEY_SIZE], client[SCRAM_KEY_SIZE];
	if (prepared.len == 0 || prepared.len > PASSWORD_MAX)
		return false;
	bool fine =
	    PKCS5_PBKDF2_HMAC(prepared.ptr, (int)prepared.len, keys->salt, (int)keys->salt_len,
			      (int)keys->iterations, EVP_sha256(), sizeof(salted), salted) == 1 &&
	    hmac(salted, sizeof(salted), "Client Key", client) &&
	    EVP_Digest(client, sizeof(client), keys->stored, NULL, EVP_sha256(), NULL) == 1 &&
	    hmac(salted, sizeof(salted), "Server Key", keys->server);
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(client, sizeof(client));
	if (!fine) /* nothing else can be wrong with what is given */
		password_no_memory();
	return true;
}

bool password_make_scram(struct slice prepared, uint32_t iterations, struct buffer *out)
{
	struct scram_keys keys = {.iterations = iterations, .salt_len = SCRAM_SALT_NEW};
	size_t before = out->len;
	bool fine =
	    RAND_bytes(keys.salt, SCRAM_SALT_NEW) == 1 && password_scram_derive(prepared, &keys) &&
	    buffer_printf(out, "{SCRAM-SHA-256}%u,", iterations) &&
	    base64_encode(slice_make(keys.salt, keys.salt_len), out) && buffer_byte(out, ',') &&
	    base64_encode(slice_make(keys.stored, SCRAM_KEY_SIZE), out) && buffer_byte(out, ',') &&
	    base64_encode(slice_make(keys.server, SCRAM_KEY_SIZE), out);
	if (!fine)
		buffer_truncate(out, before);
	OPENSSL_cleanse(&keys, sizeof(keys));
	return fine;
}

bool password_make_crypt(struct slice prepared, const char *prefix, struct buffer *out)
{
	struct crypt_data *data = memory_zero(1, sizeof(*data));
	char setting[CRYPT_GENSALT_OUTPUT_SIZE], text[PASSWORD_MAX + 1];
	const char *hash = NULL;
	errno = 0;
	if (slice_copy(prepared, text, sizeof(text)) &&
	    crypt_gensalt_rn(prefix, 0, NULL, 0, setting, sizeof(setting)))
		hash = crypt_rn(text, setting, data, sizeof(*data));
	bool fine = hash && hash[0] == '$' && buffer_printf(out, "{CRYPT}%s", hash);
	explicit_bzero(text, sizeof(text));
	if (!hash && errno == ENOMEM)
		password_no_memory();
	explicit_bzero(data, sizeof(*data));
	memory_free(data);
	return fine;
}
