/*
 * domains: what is known of whole domains: a small memory, from a domain to a text. It forgets all
 * of it at once: when it is told to, and when it is full. Letters are folded.
 */
#ifndef COMMON_MAIL_DOMAINS_H
#define COMMON_MAIL_DOMAINS_H

#include "common/base/slice.h"

struct domains;

enum { DOMAINS_MAX = 128 * 1024 }; /* kept at once: some 12 MB */

struct domains *domains_new(void);
void domains_free(struct domains **d);
void domains_forget(struct domains *d);
/* What is put and found from now on is of these settings; what is known of others is forgotten. */
void domains_of(struct domains *d, uint64_t generation);
/* In place of what was known of it. An empty domain, or one that is longer than an address may be,
 * is not kept. */
void domains_put(struct domains *d, struct slice domain, struct slice text);
/* False: nothing is known of it. *text holds until the next put or forget. */
bool domains_find(const struct domains *d, struct slice domain, struct slice *text);

#endif
