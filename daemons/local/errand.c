/*
 * errand: its records as tables.
 */
#include "daemons/local/errand.h"

RECORD_DEFINE(errand, ERRAND_FIELDS)
RECORD_DEFINE(person, PERSON_FIELDS)
