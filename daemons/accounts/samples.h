/*
 * samples: what kinds of passwords the tables hold, and one of the commonest kind: who is not there
 * must cost as much time as who is, and get a salt that looks as the others do.
 */
#ifndef DAEMONS_ACCOUNTS_SAMPLES_H
#define DAEMONS_ACCOUNTS_SAMPLES_H

#include "common/base/slice.h"

enum { SAMPLES_MAX = 16 }; /* kinds that are told apart */

/* Such an entry was seen. */
void samples_note(struct slice entry);
/* A table is new: what is known of former ones counts half. */
void samples_fade(void);
/* An entry of the commonest kind; empty: none was seen. Until the next call here. */
struct slice samples_commonest(void);
/* Of the commonest SCRAM keys. */
uint32_t samples_iterations(void);

#endif
