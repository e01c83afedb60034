/* Reads any octets as a packet of log lines; what is taken lies inside the packet. */
#include <stdlib.h>

#include "common/os/log_output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice packet = slice_make(data, size);
	struct log_entry entry;
	const char *end = (const char *)data + size;
	size_t before = packet.len;
	while (log_output_next(&packet, &entry)) {
		if (packet.len >= before || entry.level > LOG_LEVEL_ERROR || entry.pid < 0 ||
		    entry.role.len == 0 || entry.role.len >= LOG_ROLE_MAX ||
		    entry.text.ptr + entry.text.len > end ||
		    slice_find(entry.text, '\n') != entry.text.len)
			abort();
		before = packet.len;
	}
	if (packet.len != 0)
		abort();
	return 0;
}
