/*
 * virtual: deliveries for the role local: into Maildirs that all belong to one user, by threads.
 */
#ifndef DAEMONS_LOCAL_VIRTUAL_H
#define DAEMONS_LOCAL_VIRTUAL_H

void virtual_warm(void);
void virtual_start(void);

#endif
