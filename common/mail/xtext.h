/*
 * xtext: printable text as a word without blanks, '+' and '=' (RFC 3461 4): the form of ENVID and
 * ORCPT.
 */
#ifndef COMMON_MAIL_XTEXT_H
#define COMMON_MAIL_XTEXT_H

#include "common/base/buffer.h"

enum { XTEXT_ESCAPE = 3 }; /* octets of +XX: so many for one octet at most */

/* Is it xtext, and what it stands for printable ASCII and blanks (S21)? Digits of hex are upper
 * case, as the grammar has them. Empty is fine. */
bool xtext_valid(struct slice s);
/* Appends s as xtext. False when out is full. */
bool xtext_encode(struct slice s, struct buffer *out);
/* Appends what valid xtext stands for. False when it is not valid, or out is full. */
bool xtext_decode(struct slice s, struct buffer *out);

#endif
