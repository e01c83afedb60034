/*
 * content: gives a message's content in the order in which it is sent. A file holds the body first
 * and is hashed in that order, so its header block, which is bounded, is read ahead of the body,
 * given, and kept until the hash gets to it.
 */
#include "queue/store/content.h"

#include <errno.h>

#include "common/base/memory.h"
#include "common/os/disk.h"
#include "queue/store/format.h"
#include "queue/store/twin.h"

enum { PARTS = 4 }; /* trace, header, body, nothing */

struct content_reader {
	const struct content *content;
	unsigned part;	   /* that is being given */
	struct slice rest; /* of it, when it lies in memory */
	uint64_t at;	   /* of a file's body */
	char *header;	   /* of a file; NULL: not read yet */
	char *piece;	   /* CONTENT_CHUNK octets for a file's body */
	bool plain;	   /* a file from before there were twins: hashed by `hash` */
	struct digest hash;
	struct twin twin;
};

struct content_reader *content_reader_new(const struct content *c)
{
	struct content_reader *r = memory_zero(1, sizeof(*r));
	r->content = c;
	r->rest = c->trace;
	return r;
}

void content_reader_free(struct content_reader **reader)
{
	struct content_reader *r = *reader;
	*reader = NULL;
	if (!r)
		return;
	if (r->header && r->plain)
		digest_free(&r->hash);
	else if (r->header)
		twin_free(&r->twin);
	memory_free(r->header);
	memory_free(r->piece);
	memory_free(r);
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
static bool file_matches(const struct content *c, unsigned *version)
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
	*version = large_head_version(head, f->number, f->nonce);
	if (*version == 0)
		errno = EBADMSG;
	return *version != 0;
}

static void hash_add(struct content_reader *r, struct slice octets)
{
	if (r->plain)
		digest_add(&r->hash, octets);
	else
		twin_add(&r->twin, octets);
}

static bool file_open(struct content_reader *r)
{
	const struct content *c = r->content;
	unsigned version;
	if (!file_matches(c, &version))
		return false;
	r->header = memory_get((size_t)c->file.header_length + 1);
	r->piece = memory_get(CONTENT_CHUNK);
	r->at = c->file.body_offset;
	r->plain = version == LARGE_VERSION_PLAIN;
	if (r->plain)
		digest_init(&r->hash);
	else
		twin_init(&r->twin);
	return read_all(c->fd, r->header, (size_t)c->file.header_length, c->file.header_offset);
}

/* The hash covers the body, then the header. */
static bool file_close(struct content_reader *r)
{
	const struct stored_file *f = &r->content->file;
	uint8_t digest[DIGEST_SIZE];
	hash_add(r, slice_make(r->header, (size_t)f->header_length));
	if (r->plain)
		digest_end(&r->hash, digest);
	else
		twin_end(&r->twin, digest);
	if (digest_is(digest, f->digest))
		return true;
	errno = EBADMSG;
	return false;
}

/* Goes to the next part. */
static bool part_begin(struct content_reader *r)
{
	const struct content *c = r->content;
	r->part++;
	if (r->part == 1)
		r->rest = c->file.number ? slice_make(r->header, (size_t)c->file.header_length)
					 : c->header;
	else if (r->part == 2 && !c->file.number)
		r->rest = c->body;
	else if (r->part == 3 && c->file.number)
		return file_close(r);
	return true;
}

/* The next piece of a file's body; false at its end, or with -1 in *result. */
static bool body_next(struct content_reader *r, struct slice *piece, int *result)
{
	const struct stored_file *f = &r->content->file;
	uint64_t left = f->header_offset - r->at;
	size_t len = left < CONTENT_CHUNK ? (size_t)left : CONTENT_CHUNK;
	if (len == 0)
		return false;
	*result = read_all(r->content->fd, r->piece, len, r->at) ? 1 : -1;
	if (*result < 0)
		return true;
	*piece = slice_make(r->piece, len);
	hash_add(r, *piece);
	r->at += len;
	return true;
}

int content_reader_next(struct content_reader *r, struct slice *piece)
{
	int result;
	*piece = SLICE_EMPTY;
	if (r->content->file.number && !r->header && !file_open(r))
		return -1;
	while (r->part < PARTS - 1) {
		if (r->rest.len > 0) {
			*piece = slice_sub(r->rest, 0, CONTENT_CHUNK);
			r->rest = slice_from(r->rest, CONTENT_CHUNK);
			return 1;
		}
		if (r->part == 2 && r->content->file.number && body_next(r, piece, &result))
			return result;
		if (!part_begin(r))
			return -1;
	}
	return 0;
}

int content_read(const struct content *c, bool (*take)(void *arg, struct slice piece), void *arg)
{
	struct content_reader *r = content_reader_new(c);
	struct slice piece;
	int result;
	while ((result = content_reader_next(r, &piece)) > 0 && take(arg, piece))
		;
	int error = errno;
	content_reader_free(&r);
	errno = error;
	return result == 0 ? 0 : -1;
}

uint64_t content_size(const struct content *c)
{
	if (c->file.number)
		return c->trace.len + c->file.body_length + c->file.header_length;
	return c->trace.len + c->header.len + c->body.len;
}
