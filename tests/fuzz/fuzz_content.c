/*
 * content: a large file as an agent reads it: numbers from the queue manager, octets that a
 * writer which was taken over may have changed. Pieces are within their limit and what was said
 * of the lengths; the end is reached only when the digest is that of the octets.
 */
#include <errno.h>
#include <openssl/sha.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "queue/store/content.h"
#include "queue/store/format.h"
#include "queue/store/twin.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NUMBERS = 41 };

static uint64_t given;

static bool take(void *arg, struct slice piece)
{
	unsigned *left = arg;
	must(piece.len > 0 && piece.len <= CONTENT_CHUNK);
	given += piece.len;
	errno = EINTR;
	return --*left > 0;
}

static void hash(struct slice in, bool plain, uint8_t digest[DIGEST_SIZE])
{
	struct twin t;
	if (plain) {
		SHA256((const unsigned char *)in.ptr, in.len, digest);
		return;
	}
	twin_init(&t);
	twin_add(&t, in);
	twin_end(&t, digest);
	twin_free(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static const uint8_t nonce[NONCE_SIZE] = "0123456789abcde";
	uint8_t front[LARGE_HEAD_SIZE];
	if (fd < 0)
		fd = memfd_create("content", MFD_CLOEXEC);
	if (size < NUMBERS)
		return 0;
	struct slice in = slice_make(data + NUMBERS, size - NUMBERS);
	struct content c = {.trace = SLICE("Received: x\r\n"), .fd = fd};
	unsigned left = data[0] & 4 ? 1 : 100000;
	bool true_numbers = data[0] & 1, true_digest = data[0] & 2;
	large_head_encode(1, nonce, front);
	if (data[0] & 8)
		front[data[1] % 64] ^= data[2];
	must(ftruncate(fd, 0) == 0 && pwrite(fd, front, sizeof(front), 0) == sizeof(front) &&
	     pwrite(fd, in.ptr, in.len, sizeof(front)) == (ssize_t)in.len);
	c.file = (struct stored_file){.number = 1,
				      .length = get_u64(data + 1),
				      .body_offset = get_u64(data + 9),
				      .body_length = get_u64(data + 17),
				      .header_offset = get_u64(data + 25),
				      .header_length = get_u64(data + 33)};
	if (true_numbers) {
		uint64_t header = in.len ? data[1] % in.len : 0;
		c.file.length = sizeof(front) + in.len;
		c.file.body_offset = sizeof(front);
		c.file.body_length = in.len - header;
		c.file.header_offset = sizeof(front) + in.len - header;
		c.file.header_length = header;
	}
	memcpy(c.file.nonce, nonce, sizeof(nonce));
	if (true_digest)
		hash(in, large_head_version(front, 1, nonce) == LARGE_VERSION_PLAIN, c.file.digest);
	given = 0;
	int result = content_read(&c, take, &left);
	must(result == 0 || (result == -1 && errno != 0));
	must(result != 0 || (given == content_size(&c) && true_digest));
	must(result == 0 || !true_numbers || !true_digest || left == 0 || (data[0] & 8));
	struct content_reader *r = content_reader_new(&c);
	struct slice piece;
	uint64_t again = 0;
	int next;
	while ((next = content_reader_next(r, &piece)) == 1)
		again += piece.len;
	must(next != 0 || again == content_size(&c));
	must((next == 0) == (result == 0) || left == 0);
	content_reader_free(&r);
	return 0;
}
