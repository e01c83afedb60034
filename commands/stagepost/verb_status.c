/*
 * status: which processes there are and how much is in the queue. For programs one object, in
 * constant time whatever the queue holds.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands/stagepost/json.h"
#include "commands/stagepost/place.h"
#include "commands/stagepost/status.h"
#include "commands/stagepost/stagepost.h"
#include "commands/stagepost/talk.h"
#include "commands/stagepost/words.h"
#include "common/config/config.h"
#include "common/os/clock.h"
#include "common/os/sandbox.h"

static void on_process(void *arg, const struct master_process *m)
{
	status_process(arg, m);
}

static void on_counts(void *arg, const struct queue_counts *m)
{
	status_counts(arg, m);
}

static void on_certificate(void *arg, const struct keys_certificate *m)
{
	status_certificate(arg, m);
}

static const struct talk_calls calls = {
    .process = on_process, .counts = on_counts, .certificate = on_certificate};

static void ask_keys(struct status *s, struct talk *t)
{
	struct keys_status certificates = {0};
	struct talk_end end;
	if (status_runs(s, "keys") && talk_ask(t, COMMAND_KEYS_STATUS, &certificates,
					       TALK_STATUS_US, &calls, s, &end) != EX_OK)
		status_certificates_missing(s, end.text);
}

static int ask(struct status *s, const char *run)
{
	struct master_ask processes = {.verb = MASTER_VERB_STATUS};
	struct queue_ask queue = {.verb = QUEUE_STATUS};
	struct talk_end end;
	struct error e = {0};
	struct talk *t = talk_open(run, &e);
	int code;
	if (!t) {
		status_stopped(s, e.text);
		return e.code;
	}
	code = talk_ask(t, COMMAND_MASTER_ASK, &processes, TALK_STATUS_US, &calls, s, &end);
	if (code != EX_OK)
		status_stopped(s, end.text);
	else if (talk_ask(t, COMMAND_QUEUE_ASK, &queue, TALK_STATUS_US, &calls, s, &end) != EX_OK)
		status_queue_missing(s, end.text);
	else
		status_remark(s, end.text);
	if (code == EX_OK)
		ask_keys(s, t);
	talk_free(&t);
	return code;
}

int verb_status(const char *config_path, int argc, char **argv)
{
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
	struct status *s;
	struct config *config;
	int code;
	if (argc > 1 && !json)
		return complain(EX_USAGE, "status takes --json and nothing else");
	config = place_known(config_path, &code);
	if (!config)
		return code;
	s = status_new(sandbox_landlock_abi(), clock_wall_us() / CLOCK_SECOND);
	code = ask(s, config_string(config, "run"));
	if (json) {
		json_line(stdout, status_json(s, code));
	} else if (code == EX_OK) {
		status_text(s, stdout);
	} else if (code == EX_UNAVAILABLE) {
		puts("stopped");
		complain(code, "%s", status_trouble(s));
	} else {
		complain(code, "%s", status_trouble(s));
	}
	status_free(&s);
	config_free(&config);
	return code;
}
