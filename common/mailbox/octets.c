/*
 * Each LF counts as two octets, unless a CR stands before it. A CR elsewhere is an octet like any
 * other: who sends the message must see it the same way (common/pop3/text).
 */
#include "common/mailbox/octets.h"

void octets_add(struct octets_count *c, struct slice content)
{
	const char *at = content.ptr, *end = at + content.len;
	if (content.len == 0)
		return;
	c->octets += content.len;
	for (const char *lf; (lf = memchr(at, '\n', (size_t)(end - at))); at = lf + 1)
		c->octets += (lf > content.ptr ? lf[-1] : c->last) != '\r';
	c->last = end[-1];
}

uint64_t octets_end(struct octets_count *c)
{
	if (c->octets > 0 && c->last != '\n')
		c->octets += 2;
	c->last = '\n';
	return c->octets;
}
