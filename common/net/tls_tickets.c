/*
 * Session tickets (RFC 5077 4, RFC 8446 4.6.1): AES-256-CBC under HMAC-SHA-256, as OpenSSL lays
 * them out; what comes from elsewhere are the keys, so that all processes of a service open what
 * one of them has sealed.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "common/base/memory.h"
#include "common/net/tls_parts.h"

enum { HALF = TLS_TICKET_SECRET_SIZE / 2, IV = 16 };

struct ticket_key {
	bool there;
	unsigned char name[TLS_TICKET_NAME_SIZE];
	unsigned char secret[TLS_TICKET_SECRET_SIZE];
};

struct tls_tickets {
	EVP_CIPHER *cipher;
	struct ticket_key now, before;
};

struct tls_tickets *tls_tickets_new(void)
{
	struct tls_tickets *t = memory_zero(1, sizeof(*t));
	t->cipher = EVP_CIPHER_fetch(tls_library(), "AES-256-CBC", NULL);
	if (!t->cipher)
		fatal("TLS: there is no AES-256-CBC");
	return t;
}

void tls_tickets_free(struct tls_tickets **tickets)
{
	struct tls_tickets *t = *tickets;
	*tickets = NULL;
	if (!t)
		return;
	EVP_CIPHER_free(t->cipher);
	explicit_bzero(t, sizeof(*t));
	memory_free(t);
}

static void key_set(struct ticket_key *key, const unsigned char *name, const unsigned char *secret)
{
	explicit_bzero(key, sizeof(*key));
	key->there = name != NULL;
	if (!name)
		return;
	memcpy(key->name, name, sizeof(key->name));
	memcpy(key->secret, secret, sizeof(key->secret));
}

void tls_tickets_set(struct tls_tickets *t, const unsigned char *name, const unsigned char *secret,
		     const unsigned char *old_name, const unsigned char *old_secret)
{
	key_set(&t->now, name, secret);
	key_set(&t->before, old_name, old_secret);
}

bool tls_tickets_there(const struct tls_tickets *t)
{
	return t->now.there;
}

static bool named(const struct ticket_key *key, const unsigned char *name)
{
	return key->there && memcmp(key->name, name, sizeof(key->name)) == 0;
}

int tls_tickets_use(struct tls_tickets *t, unsigned char *name, unsigned char *iv,
		    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool seal)
{
	static char digest[] = "SHA256";
	struct ticket_key *key = seal || named(&t->now, name) ? &t->now : &t->before;
	if (!key->there || (!seal && !named(key, name)))
		return 0; /* a ticket of nobody's: a whole handshake follows */
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->secret + HALF, HALF),
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end(),
	};
	if (seal && RAND_bytes_ex(tls_library(), iv, IV, 0) <= 0)
		return -1;
	if (!EVP_CipherInit_ex2(cipher, t->cipher, key->secret, iv, seal, NULL) ||
	    !EVP_MAC_CTX_set_params(mac, params))
		return -1;
	if (seal)
		memcpy(name, key->name, sizeof(key->name));
	return key == &t->now ? 1 : 2; /* 2: the client gets a new one */
}
