/*
 * The kernel is asked about each address: it sends to one of its own from that very address, so a
 * datagram socket that is connected to it has two equal ends. No packet leaves for that, no list of
 * interfaces has to be kept fresh, and the sandbox needs no netlink.
 */
#include "daemons/resolver/own.h"

#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

enum { DISCARD_PORT = 9 }; /* any will do */

static struct cidr_set ours;

void own_begin(void)
{
	cidr_set_free(&ours);
}

void own_add(struct slice network)
{
	struct cidr c;
	if (!cidr_parse(network, &c) || !cidr_set_add(&ours, &c))
		log_error("addresses: %.*s can't be used", SLICE_FMT(network));
}

static bool is_unspecified(const struct net_address *a)
{
	static const uint8_t zero[16];
	return memcmp(a->bytes, zero, sizeof(zero)) == 0;
}

static bool ends_are_equal(int fd, const struct net_address *a)
{
	struct net_address to = *a, here;
	struct sockaddr_storage s;
	to.port = DISCARD_PORT;
	socklen_t len = net_address_to(&to, &s);
	if (len == 0 || connect(fd, (struct sockaddr *)&s, len) < 0)
		return false;
	len = sizeof(s);
	if (getsockname(fd, (struct sockaddr *)&s, &len) < 0)
		return false;
	net_address_from(&s, len, &here);
	return net_address_same_host(&here, a);
}

bool own_has(const struct net_address *a)
{
	bool equal;
	int fd;
	if (net_address_is_local(a) || is_unspecified(a) || cidr_set_match(&ours, a))
		return true;
	fd = socket(a->family == NET_IPV6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	equal = ends_are_equal(fd, a);
	close(fd);
	return equal;
}
