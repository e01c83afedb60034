/*
 * master: what the supervisor and a daemon say to each other.
 */
#ifndef COMMON_DIALOGUE_MASTER_H
#define COMMON_DIALOGUE_MASTER_H

#include "common/wire/dialogue.h"

enum { ROLE_MAX = 32, SETTINGS_MAX = 16 * 1024, NAME_MAX_OCTETS = 4096 };

/* master -> daemon, first of all: who you are and as whom to run. */
#define MASTER_BEGIN_FIELDS(F, S)                                                       \
	F(S, string, role, ROLE_MAX, "the daemon's role")                               \
	F(S, u32, instance, 0, "number among the processes of this role, from 0")       \
	F(S, bool, one_uid, 0, "started by an ordinary user: no uid change, no chroot") \
	F(S, u32, uid, 0, "user to become")                                             \
	F(S, u32, gid, 0, "group to become")
RECORD_DECLARE(master_begin, MASTER_BEGIN_FIELDS)

/* master -> daemon: a new set of settings begins; one settings record; the set is complete. */
#define MASTER_SETTINGS_BEGIN_FIELDS(F, S) F(S, u64, generation, 0, "counts reloads, from 1")
RECORD_DECLARE(master_settings_begin, MASTER_SETTINGS_BEGIN_FIELDS)
#define MASTER_SETTING_FIELDS(F, S)                                   \
	F(S, string, record, ROLE_MAX, "name of the settings record") \
	F(S, bytes, value, SETTINGS_MAX, "the record by wire/codec")
RECORD_DECLARE(master_setting, MASTER_SETTING_FIELDS)
#define MASTER_SETTINGS_END_FIELDS(F, S) F(S, u64, generation, 0, "as in the begin")
RECORD_DECLARE(master_settings_end, MASTER_SETTINGS_END_FIELDS)

/* master -> daemon: a fresh channel to a peer. */
#define MASTER_LINK_FIELDS(F, S)                                   \
	F(S, string, peer, ROLE_MAX, "role of the peer")           \
	F(S, u32, instance, 0, "which process of that role")       \
	F(S, u64, number, 0, "of the channel, which no other has") \
	F(S, fd, fd, 0, "the channel")
RECORD_DECLARE(master_link, MASTER_LINK_FIELDS)

/* master -> daemon: any other descriptor; see struct service_descriptor. */
#define MASTER_DESCRIPTOR_FIELDS(F, S)                                             \
	F(S, string, kind, ROLE_MAX,                                               \
	  "listener, file, directory, log, output, empty, socket, no-socket")      \
	F(S, string, name, NAME_MAX_OCTETS, "what it is")                          \
	F(S, string, detail, ROLE_MAX, "kind of listener; why there is no socket") \
	F(S, fd, fd, 0, "the descriptor; -1: none")
RECORD_DECLARE(master_descriptor, MASTER_DESCRIPTOR_FIELDS)

/* master -> daemon: all is there: the first time enter the sandbox and serve, after later sets of
 * settings just answer ready; stop in good order. */
#define MASTER_GO_FIELDS(F, S) F(S, u64, generation, 0, "of the settings")
RECORD_DECLARE(master_go, MASTER_GO_FIELDS)
#define MASTER_DRAIN_FIELDS(F, S) F(S, u64, limit, 0, "microseconds until the process is ended")
RECORD_DECLARE(master_drain, MASTER_DRAIN_FIELDS)

/* daemon -> master: serving with these settings; nothing more to do. */
#define MASTER_READY_FIELDS(F, S) F(S, u64, generation, 0, "of the settings now used")
RECORD_DECLARE(master_ready, MASTER_READY_FIELDS)
#define MASTER_DRAINED_FIELDS(F, S) F(S, u64, generation, 0, "of the settings now used")
RECORD_DECLARE(master_drained, MASTER_DRAINED_FIELDS)

/* daemon -> master: the channel to this peer has closed. When both processes live on, and have got
 * no newer channel meanwhile, the master makes them a new pair; the one that broke the rules is
 * ended first. */
#define MASTER_LOST_FIELDS(F, S)                             \
	F(S, string, peer, ROLE_MAX, "role of the peer")     \
	F(S, u32, instance, 0, "which process of that role") \
	F(S, u64, number, 0, "of the channel that closed")   \
	F(S, bool, broken, 0, "the peer broke the rules of the channel")
RECORD_DECLARE(master_lost, MASTER_LOST_FIELDS)

/* daemon -> master: a connection to this Unix socket, which the settings name (GIFT_SOCKETS); it
 * comes as a MASTER_DESCRIPTOR of kind "socket" with that name, a connected stream, or of kind
 * "no-socket", with the reason as its detail and no descriptor: ask again later. */
#define MASTER_WANT_FIELDS(F, S) \
	F(S, string, name, NAME_MAX_OCTETS, "unix:PATH, as in the settings")
RECORD_DECLARE(master_want, MASTER_WANT_FIELDS)

/* control -> master: an administrator asks. master -> control: lines, then done. */
#define MASTER_ASK_FIELDS(F, S)                           \
	F(S, u64, request, 0, "repeated in every answer") \
	F(S, u32, verb, 0, "enum master_verb")
RECORD_DECLARE(master_ask, MASTER_ASK_FIELDS)
enum master_verb { MASTER_VERB_STATUS = 1, MASTER_VERB_STOP, MASTER_VERB_RELOAD };
/* one process, answer to MASTER_VERB_STATUS */
#define MASTER_PROCESS_FIELDS(F, S)                                              \
	F(S, u64, request, 0, "of the question")                                 \
	F(S, string, name, ROLE_MAX, "role, with -N from the second process on") \
	F(S, u32, pid, 0, "0 while it waits to be started again")                \
	F(S, u32, uid, 0, "as whom it runs")                                     \
	F(S, u64, restarts, 0, "since the master started")                       \
	F(S, u64, started, 0, "Unix seconds")                                    \
	F(S, string, state, ROLE_MAX, "starting, serving, draining, waiting")
RECORD_DECLARE(master_process, MASTER_PROCESS_FIELDS)
#define MASTER_DONE_FIELDS(F, S)                                \
	F(S, u64, request, 0, "of the question")                \
	F(S, u32, code, 0, "exit code of <sysexits.h>, 0 done") \
	F(S, string, text, 4096, "why not, or a remark; may be empty")
RECORD_DECLARE(master_done, MASTER_DONE_FIELDS)

#define MASTER_MESSAGES(M)                                 \
	M(MASTER_BEGIN, 1, master_begin)                   \
	M(MASTER_SETTINGS_BEGIN, 2, master_settings_begin) \
	M(MASTER_SETTING, 3, master_setting)               \
	M(MASTER_SETTINGS_END, 4, master_settings_end)     \
	M(MASTER_LINK, 5, master_link)                     \
	M(MASTER_DESCRIPTOR, 6, master_descriptor)         \
	M(MASTER_GO, 7, master_go)                         \
	M(MASTER_DRAIN, 8, master_drain)                   \
	M(MASTER_READY, 9, master_ready)                   \
	M(MASTER_DRAINED, 10, master_drained)              \
	M(MASTER_ASK, 11, master_ask)                      \
	M(MASTER_PROCESS, 12, master_process)              \
	M(MASTER_DONE, 13, master_done)                    \
	M(MASTER_LOST, 14, master_lost)                    \
	M(MASTER_WANT, 15, master_want)
DIALOGUE_NUMBERS(MASTER_MESSAGES)
extern const struct dialogue master_dialogue;

#endif
