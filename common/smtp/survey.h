/*
 * survey: what the octets of content are, told run by run: the part that DATA and BDAT share.
 */
#ifndef COMMON_SMTP_SURVEY_H
#define COMMON_SMTP_SURVEY_H

#include "common/base/slice.h"
#include "common/mail/content.h"

/* Adds what is in the run, which is not empty: 8-bit octets, NULs, bare LFs and CRs. after_cr: the
 * octet before it was CR. */
void survey_run(struct content_flags *f, bool after_cr, struct slice run);

#endif
