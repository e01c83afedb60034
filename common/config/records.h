/*
 * records: what the two halves of the making of settings records share.
 */
#ifndef COMMON_CONFIG_RECORDS_H
#define COMMON_CONFIG_RECORDS_H

#include "common/config/tree.h"

/* What is counted over the whole file: numbers given so far. */
struct building {
	struct config *c;
	uint32_t domains, delivers, outbounds;
	struct error *e;
};

/* An empty record at the end of the items; NULL with the error set. */
void *records_add(struct building *b, const struct record *record);
bool records_full(struct building *b); /* false, with the error set */
/* Appends the node's values from that on to *joined, separated by blanks. */
bool records_join(struct building *b, const struct node *n, size_t from, size_t most,
		  struct slice *joined);

/* records_domain.c */
bool records_aliases(struct building *b, const struct node *n, uint32_t domain);
bool records_domain(struct building *b, const struct node *n);

/* records_login.c: a block, and the record that has its simple directives already. */
bool records_tls(struct building *b, const struct node *block);
bool records_auth(struct building *b, const struct node *block, struct settings_auth *auth);
bool records_submission(struct building *b, const struct node *block,
			struct settings_submission *submission);

#endif
