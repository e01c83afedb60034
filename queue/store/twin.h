/*
 * twin: the digest of a large file's content, two SHA-256 computed side by side. The content is
 * cut into blocks of 64 octets (the last may be shorter); the even ones, one behind the other, are
 * hashed by one SHA-256, the odd ones by another, and the digest is the SHA-256 of these two
 * digests, the even one's first. Where the processor has instructions for SHA-256 each of them
 * waits for the one before, so that two chains take little longer than one. It is as hard to find
 * two contents with one digest as it is for SHA-256: the blocks determine the content. Private to
 * the store.
 */
#ifndef QUEUE_STORE_TWIN_H
#define QUEUE_STORE_TWIN_H

#include "queue/store/digest.h"

enum {
	TWIN_BLOCK = 64,
	TWIN_PAIR = 2 * TWIN_BLOCK,
	TWIN_WORDS = 8 /* of a SHA-256's state */
};

/* A running hash; used by one thread at a time. */
struct twin {
	bool by_instruction; /* else by OpenSSL, in lanes */
	uint32_t state[2][TWIN_WORDS];
	struct digest lanes[2];	 /* of both ways: for the digest of the digests */
	uint8_t rest[TWIN_PAIR]; /* not yet a whole pair of blocks */
	size_t rest_len;
	uint64_t octets;
};

void twin_init(struct twin *t);
/* The same with OpenSSL alone: the way of every other processor, for tests. */
void twin_init_plain(struct twin *t);
void twin_add(struct twin *t, struct slice octets);
void twin_end(struct twin *t, uint8_t out[DIGEST_SIZE]); /* only twin_free() may follow */
void twin_free(struct twin *t);

/* twin_x86.c */
bool twin_has_instruction(void);
/* Compresses pairs of blocks into both states (FIPS 180-4 6.2.2). */
void twin_pairs_by_instruction(uint32_t state[2][TWIN_WORDS], const uint8_t *octets, size_t pairs);

#endif
