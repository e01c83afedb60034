/*
 * fuzz: scan_segment() on a segment from a writer that was taken over and knows the nonce: CRCs,
 * lease and place are made right wherever a magic stands. What is told must lie in the segment, in
 * order.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "queue/store/format.h"
#include "queue/store/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEGMENT_MAX = 64 * 1024 };

static const uint64_t LEASE = 7;

struct seen {
	size_t size;
	uint64_t end;
	uint32_t next;
};

static void on_record(void *arg, const struct writer_entry *e)
{
	struct seen *s = arg;
	if (e->offset < s->end || e->length > s->size - e->offset || e->ordinal < s->next ||
	    e->id == 0)
		abort();
	s->end = e->offset + e->length;
	s->next = e->ordinal + 1;
}

static void on_damage(void *arg, uint64_t offset, uint64_t length)
{
	const struct seen *s = arg;
	if (offset > s->size || length > s->size - offset)
		abort();
}

static void make_right(char *octets, size_t size)
{
	static const uint8_t nonce[NONCE_SIZE];
	for (size_t at = 0; at + RECORD_HEADER_SIZE <= size; at += RECORD_ALIGN) {
		uint32_t length = get_u32(octets + at + 4);
		if (get_u32(octets + at) == RECORD_MAGIC && length >= RECORD_HEADER_SIZE &&
		    length <= size - at)
			record_seal(octets + at, get_u32(octets + at + 12),
				    record_mark(LEASE, nonce));
	}
	for (size_t at = 0; at + BATCH_HEADER_SIZE <= size; at += BATCH_ALIGN) {
		if (get_u32(octets + at) != BATCH_MAGIC)
			continue;
		struct batch_head h = {.lease = LEASE,
				       .sequence = get_u64(octets + at + 32),
				       .offset = at,
				       .octets = get_u32(octets + at + 48),
				       .records = get_u32(octets + at + 52),
				       .ordinal = get_u32(octets + at + 56)};
		batch_head_encode(&h, (uint8_t *)octets + at);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	if (size < 1 || size > SEGMENT_MAX)
		return 0;
	if (fd < 0)
		fd = memfd_create("segment", MFD_CLOEXEC);
	struct seen seen = {.size = size - 1};
	struct scan_request request = {
	    .fd = fd, .lease = LEASE, .size = seen.size, .known = data[0] & 15};
	struct scan_calls calls = {.record = on_record, .damage = on_damage, .arg = &seen};
	struct scan_result result;
	struct error error;
	char *octets = memory_get(size);
	memcpy(octets, data + 1, seen.size);
	if (data[0] & 128)
		make_right(octets, seen.size);
	if (ftruncate(fd, 0) < 0 || pwrite(fd, octets, seen.size, 0) != (ssize_t)seen.size ||
	    !scan_segment(&request, &calls, &result, &error))
		abort();
	if (result.end > batch_align(seen.size))
		abort();
	memory_free(octets);
	return 0;
}
