/*
 * completion: one walk to look, and one to write when there is anything to change.
 */
#include "common/mail/completion.h"

#include "common/mail/header.h"

static const struct slice dropped[] = {{"Bcc", 3}, {"Resent-Bcc", 10}};

void header_look(struct slice block, struct header_look *look)
{
	struct header_field f;

	*look = (struct header_look){0};
	while (header_next(&block, &f)) {
		look->from_line |= f.from_line;
		switch (f.name.len) {
		case 3:
			look->bcc |= slice_equal_fold(f.name, dropped[0]);
			break;
		case 4:
			look->date |= slice_equal_fold(f.name, SLICE("Date"));
			look->from |= slice_equal_fold(f.name, SLICE("From"));
			break;
		case 8:
			look->received += slice_equal_fold(f.name, SLICE("Received"));
			break;
		case 10:
			if (!look->message_id && slice_equal_fold(f.name, SLICE("Message-ID"))) {
				look->message_id = true;
				look->message_id_value = f.value;
			}
			look->bcc |= slice_equal_fold(f.name, dropped[1]);
			break;
		default:
			break;
		}
	}
}

static bool add(struct buffer *out, bool missing, const char *name, struct slice value)
{
	return !missing || value.len == 0 ||
	       buffer_printf(out, "%s: %.*s\r\n", name, SLICE_FMT(value));
}

bool header_complete(struct slice block, const struct header_look *look, const struct completion *c,
		     struct buffer *out)
{
	size_t drop = c != NULL ? sizeof(dropped) / sizeof(dropped[0]) : 0;

	if (!header_remove(block, dropped, drop, out))
		return false;
	if (c == NULL)
		return true;
	/* the last field may be without its end, by BDAT */
	if (out->len > 0 && !slice_ends_fold(buffer_slice(out), SLICE("\r\n")) &&
	    !buffer_append(out, SLICE("\r\n")))
		return false;
	return add(out, !look->date, "Date", c->date) &&
	       add(out, !look->message_id, "Message-ID", c->message_id) &&
	       add(out, !look->from, "From", c->from);
}
