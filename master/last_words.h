/*
 * last_words: whether a daemon may write to our standard error. In a build with sanitizers it may,
 * since their reports go there; in any other it has no way to a terminal.
 */
#ifndef MASTER_LAST_WORDS_H
#define MASTER_LAST_WORDS_H

#include <stdbool.h>

bool last_words_heard(void);

#endif
