/*
 * Keys and self-signed certificates, made while a test runs. Included once per test program.
 */
#include <check.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "common/base/slice.h"

/* kind: "RSA", "P-256", ..., "ED25519". */
static inline EVP_PKEY *key_make(const char *kind)
{
	if (strcmp(kind, "RSA") == 0)
		return EVP_RSA_gen(2048);
	if (strcmp(kind, "ED25519") == 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	return EVP_EC_gen(kind);
}

/* alternative: "DNS:a,DNS:b", or NULL. Valid from now for an hour. */
static inline X509 *certificate_make(EVP_PKEY *key, const char *common, const char *alternative)
{
	X509 *x = X509_new();
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	if (common)
		X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
					   (const unsigned char *)common, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	if (alternative) {
		X509_EXTENSION *e =
		    X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alternative);
		ck_assert_ptr_nonnull(e);
		X509_add_ext(x, e, -1);
		X509_EXTENSION_free(e);
	}
	const EVP_MD *digest = EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256();
	ck_assert_int_gt(X509_sign(x, key, digest), 0);
	return x;
}

static inline struct slice bio_take(BIO *bio)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);
	char *copy = malloc((size_t)len + 1);
	memcpy(copy, data, (size_t)len);
	copy[len] = '\0';
	BIO_free(bio);
	return slice_make(copy, (size_t)len);
}

/* The caller frees what they point to. */
static inline struct slice certificate_pem(X509 *x)
{
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, x);
	return bio_take(bio);
}

static inline struct slice key_pem(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	return bio_take(bio);
}
