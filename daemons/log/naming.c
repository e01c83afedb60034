/*
 * The one settings record that concerns the log: its name and its format.
 */
#include "daemons/log/naming.h"

#include <string.h>
#include <unistd.h>

#include "common/config/settings.h"
#include "daemons/log/output.h"

/* As Postfix has it: the machine's name without a domain. Asked once, before the sandbox. */
static const char *our_host(void)
{
	static char host[OUTPUT_HOST_MAX + 1];
	if (!host[0]) {
		if (gethostname(host, sizeof(host) - 1) < 0 || !host[0])
			slice_copy(SLICE("localhost"), host, sizeof(host));
		host[strcspn(host, ".")] = '\0';
	}
	return host;
}

void naming_setting(const struct record *record, const void *value)
{
	const struct settings_log *log = value;
	enum style style = style_find(log->format);
	struct slice name = log->name;
	(void)record;
	/* what reads Postfix's log looks for its name, unless another one was chosen */
	if (style == STYLE_POSTFIX && slice_equal(name, SLICE("stagepost")))
		name = SLICE("postfix");
	output_name(name, style, our_host());
}
