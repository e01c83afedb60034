/*
 * stop: the orderly end, stage after stage of the table of services.
 */
#ifndef MASTER_STOP_H
#define MASTER_STOP_H

#include <stdbool.h>

#define STOP_LIMIT_US UINT64_C(30000000) /* then whoever is left is killed */

void stop_begin(void (*over)(void)); /* over() is called when no daemon is left; once */
bool stop_under_way(void);
void stop_goes_on(void); /* a daemon has ended */

#endif
