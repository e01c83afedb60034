/*
 * The conversation of stagepost and control: its records and messages as tables.
 */
#include "common/dialogue/command.h"

DIALOGUE_DEFINE(command, COMMAND_MESSAGES)
