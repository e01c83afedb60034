/*
 * A small conversation for the tests of wire, and a loop that stops when something has come true.
 * Included once per test program.
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/os/loop.h"
#include "common/wire/channel.h"

#define ALL_FIELDS(F, S)                    \
	F(S, u64, request, 0, "repeated")   \
	F(S, bool, flag, 0, "a flag")       \
	F(S, u32, small, 1000, "a number")  \
	F(S, u64, large, 0, "a number")     \
	F(S, string, name, 64, "a string")  \
	F(S, bytes, data, 100000, "octets") \
	F(S, fd, fd, 0, "a descriptor")
RECORD_DECLARE(all, ALL_FIELDS)
RECORD_DEFINE(all, ALL_FIELDS)

#define PLAIN_FIELDS(F, S)                \
	F(S, u64, request, 0, "repeated") \
	F(S, bytes, data, 120000, "octets")
RECORD_DECLARE(plain, PLAIN_FIELDS)
RECORD_DEFINE(plain, PLAIN_FIELDS)

#define HIDDEN_FIELDS(F, S)               \
	F(S, u64, request, 0, "repeated") \
	F(S, secret, data, 64, "octets")
RECORD_DECLARE(hidden, HIDDEN_FIELDS)
RECORD_DEFINE(hidden, HIDDEN_FIELDS)

#define TALK_MESSAGES(M)         \
	M(TALK_ALL, 1, all)      \
	M(TALK_ASK, 2, plain)    \
	M(TALK_ANSWER, 3, plain) \
	M(TALK_SECRET, 4, hidden)
DIALOGUE_NUMBERS(TALK_MESSAGES)
extern const struct dialogue talk_dialogue;
DIALOGUE_DEFINE(talk, TALK_MESSAGES)

#define OTHER_MESSAGES(M)    \
	M(OTHER_ALL, 1, all) \
	M(OTHER_ASK, 2, plain)
extern const struct dialogue other_dialogue;
DIALOGUE_DEFINE(other, OTHER_MESSAGES)

static inline int open_descriptors(void)
{
	int count = 0;
	DIR *d = opendir("/proc/self/fd");
	ck_assert_ptr_nonnull(d);
	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

static const bool *run_flag;

static void run_check(void *arg)
{
	(void)arg;
	if (*run_flag)
		loop_stop();
	else
		loop_turn_again();
}

static void run_late(void *arg)
{
	(void)arg;
	ck_abort_msg("it did not come true within 10 seconds");
}

/* Runs turns until *flag is true. */
static inline void run_until(const bool *flag)
{
	struct loop_turn check = {0};
	struct loop_timer late = {0};
	run_flag = flag;
	loop_turn_add(&check, run_check, NULL);
	loop_timer_start(&late, 10 * 1000000, run_late, NULL);
	loop_run();
	loop_timer_stop(&late);
	loop_turn_remove(&check);
}

static int turns_left;
static bool turns_done;

static void turns_count(void *arg)
{
	(void)arg;
	turns_done = --turns_left <= 0;
}

/* Runs at least that many turns. */
static inline void run_turns(int count)
{
	struct loop_turn counter = {0};
	turns_left = count;
	turns_done = false;
	loop_turn_add(&counter, turns_count, NULL);
	run_until(&turns_done);
	loop_turn_remove(&counter);
}
