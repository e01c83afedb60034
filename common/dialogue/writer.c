/*
 * The conversation of writers and the queue manager: its records and messages as tables.
 */
#include "common/dialogue/writer.h"

RECORD_DEFINE(writer_want_lease, WRITER_WANT_LEASE_FIELDS)
RECORD_DEFINE(writer_want_file, WRITER_WANT_FILE_FIELDS)
RECORD_DEFINE(writer_leased, WRITER_LEASE_FIELDS)
RECORD_DEFINE(writer_filed, WRITER_FILE_FIELDS)
RECORD_DEFINE(writer_pressure, WRITER_PRESSURE_FIELDS)
RECORD_DEFINE(writer_notice, WRITER_NOTICE_FIELDS)
RECORD_DEFINE(writer_sealed, WRITER_SEALED_FIELDS)
RECORD_DEFINE(writer_failed, WRITER_FAILED_FIELDS)
RECORD_DEFINE(writer_abandoned, WRITER_ABANDONED_FIELDS)

DIALOGUE_DEFINE(writer, WRITER_MESSAGES)
