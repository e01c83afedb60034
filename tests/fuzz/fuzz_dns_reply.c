/*
 * What the DNS answers: a usable name is a host's or the root, the list of MX hosts is in order and
 * each is there once, its site is short. And resolv.conf: what is read are addresses with a port.
 */
#include <stdlib.h>

/* a room's files are in no library */
#include "daemons/resolver/mx.c"
#include "daemons/resolver/reply.c"
#include "daemons/resolver/resolv_conf.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_records(struct slice octets, uint16_t type)
{
	struct reply_record r;
	struct reply p;
	size_t count, read = 0;
	if (!reply_open(octets, type, &p))
		return;
	count = reply_count(&p);
	reply_ttl(&p);
	while (reply_next(&p, &r)) {
		bool named = type == REPLY_MX || type == REPLY_PTR;
		if (++read > count || (named && r.name[0] && !reply_name_usable(slice_str(r.name))))
			abort();
		if (!named && r.address.family != NET_IPV4 && r.address.family != NET_IPV6)
			abort();
	}
}

static void check_mx(struct slice octets)
{
	static struct mx_list l;
	char site[RESOLVER_SITE_MAX + 1];
	struct reply p;
	if (!reply_open(octets, REPLY_MX, &p))
		return;
	mx_read(&p, &l);
	if (l.count > MX_MAX || (l.null && l.count > 0))
		abort();
	for (size_t i = 1; i < l.count; i++)
		if (compare(&l.list[i - 1], &l.list[i]) >= 0)
			abort();
	for (size_t i = 0; i < l.count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(l.list[i].host, l.list[j].host) == 0)
				abort();
	mx_site(&l, site);
	if (strlen(site) > RESOLVER_SITE_MAX || (l.count > 0 && site[0] == '\0'))
		abort();
}

static void check_file(struct slice text)
{
	struct servers s;
	resolv_conf_read(text, &s);
	if (s.count > NAME_SERVERS_MAX)
		abort();
	for (size_t i = 0; i < s.count; i++)
		if (s.list[i].port != DNS_PORT ||
		    (s.list[i].family != NET_IPV4 && s.list[i].family != NET_IPV6))
			abort();
	struct servers own;
	servers_parse(text, &own);
	if (!servers_same(&s, &s) || (servers_same(&s, &own) && s.count != own.count))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = slice_make(data, size);
	check_records(s, REPLY_MX);
	check_records(s, REPLY_PTR);
	check_records(s, REPLY_A);
	check_records(s, REPLY_AAAA);
	check_mx(s);
	check_file(s);
	return 0;
}
