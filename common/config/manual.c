/*
 * manual: the schema as the DIRECTIVES section of stagepost.conf(5), in mdoc.
 */
#include <ctype.h>

#include "common/config/tree.h"

enum { ENTRY_MAX = 4096 }; /* octets of one directive's text */

struct manual {
	struct buffer text;
	config_text_call *call;
	void *arg;
};

static void hand_over(struct manual *m)
{
	m->call(m->arg, buffer_slice(&m->text));
	buffer_reset(&m->text);
}

/* Words in capitals are arguments, others are typed as they stand. */
static void add_syntax(struct manual *m, const char *syntax)
{
	struct slice rest = slice_str(syntax), word;
	while ((word = slice_word(&rest)).len > 0) {
		size_t first = word.ptr[0] == '[' && word.len > 1 ? 1 : 0;
		const char *macro = word.ptr[0] == '.'			      ? " "
				    : word.ptr[0] == '|'		      ? " "
				    : isupper((unsigned char)word.ptr[first]) ? " Ar "
									      : " Cm ";
		buffer_printf(&m->text, "%s%.*s", macro, SLICE_FMT(word));
	}
}

static void add_choices(struct manual *m, const char *choices)
{
	struct slice rest = slice_str(choices), word;
	const char *between = "";
	while ((word = slice_word(&rest)).len > 0) {
		buffer_printf(&m->text, "%s Cm %.*s", between, SLICE_FMT(word));
		between = " |";
	}
}

static void add_range(struct manual *m, const struct schema *s)
{
	char least[32], most[32];
	if (s->type == TYPE_SIZE) {
		size_text(s->least, least, sizeof(least));
		size_text(s->most, most, sizeof(most));
	} else if (s->type == TYPE_TIME) {
		time_text(s->least, least, sizeof(least));
		time_text(s->most, most, sizeof(most));
	} else if (s->type == TYPE_NUMBER) {
		buffer_printf(&m->text, "From %llu to %llu.\n", (unsigned long long)s->least,
			      (unsigned long long)s->most);
		return;
	} else {
		return;
	}
	buffer_printf(&m->text, "From %s to %s.\n", least, most);
}

static void add_default(struct manual *m, const struct schema *s)
{
	if (s->machine == MACHINE_HOSTNAME)
		buffer_printf(&m->text, "Default: the name that the machine has.\n");
	else if (s->machine == MACHINE_MAILNAME)
		buffer_printf(&m->text, "Default: what stands in\n.Pa /etc/mailname ,\n"
					"else the hostname.\n");
	else if (s->fallback && s->fallback[0] != '\0')
		buffer_printf(&m->text, "Default:\n.Ql %s .\n", s->fallback);
	else if (s->fallback)
		buffer_printf(&m->text, "Default: empty.\n");
	if (s->list)
		buffer_printf(&m->text, "May be given several times.\n");
}

static void add_directive(struct manual *m, const struct schema *s)
{
	buffer_printf(&m->text, ".It Ic %s", s->name);
	if (s->type == TYPE_CHOICE || s->type == TYPE_CHOICES)
		add_choices(m, s->choices);
	else
		add_syntax(m, value_syntax(s));
	if (s->type == TYPE_NEXT_HOPS && s->choices)
		buffer_printf(&m->text, " | Cm %s", s->choices);
	if (s->opens != PLACE_NONE)
		buffer_printf(&m->text, " Cm { No ... Cm }");
	buffer_printf(&m->text, "\n%s\n", s->help);
	add_range(m, s);
	add_default(m, s);
	hand_over(m);
}

static void add_place(struct manual *m, enum schema_place place)
{
	const struct schema *opener = schema_opener(place);
	if (opener)
		buffer_printf(&m->text, ".Ss Inside %s { }\n", opener->name);
	else
		buffer_printf(&m->text, ".Ss Outside of all blocks\n");
	buffer_printf(&m->text, ".Bl -tag -width Ds\n");
	for (size_t i = 0; i < schema_count; i++)
		if (schema[i].in & place)
			add_directive(m, &schema[i]);
	buffer_printf(&m->text, ".El\n");
	hand_over(m);
}

void config_schema_man(config_text_call *call, void *arg)
{
	static const enum schema_place places[] = {
	    PLACE_TOP,	    PLACE_LISTEN,   PLACE_DOMAIN, PLACE_DELIVER,    PLACE_RELAY,
	    PLACE_OUTBOUND, PLACE_TLS,	    PLACE_AUTH,	  PLACE_SUBMISSION, PLACE_RESOLVER,
	    PLACE_RETRY,    PLACE_TIMEOUTS, PLACE_LIMITS, PLACE_PROCESSES};
	struct manual m = {.call = call, .arg = arg};
	buffer_init(&m.text, ENTRY_MAX);
	buffer_printf(&m.text, ".Sh DIRECTIVES\n");
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		add_place(&m, places[i]);
	buffer_free(&m.text);
}
