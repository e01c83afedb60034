/*
 * database: a table as a Berkeley DB file that is not as it was made: octets of it changed, its end
 * cut. It is refused or read; what is found is a value that was there, and an error stays one.
 *
 * The input: {key's number, cut / 256, changes of {page, place, place, value}}.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/table/database.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ENTRIES = 400, CHANGE = 4, CHANGES_MAX = 16, FILE_MAX = 1024 * 1024 };

static char *original;
static size_t original_len;

static void make_original(void)
{
	char path[] = "/tmp/stagepost-fuzz-XXXXXX";
	char key[32], value[64];
	struct content *c = content_new();
	struct error e;
	struct stat st;
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(c && here >= 0 && mkdtemp(path) && chdir(path) == 0);
	for (unsigned i = 0; i < ENTRIES; i++) {
		snprintf(key, sizeof(key), "user%u", i);
		snprintf(value, sizeof(value), "value of %u, long enough to fill pages", i);
		must(content_add(c, slice_str(key), slice_str(value)) == CONTENT_ADDED);
	}
	must(database_make("t.db", TABLE_PLAIN, c, &e));
	content_release(&c);
	int fd = open("t.db", O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && fstat(fd, &st) == 0 && st.st_size < FILE_MAX);
	original_len = (size_t)st.st_size;
	original = memory_get(original_len);
	must(pread(fd, original, original_len, 0) == (ssize_t)original_len);
	close(fd);
	must(unlink("t.db") == 0 && fchdir(here) == 0 && rmdir(path) == 0);
	close(here);
}

static void change(char *octets, const uint8_t *data, size_t size)
{
	for (size_t at = 0, n = 0; at + CHANGE <= size && n < CHANGES_MAX; at += CHANGE, n++) {
		size_t page = data[at] % (original_len / DATABASE_PAGE);
		size_t place = (data[at + 1] | data[at + 2] << 8) % DATABASE_PAGE;
		octets[page * DATABASE_PAGE + place] ^= (char)data[at + 3];
	}
}

static void read_it(int fd, unsigned number)
{
	struct database *d = NULL;
	struct error e = {0};
	enum table_use use;
	char key[32], wanted[64];
	struct slice value;
	(void)database_use(fd, &use, &e);
	if (!database_open(fd, TABLE_PLAIN, &d, &e)) {
		must(!d && e.code == EX_DATAERR && e.text[0] != '\0');
		return;
	}
	for (unsigned i = number; i < number + 20; i++) {
		snprintf(key, sizeof(key), "user%u", i % (ENTRIES + 10));
		enum table_result r = database_find(d, slice_str(key), false, &value);
		if (r != TABLE_FOUND)
			continue;
		snprintf(wanted, sizeof(wanted), "value of %u, long enough to fill pages",
			 i % (ENTRIES + 10));
		must(slice_equal(value, slice_str(wanted)));
		memory_free((void *)value.ptr);
	}
	database_release(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	if (!original) {
		make_original();
		fd = memfd_create("table", MFD_CLOEXEC);
	}
	if (size < 2)
		return 0;
	size_t len = original_len - original_len * data[1] / 256;
	char *octets = memory_get(original_len);
	memcpy(octets, original, original_len);
	change(octets, data + 2, size - 2);
	must(ftruncate(fd, 0) == 0 && pwrite(fd, octets, len, 0) == (ssize_t)len);
	memory_free(octets);
	read_it(fd, data[0]);
	return 0;
}
