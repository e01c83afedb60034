/*
 * next_hop: where mail goes next, as an administrator writes it, into the one form of
 * dialogue/router.h: lower case, A-labels, hosts in brackets with their port, literals as RFC 5321
 * 4.1.3 writes them.
 */
#ifndef COMMON_TABLE_NEXT_HOP_H
#define COMMON_TABLE_NEXT_HOP_H

#include "common/base/slice.h"

enum {
	NEXT_HOP_PORT = 25,	  /* where none is given */
	NEXT_HOP_ITEM_SIZE = 280, /* one item and a NUL */
	NEXT_HOP_TEXT_MAX = 1024, /* octets of several, as dialogue/router.h has it */
};

/* One item: example.org[:587] for its MX hosts, [mx.example.org][:25] or an address for a host. An
 * address goes without brackets too (192.0.2.1:25). NULL, or what is wrong with it. */
const char *next_hop_item(struct slice text, char item[NEXT_HOP_ITEM_SIZE]);
/* Several, separated by blanks; text of NEXT_HOP_TEXT_MAX octets and a NUL. */
const char *next_hop_parse(struct slice text, char hops[NEXT_HOP_TEXT_MAX + 1]);

/* An item's host without brackets and without IPv6:, and its port. */
struct next_hop {
	struct slice host;
	uint16_t port;
	bool mx;      /* the MX hosts of that name are meant */
	bool literal; /* host is an address */
};
/* Takes the first item off hops, which must be in the form that the functions above give; false:
 * none is left, or it has another form. */
bool next_hop_next(struct slice *hops, struct next_hop *hop);

#endif
