/*
 * pop3d: users fetch their mail by POP3 (RFC 1939). A stranger talks with this process alone, and
 * it can do nothing but talk and ask: passwords are checked by accounts, keys are with keys, and
 * mailboxes are opened by maildrop for who has logged in. See pop3d(8).
 */
#include "common/dialogue/keys.h"
#include "common/service/logins.h"
#include "common/service/secure.h"
#include "daemons/pop3d/pop3d.h"

static const struct record *const settings[] = {&settings_server_record, &settings_tls_record,
						&settings_certificate_record,
						&settings_limits_record, NULL};

static const struct service_link links[] = {
    {"accounts", &login_dialogue, logins_routes, logins_up, logins_down},
    {"maildrop", &maildrop_dialogue, box_routes, box_up, box_down},
    {"keys", &keys_dialogue, secure_routes, secure_up, secure_down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service pop3d = {
    .name = "pop3d",
    .links = links,
    .settings = settings,
    .settings_begin = pop3d_settings_begin,
    .setting = pop3d_setting,
    .settings_end = pop3d_settings_end,
    .descriptor = server_descriptor,
    .warm = server_warm,
    .start = server_start,
    .drain = server_drain,
};

int main(int argc, char **argv)
{
	return service_run(&pop3d, argc, argv);
}
