/*
 * What the configuration says, as the master sends it: at the start, and whole again at each
 * reload. Sessions look here at each step; what a transaction must not see change, it copies.
 */
#include "common/base/memory.h"
#include "common/net/cidr.h"
#include "common/service/secure.h"
#include "daemons/smtpd/smtpd.h"

/* Addresses of listeners that have `bare-newline normalize`. */
struct normalizing {
	struct slice *addresses;
	size_t count;
};

struct settings_set {
	struct smtpd_settings is;
	struct cidr_set trust;
	struct normalizing normalizing;
};

static struct settings_set current, coming;

const struct smtpd_settings *smtpd_settings(void)
{
	return &current.is;
}

bool smtpd_trusts(const struct net_address *a)
{
	return cidr_set_match(&current.trust, a);
}

bool smtpd_normalizes(struct slice listener)
{
	for (size_t i = 0; i < current.normalizing.count; i++)
		if (slice_equal(current.normalizing.addresses[i], listener))
			return true;
	return false;
}

static void set_free(struct settings_set *set)
{
	for (size_t i = 0; i < set->normalizing.count; i++)
		memory_free((void *)set->normalizing.addresses[i].ptr);
	memory_free(set->normalizing.addresses);
	cidr_set_free(&set->trust);
	memset(set, 0, sizeof(*set));
}

void smtpd_settings_begin(void)
{
	set_free(&coming);
	coming.is.number = current.is.number + 1;
	secure_settings_begin();
}

static void take_listen(const struct settings_listen *v)
{
	struct normalizing *n = &coming.normalizing;

	if (!v->normalize)
		return;
	n->addresses = memory_resize(n->addresses, n->count + 1, sizeof(*n->addresses));
	n->addresses[n->count++] = slice_make(memory_string(v->address), v->address.len);
}

static void take_network(const struct settings_network *v)
{
	struct cidr network;

	if (slice_equal(v->role, SLICE("trust")) && cidr_parse(v->network, &network))
		cidr_set_add(&coming.trust, &network);
}

void smtpd_setting(const struct record *record, const void *value)
{
	if (record == &settings_server_record) {
		const struct settings_server *v = value;

		slice_copy(v->hostname, coming.is.hostname, sizeof(coming.is.hostname));
		slice_copy(v->origin, coming.is.origin, sizeof(coming.is.origin));
		slice_copy(v->postmaster, coming.is.postmaster, sizeof(coming.is.postmaster));
	} else if (record == &settings_limits_record)
		coming.is.limits = *(const struct settings_limits *)value;
	else if (record == &settings_network_record)
		take_network(value);
	else if (record == &settings_listen_record)
		take_listen(value);
	else if (record == &settings_resolver_record)
		coming.is.peer_names = ((const struct settings_resolver *)value)->peer_names;
	else if (record == &settings_submission_record)
		coming.is.hide_client = ((const struct settings_submission *)value)->hide_client;
	else if (record == &settings_certificate_record)
		coming.is.tls = true;
	secure_setting(record, value);
}

void smtpd_settings_end(void)
{
	struct settings_set old = current;

	current = coming;
	memset(&coming, 0, sizeof(coming));
	set_free(&old);
	secure_settings_end();
}
