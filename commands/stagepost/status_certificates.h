/*
 * status_certificates: the certificates in a status.
 */
#ifndef COMMANDS_STAGEPOST_STATUS_CERTIFICATES_H
#define COMMANDS_STAGEPOST_STATUS_CERTIFICATES_H

#include <jansson.h>
#include <stdio.h>

#include "common/dialogue/keys.h"

struct certificates {
	struct seen *list;
	size_t count;
	char missing[200]; /* why nothing is known; empty: it is */
};

void certificates_add(struct certificates *c, const struct keys_certificate *m);
void certificates_free(struct certificates *c);
json_t *certificates_json(const struct certificates *c, uint64_t now);
void certificates_text(const struct certificates *c, uint64_t now, FILE *to);

#endif
