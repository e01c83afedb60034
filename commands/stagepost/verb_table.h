/*
 * verb_table: what `stagepost user` needs of `stagepost table`.
 */
#ifndef COMMANDS_STAGEPOST_VERB_TABLE_H
#define COMMANDS_STAGEPOST_VERB_TABLE_H

#include "common/table/table.h"

/* Makes PATH.db of the text at path. EX_OK, or complains and returns the exit code; the old one is
 * there then. */
int table_build_database(enum table_use use, const char *path);

#endif
