/*
 * check_way: where mail goes by SMTP: next hops that lead back to us, outbound statements that no
 * mail reaches, and what the resolver needs.
 */
#include <errno.h>

#include "common/config/check.h"
#include "common/config/pattern.h"
#include "common/net/cidr.h"
#include "common/os/disk.h"
#include "common/table/next_hop.h"

/* Is the address in an `addresses`? */
static bool is_declared(const struct check *k, const struct net_address *a)
{
	const struct node *n;
	struct cidr network;
	TAILQ_FOREACH (n, &k->c->nodes, link)
		for (size_t i = 0; n->schema->type == TYPE_HOSTS && i < n->text_count; i++)
			if (cidr_parse(n->texts[i], &network) && cidr_match(&network, a))
				return true;
	return false;
}

/* Does a listener of ours take what is sent to that hop? */
static bool listener_takes(const struct check *k, const struct node *listen,
			   const struct next_hop *hop)
{
	struct net_address here, there;
	if (!net_address_parse(listen->texts[0], &here) || here.port != hop->port)
		return false;
	if (!hop->literal)
		return slice_equal_fold(hop->host, check_value(k, "hostname")->texts[0]);
	if (!net_ip_parse(hop->host, &there))
		return false;
	if (net_address_same_host(&here, &there))
		return true;
	bool wild =
	    here.family == NET_ANY ||
	    (here.family == there.family && slice_starts(listen->texts[0], SLICE("0.0.0.0"))) ||
	    (here.family == there.family && slice_starts(listen->texts[0], SLICE("[::]")));
	return wild && (net_address_is_local(&there) || is_declared(k, &there));
}

static bool leads_to_us(const struct check *k, const struct next_hop *hop)
{
	const struct node *n;
	TAILQ_FOREACH (n, &k->c->nodes, link)
		if (n->schema->type == TYPE_LISTEN && listener_takes(k, n, hop))
			return true;
	return false;
}

void check_next_hops(struct check *k, const struct node *n)
{
	for (size_t i = 0; i < n->text_count; i++) {
		struct slice text = n->texts[i];
		struct next_hop hop;
		if (slice_equal(text, SLICE("mx")) || !next_hop_next(&text, &hop) || hop.mx)
			continue;
		if (leads_to_us(k, &hop))
			check_error(k, n, "`%s %s` leads to this server itself", n->schema->name,
				    n->texts[i].ptr);
	}
}

void check_outbound(struct check *k, const struct node *n)
{
	const struct node *via = node_find(&n->block, "via"), *last = k->last_outbound;
	if (last && last->text_count == 0)
		check_error(k, n, "no mail comes here: the `outbound` at line %u takes all of it",
			    last->statement->name.place.line);
	else
		k->last_outbound = n;
	for (size_t i = 1; i < n->text_count; i++)
		if (pattern_is_table(n->texts[i]))
			check_table(k, n, n->texts[i], TABLE_PLAIN);
	if (via)
		check_next_hops(k, via);
}

void check_resolver(struct check *k)
{
	const struct node *anchor = check_value(k, "resolver.anchor");
	struct stat st;
	if (!anchor)
		return;
	int fd = disk_open(AT_FDCWD, anchor->texts[0].ptr, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);
	if (fd < 0 || disk_stat(fd, &st) != 0)
		check_error(k, anchor, "%s: %s", anchor->texts[0].ptr, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		check_error(k, anchor, "%s: it is no ordinary file", anchor->texts[0].ptr);
	if (fd >= 0)
		disk_close(fd);
}
