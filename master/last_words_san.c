/*
 * The build with sanitizers: their reports must be seen.
 */
#include "master/last_words.h"

bool last_words_heard(void)
{
	return true;
}
