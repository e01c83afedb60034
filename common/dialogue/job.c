/*
 * The conversation of queue manager and agents: its records and messages as tables.
 */
#include "common/dialogue/job.h"

RECORD_DEFINE(job_start, JOB_START_FIELDS)
RECORD_DEFINE(job_more, JOB_MORE_FIELDS)
RECORD_DEFINE(job_outcome, JOB_OUTCOME_FIELDS)
RECORD_DEFINE(job_noted, JOB_NOTED_FIELDS)
RECORD_DEFINE(job_holding, JOB_HOLDING_FIELDS)
RECORD_DEFINE(job_holding_end, JOB_HOLDING_END_FIELDS)

DIALOGUE_DEFINE(job, JOB_MESSAGES)
