/*
 * network: addresses in the configuration, as text: networks that are trusted, places to listen on,
 * servers to ask.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "common/config/tree.h"
#include "common/net/sockaddr.h"

/* Are the bits behind the first `bits` of an address all zero? */
static bool rest_is_zero(const uint8_t *address, unsigned octets, unsigned bits)
{
	for (unsigned i = bits; i < octets * 8; i++)
		if (address[i / 8] & (0x80 >> (i % 8)))
			return false;
	return true;
}

const char *network_parse(struct slice text, char canonical[NETWORK_TEXT_SIZE])
{
	char address[INET6_ADDRSTRLEN];
	uint8_t octets[sizeof(struct in6_addr)];
	struct slice host, length;
	uint64_t bits;
	bool has_length = slice_split(text, '/', &host, &length);
	if (!slice_copy(host, address, sizeof(address)))
		return "no network: 192.0.2.0/24, 2001:db8::/32 or an address";
	int family = slice_find(host, ':') < host.len ? AF_INET6 : AF_INET;
	unsigned size = family == AF_INET6 ? 16 : 4;
	if (inet_pton(family, address, octets) != 1)
		return "no network: 192.0.2.0/24, 2001:db8::/32 or an address";
	bits = size * 8;
	if (has_length && !slice_number(length, size * 8, &bits))
		return family == AF_INET6 ? "behind the / stands a number from 0 to 128"
					  : "behind the / stands a number from 0 to 32";
	if (!rest_is_zero(octets, size, (unsigned)bits))
		return "the address goes on behind the network's bits (10.0.0.0/8, not 10.1.2.3/8)";
	inet_ntop(family, octets, address, sizeof(address));
	snprintf(canonical, NETWORK_TEXT_SIZE, "%s/%u", address, (unsigned)bits);
	return NULL;
}

bool network_is_host(const char *canonical)
{
	const char *bits = strchr(canonical, '/');
	return bits && strcmp(bits, strchr(canonical, ':') ? "/128" : "/32") == 0;
}

const char *server_parse(struct slice text, char canonical[NETWORK_TEXT_SIZE])
{
	enum { DNS_PORT = 53 };
	struct net_address a;
	char address[NET_ADDRESS_TEXT];
	struct slice inside = text;
	if (text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']')
		inside = slice_sub(text, 1, text.len - 2);
	if (net_ip_parse(inside, &a))
		a.port = DNS_PORT;
	else if (!net_address_parse(text, &a) || (a.family != NET_IPV4 && a.family != NET_IPV6))
		return "no address of a server: 192.0.2.1:53 or [2001:db8::1]:53";
	net_address_format(&a, address);
	slice_copy(slice_str(address), canonical, NETWORK_TEXT_SIZE);
	return NULL;
}

const char *listen_fault(struct slice text)
{
	char address[INET6_ADDRSTRLEN];
	uint8_t octets[sizeof(struct in6_addr)];
	uint64_t port;
	size_t colon = slice_find_last(text, ':');
	if (colon == text.len)
		return "the port is missing: *:25, 192.0.2.1:25 or [2001:db8::1]:25";
	struct slice host = slice_sub(text, 0, colon);
	if (!slice_number(slice_from(text, colon + 1), UINT16_MAX, &port) || port == 0)
		return "the port is a number from 1 to 65535";
	if (slice_equal(host, SLICE("*")))
		return NULL;
	int family = AF_INET;
	if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
		family = AF_INET6;
		host = slice_sub(host, 1, host.len - 2);
	}
	if (!slice_copy(host, address, sizeof(address)) || inet_pton(family, address, octets) != 1)
		return "the host is *, an IPv4 address, or an IPv6 address in brackets";
	return NULL;
}
