/*
 * What the kinds of mailbox share.
 */
#include "daemons/maildrop/drop.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "common/base/encode.h"

bool drop_wait(unsigned *tries)
{
	struct timespec rest = {0, DROP_LOCK_WAIT_US * 1000};
	if (++*tries == DROP_LOCK_TRIES)
		return false;
	while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
		;
	return true;
}

size_t drop_unique(const unsigned char digest[DROP_DIGEST_SIZE], unsigned twin,
		   char uid[MAILDROP_UIDL_MAX])
{
	char text[2 * DROP_DIGEST_SIZE + 16];
	hex_encode(digest, DROP_DIGEST_SIZE, text);
	size_t len = 2 * DROP_DIGEST_SIZE;
	if (twin > 0)
		len += (size_t)snprintf(text + len, sizeof(text) - len, ".%u", twin + 1);
	memcpy(uid, text, len);
	return len;
}
