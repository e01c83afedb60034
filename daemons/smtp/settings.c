/*
 * What is said in EHLO, and known as ours (S43).
 */
#include "common/config/settings.h"

#include "daemons/smtp/smtp.h"

static char in_use[HOST_NAME_SIZE] = "localhost", fresh[HOST_NAME_SIZE];

void smtp_settings_begin(void)
{
	slice_copy(SLICE("localhost"), fresh, sizeof(fresh));
}

void smtp_setting(const struct record *record, const void *value)
{
	const struct settings_server *server = value;
	if (record == &settings_server_record)
		slice_copy(server->hostname, fresh, sizeof(fresh));
}

void smtp_settings_end(void)
{
	memcpy(in_use, fresh, sizeof(in_use));
}

const char *smtp_hostname(void)
{
	return in_use;
}
