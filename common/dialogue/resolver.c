/*
 * The records of the resolver conversation.
 */
#include "common/dialogue/resolver.h"

RECORD_DEFINE(resolve_site, RESOLVE_SITE_FIELDS)
RECORD_DEFINE(resolve_site_answer, RESOLVE_SITE_ANSWER_FIELDS)
RECORD_DEFINE(resolve_hosts, RESOLVE_HOSTS_FIELDS)
RECORD_DEFINE(resolve_address, RESOLVE_ADDRESS_FIELDS)
RECORD_DEFINE(resolve_done, RESOLVE_DONE_FIELDS)
RECORD_DEFINE(resolve_name, RESOLVE_NAME_FIELDS)
RECORD_DEFINE(resolve_named, RESOLVE_NAMED_FIELDS)
DIALOGUE_DEFINE(resolver, RESOLVER_MESSAGES)
