/*
 * Address lists of RFC 5322 3.4, as people and programs write them: `Name <a@b>, "C, D" <c@d>,
 * group: e@f;, name (comment)`. What is kept is the mailbox alone.
 */
#include <sysexits.h>

#include "commands/sendmail/sendmail.h"

void recipients_init(struct recipients *r, struct slice origin, size_t most)
{
	*r = (struct recipients){.most = most, .origin = origin};
	buffer_init(&r->texts, RECIPIENTS_TEXT_MAX);
}

void recipients_free(struct recipients *r)
{
	buffer_free(&r->texts);
}

bool recipients_next(const struct recipients *r, size_t *at, struct slice *address)
{
	struct slice rest = slice_from(buffer_slice(&r->texts), *at), after;
	if (rest.len == 0)
		return false;
	slice_split(rest, '\0', address, &after);
	*at += address->len + 1;
	return true;
}

bool mailbox_text(struct slice text, struct slice origin, char dst[ADDRESS_SIZE], struct error *e)
{
	struct address a;
	enum address_fault fault = address_parse(text, ADDRESS_DOMAINLESS | ADDRESS_UTF8, &a);
	if (fault == ADDRESS_FINE && a.kind == ADDRESS_NO_DOMAIN) {
		if (!address_complete(&a, origin))
			fault = ADDRESS_TOO_LONG;
	}
	if (fault != ADDRESS_FINE)
		return error_set(e, EX_DATAERR, "the address %.*s: %s",
				 SLICE_FMT(slice_sub(text, 0, 100)), address_fault_text(fault));
	if (address_text(&a, dst).len == 0)
		return error_set(e, EX_DATAERR, "an address is empty");
	return true;
}

static bool is_there(const struct recipients *r, struct slice text)
{
	struct slice one;
	for (size_t at = 0; recipients_next(r, &at, &one);)
		if (slice_equal(one, text))
			return true;
	return false;
}

static bool add(struct recipients *r, struct slice text, struct error *e)
{
	char canonical[ADDRESS_SIZE];
	struct slice s;
	if (!mailbox_text(text, r->origin, canonical, e))
		return false;
	s = slice_str(canonical);
	if (is_there(r, s))
		return true;
	if (r->count == r->most)
		return error_set(e, EX_DATAERR, "more than %zu recipients", r->most);
	if (!buffer_append(&r->texts, slice_make(canonical, s.len + 1)))
		return error_set(e, EX_DATAERR, "the recipients' addresses are too long");
	r->count++;
	return true;
}

/* One mailbox under way. */
struct mailbox {
	struct buffer text; /* outside of brackets, quotes kept, comments dropped */
	struct buffer angle;
	bool has_angle;
};

static bool mailbox_end(struct mailbox *m, struct recipients *r, struct error *e)
{
	struct slice text = slice_trim(buffer_slice(m->has_angle ? &m->angle : &m->text));
	bool good = text.len == 0 || add(r, text, e);
	buffer_reset(&m->text);
	buffer_reset(&m->angle);
	m->has_angle = false;
	return good;
}

/* Octets of a comment or quoted string with both ends; all of s when it never ends. */
static size_t enclosed(struct slice s, char open, char close)
{
	size_t depth = 0, at = 0;
	for (; at < s.len; at++) {
		char c = s.ptr[at];
		if (c == '\\')
			at++;
		else if (c == close && (depth == 1 || open == close) && at > 0)
			return at + 1;
		else if (c == close && at > 0)
			depth--;
		else if (c == open)
			depth++;
	}
	return s.len;
}

/* Takes one element off the list's front. A route or group name before ':' is dropped. */
static bool take(struct mailbox *m, struct slice *list, bool *in_angle, struct recipients *r,
		 struct error *e)
{
	struct buffer *to = *in_angle ? &m->angle : &m->text;
	char c = list->ptr[0];
	size_t len = 1;
	bool good = true;
	if (c == '(') {
		len = enclosed(*list, '(', ')');
	} else if (c == '"') {
		len = enclosed(*list, '"', '"');
		good = buffer_append(to, slice_sub(*list, 0, len));
	} else if (c == '[') {
		len = enclosed(*list, '[', ']');
		good = buffer_append(to, slice_sub(*list, 0, len));
	} else if (c == '<') {
		*in_angle = m->has_angle = true;
		buffer_reset(&m->angle);
	} else if (c == '>') {
		*in_angle = false;
	} else if (!*in_angle && (c == ',' || c == ';')) {
		return *list = slice_from(*list, 1), mailbox_end(m, r, e);
	} else if (c == ':' && !*in_angle) {
		buffer_reset(&m->text);
	} else {
		good = buffer_byte(to, c == '\r' || c == '\n' ? ' ' : c);
	}
	*list = slice_from(*list, len);
	return good || error_set(e, EX_DATAERR, "an address is too long");
}

bool recipients_add_list(struct recipients *r, struct slice list, struct error *e)
{
	struct mailbox m = {.has_angle = false};
	bool in_angle = false, good = true;
	buffer_init(&m.text, ADDRESS_ROUTE_MAX);
	buffer_init(&m.angle, ADDRESS_ROUTE_MAX);
	while (good && list.len > 0)
		good = take(&m, &list, &in_angle, r, e);
	good = good && mailbox_end(&m, r, e);
	buffer_free(&m.text);
	buffer_free(&m.angle);
	return good;
}
