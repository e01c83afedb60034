/*
 * digest: SHA-256 through OpenSSL's EVP. Private to the store. A failure of the library is fatal.
 */
#ifndef QUEUE_STORE_DIGEST_H
#define QUEUE_STORE_DIGEST_H

#include "queue/store/record.h"

struct evp_md_ctx_st;

/* A running hash; used by one thread at a time. */
struct digest {
	struct evp_md_ctx_st *context;
};

void digest_init(struct digest *d);
void digest_add(struct digest *d, struct slice octets);
void digest_end(struct digest *d, uint8_t out[DIGEST_SIZE]); /* ready to begin anew */
void digest_free(struct digest *d);
/* What is delivered passes here: is it what was committed? */
bool digest_is(const uint8_t found[DIGEST_SIZE], const uint8_t wanted[DIGEST_SIZE]);

/* The same of a batch's nonce. */
bool nonce_is(const uint8_t found[NONCE_SIZE], const uint8_t wanted[NONCE_SIZE]);

#endif
