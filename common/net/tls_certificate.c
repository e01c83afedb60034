/*
 * tls_certificate: PEM is taken apart by OpenSSL, a block at a time, so that what is no certificate
 * is seen: other blocks are passed over, but for private keys.
 */
#include "common/net/tls_certificate.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sysexits.h>
#include <time.h>

#include "common/base/memory.h"
#include "common/net/tls_parts.h"

enum { HOST_MAX = 255 };

/* Keys */

bool tls_key_name(const struct evp_pkey_st *key, unsigned char name[TLS_KEY_NAME_SIZE],
		  struct error *e)
{
	unsigned char *der = NULL;
	size_t size = 0;
	int len = i2d_PUBKEY(key, &der);
	bool good =
	    len > 0 && EVP_Q_digest(tls_library(), "SHA256", NULL, der, (size_t)len, name, &size);
	OPENSSL_free(der);
	return good || tls_error(e, EX_DATAERR, "the public key can't be written");
}

static bool curve(const EVP_PKEY *key, char kind[TLS_KEY_KIND_SIZE], struct error *e)
{
	static const char *const curves[][2] = {
	    {"prime256v1", "EC P-256"}, {"P-256", "EC P-256"},	   {"secp384r1", "EC P-384"},
	    {"P-384", "EC P-384"},	{"secp521r1", "EC P-521"}, {"P-521", "EC P-521"},
	};
	char name[64] = "?";
	(void)EVP_PKEY_get_group_name(key, name, sizeof(name), NULL);
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (strcmp(curves[i][0], name) == 0)
			return slice_copy(slice_str(curves[i][1]), kind, TLS_KEY_KIND_SIZE);
	return error_set(e, EX_DATAERR,
			 "a key on the curve %s: P-256, P-384 and P-521 are understood", name);
}

bool tls_key_kind(const struct evp_pkey_st *key, char kind[TLS_KEY_KIND_SIZE], struct error *e)
{
	if (EVP_PKEY_is_a(key, "EC"))
		return curve(key, kind, e);
	if (EVP_PKEY_is_a(key, "ED25519"))
		return slice_copy(SLICE("Ed25519"), kind, TLS_KEY_KIND_SIZE);
	if (!EVP_PKEY_is_a(key, "RSA"))
		return error_set(e, EX_DATAERR, "a key for %s: RSA, EC and Ed25519 are understood",
				 EVP_PKEY_get0_type_name(key));
	int bits = EVP_PKEY_get_bits(key);
	if (bits < TLS_RSA_BITS_MIN || bits > TLS_RSA_BITS_MAX)
		return error_set(e, EX_DATAERR, "an RSA key of %d bits: %d to %d are taken", bits,
				 TLS_RSA_BITS_MIN, TLS_RSA_BITS_MAX);
	snprintf(kind, TLS_KEY_KIND_SIZE, "RSA %d", bits);
	return true;
}

static bool key_take(struct tls_certificate *c, struct error *e)
{
	EVP_PKEY *key = X509_get0_pubkey(c->chain[0]);
	if (!key)
		return tls_error(e, EX_DATAERR, "the certificate's public key is not understood");
	if (!tls_key_kind(key, c->kind_text, e) || !tls_key_name(key, c->key, e))
		return false;
	c->kind = c->kind_text[0] == 'R' ? TLS_RSA : c->kind_text[1] == 'C' ? TLS_EC : TLS_ED25519;
	return true;
}

/* Names and times */

/* What can be a host's name: what else stands in a certificate serves nobody here, and would spoil
 * a list that is separated by blanks. */
static bool host_like(struct slice name)
{
	struct slice rest = slice_starts(name, SLICE("*.")) ? slice_from(name, 2) : name;
	if (rest.len == 0 || name.len > HOST_MAX)
		return false;
	for (size_t i = 0; i < rest.len; i++)
		if (rest.ptr[i] <= ' ' || rest.ptr[i] >= 127 || rest.ptr[i] == '*')
			return false;
	return true;
}

static bool name_add(struct tls_certificate *c, const ASN1_STRING *string, struct error *e)
{
	struct slice name =
	    slice_make(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string));
	if (!host_like(name))
		return true;
	if (c->names_count == TLS_CERTIFICATE_NAMES_MAX)
		return error_set(e, EX_DATAERR, "the certificate has more than %d names",
				 TLS_CERTIFICATE_NAMES_MAX);
	char *copy = memory_string(name);
	slice_lower(slice_str(copy), copy);
	c->names[c->names_count++] = copy;
	return true;
}

/* RFC 6125 6.4.4: the common name counts only where there are no DNS names. */
static bool names_take(struct tls_certificate *c, struct error *e)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(c->chain[0], NID_subject_alt_name, NULL, NULL);
	const X509_NAME *subject = X509_get_subject_name(c->chain[0]);
	bool good = true;
	for (int i = 0; good && i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
		if (name->type == GEN_DNS)
			good = name_add(c, name->d.dNSName, e);
	}
	GENERAL_NAMES_free(all);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (good && c->names_count == 0 && at >= 0)
		good = name_add(c, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), e);
	ERR_clear_error();
	return good;
}

static bool time_take(const ASN1_TIME *asn1, uint64_t *seconds, struct error *e)
{
	struct tm tm;
	if (!ASN1_TIME_to_tm(asn1, &tm))
		return tls_error(e, EX_DATAERR, "the certificate's time is not understood");
	time_t t = timegm(&tm);
	*seconds = t > 0 ? (uint64_t)t : 0;
	return true;
}

/* Reading */

static bool chain_add(struct tls_certificate *c, const unsigned char *der, long len,
		      struct error *e)
{
	const unsigned char *end = der;
	X509 *x = X509_new_ex(tls_library(), NULL);
	if (c->count == TLS_CHAIN_MAX) {
		X509_free(x);
		return error_set(e, EX_DATAERR, "there are more than %d certificates",
				 TLS_CHAIN_MAX);
	}
	if (!d2i_X509(&x, &end, len) || end != der + len) {
		X509_free(x);
		return tls_error(e, EX_DATAERR, "a certificate is damaged");
	}
	c->chain[c->count++] = x;
	return true;
}

static bool block_take(struct tls_certificate *c, const char *name, const unsigned char *data,
		       long len, struct error *e)
{
	if (strstr(name, "PRIVATE KEY"))
		return error_set(e, EX_DATAERR,
				 "there is a private key in it: put that into a file of its own, "
				 "which only root can read");
	if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0)
		return chain_add(c, data, len, e);
	return true;
}

static bool blocks_take(struct tls_certificate *c, struct slice pem, struct error *e)
{
	BIO *bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	char *name, *header;
	unsigned char *data;
	long len;
	bool good = bio != NULL;
	while (good && PEM_read_bio(bio, &name, &header, &data, &len)) {
		good = block_take(c, name, data, len, e);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)len);
	}
	BIO_free(bio);
	if (!good)
		return false;
	/* that no block follows is how a file ends */
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return tls_error(e, EX_DATAERR, "a block of PEM is damaged");
	ERR_clear_error();
	return c->count > 0 || error_set(e, EX_DATAERR, "there is no certificate in it (PEM)");
}

/* Tries it, so that what TLS would not take is found before a client comes: signatures with SHA-1,
 * small keys of those who issued it. */
static bool chain_try(const struct tls_certificate *c, struct error *e)
{
	SSL_CTX *x = SSL_CTX_new_ex(tls_library(), NULL, TLS_server_method());
	if (x)
		SSL_CTX_set_security_level(x, TLS_SECURITY_LEVEL);
	bool good = x && SSL_CTX_use_certificate(x, c->chain[0]) == 1;
	for (size_t i = 1; good && i < c->count; i++)
		good = SSL_CTX_add1_chain_cert(x, c->chain[i]) == 1;
	SSL_CTX_free(x);
	return good || tls_error(e, EX_DATAERR, "TLS can't be spoken with it");
}

struct tls_certificate *tls_certificate_read(struct slice pem, struct error *e)
{
	struct tls_certificate *c;
	if (pem.len > TLS_PEM_MAX) {
		error_set(e, EX_DATAERR, "it has more than %d octets", TLS_PEM_MAX);
		return NULL;
	}
	c = memory_zero(1, sizeof(*c));
	ERR_clear_error();
	if (blocks_take(c, pem, e) && key_take(c, e) && chain_try(c, e) && names_take(c, e) &&
	    time_take(X509_get0_notBefore(c->chain[0]), &c->from, e) &&
	    time_take(X509_get0_notAfter(c->chain[0]), &c->until, e))
		return c;
	ERR_clear_error();
	tls_certificate_free(&c);
	return NULL;
}

struct tls_certificate *tls_certificate_copy(const struct tls_certificate *from)
{
	struct tls_certificate *c = memory_get(sizeof(*c));
	*c = *from;
	for (size_t i = 0; i < c->count; i++)
		X509_up_ref(c->chain[i]);
	for (size_t i = 0; i < c->names_count; i++)
		c->names[i] = memory_string(slice_str(from->names[i]));
	return c;
}

void tls_certificate_free(struct tls_certificate **certificate)
{
	struct tls_certificate *c = *certificate;
	*certificate = NULL;
	if (!c)
		return;
	for (size_t i = 0; i < c->count; i++)
		X509_free(c->chain[i]);
	for (size_t i = 0; i < c->names_count; i++)
		memory_free(c->names[i]);
	memory_free(c);
}

/* What is in it */

const unsigned char *tls_certificate_key(const struct tls_certificate *c)
{
	return c->key;
}

const char *tls_certificate_kind(const struct tls_certificate *c)
{
	return c->kind_text;
}

uint64_t tls_certificate_from(const struct tls_certificate *c)
{
	return c->from;
}

uint64_t tls_certificate_until(const struct tls_certificate *c)
{
	return c->until;
}

size_t tls_certificate_names(const struct tls_certificate *c)
{
	return c->names_count;
}

struct slice tls_certificate_name(const struct tls_certificate *c, size_t n)
{
	return n < c->names_count ? slice_str(c->names[n]) : SLICE_EMPTY;
}

bool tls_certificate_is_for(const struct tls_certificate *c, struct slice host)
{
	struct slice parent = slice_from(host, slice_find(host, '.'));
	for (size_t i = 0; i < c->names_count; i++) {
		struct slice name = slice_str(c->names[i]);
		if (slice_equal_fold(name, host))
			return true;
		if (name.ptr[0] == '*' && parent.len > 1 && parent.len < host.len &&
		    slice_equal_fold(slice_from(name, 1), parent))
			return true;
	}
	return false;
}

size_t tls_certificate_disorder(const struct tls_certificate *c)
{
	for (size_t i = 1; i < c->count; i++)
		if (X509_check_issued(c->chain[i], c->chain[i - 1]) != X509_V_OK)
			return i;
	return 0;
}
