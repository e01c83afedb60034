/*
 * paths: templates and names that become paths of mailboxes, xtext, texts of dates: what comes from
 * a stranger never leaves the directory that it was given.
 */
#include <string.h>

#include "common/base/memory.h"
#include "common/mail/date.h"
#include "common/mail/mailbox_path.h"
#include "common/mail/xtext.h"
#include "common/os/user.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned slashes(struct slice s)
{
	unsigned n = 0;
	for (size_t i = 0; i < s.len; i++)
		n += s.ptr[i] == '/';
	return n;
}

static void look_at_path(struct slice template, struct slice user, struct slice domain)
{
	char path[MAILBOX_PATH_SIZE];
	const char *why = mailbox_path_expand(template, user, domain, path);
	if (why) {
		must(path[0] == '\0');
		return;
	}
	/* the template alone decides how deep it is */
	must(slashes(slice_str(path)) == slashes(template));
	struct slice rest = slice_str(path), part;
	while (rest.len > 0) {
		slice_split(rest, '/', &part, &rest);
		if (slice_equal(part, SLICE("..")))
			must(memmem(template.ptr, template.len, "..", 2));
	}
}

static void look_at_template(struct slice template)
{
	struct slice base, rest;
	if (mailbox_path_split(template, &base, &rest))
		return;
	must(base.len + rest.len <= template.len);
	must(base.len == 0 || base.ptr[0] == '/');
}

static void look_at_xtext(struct slice s)
{
	struct buffer plain, coded;
	buffer_init(&plain, 4 * s.len + 16);
	buffer_init(&coded, 4 * s.len + 16);
	must(xtext_encode(s, &coded));
	if (xtext_decode(buffer_slice(&coded), &plain))
		must(slice_equal(buffer_slice(&plain), s));
	else /* it is no text */
		must(!xtext_valid(buffer_slice(&coded)));
	buffer_reset(&plain);
	if (xtext_valid(s))
		must(xtext_decode(s, &plain));
	buffer_free(&plain);
	buffer_free(&coded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size), template, user, domain;
	char date[DATE_SIZE];
	int64_t seconds = 0;
	slice_split(in, '\n', &template, &domain);
	slice_split(domain, '\n', &user, &domain);
	look_at_path(template, user, domain);
	look_at_template(template);
	look_at_xtext(in);
	(void)user_name_valid(user);
	memcpy(&seconds, data, size < 8 ? size : 8);
	must(date_text(seconds, size & 1 ? 3600 * 14 : -3600 * 12, date).len < DATE_SIZE);
	return 0;
}
