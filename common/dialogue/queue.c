/*
 * The conversation of control and the queue manager: its records and messages as tables.
 */
#include "common/dialogue/queue.h"

RECORD_DEFINE(queue_ask, QUEUE_ASK_FIELDS)
RECORD_DEFINE(queue_item, QUEUE_ITEM_FIELDS)
RECORD_DEFINE(queue_recipient, QUEUE_RECIPIENT_FIELDS)
RECORD_DEFINE(queue_destination, QUEUE_DESTINATION_FIELDS)
RECORD_DEFINE(queue_line, QUEUE_LINE_FIELDS)
RECORD_DEFINE(queue_counts, QUEUE_COUNTS_FIELDS)
RECORD_DEFINE(queue_done, QUEUE_DONE_FIELDS)
RECORD_DEFINE(queue_cancel, QUEUE_CANCEL_FIELDS)
RECORD_DEFINE(queue_pause, QUEUE_PAUSE_FIELDS)

DIALOGUE_DEFINE(queue, QUEUE_MESSAGES)
