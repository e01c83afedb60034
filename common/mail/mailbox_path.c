/*
 * Neither part may add a component to the path or hide one. That the path as a whole stays below
 * its directory, links and all, is then for the kernel to see (disk_open_beneath).
 */
#include "common/mail/mailbox_path.h"

#include <limits.h>

#include "common/base/buffer.h"
#include "common/mail/address.h"

static bool put(struct buffer *b, char letter, struct slice user, struct slice domain)
{
	switch (letter) {
	case 'd':
		return buffer_append(b, domain);
	case 'n':
		return buffer_append(b, user);
	case 'u':
		return buffer_append(b, user) && buffer_byte(b, '@') && buffer_append(b, domain);
	default:
		return false;
	}
}

static bool components_fit(struct slice path)
{
	struct slice part;
	bool more;
	do {
		more = slice_split(path, '/', &part, &path);
		if (part.len == 0 || part.len > NAME_MAX || slice_equal(part, SLICE(".")) ||
		    slice_equal(part, SLICE("..")))
			return false;
	} while (more);
	return true;
}

static bool expand(struct slice template, struct slice user, struct slice domain, struct buffer *b)
{
	for (size_t i = 0; i < template.len; i++) {
		char c = template.ptr[i];
		if (c != '%' ? !buffer_byte(b, c)
			     : ++i == template.len || !put(b, template.ptr[i], user, domain))
			return false;
	}
	return components_fit(buffer_slice(b));
}

const char *mailbox_path_expand(struct slice template, struct slice user, struct slice domain,
				char dst[MAILBOX_PATH_SIZE])
{
	struct buffer b;
	bool fits;
	dst[0] = '\0';
	if (!address_path_safe(user))
		return "the local part can't name a mailbox";
	if (!address_path_safe(domain)) /* the same holds for a domain */
		return "the domain can't name a mailbox";
	buffer_init(&b, MAILBOX_PATH_SIZE - 1);
	fits = expand(template, user, domain, &b) &&
	       slice_copy(buffer_slice(&b), dst, MAILBOX_PATH_SIZE);
	buffer_free(&b);
	return fits ? NULL : "the address is too long to name a mailbox";
}

const char *mailbox_path_split(struct slice template, struct slice *base, struct slice *rest)
{
	size_t percent, slash;
	*base = SLICE_EMPTY;
	if (slice_starts(template, SLICE("~/"))) {
		*rest = slice_from(template, 2);
		return NULL;
	}
	percent = slice_find(template, '%');
	slash = slice_find_last(slice_sub(template, 0, percent), '/');
	if (slash == 0 || slash >= percent || template.ptr[0] != '/')
		return "the configuration's path names no directory";
	*base = slice_sub(template, 0, slash);
	*rest = slice_from(template, slash + 1);
	return NULL;
}
