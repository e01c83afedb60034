/*
 * What the configuration says, as the master sends it: at the start, and whole again at each
 * reload. Sessions look here at each step.
 */
#include "common/service/secure.h"
#include "daemons/pop3d/pop3d.h"

static struct pop3d_settings current, coming;

const struct pop3d_settings *pop3d_settings(void)
{
	return &current;
}

void pop3d_settings_begin(void)
{
	memset(&coming, 0, sizeof(coming));
	secure_settings_begin();
}

void pop3d_setting(const struct record *record, const void *value)
{
	if (record == &settings_server_record)
		slice_copy(((const struct settings_server *)value)->hostname, coming.hostname,
			   sizeof(coming.hostname));
	else if (record == &settings_limits_record)
		coming.limits = *(const struct settings_limits *)value;
	else
		secure_setting(record, value);
}

void pop3d_settings_end(void)
{
	current = coming;
	secure_settings_end();
}
