/*
 * journal: what usage reads of its own files, which a disk may have spoiled: whole files, and
 * frames whose CRC is made right. What is taken keeps the book's limits.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "daemons/usage/usage.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW UINT64_C(1800000000)

static void look_at_book(void)
{
	struct sums sums;
	size_t known = 0;
	for (size_t i = 0; i < book_count(); i++) {
		struct user *u = book_at(i);
		must(u && u->name_len > 0 && u->name_len <= USAGE_USER_MAX && u->place == i);
		must(book_find(user_name_of(u)) == u);
		must(u->windows.count <= SLOTS_MAX && u->known.count <= KNOWN_MAX);
		for (uint32_t k = 1; k < u->known.count; k++)
			must(KNOWN_HASH(u->known.entries[k]) > KNOWN_HASH(u->known.entries[k - 1]));
		for (uint16_t w = 1; w < u->windows.count; w++)
			must(u->windows.slots[w].number > u->windows.slots[w - 1].number);
		known += u->known.count;
		windows_sum(&u->windows, NOW, &sums);
		must(sums.messages_day >= sums.messages_hour);
		(void)book_tidy(u, NOW);
	}
	must(known <= KNOWN_ALL_MAX);
}

/* The CRC of each frame is made right, as that of a disk that spoils none. */
static void make_right(char *octets, size_t size)
{
	uint64_t sequence = journal_head(slice_make(octets, size));
	for (size_t at = JOURNAL_HEAD; size >= JOURNAL_FRAME && at <= size - JOURNAL_FRAME;) {
		size_t len = get_u32(octets + at);
		if (len > size - at - JOURNAL_FRAME)
			return;
		put_u32(octets + at + 4,
			journal_crc(sequence, slice_make(octets + at + JOURNAL_FRAME, len)));
		at += JOURNAL_FRAME + len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct error e;
	uint64_t end;
	if (fd < 0)
		fd = memfd_create("journal", MFD_CLOEXEC);
	if (size < 1)
		return 0;
	char *octets = memory_get(size);
	memcpy(octets, data + 1, size - 1);
	if (data[0] & 1)
		make_right(octets, size - 1);
	must(ftruncate(fd, 0) == 0 && pwrite(fd, octets, size - 1, 0) == (ssize_t)size - 1);
	must(replay_file(fd, NOW, &end, &e) && end <= size - 1);
	look_at_book();
	book_free();
	(void)replay_payload(slice_make(octets, size - 1), NOW);
	look_at_book();
	book_free();
	memory_free(octets);
	return 0;
}
