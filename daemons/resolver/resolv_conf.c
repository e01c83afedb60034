/*
 * As the C library reads the file: a line begins with its word, ';' and '#' in the first place make
 * a comment, and what else stands on the line does not matter.
 */
#include "daemons/resolver/resolv_conf.h"

static void add(struct servers *s, const struct net_address *a)
{
	if (s->count < NAME_SERVERS_MAX)
		s->list[s->count++] = *a;
}

void resolv_conf_read(struct slice text, struct servers *s)
{
	struct net_address a;
	struct slice line;
	s->count = 0;
	while (text.len > 0) {
		slice_split(text, '\n', &line, &text);
		if (!slice_equal(slice_word(&line), SLICE("nameserver")))
			continue;
		if (!net_ip_parse(slice_word(&line), &a))
			continue;
		a.port = DNS_PORT;
		add(s, &a);
	}
}

bool servers_parse(struct slice words, struct servers *s)
{
	struct net_address a;
	struct slice word;
	s->count = 0;
	while ((word = slice_word(&words)).len > 0) {
		if (!net_address_parse(word, &a) || (a.family != NET_IPV4 && a.family != NET_IPV6))
			return false;
		add(s, &a);
	}
	return true;
}

bool servers_same(const struct servers *a, const struct servers *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!net_address_same_host(&a->list[i], &b->list[i]) ||
		    a->list[i].port != b->list[i].port)
			return false;
	return true;
}
