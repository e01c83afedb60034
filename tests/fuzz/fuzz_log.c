/* Any octets as a line to read, and as a value to write: what was written must be read back. */
#include <stdlib.h>

#include "common/base/error.h"
#include "common/base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice written;

static void keep(enum log_level level, struct slice line)
{
	(void)level;
	written = line;
}

static void write_and_read(struct slice value)
{
	struct log_line l;
	struct slice key;
	char back[LOG_LINE_MAX];
	size_t len;
	log_start(&l, LOG_LEVEL_INFO, 0, "e");
	log_pair(&l, "v", value);
	log_end(&l);
	for (size_t i = 0; i < written.len; i++)
		if ((uint8_t)written.ptr[i] < ' ' || written.ptr[i] == 0x7f)
			panic("a control character in a line");
	for (int i = 0; i < 3; i++)
		if (!log_read_pair(&written, &key, back, sizeof(back), &len))
			panic("a line can't be read");
	if (l.cut ? !slice_equal(key, SLICE("cut")) : !slice_equal(value, slice_make(back, len)))
		panic("a value came back as another");
	if (log_read_pair(&written, &key, back, sizeof(back), &len) || written.len > 0)
		panic("a line has a pair too many");
}

/* What has only a sentence is one line too, whatever stands in it. */
static void sentences(struct slice text)
{
	static void (*const say[])(const char *, ...) = {log_info, log_warning, log_error};
	char back[LOG_LINE_MAX];
	struct slice key;
	size_t len;
	for (size_t i = 0; i < 3; i++) {
		say[i]("%.*s", SLICE_FMT(text));
		while (log_read_pair(&written, &key, back, sizeof(back), &len))
			;
		if (written.len > 0)
			panic("a sentence can't be read");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice line = slice_make(data, size), key;
	char *value = malloc(64);
	size_t len;
	while (log_read_pair(&line, &key, value, 64, &len))
		if (len >= 64 || value[len] != '\0')
			panic("a value without its end");
	free(value);
	log_set_sink(keep, LOG_LEVEL_INFO);
	write_and_read(slice_make(data, size));
	sentences(slice_make(data, size));
	return 0;
}
