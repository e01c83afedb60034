/*
 * template: the path of mailboxes, "/var/mail/%d/%n". The daemon that delivers is confined to the
 * directory before the first %, so there must be one, and nothing behind it may lead out.
 */
#include "common/config/tree.h"

static const char *component_fault(struct slice component, bool *user)
{
	if (component.len == 0 || slice_equal(component, SLICE(".")) ||
	    slice_equal(component, SLICE("..")))
		return "the path may not hold empty parts, `.` or `..`";
	for (size_t i = 0; i < component.len; i++) {
		if (component.ptr[i] != '%')
			continue;
		char letter = ++i < component.len ? component.ptr[i] : '\0';
		if (letter != 'd' && letter != 'n' && letter != 'u')
			return "behind a % stands d (domain), n (local part) or u (address)";
		*user = *user || letter != 'd';
	}
	return NULL;
}

const char *template_split(struct slice path, struct slice *base, struct slice *rest)
{
	struct slice part, parts = path;
	bool user = false;
	*base = path;
	*rest = SLICE("");
	size_t percent = slice_find(path, '%');
	if (percent == path.len)
		return "the path names the same mailbox for every user; it needs %n or %u";
	size_t slash = slice_find_last(slice_sub(path, 0, percent), '/');
	*base = slice_sub(path, 0, slash);
	*rest = slice_from(path, slash + 1);
	if (slash == 0)
		return "the path needs a directory before its first %: /var/mail/%d/%n";
	for (bool more = slice_split(slice_from(parts, 1), '/', &part, &parts);;) {
		const char *fault = component_fault(part, &user);
		if (fault)
			return fault;
		if (!more)
			break;
		more = slice_split(parts, '/', &part, &parts);
	}
	return user ? NULL : "the path names the same mailbox for every user; it needs %n or %u";
}

const char *template_system_fault(struct slice path)
{
	struct slice base, rest, part;
	bool user = false, more = true;
	if (!slice_starts(path, SLICE("~/")))
		return template_split(path, &base, &rest);
	if (slice_find(path, '%') < path.len)
		return "a path in the user's home takes no %";
	for (rest = slice_from(path, 2); more;) {
		more = slice_split(rest, '/', &part, &rest);
		const char *fault = component_fault(part, &user);
		if (fault)
			return fault;
	}
	return NULL;
}
