/*
 * queue_id: the name of a message. As a number: spool (10 bits), incarnation of the writer that
 * drew it (22), counter (27); never 0, unique for ever. As text: 12 characters of 0-9 and the
 * upper-case consonants (31 symbols), which nobody mistypes.
 */
#ifndef COMMON_BASE_QUEUE_ID_H
#define COMMON_BASE_QUEUE_ID_H

#include "common/base/slice.h"

enum {
	QUEUE_ID_LEN = 12,
	QUEUE_ID_SPOOL_BITS = 10,
	QUEUE_ID_INCARNATION_BITS = 22,
	QUEUE_ID_COUNTER_BITS = 27,
};

uint64_t queue_id_make(uint32_t spool, uint32_t incarnation, uint32_t counter);
/* Is it one? What comes from elsewhere may be any number. */
bool queue_id_possible(uint64_t id);
/* text gets QUEUE_ID_LEN characters and a NUL. Panics when id is none; 0 has a text. */
void queue_id_text(uint64_t id, char text[QUEUE_ID_LEN + 1]);
/* Lower case is taken; false when s is not an id. */
bool queue_id_parse(struct slice s, uint64_t *id);

#endif
