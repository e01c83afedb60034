/*
 * text: is this what TLS has a server sign? The peer says of which version it is; it is never more
 * than a server's proof for one handshake. Pure, fuzzed.
 */
#ifndef DAEMONS_KEYS_TEXT_H
#define DAEMONS_KEYS_TEXT_H

#include "common/base/slice.h"
#include "common/dialogue/keys.h"

bool text_fits(enum keys_purpose purpose, struct slice text);

#endif
