/*
 * trust_nofaults: the normal build, in which a digest is right or it is not.
 */
#include <string.h>

#include "queue/store/digest.h"

bool digest_is(const uint8_t found[DIGEST_SIZE], const uint8_t wanted[DIGEST_SIZE])
{
	return memcmp(found, wanted, DIGEST_SIZE) == 0;
}
