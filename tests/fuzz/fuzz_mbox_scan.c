/*
 * mbox_scan, maildir_name: whatever a mailbox holds and wherever it is cut, messages lie in order
 * inside the file, begin with a From line, and their size is that of their octets.
 */
#include <stdlib.h>

#include "common/base/error.h"
#include "common/mailbox/maildir_name.h"
#include "common/mailbox/mbox_scan.h"
#include "common/mailbox/octets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 1000 };

static void check(const struct mbox_message *m, uint64_t from, struct slice in)
{
	struct octets_count c = {0};
	if (m->start < from || m->content < m->start || m->end < m->content || m->end > in.len)
		abort();
	if (!slice_starts(slice_from(in, (size_t)m->start), SLICE("From ")))
		abort();
	octets_add(&c, slice_sub(in, (size_t)m->content, (size_t)(m->end - m->content)));
	if (octets_end(&c) != m->octets)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data + 1, size - 1);
	struct mbox_scan *s = mbox_scan_new(MOST), *whole = mbox_scan_new(MOST);
	struct maildir_name n;
	size_t count, count_whole;
	bool fits = true;
	if (size < 1)
		in = SLICE_EMPTY;
	for (struct slice rest = in; fits && rest.len > 0; rest = slice_from(rest, data[0] + 1U))
		fits = mbox_scan_add(s, slice_sub(rest, 0, data[0] + 1U));
	if (fits != (in.len == 0 || mbox_scan_add(whole, in)))
		abort();
	if (fits) {
		const struct mbox_message *m = mbox_scan_end(s, &count);
		const struct mbox_message *w = mbox_scan_end(whole, &count_whole);
		if (count != count_whole || (count > 0 && memcmp(m, w, count * sizeof(*m)) != 0))
			abort();
		for (size_t i = 0; i < count; i++)
			check(&m[i], i ? m[i - 1].end : 0, in);
	}
	mbox_scan_free(&s);
	mbox_scan_free(&whole);
	maildir_name_read(in, &n);
	if (n.unique.len > n.base.len || n.base.len > in.len || maildir_name_compare(&n, &n) != 0)
		abort();
	return 0;
}
