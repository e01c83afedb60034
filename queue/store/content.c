/*
 * content: gives a message's content in the order in which it is sent. A file holds the body first
 * and is hashed in that order, so its header block, which is bounded, is read ahead of the body,
 * given, and kept until the hash gets to it.
 */
#include "queue/store/content.h"

#include <errno.h>

#include "common/base/memory.h"
#include "common/os/disk.h"
#include "queue/store/digest.h"
#include "queue/store/format.h"

typedef bool content_take(void *arg, struct slice piece);

static bool give(struct slice s, content_take *take, void *arg)
{
	for (; s.len > 0; s = slice_from(s, CONTENT_CHUNK))
		if (!take(arg, slice_sub(s, 0, CONTENT_CHUNK)))
			return false;
	return true;
}

/* A file that ends early is not what was committed. */
static bool read_all(int fd, void *to, size_t len, uint64_t offset)
{
	ssize_t n = disk_pread(fd, to, len, offset);
	if (n >= 0 && (size_t)n < len)
		errno = EBADMSG;
	return n >= 0 && (size_t)n == len;
}

/* Does the place of the parts make sense, and is this the file that the record means? */
static bool file_matches(const struct content *c)
{
	const struct stored_file *f = &c->file;
	uint8_t head[LARGE_HEAD_SIZE];
	if (f->length < LARGE_HEAD_SIZE || f->body_offset != LARGE_HEAD_SIZE ||
	    f->body_length > f->length - LARGE_HEAD_SIZE ||
	    f->header_offset != f->body_offset + f->body_length ||
	    f->header_length != f->length - f->header_offset ||
	    f->header_length > HEADER_BLOCK_MAX) {
		errno = EBADMSG;
		return false;
	}
	if (!read_all(c->fd, head, sizeof(head), 0))
		return false;
	if (!large_head_check(head, f->number, f->nonce)) {
		errno = EBADMSG;
		return false;
	}
	return true;
}

static bool give_body(const struct content *c, struct digest *hash, char *piece, content_take *take,
		      void *arg)
{
	uint64_t at = c->file.body_offset, end = c->file.header_offset;
	while (at < end) {
		size_t len = end - at < CONTENT_CHUNK ? (size_t)(end - at) : CONTENT_CHUNK;
		if (!read_all(c->fd, piece, len, at))
			return false;
		struct slice s = slice_make(piece, len);
		digest_add(hash, s);
		if (!take(arg, s))
			return false;
		at += len;
	}
	return true;
}

static bool give_file(const struct content *c, char *header, struct digest *hash,
		      content_take *take, void *arg)
{
	const struct stored_file *f = &c->file;
	struct slice block = slice_make(header, (size_t)f->header_length);
	if (!read_all(c->fd, header, block.len, f->header_offset) || !give(block, take, arg))
		return false;
	char *piece = memory_get(CONTENT_CHUNK);
	bool given = give_body(c, hash, piece, take, arg);
	int error = errno;
	memory_free(piece);
	errno = error;
	if (!given)
		return false;
	uint8_t digest[DIGEST_SIZE];
	digest_add(hash, block);
	digest_end(hash, digest);
	if (memcmp(digest, f->digest, DIGEST_SIZE) != 0) {
		errno = EBADMSG;
		return false;
	}
	return true;
}

int content_read(const struct content *c, content_take *take, void *arg)
{
	if (c->file.number && !file_matches(c))
		return -1;
	if (!give(c->trace, take, arg))
		return -1;
	if (!c->file.number)
		return give(c->header, take, arg) && give(c->body, take, arg) ? 0 : -1;
	char *header = memory_get((size_t)c->file.header_length + 1);
	struct digest hash;
	digest_init(&hash);
	bool given = give_file(c, header, &hash, take, arg);
	int error = errno;
	digest_free(&hash);
	memory_free(header);
	errno = error;
	return given ? 0 : -1;
}

uint64_t content_size(const struct content *c)
{
	if (c->file.number)
		return c->trace.len + c->file.body_length + c->file.header_length;
	return c->trace.len + c->header.len + c->body.len;
}
