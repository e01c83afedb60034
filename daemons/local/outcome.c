/*
 * Codes of RFC 5321 and RFC 3463 for what can happen to a mailbox. A mailbox that is over its quota
 * is the only trouble of the disk that goes back to the sender, at once, as users know it from
 * Postfix (EDQUOT and EFBIG are 5.2.2 there, ENOSPC is for later): its owner alone can end it. All
 * else passes, or is repaired.
 */
#include "daemons/local/outcome.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum { CODE_DELIVERED = 250, CODE_PERMANENT = 500 };

static const struct trouble {
	int error;
	uint32_t code;
	const char *enhanced;
	bool site;
} troubles[] = {
    {EDQUOT, 552, "5.2.2", false}, /* over quota */
    {EFBIG, 552, "5.2.2", false},  /* over the largest file that is allowed */
    {ENOSPC, 452, "4.3.1", true},  {ENOMEM, 452, "4.3.0", true}, {EMFILE, 452, "4.3.0", true},
    {ENFILE, 452, "4.3.0", true},  {EIO, 451, "4.3.0", true},	 {EROFS, 451, "4.3.0", true},
    {EAGAIN, 451, "4.2.0", true},  {ESTALE, 451, "4.2.0", true}, /* NFS: the server has changed */
    {EACCES, 451, "4.2.0", true},  {EPERM, 451, "4.2.0", true},	 {ENOTDIR, 451, "4.2.0", true},
    {EISDIR, 451, "4.2.0", true},  {ELOOP, 451, "4.2.0", true},	 {EXDEV, 451, "4.2.0", true},
    {0, 451, "4.3.0", true}, /* any other */
};

void outcome_delivered(struct outcome *o, const char *where)
{
	outcome_set(o, CODE_DELIVERED, "2.0.0", false, "delivered to %s", where);
}

static void set_enhanced(struct outcome *o, const char *enhanced)
{
	snprintf(o->enhanced, sizeof(o->enhanced), "%s", enhanced);
}

static void set_text(struct outcome *o, const char *format, va_list ap)
{
	if (vsnprintf(o->text, sizeof(o->text), format, ap) < 0)
		o->text[0] = '\0';
}

static enum job_status status_of(uint32_t code)
{
	if (code == CODE_DELIVERED)
		return JOB_DELIVERED;
	return code >= CODE_PERMANENT ? JOB_FAILED : JOB_DEFERRED;
}

void outcome_set(struct outcome *o, uint32_t code, const char *enhanced, bool site,
		 const char *format, ...)
{
	va_list ap;
	o->status = status_of(code);
	o->code = code;
	set_enhanced(o, enhanced);
	o->site = site;
	va_start(ap, format);
	set_text(o, format, ap);
	va_end(ap);
}

void outcome_spoiled(struct outcome *o, const char *text)
{
	outcome_set(o, 451, "4.3.0", false, "%s", text);
	o->status = JOB_SPOILED;
}

bool outcome_letter(struct outcome *o, enum letter_fault fault, const struct letter *l)
{
	switch (fault) {
	case LETTER_LOOP:
		outcome_set(o, 554, "5.4.6", false, "mail forwarding loop for %.*s",
			    SLICE_FMT(l->address));
		return true;
	case LETTER_HOPS:
		outcome_set(o, 554, "5.4.6", false, "more than %d hops", LETTER_HOPS_MAX);
		return true;
	case LETTER_SPOILED:
		outcome_spoiled(o, "the message is not what was committed");
		return true;
	default:
		return false;
	}
}

void outcome_error(struct outcome *o, int error, const char *format, ...)
{
	const struct trouble *t = troubles;
	char reason[64];
	va_list ap;
	while (t->error && t->error != error)
		t++;
	o->status = status_of(t->code);
	o->code = t->code;
	set_enhanced(o, t->enhanced);
	o->site = t->site;
	va_start(ap, format);
	set_text(o, format, ap);
	va_end(ap);
	outcome_remark(o, ": ");
	outcome_remark(o, error == EXDEV ? "its path leads out of the mail directory"
					 : strerror_r(error, reason, sizeof(reason)));
}

void outcome_remark(struct outcome *o, const char *remark)
{
	size_t len = strlen(o->text);
	snprintf(o->text + len, sizeof(o->text) - len, "%s", remark);
}
