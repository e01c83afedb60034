/*
 * Keys as OpenSSL reads and uses them. Which scheme a key may sign with is one table: what is not
 * in it is not signed, whatever the library could do (no SHA-1, no RSASSA-PKCS1-v1_5 in TLS 1.3).
 */
#include "common/net/tls_private.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <sysexits.h>

#include "common/base/memory.h"
#include "common/net/tls_parts.h"

enum { HEAP_PIECE_LEAST = 32 };

enum family { FAMILY_RSA, FAMILY_P256, FAMILY_P384, FAMILY_P521, FAMILY_ED25519 };

struct tls_private {
	EVP_PKEY *key;
	enum family family;
	char kind[TLS_KEY_KIND_SIZE];
	unsigned char name[TLS_KEY_NAME_SIZE];
};

enum { IN_12 = 1, IN_13 = 2, IN_BOTH = IN_12 | IN_13 };
#define FAMILY(f)     (1U << (f))
#define FAMILY_ANY_EC (FAMILY(FAMILY_P256) | FAMILY(FAMILY_P384) | FAMILY(FAMILY_P521))

/* RFC 8446 4.2.3. In TLS 1.2 the scheme says the hash alone, and any curve may be with it (4.4.3 is
 * of TLS 1.3). The first row that fits is taken. */
static const struct scheme {
	unsigned number, in, families;
	const char *hash; /* NULL: the scheme's own */
	int padding;
} schemes[] = {
    {0x0804, IN_BOTH, FAMILY(FAMILY_RSA), "SHA256", RSA_PKCS1_PSS_PADDING},
    {0x0805, IN_BOTH, FAMILY(FAMILY_RSA), "SHA384", RSA_PKCS1_PSS_PADDING},
    {0x0806, IN_BOTH, FAMILY(FAMILY_RSA), "SHA512", RSA_PKCS1_PSS_PADDING},
    {0x0401, IN_12, FAMILY(FAMILY_RSA), "SHA256", RSA_PKCS1_PADDING},
    {0x0501, IN_12, FAMILY(FAMILY_RSA), "SHA384", RSA_PKCS1_PADDING},
    {0x0601, IN_12, FAMILY(FAMILY_RSA), "SHA512", RSA_PKCS1_PADDING},
    {0x0403, IN_BOTH, FAMILY(FAMILY_P256), "SHA256", 0},
    {0x0503, IN_BOTH, FAMILY(FAMILY_P384), "SHA384", 0},
    {0x0603, IN_BOTH, FAMILY(FAMILY_P521), "SHA512", 0},
    {0x0403, IN_12, FAMILY_ANY_EC, "SHA256", 0},
    {0x0503, IN_12, FAMILY_ANY_EC, "SHA384", 0},
    {0x0603, IN_12, FAMILY_ANY_EC, "SHA512", 0},
    {0x0807, IN_BOTH, FAMILY(FAMILY_ED25519), NULL, 0},
};

/* One for each family, to be tried on a fresh key. */
static const unsigned trial_scheme[] = {
    [FAMILY_RSA] = 0x0804,  [FAMILY_P256] = 0x0403,    [FAMILY_P384] = 0x0503,
    [FAMILY_P521] = 0x0603, [FAMILY_ED25519] = 0x0807,
};

/* No other thread is there yet. Where there is too little memory that may be locked, the library
 * goes on with what is not. */
void tls_privates_begin(void)
{
	(void)CRYPTO_secure_malloc_init(TLS_PRIVATE_HEAP, HEAP_PIECE_LEAST);
	(void)tls_library();
}

/* Reading */

static int no_passphrase(char *text, int size, int writing, void *asked)
{
	(void)text, (void)size, (void)writing;
	*(bool *)asked = true;
	return -1;
}

static bool take_family(struct tls_private *k, struct error *e)
{
	static const char *const kinds[] = {
	    [FAMILY_RSA] = "RSA ",	[FAMILY_P256] = "EC P-256",   [FAMILY_P384] = "EC P-384",
	    [FAMILY_P521] = "EC P-521", [FAMILY_ED25519] = "Ed25519",
	};
	if (!tls_key_kind(k->key, k->kind, e) || !tls_key_name(k->key, k->name, e))
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (slice_starts(slice_str(k->kind), slice_str(kinds[i]))) {
			k->family = (enum family)i;
			return true;
		}
	return error_set(e, EX_DATAERR, "a key of the kind %s", k->kind);
}

/* Signing */

static const struct scheme *find_scheme(enum family family, unsigned in, unsigned number)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (schemes[i].number == number && (schemes[i].in & in) &&
		    (schemes[i].families & FAMILY(family)))
			return &schemes[i];
	return NULL;
}

static bool set_padding(EVP_PKEY_CTX *c, const struct scheme *s)
{
	if (s->padding == 0)
		return true;
	return EVP_PKEY_CTX_set_rsa_padding(c, s->padding) == 1 &&
	       (s->padding != RSA_PKCS1_PSS_PADDING ||
		EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST) == 1);
}

static const unsigned char *octets(struct slice s)
{
	return (const unsigned char *)s.ptr;
}

static size_t sign(const struct tls_private *k, const struct scheme *s, struct slice text,
		   unsigned char *signature)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *c = NULL;
	size_t len = TLS_SIGNATURE_MAX;
	bool good =
	    md && EVP_DigestSignInit_ex(md, &c, s->hash, tls_library(), NULL, k->key, NULL) == 1 &&
	    set_padding(c, s) && EVP_DigestSign(md, signature, &len, octets(text), text.len) == 1;
	EVP_MD_CTX_free(md);
	ERR_clear_error();
	return good ? len : 0;
}

size_t tls_private_sign(const struct tls_private *k, enum tls_purpose purpose, unsigned scheme,
			struct slice text, unsigned char signature[TLS_SIGNATURE_MAX])
{
	const struct scheme *s =
	    find_scheme(k->family, purpose == TLS_SIGN_13 ? IN_13 : IN_12, scheme);
	return s ? sign(k, s, text, signature) : 0;
}

/* A key whose parts do not belong together signs what nobody can verify. */
static bool holds(const struct tls_private *k, struct error *e)
{
	const struct slice text = SLICE("the first words of a fresh key");
	const struct scheme *s = find_scheme(k->family, IN_BOTH, trial_scheme[k->family]);
	unsigned char signature[TLS_SIGNATURE_MAX];
	size_t len = sign(k, s, text, signature);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *c = NULL;
	bool good =
	    md && len > 0 &&
	    EVP_DigestVerifyInit_ex(md, &c, s->hash, tls_library(), NULL, k->key, NULL) == 1 &&
	    set_padding(c, s) && EVP_DigestVerify(md, signature, len, octets(text), text.len) == 1;
	EVP_MD_CTX_free(md);
	return good || tls_error(e, EX_DATAERR, "the key makes no signatures that hold");
}

/* Life */

struct tls_private *tls_private_read(struct slice pem, struct error *e)
{
	struct tls_private *k = memory_zero(1, sizeof(*k));
	bool asked = false;
	BIO *in = BIO_new_mem_buf(pem.ptr ? pem.ptr : "", (int)pem.len);
	ERR_clear_error();
	k->key =
	    in ? PEM_read_bio_PrivateKey_ex(in, NULL, no_passphrase, &asked, tls_library(), NULL)
	       : NULL;
	BIO_free(in);
	if (k->key && take_family(k, e) && holds(k, e))
		return k;
	if (asked)
		error_set(e, EX_DATAERR,
			  "the key is encrypted; nobody is there to give a passphrase: write it "
			  "anew with `openssl pkey -in FILE -out FILE`");
	else if (!k->key)
		tls_error(e, EX_DATAERR, "there is no private key in it (PEM)");
	ERR_clear_error();
	tls_private_free(&k);
	return NULL;
}

void tls_private_free(struct tls_private **k)
{
	if (!*k)
		return;
	EVP_PKEY_free((*k)->key);
	memory_free(*k);
	*k = NULL;
}

const unsigned char *tls_private_name(const struct tls_private *k)
{
	return k->name;
}

const char *tls_private_kind(const struct tls_private *k)
{
	return k->kind;
}
