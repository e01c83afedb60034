/*
 * codec: a record to octets and back. Fields in the order of the record's table: bool 1 octet (0 or
 * 1), u32 and u64 little-endian, string, bytes and secret a u32 length and the octets, fd nothing
 * (it travels beside the packet). Nothing may follow the last field.
 */
#ifndef COMMON_WIRE_CODEC_H
#define COMMON_WIRE_CODEC_H

#include "common/base/buffer.h"
#include "common/base/record.h"

/* Appends the record's octets; false (nothing appended) when out is full or a field is over its
 * limit, which is the sender's bug. */
bool codec_encode(const struct record *record, const void *value, struct buffer *out);
/* Fills value from exactly these octets; its slices point into payload, its fd field is -1. False
 * when a length, limit, bool or string (NUL) is not as the record says. */
bool codec_decode(const struct record *record, struct slice payload, void *value);
/* The fd field, or NULL when the record has none. */
const struct record_field *codec_fd_field(const struct record *record);

#endif
