/*
 * Each part of the daemon has its own idea of a set; here they are told of it together.
 */
#include "daemons/accounts/settings.h"

#include <unistd.h>

#include "common/base/log.h"
#include "common/config/settings.h"
#include "daemons/accounts/dovecot.h"
#include "daemons/accounts/failures.h"
#include "daemons/accounts/machine.h"
#include "daemons/accounts/offer.h"
#include "daemons/accounts/ours.h"
#include "daemons/accounts/sessions.h"
#include "daemons/accounts/shelf.h"
#include "daemons/accounts/sources.h"

const struct record *const settings_wanted[] = {
    &settings_server_record, &settings_domain_record,	 &settings_deliver_record,
    &settings_auth_record,   &settings_passwords_record, NULL,
};

void settings_begin(void)
{
	shelf_begin();
	machine_begin();
	ours_begin();
	sources_begin();
	dovecot_begin();
	offer_begin();
}

static void tables_changed(void)
{
	offer_look();
	sessions_look();
}

void settings_end(void)
{
	shelf_end();
	machine_end();
	ours_end();
	sources_end();
	dovecot_end();
	offer_end();
	tables_changed();
}

static void name_users(struct slice users)
{
	if (slice_equal(users, MACHINE_USERS))
		machine_name();
	else if (users.len > 0 && !slice_equal(users, SLICE("any")))
		shelf_name(users);
}

static void name_passwords(const struct settings_passwords *p)
{
	if (slice_equal(p->kind, SLICE("table")))
		shelf_name(p->source);
	else if (slice_equal(p->kind, SLICE("pam")))
		machine_name();
	else if (slice_equal(p->kind, SLICE("dovecot")))
		dovecot_name(p->source);
	sources_setting(p);
}

void settings_take(const struct record *record, const void *value)
{
	const struct settings_auth *auth = value;

	ours_setting(record, value);
	if (record == &settings_deliver_record) {
		name_users(((const struct settings_deliver *)value)->users);
	} else if (record == &settings_passwords_record) {
		name_passwords(value);
	} else if (record == &settings_auth_record) {
		offer_setting(auth);
		failures_settings(auth->ban_after, auth->ban);
	}
}

void settings_descriptor(const struct service_descriptor *d)
{
	if (dovecot_descriptor(d))
		return;
	if (!slice_equal(d->kind, SLICE("file")) || !shelf_load(d->name, d->fd))
		log_error("accounts has no use for %.*s", SLICE_FMT(d->name));
	else
		tables_changed();
	close(d->fd);
}
