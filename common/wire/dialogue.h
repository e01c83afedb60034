/*
 * dialogue: what may be said on one kind of channel. Each conversation is declared once, in
 * common/dialogue/, and both ends use that. The hash covers names, kinds and limits of all fields:
 * two programs of different builds refuse each other at the hello.
 *
 *	#define RCPT_MESSAGES(M)             \
 *		M(RCPT_CHECK, 1, rcpt_check) \
 *		M(RCPT_VERDICT, 2, rcpt_verdict)
 *	DIALOGUE_NUMBERS(RCPT_MESSAGES)                 in the header: enum { RCPT_CHECK = 1, ... }
 *	extern const struct dialogue rcpt_dialogue;
 *	DIALOGUE_DEFINE(rcpt, RCPT_MESSAGES)            in one .c file
 */
#ifndef COMMON_WIRE_DIALOGUE_H
#define COMMON_WIRE_DIALOGUE_H

#include "common/base/record.h"

struct dialogue_message {
	uint16_t number; /* from 1 on */
	const struct record *record;
};

struct dialogue {
	const char *name;
	const struct dialogue_message *messages;
	size_t count;
};

#define DIALOGUE_NUMBER(NAME, number, record) NAME = number,
#define DIALOGUE_NUMBERS(MESSAGES)	      enum { MESSAGES(DIALOGUE_NUMBER) };
#define DIALOGUE_ROW(NAME, number, record)    {number, &record##_record},
#define DIALOGUE_DEFINE(name_, MESSAGES)                                                    \
	static const struct dialogue_message name_##_messages[] = {MESSAGES(DIALOGUE_ROW)}; \
	const struct dialogue name_##_dialogue = {                                          \
	    #name_, name_##_messages, sizeof(name_##_messages) / sizeof(name_##_messages[0])};

uint64_t dialogue_hash(const struct dialogue *d);
const struct record *dialogue_record(const struct dialogue *d, uint16_t number); /* NULL: none */

#endif
