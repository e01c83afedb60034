/*
 * digest: the algorithm is fetched once a process, because a fetch costs more than the hash of a
 * small message and may open files, which a process in its sandbox can't.
 */
#include "queue/store/digest.h"

#include <openssl/evp.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;

static void fetch(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!sha256)
		fatal("OpenSSL has no SHA-256");
}

static void begin(struct digest *d)
{
	if (EVP_DigestInit_ex2(d->context, sha256, NULL) != 1)
		fatal("OpenSSL can't begin a SHA-256");
}

void digest_init(struct digest *d)
{
	pthread_once(&once, fetch);
	d->context = EVP_MD_CTX_new();
	if (!d->context)
		fatal("OpenSSL has no memory for a SHA-256");
	begin(d);
}

void digest_add(struct digest *d, struct slice octets)
{
	if (octets.len > 0 && EVP_DigestUpdate(d->context, octets.ptr, octets.len) != 1)
		fatal("OpenSSL can't go on with a SHA-256");
}

void digest_end(struct digest *d, uint8_t out[DIGEST_SIZE])
{
	if (EVP_DigestFinal_ex(d->context, out, NULL) != 1)
		fatal("OpenSSL can't end a SHA-256");
	begin(d);
}

void digest_free(struct digest *d)
{
	EVP_MD_CTX_free(d->context);
	d->context = NULL;
}
