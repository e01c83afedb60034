/*
 * sockaddr: the C library's inet_pton and inet_ntop judge and write the numbers; what is added is
 * the port, the brackets, and that an IPv4 address has one form only.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "common/net/sockaddr.h"

static void set_ipv4(struct net_address *a, const void *four)
{
	a->family = NET_IPV4;
	memset(a->bytes, 0, sizeof(a->bytes));
	memcpy(a->bytes, four, 4);
}

static void set_ipv6(struct net_address *a, const struct in6_addr *in6)
{
	if (IN6_IS_ADDR_V4MAPPED(in6)) {
		set_ipv4(a, in6->s6_addr + 12);
		return;
	}
	a->family = NET_IPV6;
	memcpy(a->bytes, in6->s6_addr, sizeof(a->bytes));
}

static bool parse_ipv4(struct slice text, struct net_address *a)
{
	char str[INET_ADDRSTRLEN];
	struct in_addr in;
	if (!slice_copy(text, str, sizeof(str)) || inet_pton(AF_INET, str, &in) != 1)
		return false;
	set_ipv4(a, &in);
	return true;
}

static bool parse_ipv6(struct slice text, struct net_address *a)
{
	char str[INET6_ADDRSTRLEN];
	struct in6_addr in6;
	if (!slice_copy(text, str, sizeof(str)) || inet_pton(AF_INET6, str, &in6) != 1)
		return false;
	set_ipv6(a, &in6);
	return true;
}

bool net_ip_parse(struct slice text, struct net_address *a)
{
	*a = (struct net_address){0};
	return parse_ipv4(text, a) || parse_ipv6(text, a);
}

static bool parse_unix(struct slice path, struct net_address *a)
{
	if (path.len == 0 || path.len > NET_PATH_MAX || memchr(path.ptr, '\0', path.len))
		return false;
	a->family = NET_UNIX;
	a->path = path;
	return true;
}

static bool parse_host(struct slice host, struct net_address *a)
{
	if (slice_equal(host, SLICE("*"))) {
		a->family = NET_ANY;
		return true;
	}
	if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
		return parse_ipv6(slice_sub(host, 1, host.len - 2), a);
	return parse_ipv4(host, a);
}

bool net_address_parse(struct slice text, struct net_address *a)
{
	*a = (struct net_address){0};
	if (slice_starts(text, SLICE("unix:")))
		return parse_unix(slice_from(text, 5), a);
	size_t colon = slice_find_last(text, ':');
	uint64_t port;
	if (colon == text.len || !slice_number(slice_from(text, colon + 1), UINT16_MAX, &port) ||
	    port == 0 || !parse_host(slice_sub(text, 0, colon), a)) {
		*a = (struct net_address){0};
		return false;
	}
	a->port = (uint16_t)port;
	return true;
}

size_t net_ip_format(const struct net_address *a, char text[NET_IP_TEXT])
{
	text[0] = '\0';
	switch (a->family) {
	case NET_ANY:
		memcpy(text, "*", 2);
		break;
	case NET_IPV4:
		inet_ntop(AF_INET, a->bytes, text, NET_IP_TEXT);
		break;
	case NET_IPV6:
		inet_ntop(AF_INET6, a->bytes, text, NET_IP_TEXT);
		break;
	case NET_UNIX:
		memcpy(text, "unix", 5);
		break;
	default:
		break;
	}
	return strlen(text);
}

size_t net_address_format(const struct net_address *a, char text[NET_ADDRESS_TEXT])
{
	char ip[NET_IP_TEXT];
	if (a->family == NET_UNIX) {
		struct slice path = slice_sub(a->path, 0, NET_ADDRESS_TEXT - sizeof("unix:"));
		return (size_t)snprintf(text, NET_ADDRESS_TEXT, "unix:%.*s", SLICE_FMT(path));
	}
	if (net_ip_format(a, ip) == 0) {
		text[0] = '\0';
		return 0;
	}
	const char *format = a->family == NET_IPV6 ? "[%s]:%u" : "%s:%u";
	return (size_t)snprintf(text, NET_ADDRESS_TEXT, format, ip, (unsigned)a->port);
}

bool net_address_same_host(const struct net_address *a, const struct net_address *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0 &&
	       slice_equal(a->path, b->path);
}

bool net_address_is_local(const struct net_address *a)
{
	static const uint8_t loopback6[16] = {[15] = 1};
	switch (a->family) {
	case NET_IPV4:
		return a->bytes[0] == 127;
	case NET_IPV6:
		return memcmp(a->bytes, loopback6, sizeof(loopback6)) == 0;
	default:
		return a->family == NET_UNIX;
	}
}

void net_address_from(const struct sockaddr_storage *from, socklen_t len, struct net_address *a)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)from;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
	*a = (struct net_address){0};
	if (len < sizeof(from->ss_family))
		return;
	if (from->ss_family == AF_INET && len >= sizeof(*in)) {
		set_ipv4(a, &in->sin_addr);
		a->port = ntohs(in->sin_port);
	} else if (from->ss_family == AF_INET6 && len >= sizeof(*in6)) {
		set_ipv6(a, &in6->sin6_addr);
		a->port = ntohs(in6->sin6_port);
	} else if (from->ss_family == AF_UNIX) {
		a->family = NET_UNIX;
	}
}

socklen_t net_address_to(const struct net_address *a, struct sockaddr_storage *to)
{
	struct sockaddr_in *in = (struct sockaddr_in *)to;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;
	memset(to, 0, sizeof(*to));
	switch (a->family) {
	case NET_IPV4:
		in->sin_family = AF_INET;
		in->sin_port = htons(a->port);
		memcpy(&in->sin_addr, a->bytes, sizeof(in->sin_addr));
		return sizeof(*in);
	case NET_IPV6:
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(a->port);
		memcpy(&in6->sin6_addr, a->bytes, sizeof(in6->sin6_addr));
		return sizeof(*in6);
	default:
		return 0;
	}
}
