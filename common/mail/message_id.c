/*
 * message_id: time, queue id and host make it unique; nothing in it comes from a stranger.
 */
#include "common/mail/message_id.h"

#include <stdio.h>

#include "common/mail/address.h"
#include "common/mail/calendar.h"

enum { UNIQUE_MAX = 32 };

struct slice message_id_text(int64_t seconds, struct slice unique, struct slice host,
			     char dst[MESSAGE_ID_SIZE])
{
	struct calendar c = calendar_of(seconds);
	int size;

	unique = slice_sub(unique, 0, UNIQUE_MAX);
	host = slice_sub(host, 0, ADDRESS_DOMAIN_MAX);
	size =
	    snprintf(dst, MESSAGE_ID_SIZE, "<%04d%02d%02d%02d%02d%02d.%.*s@%.*s>", c.year, c.month,
		     c.day, c.hour, c.minute, c.second, SLICE_FMT(unique), SLICE_FMT(host));
	return slice_make(dst, (size_t)size);
}
