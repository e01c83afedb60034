/*
 * next_hop: brackets say "this host, not its MX" (S42). An address has no MX, so one without
 * brackets can only mean the host; it is given them.
 */
#include "common/table/next_hop.h"

#include <stdio.h>

#include "common/mail/idna.h"
#include "common/net/sockaddr.h"

static const struct slice IPV6_TAG = {"IPv6:", 5};

static const char *split_port(struct slice rest, uint64_t *port)
{
	*port = NEXT_HOP_PORT;
	if (rest.len == 0)
		return NULL;
	if (rest.ptr[0] != ':' || !slice_number(slice_from(rest, 1), UINT16_MAX, port) ||
	    *port == 0)
		return "behind the host stands a colon and a port from 1 to 65535, or nothing";
	return NULL;
}

/* Host, the text behind it, and whether it stood in brackets. */
static const char *split_host(struct slice text, struct slice *host, struct slice *rest,
			      bool *brackets)
{
	*brackets = text.len > 0 && text.ptr[0] == '[';
	if (*brackets) {
		size_t end = slice_find(text, ']');
		if (end == text.len)
			return "the bracket is not closed";
		*host = slice_sub(text, 1, end - 1);
		*rest = slice_from(text, end + 1);
		return NULL;
	}
	size_t first = slice_find(text, ':');
	if (slice_find_last(text, ':') != first)
		return "an IPv6 address stands in brackets: [2001:db8::1]:25";
	*host = slice_sub(text, 0, first);
	*rest = slice_from(text, first);
	return NULL;
}

static bool write_item(char item[NEXT_HOP_ITEM_SIZE], const char *before, struct slice host,
		       const char *behind, unsigned port)
{
	int len = snprintf(item, NEXT_HOP_ITEM_SIZE, "%s%.*s%s", before, SLICE_FMT(host), behind);
	/* example.org and example.org:25 are one destination */
	if (before[0] == '[' || port != NEXT_HOP_PORT)
		len += snprintf(item + len, NEXT_HOP_ITEM_SIZE - (size_t)len, ":%u", port);
	return len > 0 && len < NEXT_HOP_ITEM_SIZE;
}

static bool write_literal(char item[NEXT_HOP_ITEM_SIZE], const struct net_address *a, unsigned port)
{
	char text[NET_IP_TEXT];
	size_t len = net_ip_format(a, text);
	return write_item(item, a->family == NET_IPV6 ? "[IPv6:" : "[", slice_make(text, len), "]",
			  port);
}

const char *next_hop_item(struct slice text, char item[NEXT_HOP_ITEM_SIZE])
{
	struct slice host, rest;
	struct net_address a;
	uint64_t port;
	bool brackets;
	char name[ADDRESS_SIZE];
	const char *fault = split_host(text, &host, &rest, &brackets);
	item[0] = '\0';
	if (!fault)
		fault = split_port(rest, &port);
	if (fault)
		return fault;
	if (net_ip_parse(slice_starts_fold(host, IPV6_TAG) ? slice_from(host, IPV6_TAG.len) : host,
			 &a))
		return write_literal(item, &a, (unsigned)port) ? NULL : "it is too long";
	if (!address_domain_valid(host, true) || !idna_ascii(host, name, &host) ||
	    !address_domain_valid(host, false))
		return "that is no host: [mx.example.org]:25, example.org for its MX hosts, or an "
		       "address";
	if (!write_item(item, brackets ? "[" : "", host, brackets ? "]" : "", (unsigned)port))
		return "it is too long";
	return NULL;
}

const char *next_hop_parse(struct slice text, char hops[NEXT_HOP_TEXT_MAX + 1])
{
	char item[NEXT_HOP_ITEM_SIZE];
	size_t len = 0;
	hops[0] = '\0';
	for (struct slice word; (word = slice_word(&text)).len > 0;) {
		const char *fault = next_hop_item(word, item);
		if (fault)
			return fault;
		size_t more = strlen(item) + (len > 0);
		if (len + more > NEXT_HOP_TEXT_MAX)
			return "these are too many hosts";
		snprintf(hops + len, NEXT_HOP_TEXT_MAX + 1 - len, "%s%s", len > 0 ? " " : "", item);
		len += more;
	}
	return len > 0 ? NULL : "the next hop is missing";
}

bool next_hop_next(struct slice *hops, struct next_hop *hop)
{
	struct slice word = slice_word(hops), rest;
	uint64_t port;
	bool brackets;
	struct net_address a;
	if (word.len == 0 || split_host(word, &hop->host, &rest, &brackets) ||
	    split_port(rest, &port))
		return false;
	if (slice_starts(hop->host, IPV6_TAG))
		hop->host = slice_from(hop->host, IPV6_TAG.len);
	hop->port = (uint16_t)port;
	hop->mx = !brackets;
	hop->literal = brackets && net_ip_parse(hop->host, &a);
	return hop->host.len > 0;
}
