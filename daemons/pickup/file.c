/*
 * A file of the drop directory, which any user may have written: it is opened without following
 * anything, must be a regular file with one name, and is read to its end before a word of it is
 * said to anybody.
 */
#include <errno.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/os/disk.h"
#include "daemons/pickup/pickup.h"

bool file_read(const struct file *f, uint64_t at, void *data, size_t len)
{
	ssize_t n = disk_pread(f->fd, data, len, at);
	if (n >= 0 && (size_t)n < len)
		errno = ENODATA; /* it was longer a moment ago */
	return n >= 0 && (size_t)n == len;
}

static enum file_result look(struct file *f, uint64_t *octets, const char **why)
{
	struct stat st;
	if (disk_stat(f->fd, &st) < 0)
		return FILE_LATER;
	*why = "it is no regular file";
	if (!S_ISREG(st.st_mode))
		return FILE_BAD;
	*why = "it has another name elsewhere";
	if (st.st_nlink != 1)
		return FILE_BAD;
	f->uid = st.st_uid;
	*octets = (uint64_t)st.st_size;
	return FILE_GOOD;
}

static enum file_result read_envelope(struct file *f, uint64_t octets, const char **why)
{
	char front[DROP_FRONT];
	uint32_t len;
	uint64_t content;
	size_t room;
	*why = "it is torn, or no letter";
	if (octets < DROP_FRONT + DROP_END)
		return FILE_BAD;
	if (!file_read(f, 0, front, sizeof(front)))
		return FILE_LATER;
	if (!drop_read_front(front, octets, &len, &content))
		return FILE_BAD;
	char *to = len > 0 ? buffer_reserve(&f->envelope, len, &room) : NULL;
	if (!to)
		return FILE_BAD;
	if (!file_read(f, DROP_FRONT, to, len))
		return FILE_LATER;
	buffer_grew(&f->envelope, len);
	*why = "its envelope is not understood";
	if (!drop_read(buffer_slice(&f->envelope), &f->drop))
		return FILE_BAD;
	f->drop.content_octets = content;
	f->content = DROP_FRONT + len;
	return FILE_GOOD;
}

static enum file_result check(const struct file *f, const char **why)
{
	uint64_t end = f->content + f->drop.content_octets;
	uint32_t crc = 0;
	char piece[PIECE], mark[DROP_END];
	for (uint64_t at = 0; at < end; at += PIECE) {
		size_t len = end - at < PIECE ? (size_t)(end - at) : PIECE;
		if (!file_read(f, at, piece, len))
			return FILE_LATER;
		crc = crc32c(crc, piece, len);
	}
	if (!file_read(f, end, mark, sizeof(mark)))
		return FILE_LATER;
	*why = "its octets are not those that were written";
	return drop_read_end(mark, crc) ? FILE_GOOD : FILE_BAD;
}

enum file_result file_open(int dir, const char *name, struct file *f, const char **why)
{
	uint64_t octets;
	enum file_result result;
	*f = (struct file){.fd = disk_open(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0)};
	buffer_init(&f->envelope, DROP_ENVELOPE_MAX);
	if (f->fd < 0) {
		*why = strerror(errno);
		return errno == ENOENT			  ? FILE_GONE
		       : errno == ELOOP || errno == ENXIO ? FILE_BAD
							  : FILE_LATER;
	}
	result = look(f, &octets, why);
	if (result == FILE_GOOD)
		result = read_envelope(f, octets, why);
	if (result == FILE_GOOD)
		result = check(f, why);
	if (result == FILE_LATER)
		*why = strerror(errno);
	if (result != FILE_GOOD)
		file_close(f);
	return result;
}

void file_close(struct file *f)
{
	if (f->fd >= 0)
		disk_close(f->fd);
	f->fd = -1;
	buffer_free(&f->envelope);
}
