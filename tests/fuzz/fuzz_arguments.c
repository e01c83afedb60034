/*
 * arguments: the command lines of sendmail and of `stagepost queue`; the input's words are between
 * line feeds. What is taken keeps the limits of what it becomes; what is not has a reason.
 */
#include <getopt.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/sendmail/sendmail.h"
#include "common/base/memory.h"
#include "tests/fuzz/must.h"
/* a room's files are in no library */
#include "commands/stagepost/selectors.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WORDS_MAX = 32 };

static int split(struct slice in, char *memory, char **argv)
{
	int argc = 0;
	struct slice word;
	while (in.len > 0 && argc < WORDS_MAX) {
		slice_split(in, '\n', &word, &in);
		memcpy(memory, word.ptr, word.len);
		memory[word.len] = '\0';
		argv[argc++] = memory;
		memory += word.len + 1;
	}
	argv[argc] = NULL;
	return argc;
}

static void sendmail(int argc, char **argv)
{
	struct options o;
	struct error e = {0};
	optind = 0;
	if (!options_parse(&o, argc, argv, &e)) {
		must((e.code == EX_USAGE || e.code == EX_DATAERR) && e.text[0] != '\0');
		return;
	}
	must(o.mode <= MODE_FLUSH && o.recipient_count >= 0 && o.recipient_count < argc);
	must(!o.flush_what == !o.flush_value);
	for (int i = 0; i < o.recipient_count; i++)
		must(o.recipients[i]);
}

static void selectors(enum selectors_use use, int argc, char **argv)
{
	struct selectors s;
	struct error e = {0};
	optind = 0;
	if (!selectors_parse(&s, use, argc, argv, &e))
		must(e.code == EX_USAGE && e.text[0] != '\0');
	else
		must(use != SELECTORS_NONE || s.id_count == 0);
	selectors_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *memory = memory_get(size + 2), *argv[WORDS_MAX + 1];
	struct slice in = slice_make(data, size);
	opterr = 0;
	if (size > 1) {
		int argc = split(slice_from(in, 1), memory, argv);
		if (argc > 0 && data[0] & 4)
			sendmail(argc, argv);
		else if (argc > 0)
			selectors(data[0] % 3, argc, argv);
	}
	memory_free(memory);
	return 0;
}
