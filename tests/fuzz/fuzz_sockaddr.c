/*
 * Addresses and networks as text: what parses must be written so that it parses to the same again.
 */
#include <stdlib.h>

#include "common/net/cidr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_address(struct slice text)
{
	struct net_address a, again;
	char back[NET_ADDRESS_TEXT], ip[NET_IP_TEXT];
	if (!net_address_parse(text, &a))
		return;
	struct sockaddr_storage storage;
	size_t len = net_address_format(&a, back);
	socklen_t storage_len = net_address_to(&a, &storage);
	(void)net_address_is_local(&a);
	if (net_ip_format(&a, ip) >= sizeof(ip))
		abort();
	net_address_from(&storage, storage_len, &again);
	if (storage_len > 0 && (again.port != a.port || !net_address_same_host(&a, &again)))
		abort();
	if (a.family == NET_UNIX && a.path.len > NET_ADDRESS_TEXT - sizeof("unix:"))
		return;
	if (!net_address_parse(slice_make(back, len), &again) || a.port != again.port ||
	    !net_address_same_host(&a, &again))
		abort();
}

static void check_network(struct slice text)
{
	struct cidr c;
	struct net_address a;
	if (!cidr_parse(text, &c))
		return;
	a = (struct net_address){.family = c.family};
	memcpy(a.bytes, c.bytes, sizeof(a.bytes));
	if (c.bits > (c.family == NET_IPV4 ? 32 : 128) || !cidr_match(&c, &a))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_address(slice_make(data, size));
	check_network(slice_make(data, size));
	return 0;
}
