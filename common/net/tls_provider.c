/*
 * A provider of OpenSSL's for private keys that are in another process. Such a key has its public
 * half here, as a key of the default provider, which answers all questions about it; to sign, the
 * text, not its hash, is laid into the question of the handshake that runs, and the job pauses
 * until that is answered.
 *
 * Keys and signatures have the names of the default provider's, because TLS chooses by them. No
 * key of this provider can be exported, so nothing is signed elsewhere; and tls_library() prefers
 * the default provider, so nothing else ends up here.
 */
#include <openssl/async.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <sysexits.h>

#include "common/base/memory.h"
#include "common/net/tls_parts.h"

#define PROVIDER   "stagepost"
#define PROPERTIES "provider=" PROVIDER

struct remote_key {
	enum tls_kind kind;
	EVP_PKEY *public;
	unsigned char name[TLS_KEY_NAME_SIZE];
};

struct signing {
	const struct remote_key *key; /* OpenSSL holds it as long */
	unsigned hash;		      /* HashAlgorithm, RFC 5246 7.4.1.4.1; 0: none was named */
	bool pss;
};

static struct tls_wait *served;

void tls_provider_serve(struct tls_wait *wait)
{
	served = wait;
}

/* Keys */

static const char *const type_names[TLS_KINDS] = {"RSA", "EC", "ED25519"};

static void *key_new(enum tls_kind kind)
{
	struct remote_key *key = memory_zero(1, sizeof(*key));
	key->kind = kind;
	return key;
}

static void *rsa_new(void *context)
{
	(void)context;
	return key_new(TLS_RSA);
}

static void *ec_new(void *context)
{
	(void)context;
	return key_new(TLS_EC);
}

static void *ed25519_new(void *context)
{
	(void)context;
	return key_new(TLS_ED25519);
}

static void key_free(void *data)
{
	struct remote_key *key = data;
	if (!key)
		return;
	EVP_PKEY_free(key->public);
	memory_free(key);
}

/* The private half is there as far as OpenSSL is concerned. */
static int key_has(const void *data, int selection)
{
	const struct remote_key *key = data;
	(void)selection;
	return key && key->public;
}

static int key_match(const void *one, const void *other, int selection)
{
	const struct remote_key *a = one, *b = other;
	(void)selection;
	return a->public && b->public && EVP_PKEY_eq(a->public, b->public) == 1;
}

static int key_import(void *data, int selection, const OSSL_PARAM params[])
{
	struct remote_key *key = data;
	EVP_PKEY_CTX *c =
	    EVP_PKEY_CTX_new_from_name(tls_library(), type_names[key->kind], "provider=default");
	(void)selection;
	bool good =
	    c && !key->public && EVP_PKEY_fromdata_init(c) > 0 &&
	    EVP_PKEY_fromdata(c, &key->public, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)params) > 0 &&
	    tls_key_name(key->public, key->name, NULL);
	EVP_PKEY_CTX_free(c);
	return good;
}

/* What the public halves of all kinds are made of. */
static const OSSL_PARAM *key_import_types(int selection)
{
	static const OSSL_PARAM types[] = {
	    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
	    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
	    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
	    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
	    OSSL_PARAM_END,
	};
	(void)selection;
	return types;
}

static int key_get_params(void *data, OSSL_PARAM params[])
{
	const struct remote_key *key = data;
	return EVP_PKEY_get_params(key->public, params);
}

static const OSSL_PARAM *key_gettable_params(void *context)
{
	static const OSSL_PARAM gettable[] = {
	    OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
	    OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
	    OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
	    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
	    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
	    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
	    OSSL_PARAM_END,
	};
	(void)context;
	return gettable;
}

static const char *ec_operation_name(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

/* Signatures */

static void *signing_new(void *context, const char *properties)
{
	(void)context, (void)properties;
	return memory_zero(1, sizeof(struct signing));
}

static void signing_free(void *data)
{
	memory_free(data);
}

static int signing_set(void *data, const OSSL_PARAM params[])
{
	struct signing *s = data;
	const OSSL_PARAM *pad = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	const char *name;
	int number;
	if (!pad)
		return 1; /* the salt's length is the hash's in TLS, RFC 8446 4.2.3 */
	if (OSSL_PARAM_get_int(pad, &number))
		s->pss = number == RSA_PKCS1_PSS_PADDING;
	else if (OSSL_PARAM_get_utf8_string_ptr(pad, &name))
		s->pss = strcmp(name, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
	else
		return 0;
	return 1;
}

static const OSSL_PARAM *signing_settable(void *data, void *context)
{
	static const OSSL_PARAM settable[] = {
	    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
	    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
	    OSSL_PARAM_END,
	};
	(void)data, (void)context;
	return settable;
}

static int signing_init(void *data, const char *digest, void *key, const OSSL_PARAM params[])
{
	static const struct {
		const char *name, *other;
		unsigned hash;
	} hashes[] = {
	    {"SHA256", "SHA2-256", 4}, {"SHA384", "SHA2-384", 5}, {"SHA512", "SHA2-512", 6}};
	struct signing *s = data;
	if (key)
		s->key = key;
	s->hash = 0;
	for (size_t i = 0; digest && i < sizeof(hashes) / sizeof(hashes[0]); i++)
		if (OPENSSL_strcasecmp(digest, hashes[i].name) == 0 ||
		    OPENSSL_strcasecmp(digest, hashes[i].other) == 0)
			s->hash = hashes[i].hash;
	if (digest && *digest && s->hash == 0)
		return 0; /* SHA-1 and others that have no place in TLS any more */
	return s->key && (!params || signing_set(s, params));
}

/* SignatureScheme, RFC 8446 4.2.3; 0: there is none. */
static unsigned scheme(const struct signing *s)
{
	if (s->key->kind == TLS_ED25519)
		return s->hash == 0 ? 0x0807 : 0;
	if (s->hash == 0)
		return 0;
	if (s->key->kind == TLS_EC)
		return s->hash << 8 | 0x03;
	return s->pss ? 0x0800 | s->hash : s->hash << 8 | 0x01;
}

static int signing_sign(void *data, unsigned char *signature, size_t *len, size_t size,
			const unsigned char *text, size_t text_len)
{
	const struct signing *s = data;
	struct tls_wait *wait = served;
	if (!signature) {
		*len = (size_t)EVP_PKEY_get_size(s->key->public);
		return 1;
	}
	if (!wait || wait->state != TLS_WAIT_IDLE || !ASYNC_get_current_job() || scheme(s) == 0)
		return 0;
	wait->key = s->key->name;
	wait->scheme = scheme(s);
	wait->text = slice_make(text, text_len);
	wait->state = TLS_WAIT_READY;
	if (!ASYNC_pause_job() || wait->state != TLS_WAIT_ANSWERED || wait->len == 0 ||
	    wait->len > size)
		return 0;
	memcpy(signature, wait->signature, wait->len);
	*len = wait->len;
	return 1;
}

/* The provider */

#define CALL(id, function)                     \
	{                                      \
		id, (void (*)(void))(function) \
	}
#define KEY_CALLS                                                                                 \
	CALL(OSSL_FUNC_KEYMGMT_FREE, key_free), CALL(OSSL_FUNC_KEYMGMT_HAS, key_has),             \
	    CALL(OSSL_FUNC_KEYMGMT_MATCH, key_match), CALL(OSSL_FUNC_KEYMGMT_IMPORT, key_import), \
	    CALL(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types),                               \
	    CALL(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),                                   \
	    CALL(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params)

static const OSSL_DISPATCH rsa_calls[] = {
    KEY_CALLS, CALL(OSSL_FUNC_KEYMGMT_NEW, rsa_new), {0, NULL}};
static const OSSL_DISPATCH ec_calls[] = {
    KEY_CALLS,
    CALL(OSSL_FUNC_KEYMGMT_NEW, ec_new),
    CALL(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, ec_operation_name),
    {0, NULL}};
static const OSSL_DISPATCH ed25519_calls[] = {
    KEY_CALLS, CALL(OSSL_FUNC_KEYMGMT_NEW, ed25519_new), {0, NULL}};
static const OSSL_DISPATCH signing_calls[] = {
    CALL(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
    CALL(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
    CALL(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signing_init),
    CALL(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signing_sign),
    CALL(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signing_set),
    CALL(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signing_settable),
    {0, NULL}};

static const OSSL_ALGORITHM keys[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, rsa_calls, NULL},
    {"EC:id-ecPublicKey:1.2.840.10045.2.1", PROPERTIES, ec_calls, NULL},
    {"ED25519:1.3.101.112", PROPERTIES, ed25519_calls, NULL},
    {NULL, NULL, NULL, NULL}};
static const OSSL_ALGORITHM signatures[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, signing_calls, NULL},
    {"ECDSA", PROPERTIES, signing_calls, NULL},
    {"ED25519:1.3.101.112", PROPERTIES, signing_calls, NULL},
    {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM *query(void *context, int operation, int *no_cache)
{
	(void)context;
	*no_cache = 0;
	return operation == OSSL_OP_KEYMGMT	? keys
	       : operation == OSSL_OP_SIGNATURE ? signatures
						: NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
			 const OSSL_DISPATCH **out, void **context)
{
	static const OSSL_DISPATCH calls[] = {CALL(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
					      {0, NULL}};
	(void)in;
	*out = calls;
	*context = (void *)(uintptr_t)handle;
	return 1;
}

bool tls_provider_load(struct error *e)
{
	OSSL_LIB_CTX *library = tls_library();
	if (OSSL_PROVIDER_available(library, PROVIDER))
		return true;
	return (OSSL_PROVIDER_add_builtin(library, PROVIDER, provider_init) == 1 &&
		OSSL_PROVIDER_load(library, PROVIDER)) ||
	       tls_error(e, EX_SOFTWARE, "the provider of private keys can't be loaded");
}

EVP_PKEY *tls_provider_key(EVP_PKEY *public, struct error *e)
{
	OSSL_PARAM *params = NULL;
	EVP_PKEY_CTX *c =
	    EVP_PKEY_CTX_new_from_name(tls_library(), EVP_PKEY_get0_type_name(public), PROPERTIES);
	EVP_PKEY *key = NULL;
	if (!c || EVP_PKEY_todata(public, EVP_PKEY_PUBLIC_KEY, &params) <= 0 ||
	    EVP_PKEY_fromdata_init(c) <= 0 ||
	    EVP_PKEY_fromdata(c, &key, EVP_PKEY_KEYPAIR, params) <= 0)
		tls_error(e, EX_DATAERR, "the certificate's key can't be used");
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(c);
	return key;
}
