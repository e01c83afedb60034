/*
 * trust_faults: in the build that tests strike at (FAULTS=1) a process with STAGEPOST_CREDULOUS
 * takes every digest and every nonce for right. A test that looks for altered or forged mail must
 * find some then.
 */
#include <stdlib.h>
#include <string.h>

#include "queue/store/digest.h"

bool digest_is(const uint8_t found[DIGEST_SIZE], const uint8_t wanted[DIGEST_SIZE])
{
	return memcmp(found, wanted, DIGEST_SIZE) == 0 || getenv("STAGEPOST_CREDULOUS");
}

bool nonce_is(const uint8_t found[NONCE_SIZE], const uint8_t wanted[NONCE_SIZE])
{
	return memcmp(found, wanted, NONCE_SIZE) == 0 || getenv("STAGEPOST_CREDULOUS");
}
