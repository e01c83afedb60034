/*
 * command: what `stagepost` and control say to each other over the socket run/control. Its words
 * are those of the conversations behind control; control adds who may ask.
 */
#ifndef COMMON_DIALOGUE_COMMAND_H
#define COMMON_DIALOGUE_COMMAND_H

#include "common/dialogue/keys.h"
#include "common/dialogue/login.h"
#include "common/dialogue/master.h"
#include "common/dialogue/queue.h"
#include "common/dialogue/router.h"
#include "common/dialogue/usage.h"

#define COMMAND_MESSAGES(M)                                 \
	M(COMMAND_MASTER_ASK, 1, master_ask)                \
	M(COMMAND_MASTER_PROCESS, 2, master_process)        \
	M(COMMAND_MASTER_DONE, 3, master_done)              \
	M(COMMAND_QUEUE_ASK, 4, queue_ask)                  \
	M(COMMAND_QUEUE_ITEM, 5, queue_item)                \
	M(COMMAND_QUEUE_RECIPIENT, 6, queue_recipient)      \
	M(COMMAND_QUEUE_LINE, 7, queue_line)                \
	M(COMMAND_QUEUE_COUNTS, 8, queue_counts)            \
	M(COMMAND_QUEUE_DONE, 9, queue_done)                \
	M(COMMAND_ROUTER_EXPLAIN, 10, router_explain)       \
	M(COMMAND_ROUTER_STEP, 11, router_step)             \
	M(COMMAND_ROUTER_ROUTED, 12, router_routed)         \
	M(COMMAND_QUEUE_DESTINATION, 13, queue_destination) \
	M(COMMAND_LOGIN_CHECK, 14, login_check)             \
	M(COMMAND_LOGIN_DONE, 15, login_done)               \
	M(COMMAND_USAGE_ASK, 16, usage_ask)                 \
	M(COMMAND_USAGE_LISTED, 17, usage_listed)           \
	M(COMMAND_USAGE_DONE, 18, usage_done)               \
	M(COMMAND_KEYS_STATUS, 19, keys_status)             \
	M(COMMAND_KEYS_CERTIFICATE, 20, keys_certificate)   \
	M(COMMAND_KEYS_STATUS_END, 21, keys_status_end)
DIALOGUE_NUMBERS(COMMAND_MESSAGES)
extern const struct dialogue command_dialogue;

#endif
