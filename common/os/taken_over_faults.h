/*
 * taken_over: what a process tries when a stranger has taken it over. It is in a build with
 *FAULTS=1 alone; tests/attack/test_sandbox.py is who asks.
 *
 *	STAGEPOST_TAKEN_OVER=PATH
 *		a file of TAKEN_OVER_PLAN octets that every daemon has mapped since its start. Once
 *		its first octet is '1' each process that has a sandbox makes the attempts that
 *		follow, once, and writes a line "ROLE NAME RESULT" for each, RESULT 0 or an error's
 *		name, and at last "ROLE end 0", to PATH.ROLE.PID. The file:
 *
 *		1
 *		KIND NAME ARGUMENT
 *		...
 *		end
 */
#ifndef COMMON_OS_TAKEN_OVER_FAULTS_H
#define COMMON_OS_TAKEN_OVER_FAULTS_H

enum { TAKEN_OVER_PLAN = 16384 };

/* Opens what the environment names; before the sandbox. */
void taken_over_begin(const char *role);
/* The attempts, if it is time for them: from a turn of the loop, or a disk call. */
void taken_over_point(void);
/* 0 or the errno of one attempt; ENOTSUP: there is no such kind. */
int taken_over_try(const char *kind, const char *argument);

#endif
