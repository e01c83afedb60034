/*
 * Settings and files come one by one; they are taken together in the next turn of the loop. What
 * can't be used is told, and the former way to ask goes on. Only a change that matters makes a new
 * context, since the cache is empty then.
 */
#include "daemons/resolver/settings.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/config/settings.h"
#include "common/os/disk.h"
#include "common/os/loop.h"
#include "daemons/resolver/dns.h"
#include "daemons/resolver/own.h"

const struct record *const resolver_settings[] = {&settings_resolver_record,
						  &settings_network_record, NULL};

/* As it came, and as it is in use. */
struct wanted {
	struct servers named;  /* by the configuration */
	struct servers system; /* of resolv.conf */
	bool validates;	       /* the configuration names an anchor */
	char *anchor;	       /* its content; NULL: did not come yet */
	char *insecure;	       /* NULL: none */
};

static struct wanted wanted;
static struct servers used_servers;
static char *used_anchor, *used_insecure;
static bool started, configured, in_set; /* in_set: the set is not whole yet */
static struct loop_timer soon;

static void replace_text(char **text, struct slice s)
{
	memory_free(*text);
	*text = s.len > 0 ? memory_string(s) : NULL;
}

static bool same_text(const char *a, const char *b)
{
	return slice_equal(slice_str(a), slice_str(b));
}

static const struct servers *servers_wanted(void)
{
	return wanted.named.count > 0 ? &wanted.named : &wanted.system;
}

static const char *anchor_wanted(void)
{
	return wanted.validates ? wanted.anchor : NULL;
}

static bool nothing_new(void)
{
	return configured && servers_same(&used_servers, servers_wanted()) &&
	       same_text(used_anchor, anchor_wanted()) && same_text(used_insecure, wanted.insecure);
}

static void tell(const struct dns_config *config)
{
	log_info("the DNS is asked by way of %zu server%s, %s", config->servers.count,
		 config->servers.count == 1 ? "" : "s",
		 config->anchor.len > 0 ? "and validated" : "not validated");
}

static bool use(const struct dns_config *config)
{
	struct error e = {0};
	if (!dns_configure(config, &e)) {
		log_error("%s; %s", e.text,
			  configured ? "the DNS is asked as before" : "it is left out");
		return false;
	}
	used_servers = config->servers;
	replace_text(&used_anchor, config->anchor);
	replace_text(&used_insecure, config->insecure);
	configured = true;
	tell(config);
	return true;
}

static void apply(void *arg)
{
	struct dns_config config = {.servers = *servers_wanted(),
				    .anchor = slice_str(anchor_wanted()),
				    .insecure = slice_str(wanted.insecure)};
	(void)arg;
	if (in_set || nothing_new())
		return;
	if (use(&config) || configured) {
		dns_run();
		return;
	}
	/* At the start there is no former way: without validation, which then nobody claims. */
	config.anchor = config.insecure = SLICE_EMPTY;
	if (!use(&config))
		fatal("the DNS can't be asked");
}

static void apply_soon(void)
{
	if (started)
		loop_timer_start(&soon, 0, apply, NULL);
}

void resolver_settings_begin(void)
{
	in_set = true;
	own_begin();
	wanted.named.count = 0;
	wanted.validates = false;
	replace_text(&wanted.insecure, SLICE_EMPTY);
}

void resolver_setting(const struct record *record, const void *value)
{
	if (record == &settings_network_record) {
		const struct settings_network *network = value;
		if (slice_equal(network->role, SLICE("addresses")))
			own_add(network->network);
		return;
	}
	const struct settings_resolver *s = value;
	if (!servers_parse(s->servers, &wanted.named))
		log_error("resolver: server: %.*s can't be used", SLICE_FMT(s->servers));
	wanted.validates = s->anchor.len > 0;
	replace_text(&wanted.insecure, s->insecure);
}

void resolver_settings_end(void)
{
	in_set = false;
	apply_soon();
}

static void take_file(const struct service_descriptor *d)
{
	bool anchor = slice_equal(d->detail, SLICE("anchor"));
	struct buffer b;
	buffer_init(&b, anchor ? ANCHOR_MAX : RESOLV_CONF_MAX);
	if (disk_read_whole(d->fd, anchor ? ANCHOR_MAX : RESOLV_CONF_MAX, &b) != 0)
		log_error("%.*s can't be read; its former content stays in use",
			  SLICE_FMT(d->name));
	else if (anchor)
		replace_text(&wanted.anchor, buffer_slice(&b));
	else
		resolv_conf_read(buffer_slice(&b), &wanted.system);
	buffer_free(&b);
	apply_soon();
}

void resolver_descriptor(const struct service_descriptor *d)
{
	if (slice_equal(d->kind, SLICE("file")))
		take_file(d);
	else
		log_error("resolver has no use for %.*s", SLICE_FMT(d->name));
	close(d->fd);
}

void resolver_warm(void)
{
	apply(NULL);
}

void resolver_start(void)
{
	started = true;
}
