/*
 * input: the ends of all daemons' log channels.
 */
#ifndef DAEMONS_LOG_INPUT_H
#define DAEMONS_LOG_INPUT_H

#include "common/base/slice.h"

enum { INPUT_MAX = 256, INPUT_ROLE_MAX = 32 };

/* Lines that arrive on fd are of that role, whatever they say. The input owns fd. */
void input_add(struct slice role, int fd);
void input_start(void);	   /* from now on all are read */
void input_read_all(void); /* what has arrived, now */

#endif
