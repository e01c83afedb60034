/*
 * trust_nofaults: the normal build, in which a digest or a nonce is right or it is not.
 */
#include <string.h>

#include "queue/store/digest.h"

bool digest_is(const uint8_t found[DIGEST_SIZE], const uint8_t wanted[DIGEST_SIZE])
{
	return memcmp(found, wanted, DIGEST_SIZE) == 0;
}

bool nonce_is(const uint8_t found[NONCE_SIZE], const uint8_t wanted[NONCE_SIZE])
{
	return memcmp(found, wanted, NONCE_SIZE) == 0;
}
