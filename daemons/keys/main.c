/*
 * keys: the only process that can read private keys. It signs what TLS has a server sign, and
 * nothing else. See keys(8).
 */
#include "common/config/settings.h"
#include "common/dialogue/keys.h"
#include "common/service/service.h"
#include "daemons/keys/askers.h"
#include "daemons/keys/pairs.h"
#include "daemons/keys/ring.h"
#include "daemons/keys/status.h"

static const struct record *const settings[] = {&settings_certificate_record, NULL};

static const struct service_link links[] = {
    {"smtpd", &keys_dialogue, askers_routes, askers_smtpd_up, askers_down},
    {"submission", &keys_dialogue, askers_routes, askers_submission_up, askers_down},
    {"pop3d", &keys_dialogue, askers_routes, askers_pop3d_up, askers_down},
    {"control", &keys_dialogue, status_routes, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static void start(void)
{
	askers_start();
	pairs_start();
}

static const struct service keys = {
    .name = "keys",
    .links = links,
    .settings = settings,
    .settings_begin = pairs_settings_begin,
    .setting = pairs_setting,
    .settings_end = pairs_settings_end,
    .descriptor = pairs_descriptor, /* the file of a certificate or a key, new or changed */
    .start = start,
};

int main(int argc, char **argv)
{
	tls_privates_begin();
	ring_begin(askers_present);
	return service_run(&keys, argc, argv);
}
