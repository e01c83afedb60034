/*
 * What is said in EHLO, and known as ours (S43); for how long servers are waited for.
 */
#include "daemons/smtp/smtp.h"

static char in_use[HOST_NAME_SIZE] = "localhost", fresh[HOST_NAME_SIZE];
static struct settings_timeouts timeouts, fresh_timeouts;

void smtp_settings_begin(void)
{
	slice_copy(SLICE("localhost"), fresh, sizeof(fresh));
}

void smtp_setting(const struct record *record, const void *value)
{
	const struct settings_server *server = value;
	if (record == &settings_server_record)
		slice_copy(server->hostname, fresh, sizeof(fresh));
	else if (record == &settings_timeouts_record)
		fresh_timeouts = *(const struct settings_timeouts *)value;
}

void smtp_settings_end(void)
{
	memcpy(in_use, fresh, sizeof(in_use));
	timeouts = fresh_timeouts;
}

const char *smtp_hostname(void)
{
	return in_use;
}

const struct settings_timeouts *smtp_timeouts(void)
{
	return &timeouts;
}
