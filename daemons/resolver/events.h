/*
 * events: our loop, as libunbound wants to see one (unbound-event.h): no thread, no process and no
 * loop of its own.
 */
#ifndef DAEMONS_RESOLVER_EVENTS_H
#define DAEMONS_RESOLVER_EVENTS_H

struct ub_event_base;

/* The one base. after() is called whenever libunbound has returned from an event, so that it may
 * be called again from there. */
struct ub_event_base *events_base(void (*after)(void));

#endif
