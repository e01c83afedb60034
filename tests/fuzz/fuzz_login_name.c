/*
 * login_name: whoever says whatever he is called, the name that accounts goes on with is one of our
 * domains, can name a mailbox, and says the same when it is said again.
 */
#include <stdlib.h>

#include "common/base/encode.h"
/* a room's files are in no library */
#include "daemons/accounts/ours.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void configure(void)
{
	struct settings_server server = {.origin = SLICE("example.org")};
	struct settings_domain domains[] = {{.number = 1, .name = SLICE("example.com")},
					    {.number = 2,
					     .name = SLICE("b\xc3\xbc"
							   "cher.example")}};
	ours_begin();
	ours_setting(&settings_server_record, &server);
	for (size_t i = 0; i < 2; i++)
		ours_setting(&settings_domain_record, &domains[i]);
	ours_end();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct login_name name, again;
	struct slice user;
	if (!used.origin)
		configure();
	if (ours_name(slice_make(data, size), &name) != NULL)
		return 0;
	user = slice_str(name.user);
	if (!address_path_safe(user) || !utf8_valid(user) || has_control(user) ||
	    (name.number == 0 && strcmp(name.domain, "example.org") != 0))
		abort();
	if (ours_name(slice_str(name.address), &again) != NULL ||
	    strcmp(name.address, again.address) != 0 || name.number != again.number)
		abort();
	return 0;
}
