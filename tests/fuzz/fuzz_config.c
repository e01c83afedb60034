/*
 * The configuration's text. A NUL-separated input is the main file and what it may include, named
 * 0, 1, 2 ...; what parses is held against the schema word by word.
 */
#include <stdlib.h>
#include <sysexits.h>

#include "common/config/tree.h"

enum { MEMORY = 8 * 1024 * 1024, FILES_MAX = 10 };

static bool read_part(void *arg, const char *path, struct slice *text, struct error *e)
{
	struct slice rest = *(struct slice *)arg;
	unsigned wanted = path[0] == 'm' ? 0 : (unsigned)(path[0] - '0') + 1;
	if (wanted > FILES_MAX || (path[0] != '\0' && path[1] != '\0'))
		return error_set(e, EX_NOINPUT, "not there");
	for (unsigned i = 0; i <= wanted; i++)
		slice_split(rest, '\0', text, &rest);
	return true;
}

static void look(const struct text_list *list)
{
	const struct text_statement *s;
	TAILQ_FOREACH (s, list, link) {
		enum schema_place elsewhere;
		struct slice base, rest;
		char network[NETWORK_TEXT_SIZE];
		uint64_t number;
		schema_nearest(PLACE_TOP, s->name.text, &elsewhere);
		for (size_t i = 0; i < s->value_count; i++) {
			struct slice value = s->values[i].text;
			if (strlen(value.ptr) != value.len)
				abort();
			size_parse(value, &number);
			time_parse(value, &number);
			network_parse(value, network);
			listen_fault(value);
			template_split(value, &base, &rest);
		}
		look(&s->block);
	}
}

static bool build(struct arena *arena, const struct text_list *list, struct error *e)
{
	struct config c = {.arena = *arena, .path = "/etc/m", .directory = "/etc/"};
	c.machine[MACHINE_HOSTNAME] = c.machine[MACHINE_MAILNAME] = "mx.example.org";
	bool good = tree_build(&c, list, e) && records_build(&c, e);
	*arena = c.arena;
	return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_make(data, size);
	struct arena arena;
	struct error e = {0};
	struct text_list list;
	struct text_source source = {read_part, &input, &arena};
	arena_init(&arena, MEMORY);
	TAILQ_INIT(&list);
	bool good = text_parse(&source, "m", &list, &e);
	if (good) {
		look(&list);
		good = build(&arena, &list, &e);
	}
	if (!good && e.text[0] == '\0')
		abort();
	arena_free(&arena);
	return 0;
}
