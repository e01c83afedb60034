/*
 * What `stagepost user` asks of the running server: does a password hold; block a user, and hold
 * what waits of him.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "commands/stagepost/place.h"
#include "commands/stagepost/prompt.h"
#include "commands/stagepost/talk.h"
#include "commands/stagepost/user.h"
#include "commands/stagepost/users_place.h"
#include "commands/stagepost/words.h"

enum { SETTLE_SECONDS = 1 }; /* a commit that was under way is in the queue by then */

int user_test(const struct user_order *o)
{
	struct login_check question = {
	    .service = SLICE("test"), .mechanism = SLICE("PLAIN"), .user = slice_str(o->name)};
	struct talk_end end;
	struct prompt p;
	struct talk *t;
	int code;
	if (question.user.len == 0 || question.user.len > LOGIN_USER_MAX)
		return complain(EX_USAGE, "a name has 1 to %d octets", LOGIN_USER_MAX);
	t = place_talk(o->config_path, &code);
	if (!t)
		return code;
	code = prompt_password(&p, o->name, o->input, false);
	if (code == EX_OK) {
		question.password = p.password;
		code = talk_ask(t, COMMAND_LOGIN_CHECK, &question, TALK_USUAL_US, NULL, NULL, &end);
		prompt_wipe(&p);
		if (code == EX_OK) {
			fputs("yes: ", stdout);
			words_print(stdout, slice_str(end.user));
			putchar('\n');
		} else if (code == EXIT_NO) {
			printf("no%s", end.text[0] ? ": " : "");
			words_print(stdout, slice_str(end.text));
			putchar('\n');
		} else {
			complain(code, "%s", end.text);
		}
	}
	talk_free(&t);
	return code;
}

/* The name as the server has it, and the way to it. */
static struct talk *talk_about(const struct user_order *o, struct users_name *n, int *code)
{
	struct config *config = place_known(o->config_path, code);
	if (!config)
		return NULL;
	*code = users_name_read(n, o->name, config_string(config, "origin"));
	config_free(&config);
	return *code == EX_OK ? place_talk(o->config_path, code) : NULL;
}

static int ask_usage(struct talk *t, enum usage_verb verb, const struct users_name *n)
{
	struct usage_ask question = {.verb = verb, .user = slice_str(n->address)};
	struct talk_end end;
	int code = talk_ask(t, COMMAND_USAGE_ASK, &question, TALK_USUAL_US, NULL, NULL, &end);
	if (code == EX_OK || code == EXIT_NO) {
		words_print(stdout, slice_str(n->address));
		printf(": %s%s", code == EX_OK ? "" : "was ",
		       verb == USAGE_BLOCK ? "blocked" : "not blocked");
		fputs(code == EX_OK ? " now\n" : verb == USAGE_BLOCK ? " already\n" : "\n", stdout);
	} else {
		complain(code, "%s", end.text);
	}
	return code;
}

static int hold(struct talk *t, const struct users_name *n, uint64_t *count)
{
	struct queue_ask question = {.verb = QUEUE_HOLD, .user = slice_str(n->address)};
	struct talk_end end;
	int code = talk_ask(t, COMMAND_QUEUE_ASK, &question, TALK_USUAL_US, NULL, NULL, &end);
	if (code != EX_OK)
		return complain(code, "what waits of him could not be held: %s", end.text);
	*count += end.count;
	return EX_OK;
}

/* He is blocked: what is begun now is held. What was being written to the disk just then comes into
 * the queue a moment later, so it is gone through twice. */
static int hold_all(struct talk *t, const struct users_name *n)
{
	uint64_t count = 0;
	int code = hold(t, n, &count);
	if (code == EX_OK) {
		sleep(SETTLE_SECONDS);
		code = hold(t, n, &count);
	}
	if (code == EX_OK)
		printf("%" PRIu64 " %s held\n", count, words_plural(count));
	return code;
}

int user_block(const struct user_order *o)
{
	struct users_name n;
	int code, held;
	struct talk *t = talk_about(o, &n, &code);
	if (!t)
		return code;
	code = ask_usage(t, USAGE_BLOCK, &n);
	if (code == EX_OK || code == EXIT_NO) {
		held = hold_all(t, &n);
		code = held == EX_OK ? code : held;
	}
	talk_free(&t);
	return code;
}

int user_unblock(const struct user_order *o)
{
	struct users_name n;
	int code;
	struct talk *t = talk_about(o, &n, &code);
	if (!t)
		return code;
	code = ask_usage(t, USAGE_UNBLOCK, &n);
	if (code == EX_OK)
		printf("what is held stays so; stagepost queue release --user %s lets it go\n",
		       n.address);
	talk_free(&t);
	return code;
}
