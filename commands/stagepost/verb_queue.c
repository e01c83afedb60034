/*
 * queue: the verbs about the queue. Each question goes to the manager through control; several
 * queue ids are several questions.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands/stagepost/destinations.h"
#include "commands/stagepost/json.h"
#include "commands/stagepost/listing.h"
#include "commands/stagepost/place.h"
#include "commands/stagepost/selectors.h"
#include "commands/stagepost/stagepost.h"
#include "commands/stagepost/talk.h"
#include "commands/stagepost/words.h"
#include "common/base/queue_id.h"

static const struct queue_word {
	const char *name;
	enum queue_verb verb;
	enum selectors_use use;
	const char *done; /* of a verb that changes: what has been done */
	const char *sentence;
} words[] = {
    {"list", QUEUE_LIST, SELECTORS_MAY, NULL, "messages with their recipients"},
    {"show", QUEUE_SHOW, SELECTORS_MUST, NULL, "all about messages, with their header"},
    {"hold", QUEUE_HOLD, SELECTORS_MUST, "held", "stop trying until they are released"},
    {"release", QUEUE_RELEASE, SELECTORS_MUST, "released",
     "held and set-aside messages: try again, now"},
    {"retry", QUEUE_RETRY, SELECTORS_MUST, "due now", "deferred messages: try now"},
    {"bounce", QUEUE_BOUNCE, SELECTORS_MUST, "returned", "give up: their senders are told at once"},
    {"delete", QUEUE_DELETE, SELECTORS_MUST, "deleted", "remove them; nobody is told"},
    {"destinations", QUEUE_DESTINATIONS, SELECTORS_NONE, NULL,
     "where mail goes: what waits there, and which are in trouble"},
    {"verify", QUEUE_VERIFY, SELECTORS_NONE, NULL,
     "read the spool and compare it with what the server knows"},
    {0},
};

static int help(FILE *to, int code)
{
	fprintf(to, "usage: stagepost queue VERB [ID ...] [selectors] [--json]\n");
	for (const struct queue_word *w = words; w->name; w++)
		fprintf(to, "  %-12s %s\n", w->name, w->sentence);
	fprintf(to, "selectors, all of which must hold:\n"
		    "  --all  --state STATE  --from ADDRESS|@DOMAIN  --to ADDRESS|@DOMAIN\n"
		    "  --user USER|@DOMAIN  --older TIME  --limit NUMBER\n"
		    "a list with --mailq looks as mailq(1) prints it\n");
	return code;
}

struct asking {
	const struct queue_word *word;
	const struct selectors *selectors;
	struct talk *talk;
	struct listing *listing;
	struct destinations *destinations;
	uint64_t count;
	int code;
	char remark[TALK_TEXT_SIZE]; /* the last one, of an answer that was fine */
};

static void on_item(void *arg, const struct queue_item *m)
{
	struct asking *a = arg;
	listing_item(a->listing, m);
}

static void on_recipient(void *arg, const struct queue_recipient *m)
{
	struct asking *a = arg;
	listing_recipient(a->listing, m);
}

static void on_line(void *arg, const struct queue_line *m)
{
	struct asking *a = arg;
	listing_line(a->listing, m->text);
}

static void on_destination(void *arg, const struct queue_destination *m)
{
	struct asking *a = arg;
	destinations_add(a->destinations, m);
}

static const struct talk_calls calls = {
    .item = on_item, .recipient = on_recipient, .line = on_line, .destination = on_destination};

/* One question; id 0: by the other selectors. */
static void ask(struct asking *a, uint64_t id)
{
	struct queue_ask question = a->selectors->ask;
	struct talk_end end;
	char text[QUEUE_ID_LEN + 1] = "";
	int code;
	question.verb = a->word->verb;
	question.id = id;
	if (id)
		queue_id_text(id, text);
	code = talk_ask(a->talk, COMMAND_QUEUE_ASK, &question,
			a->word->verb == QUEUE_VERIFY ? TALK_VERIFY_US : TALK_USUAL_US, &calls, a,
			&end);
	listing_flush(a->listing);
	a->count += end.count;
	if (code != EX_OK)
		complain(code, "%s%s%s", text, id ? ": " : "", end.text[0] ? end.text : "refused");
	else if (id && end.count == 0)
		code = complain(EXIT_NO, "%s: %s", text,
				end.text[0] ? end.text : "there is no such message that this fits");
	else
		memcpy(a->remark, end.text, sizeof(a->remark));
	if (code != EX_OK)
		a->code = code;
}

static void ask_all(struct asking *a)
{
	if (a->selectors->id_count == 0)
		ask(a, 0);
	for (size_t i = 0; i < a->selectors->id_count; i++) {
		ask(a, a->selectors->ids[i]);
		if (a->code == EX_NOPERM || a->code == EX_TEMPFAIL)
			return;
	}
}

static void sum_up(const struct asking *a)
{
	bool json = a->selectors->json;
	json_t *o;
	if (a->word->verb == QUEUE_DESTINATIONS) {
		if (a->code == EX_OK)
			destinations_print(a->destinations, stdout, json);
	} else if (a->word->verb == QUEUE_VERIFY) {
		if (json) {
			o = listing_findings(a->listing);
			json_put(o, "clean", json_boolean(a->code == EX_OK));
			json_put(o, "messages", json_count(a->count));
			json_put(o, "remark", json_text(slice_str(a->remark)));
			json_line(stdout, o);
		} else if (a->code == EX_OK) {
			printf("the queue is clean: %" PRIu64 " %s\n", a->count,
			       words_plural(a->count));
		}
	} else if (a->word->done && json) {
		o = json_object();
		json_put(o, "messages", json_count(a->count));
		json_line(stdout, o);
	} else if (a->selectors->mailq) {
		if (a->code == EX_OK || a->count > 0)
			listing_end(a->listing);
	} else if (!json && a->word->verb != QUEUE_SHOW && (a->count > 0 || a->code == EX_OK)) {
		printf("%" PRIu64 " %s%s%s\n", a->count, words_plural(a->count),
		       a->word->done ? " " : "", a->word->done ? a->word->done : "");
	}
	if (!json && a->remark[0]) {
		words_print_lines(stdout, slice_str(a->remark));
		putchar('\n');
	}
}

static const struct queue_word *find(const char *name)
{
	for (const struct queue_word *w = words; w->name; w++)
		if (strcmp(name, w->name) == 0)
			return w;
	return NULL;
}

int verb_queue(const char *config_path, int argc, char **argv)
{
	struct selectors selectors;
	struct asking a = {.selectors = &selectors};
	struct error e = {0};
	if (argc < 2)
		return help(stderr, EX_USAGE);
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)
		return help(stdout, EX_OK);
	a.word = find(argv[1]);
	if (!a.word)
		return complain(EX_USAGE,
				"there is no verb queue %s; stagepost queue help lists them",
				argv[1]);
	if (!selectors_parse(&selectors, a.word->use, argc - 1, argv + 1, &e)) {
		selectors_free(&selectors);
		return complain(EX_USAGE, "%s", e.text);
	}
	if (selectors.mailq && a.word->verb != QUEUE_LIST) {
		selectors_free(&selectors);
		return complain(EX_USAGE, "--mailq: only a list has that form");
	}
	a.talk = place_talk(config_path, &a.code);
	if (a.talk) {
		a.listing = listing_new(stdout, a.word->verb, selectors.json);
		if (selectors.mailq)
			listing_as_mailq(a.listing);
		a.destinations = destinations_new();
		ask_all(&a);
		sum_up(&a);
		listing_free(&a.listing);
		destinations_free(&a.destinations);
		talk_free(&a.talk);
	}
	selectors_free(&selectors);
	return a.code;
}
