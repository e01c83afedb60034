/*
 * The configuration's text. A NUL-separated input is the main file and what it may include, named
 * 0, 1, 2 ...; what parses is held against the schema word by word, and what is right is printed as
 * text that reads back to the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/base/memory.h"
#include "common/config/config.h"
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
			template_system_fault(value);
		}
		look(&s->block);
	}
}

static void hear_text(void *arg, struct slice text)
{
	if (!buffer_append(arg, text))
		abort();
}

static void hear_fault(void *arg, enum config_severity severity, const char *place,
		       const char *text)
{
	(void)severity, (void)place;
	*(unsigned *)arg += text[0] != '\0';
}

static struct config *config_make(struct arena *arena, unsigned *faults)
{
	struct config *c = memory_zero(1, sizeof(*c));
	c->arena = *arena;
	c->path = "/etc/m";
	c->directory = "/etc/";
	c->machine[MACHINE_HOSTNAME] = c->machine[MACHINE_MAILNAME] = "mx.example.org";
	c->report = faults ? hear_fault : NULL;
	c->report_arg = faults;
	return c;
}

static bool build(struct arena *arena, const struct text_list *list, struct buffer *printed,
		  struct error *e)
{
	struct config *c = config_make(arena, NULL);
	struct error wrong = {0};
	bool good = tree_build(c, list, e) && records_build(c, e);
	if (good && (!config_print(c, NULL, false, hear_text, printed, &wrong) ||
		     config_print(c, "no-such-key", false, hear_text, printed, &wrong)))
		abort();
	*arena = c->arena;
	memory_free(c);
	return good;
}

/* Who wants to hear of all faults hears of each, and of none where there is none. */
static void build_reporting(struct arena *arena, const struct text_list *list, bool good)
{
	unsigned faults = 0;
	struct error e = {0};
	struct config *c = config_make(arena, &faults);
	bool fine = tree_build(c, list, &e) && (faults > 0 || records_build(c, &e));
	if (good && (!fine || faults > 0))
		abort();
	if (!good && fine && faults == 0)
		abort();
	*arena = c->arena;
	memory_free(c);
}

static bool read_printed(void *arg, const char *path, struct slice *text, struct error *e)
{
	(void)path, (void)e;
	*text = buffer_slice(arg);
	return true;
}

/* What is printed reads back, and is printed as the same. */
static void print_again(struct buffer *printed)
{
	struct arena arena;
	struct error e = {0};
	struct text_list list;
	struct buffer again;
	struct text_source source = {read_printed, printed, &arena};
	arena_init(&arena, MEMORY);
	buffer_init(&again, MEMORY);
	TAILQ_INIT(&list);
	if (!text_parse(&source, "m", &list, &e) || !build(&arena, &list, &again, &e) ||
	    !slice_equal(buffer_slice(printed), buffer_slice(&again))) {
		fprintf(stderr, "%s\n== printed\n%.*s== again\n%.*s", e.text, (int)printed->len,
			printed->data, (int)again.len, again.data);
		abort();
	}
	buffer_free(&again);
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_make(data, size);
	struct arena arena;
	struct error e = {0};
	struct text_list list;
	struct text_source source = {read_part, &input, &arena};
	struct buffer printed;
	arena_init(&arena, MEMORY);
	buffer_init(&printed, MEMORY);
	TAILQ_INIT(&list);
	bool good = text_parse(&source, "m", &list, &e);
	if (good) {
		look(&list);
		good = build(&arena, &list, &printed, &e);
		build_reporting(&arena, &list, good);
		if (good)
			print_again(&printed);
	}
	buffer_free(&printed);
	if (!good && e.text[0] == '\0')
		abort();
	arena_free(&arena);
	return 0;
}
