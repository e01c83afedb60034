/*
 * notify: what the service manager hears (sd_notify(3)), when there is one.
 */
#ifndef MASTER_NOTIFY_H
#define MASTER_NOTIFY_H

void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

#endif
