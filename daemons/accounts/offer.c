/*
 * SCRAM is offered by itself only where it works for everybody: a client takes the strongest that
 * it is offered, and many give up when that fails. A database is not looked through, so it does not
 * count; `mechanisms` says so there.
 */
#include "daemons/accounts/offer.h"

#include "daemons/accounts/askers.h"
#include "daemons/accounts/shelf.h"
#include "daemons/accounts/sources.h"

static bool named, named_next;	 /* there is an auth block */
static uint32_t said, said_next; /* enum auth_mechanism, or-ed; 0: nothing */

void offer_begin(void)
{
	named_next = false;
	said_next = 0;
}

void offer_setting(const struct settings_auth *auth)
{
	named_next = true;
	said_next = auth->mechanisms;
}

void offer_end(void)
{
	named = named_next;
	said = said_next;
}

static bool scram_works(void)
{
	struct sources *s = sources_hold();
	bool works = s->count > 0;

	for (size_t i = 0; i < s->count; i++)
		works = works && slice_equal(s->list[i].kind, SLICE("table")) &&
			shelf_scram_alone(slice_str(s->list[i].text));
	sources_release(&s);
	return works;
}

void offer_look(void)
{
	uint32_t all = said;

	if (all == 0)
		all = AUTH_PLAIN | AUTH_LOGIN | (scram_works() ? AUTH_SCRAM : 0);
	if (!named)
		all = 0;
	askers_offer((all & AUTH_PLAIN ? LOGIN_PLAIN : 0) | (all & AUTH_LOGIN ? LOGIN_LOGIN : 0) |
		     (all & AUTH_SCRAM ? LOGIN_SCRAM : 0) |
		     (all & AUTH_SCRAM_PLUS ? LOGIN_SCRAM_PLUS : 0));
}
