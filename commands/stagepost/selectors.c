/*
 * Everything that is given must hold. Queue ids stand as arguments; the rest are options.
 */
#include "commands/stagepost/selectors.h"

#include <getopt.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/memory.h"
#include "common/base/queue_id.h"
#include "common/config/tree.h" /* time_parse: times are written as in the configuration */
#include "common/os/clock.h"

enum option_id {
	OPTION_ALL = 1,
	OPTION_STATE,
	OPTION_FROM,
	OPTION_TO,
	OPTION_USER,
	OPTION_OLDER,
	OPTION_LIMIT,
	OPTION_JSON,
	OPTION_MAILQ,
};

static const struct option options[] = {
    {"all", no_argument, NULL, OPTION_ALL},
    {"state", required_argument, NULL, OPTION_STATE},
    {"from", required_argument, NULL, OPTION_FROM},
    {"to", required_argument, NULL, OPTION_TO},
    {"user", required_argument, NULL, OPTION_USER},
    {"older", required_argument, NULL, OPTION_OLDER},
    {"limit", required_argument, NULL, OPTION_LIMIT},
    {"json", no_argument, NULL, OPTION_JSON},
    {"mailq", no_argument, NULL, OPTION_MAILQ},
    {0},
};

enum { SELECTOR_ADDRESS_MAX = 320 };

static const char *const states[] = {"incoming", "active", "deferred", "hold", "corrupt"};

static bool take_state(struct selectors *s, const char *text, struct error *e)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(text, states[i]) == 0) {
			s->ask.state = slice_str(states[i]);
			return true;
		}
	return error_set(e, EX_USAGE,
			 "--state %.40s: one of incoming, active, deferred, hold and corrupt",
			 text);
}

/* user@domain, @domain, with brackets or without; <> is the null sender. */
static bool take_address(struct slice *to, const char *option, const char *text, bool null,
			 struct error *e)
{
	struct slice s = slice_str(text);
	if (slice_equal(s, SLICE("<>")) && null) {
		*to = s;
		return true;
	}
	if (s.len > 2 && s.ptr[0] == '<' && s.ptr[s.len - 1] == '>')
		s = slice_sub(s, 1, s.len - 2);
	if (s.len == 0 || s.len > SELECTOR_ADDRESS_MAX || slice_equal(s, SLICE("@")) ||
	    slice_equal(s, SLICE("<>")))
		return error_set(e, EX_USAGE, "%s %.80s: an address or @domain is needed%s", option,
				 text, null ? ", or <> for the null sender" : "");
	*to = s;
	return true;
}

static bool take_option(struct selectors *s, int option, const char *text, struct error *e)
{
	uint64_t us;
	switch (option) {
	case OPTION_ALL:
		s->ask.all = true;
		return true;
	case OPTION_JSON:
		s->json = true;
		return true;
	case OPTION_MAILQ:
		s->mailq = true;
		return true;
	case OPTION_STATE:
		return take_state(s, text, e);
	case OPTION_FROM:
		return take_address(&s->ask.sender, "--from", text, true, e);
	case OPTION_TO:
		return take_address(&s->ask.recipient, "--to", text, false, e);
	case OPTION_USER:
		return take_address(&s->ask.user, "--user", text, false, e);
	case OPTION_OLDER:
		if (!time_parse(slice_str(text), &us) || us < CLOCK_SECOND)
			return error_set(e, EX_USAGE, "--older %.40s: a time like 1s, 5m, 2h, 3d",
					 text);
		s->ask.older = us / CLOCK_SECOND;
		return true;
	case OPTION_LIMIT:
		return (slice_number(slice_str(text), UINT64_MAX, &s->ask.limit) &&
			s->ask.limit > 0) ||
		       error_set(e, EX_USAGE, "--limit %.40s: a number from 1 on", text);
	default:
		return false;
	}
}

static bool take_ids(struct selectors *s, int count, char **words, struct error *e)
{
	s->ids = memory_zero((size_t)count, sizeof(*s->ids));
	for (int i = 0; i < count; i++) {
		if (!queue_id_parse(slice_str(words[i]), &s->ids[s->id_count]))
			return error_set(e, EX_USAGE, "%.80s is no queue id", words[i]);
		s->id_count++;
	}
	return true;
}

static bool says_which(const struct selectors *s)
{
	return s->id_count > 0 || s->ask.all || s->ask.state.len > 0 || s->ask.sender.len > 0 ||
	       s->ask.recipient.len > 0 || s->ask.user.len > 0 || s->ask.older > 0;
}

bool selectors_parse(struct selectors *s, enum selectors_use use, int argc, char **argv,
		     struct error *e)
{
	int option;
	*s = (struct selectors){0};
	record_clear(&queue_ask_record, &s->ask);
	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (option == '?' || option == ':')
			return error_set(e, EX_USAGE, "%s: %.80s %s", argv[0], argv[optind - 1],
					 option == ':' ? "needs a value" : "is no option of it");
		if (!take_option(s, option, optarg, e))
			return false;
	}
	if (optind < argc && !take_ids(s, argc - optind, argv + optind, e))
		return false;
	if (use == SELECTORS_NONE && (says_which(s) || s->ask.limit > 0))
		return error_set(e, EX_USAGE, "%s looks at the whole queue: no messages are named",
				 argv[0]);
	if (says_which(s)) {
		if (s->id_count > 0 && s->ask.all)
			return error_set(e, EX_USAGE, "either queue ids or --all");
		return true;
	}
	if (use == SELECTORS_MUST)
		return error_set(e, EX_USAGE,
				 "%s: say which messages: queue ids, --all, --state, --from, --to, "
				 "--user or --older",
				 argv[0]);
	s->ask.all = true;
	return true;
}

void selectors_free(struct selectors *s)
{
	memory_free(s->ids);
	s->ids = NULL;
	s->id_count = 0;
}
