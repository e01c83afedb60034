/*
 * The conversation of router: its records and messages as tables.
 */
#include "common/dialogue/router.h"

RECORD_DEFINE(router_check, ROUTER_CHECK_FIELDS)
RECORD_DEFINE(router_verdict, ROUTER_VERDICT_FIELDS)
RECORD_DEFINE(router_ask, ROUTER_ASK_FIELDS)
RECORD_DEFINE(router_delivery, ROUTER_DELIVERY_FIELDS)
RECORD_DEFINE(router_routed, ROUTER_ROUTED_FIELDS)
RECORD_DEFINE(router_explain, ROUTER_EXPLAIN_FIELDS)
RECORD_DEFINE(router_step, ROUTER_STEP_FIELDS)

DIALOGUE_DEFINE(router, ROUTER_MESSAGES)
