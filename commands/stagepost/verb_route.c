/*
 * route: what the running server would do with mail for an address, step by step.
 */
#include <stdio.h>
#include <string.h>

#include "commands/stagepost/json.h"
#include "commands/stagepost/place.h"
#include "commands/stagepost/stagepost.h"
#include "commands/stagepost/talk.h"
#include "commands/stagepost/words.h"

enum { DEPTH_MAX = 20 }; /* that is indented */

static void step_text(void *arg, const struct router_step *m)
{
	int depth = m->depth < DEPTH_MAX ? (int)m->depth : DEPTH_MAX;
	(void)arg;
	printf("%*s<", 2 * depth, "");
	words_print(stdout, m->address);
	fputs("> ", stdout);
	words_print(stdout, m->what);
	fputs(": ", stdout);
	words_print(stdout, m->text);
	fputc('\n', stdout);
}

static void step_json(void *arg, const struct router_step *m)
{
	json_t *o = json_object();
	json_put(o, "depth", json_count(m->depth));
	json_put(o, "address", json_text(m->address));
	json_put(o, "what", json_text(m->what));
	json_put(o, "text", json_text(m->text));
	json_array_append_new(arg, o);
}

static const struct talk_calls text_calls = {.step = step_text};
static const struct talk_calls json_calls = {.step = step_json};

static void end_text(const struct talk_end *end)
{
	if (end->code == EX_OK) {
		puts("accepted");
		return;
	}
	if (!end->reply) {
		complain(end->code, "%s", end->text);
		return;
	}
	printf("%u ", end->reply);
	words_print(stdout, slice_str(end->enhanced));
	fputc(' ', stdout);
	words_print(stdout, slice_str(end->text));
	fputc('\n', stdout);
}

static void end_json(struct slice address, json_t *steps, const struct talk_end *end)
{
	json_t *o = json_object();
	json_put(o, "address", json_text(address));
	json_put(o, "steps", steps);
	json_put(o, "accepted", json_boolean(end->code == EX_OK));
	json_put(o, "code", json_count(end->reply));
	json_put(o, "enhanced", json_text(slice_str(end->enhanced)));
	json_put(o, "text", json_text(slice_str(end->text)));
	json_line(stdout, o);
}

/* --json, --trusted, --from SENDER, then the address; false: complained of. */
static bool read_arguments(int argc, char **argv, struct router_explain *question, bool *json)
{
	int i = 1;
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			*json = true;
		} else if (strcmp(argv[i], "--trusted") == 0) {
			question->trusted = true;
		} else if (strcmp(argv[i], "--from") == 0 && i + 1 < argc) {
			question->sender = slice_str(argv[++i]);
		} else {
			complain(EX_USAGE, "route: %s is not known here", argv[i]);
			return false;
		}
	}
	if (i + 1 != argc) {
		complain(EX_USAGE, "route [--json] [--trusted] [--from SENDER] ADDRESS: one "
				   "address is needed");
		return false;
	}
	question->recipient = slice_str(argv[i]);
	if (question->recipient.len == 0 || question->recipient.len > ROUTER_ADDRESS_MAX ||
	    question->sender.len > ROUTER_ADDRESS_MAX) {
		complain(EX_USAGE, "an address has 1 to %d octets", ROUTER_ADDRESS_MAX);
		return false;
	}
	return true;
}

int verb_route(const char *config_path, int argc, char **argv)
{
	struct router_explain question = {0};
	struct talk_end end;
	struct talk *t;
	json_t *steps;
	bool json = false;
	int code;
	if (!read_arguments(argc, argv, &question, &json))
		return EX_USAGE;
	t = place_talk(config_path, &code);
	if (!t)
		return code;
	steps = json_array();
	code = talk_ask(t, COMMAND_ROUTER_EXPLAIN, &question, TALK_USUAL_US,
			json ? &json_calls : &text_calls, steps, &end);
	if (json && (code == EX_OK || end.reply)) {
		end_json(question.recipient, json_incref(steps), &end);
	} else {
		end_text(&end);
	}
	json_decref(steps);
	talk_free(&t);
	return code;
}
