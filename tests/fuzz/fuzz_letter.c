/*
 * letter: whatever header and body are, a letter begins with our fields, holds no CRLF that was not
 * CR CRLF, and is never longer than what went in. path: what an address names lies below the base.
 */
#include <stdlib.h>

#include "common/mail/mailbox_path.h"
/* a room's files are in no library */
#include "daemons/local/letter.c"

enum { OUT_MAX = 4 * 1024 * 1024, OURS_MAX = 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool collect(void *arg, struct slice octets)
{
	if (octets.len == 0 || !buffer_append(arg, octets))
		abort();
	return true;
}

static void check_letter(struct slice header, struct slice body, struct slice address)
{
	static struct letter_room *room;
	struct letter l = {.sender = address,
			   .address = address,
			   .original = address,
			   .content = {.header = header, .body = body, .fd = -1}};
	struct buffer out;
	enum letter_fault fault;
	if (!room)
		room = letter_room_new();
	buffer_init(&out, OUT_MAX);
	fault = letter_write(&l, room, collect, &out);
	if (fault == LETTER_TROUBLE || (fault == LETTER_SPOILED && header.len <= HEADER_BLOCK_MAX))
		abort();
	if (fault == LETTER_FINE) {
		struct slice s = buffer_slice(&out), first, second;
		if (s.len > header.len + body.len + 17 * 4096 + OURS_MAX)
			abort();
		slice_split(s, '\n', &first, &s);
		slice_split(s, '\n', &second, &s);
		if (!slice_starts(first, SLICE("Return-Path: <")) ||
		    !slice_starts(second, SLICE("Delivered-To: ")) ||
		    second.len != address.len + sizeof("Delivered-To: ") - 1)
			abort();
	}
	buffer_free(&out);
}

static void check_path(struct slice user, struct slice domain)
{
	char path[MAILBOX_PATH_SIZE];
	if (mailbox_path_expand(SLICE("%d/%n"), user, domain, path))
		return;
	if (strlen(path) != user.len + domain.len + 1 || path[0] == '.' || path[0] == '/' ||
	    strstr(path, "/.") || strchr(strchr(path, '/') + 1, '/'))
		abort();
}

/* The first octet says where the header ends, in sixteenths; the second how long the address is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice all, address;
	size_t header;
	if (size < 2)
		return 0;
	all = slice_make(data + 2, size - 2);
	address = slice_sub(all, 0, data[1] % 64);
	header = all.len * (data[0] % 17) / 16;
	check_letter(slice_sub(all, 0, header), slice_from(all, header), address);
	check_path(slice_sub(address, 0, address.len / 2), slice_from(address, address.len / 2));
	return 0;
}
