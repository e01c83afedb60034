/*
 * settings: the configuration that is served now, as its daemons get it.
 */
#ifndef MASTER_SETTINGS_H
#define MASTER_SETTINGS_H

#include "common/base/buffer.h"
#include "common/config/config.h"
#include "common/wire/channel.h"

enum {
	SETTINGS_REMARKS_MAX = 4096, /* octets */
	SETTINGS_COUNT_MAX = 128 * 1024,
	/* Half of what may wait in a channel: a daemon that reads can always be given a new set. */
	SETTINGS_OCTETS_MAX = CHANNEL_QUEUE_MAX / 2,
};

struct settings;

/* Reads and checks a file. remarks gets the warnings, a line each; false: e says the first thing
 * that is wrong, with code 65, 66 or 78, and remarks holds all of
 * it, without the warnings. */
bool settings_load(const char *path, struct settings **s, struct buffer *remarks, struct error *e);
void settings_free(struct settings **s);
/* Remarks for whom nobody waits: a log line each. */
void settings_log_remarks(const struct buffer *remarks);
const struct config *settings_config(const struct settings *s);

/* What was fixed when the master started stays as it was in `old`: names each such directive that
 * differs in remarks, and takes the listeners of old over. */
void settings_keep_fixed(struct settings *s, const struct settings *old, struct buffer *remarks);

/* The address and kind of each listener. */
typedef bool settings_listener_call(void *arg, struct slice address, struct slice kind);
bool settings_listeners(const struct settings *s, settings_listener_call *call, void *arg);

/* Sends the whole set; false when the channel is dead or full. */
bool settings_send(const struct settings *s, uint64_t generation, struct channel *c);

#endif
