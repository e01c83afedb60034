/*
 * Two files at most, of which the second is there when the configuration names it.
 */
#include "master/dns_files.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "common/base/memory.h"
#include "master/watched.h"

#define RESOLV_CONF "/etc/resolv.conf"

enum { FILES_MAX = 2 };

static const char *const details[FILES_MAX] = {"resolv.conf", "anchor"};

struct dns_files {
	struct watched files[FILES_MAX]; /* in the order of details */
	size_t count;
};

bool dns_files_open(const struct config *config, struct dns_files **result, struct error *e)
{
	const char *anchor = config_string(config, "resolver.anchor");
	struct dns_files *d = memory_zero(1, sizeof(*d));
	watched_init(&d->files[d->count++], RESOLV_CONF);
	watched_open(&d->files[0]); /* tried again each second */
	if (anchor && anchor[0] != '\0') {
		watched_init(&d->files[d->count++], anchor);
		if (!watched_open(&d->files[1])) {
			error_set(e, EX_NOINPUT, "trust anchor %s: %s", anchor,
				  errno == EINVAL ? "is not a regular file" : strerror(errno));
			dns_files_free(&d);
			return false;
		}
	}
	*result = d;
	return true;
}

void dns_files_free(struct dns_files **d)
{
	if (!*d)
		return;
	for (size_t i = 0; i < (*d)->count; i++)
		watched_free(&(*d)->files[i]);
	memory_free(*d);
	*d = NULL;
}

void dns_files_each(const struct dns_files *d, dns_files_call *call, void *arg)
{
	for (size_t i = 0; i < d->count; i++)
		if (d->files[i].fd >= 0)
			/* there are FILES_MAX of both.
			 * NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage) */
			call(arg, d->files[i].path, details[i], d->files[i].fd);
}

void dns_files_look(struct dns_files *d, dns_files_call *call, void *arg)
{
	for (size_t i = 0; i < d->count; i++)
		/* the same. NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage) */
		if (watched_look(&d->files[i], details[i]))
			call(arg, d->files[i].path, details[i], d->files[i].fd);
}
