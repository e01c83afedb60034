/*
 * pairs: the certificates and keys of the configuration, two files each. A pair is in use when both
 * read and fit; what comes later and does not leaves it as it was, loudly.
 */
#ifndef DAEMONS_KEYS_PAIRS_H
#define DAEMONS_KEYS_PAIRS_H

#include "common/base/record.h"
#include "common/net/tls_server.h"
#include "common/service/service.h"

enum { PAIRS_MAX = TLS_CERTIFICATES_MAX, PAIRS_NAMES_MAX = 1024, PAIRS_SOON_DAYS = 14 };
#define PAIRS_FIT_US	UINT64_C(5000000)     /* for the second file of a change to come */
#define PAIRS_ENDING_US UINT64_C(3600000000)  /* between two looks for what ends soon */
#define PAIRS_DAY_US	UINT64_C(86400000000) /* between two warnings of the same certificate */

void pairs_settings_begin(void);
void pairs_setting(const struct record *record, const void *value);
void pairs_settings_end(void);
/* A certificate's or a key's file, new or changed; the descriptor is closed. */
void pairs_descriptor(const struct service_descriptor *d);
/* From now on what ends soon is told once a day. */
void pairs_start(void);

/* A certificate, as far as this process needs it. */
struct paper {
	unsigned char key[TLS_KEY_NAME_SIZE];
	char names[PAIRS_NAMES_MAX + 1]; /* separated by blanks; as many as there is room for */
	char kind[TLS_KEY_KIND_SIZE];
	uint64_t from, until; /* Unix seconds */
};

/* What there is to say of one, for a status; slices die after the call. */
struct pair_facts {
	struct slice certificate, key, trouble; /* paths; why the newest files are not used */
	const struct paper *paper;		/* in use, else the newest; NULL: none */
};
void pairs_each(void (*call)(void *arg, const struct pair_facts *facts), void *arg);
void pairs_free(void); /* all of it */

#endif
