/*
 * log_entry: reads the lines of a log packet. The sender may have been taken over, so a packet is
 * read like a stranger's text: a line that is not one ends the reading.
 */
#include "common/os/log_output.h"

/* A decimal word before one blank. */
static bool take_number(struct slice *line, uint64_t max, uint64_t *number)
{
	struct slice word, rest;
	if (!slice_split(*line, ' ', &word, &rest) || !slice_number(word, max, number))
		return false;
	*line = rest;
	return true;
}

bool log_output_next(struct slice *packet, struct log_entry *entry)
{
	struct slice line, rest;
	uint64_t level, pid;
	if (packet->len > 0 && slice_split(*packet, '\n', &line, &rest) &&
	    take_number(&line, LOG_LEVEL_ERROR, &level) &&
	    take_number(&line, UINT64_MAX, &entry->wall_us) &&
	    take_number(&line, INT32_MAX, &pid) &&
	    slice_split(line, ' ', &entry->role, &entry->text) && entry->role.len > 0 &&
	    entry->role.len < LOG_ROLE_MAX && entry->text.len > 0) {
		entry->level = (enum log_level)level;
		entry->pid = (pid_t)pid;
		*packet = rest;
		return true;
	}
	*packet = SLICE_EMPTY;
	return false;
}
