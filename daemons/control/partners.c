/*
 * The links to the partners: a channel that is there, or has gone, is the relay's.
 */
#include "daemons/control/control.h"

#define PARTNER(name, partner)                                         \
	void partner_##name##_up(struct channel *c, unsigned instance) \
	{                                                              \
		(void)instance;                                        \
		relay_use(partner, c);                                 \
	}                                                              \
	void partner_##name##_down(struct channel *c)                  \
	{                                                              \
		(void)c;                                               \
		relay_use(partner, NULL);                              \
	}

PARTNER(queue, PARTNER_QUEUE)
PARTNER(router, PARTNER_ROUTER)
PARTNER(accounts, PARTNER_ACCOUNTS)
PARTNER(usage, PARTNER_USAGE)
PARTNER(keys, PARTNER_KEYS)
