/*
 * pop3d: users fetch their mail by POP3 (RFC 1939).
 */
#include <unistd.h>

#include "common/config/settings.h"
#include "common/dialogue/keys.h"
#include "common/dialogue/login.h"
#include "common/dialogue/maildrop.h"
#include "common/service/service.h"

static const struct record *const settings[] = {
    &settings_server_record, &settings_tls_record,  &settings_certificate_record,
    &settings_limits_record, &settings_auth_record, NULL};

static const struct route none[] = {{0, 0, NULL}};

static void up(struct channel *c, unsigned instance)
{
	(void)c, (void)instance;
}

static void down(struct channel *c)
{
	(void)c;
}

static void setting(const struct record *record, const void *value)
{
	(void)record, (void)value;
}

static void descriptor(const struct service_descriptor *d)
{
	close(d->fd);
}

static const struct service_link links[] = {
    {"accounts", &login_dialogue, none, up, down},
    {"maildrop", &maildrop_dialogue, none, up, down},
    {"keys", &keys_dialogue, none, up, down},
    {NULL, NULL, NULL, NULL, NULL},
};

static const struct service pop3d = {
    .name = "pop3d",
    .links = links,
    .settings = settings,
    .setting = setting,
    .descriptor = descriptor,
};

int main(int argc, char **argv)
{
	return service_run(&pop3d, argc, argv);
}
