/* mbox_scan: where messages of an mbox file begin and end, and how they are known again. */
#include <check.h>
#include <stdlib.h>

#include "common/mailbox/mbox_scan.h"

enum { MOST = 5 };

/* The contents, each followed by '|'. */
static const struct {
	const char *file, *contents;
} files[] = {
    {"", ""},
    {"From a\n", "|"},
    {"From a", "|"},
    {"From a\nS: x\n\nbody\n", "S: x\n\nbody\n|"},
    {"From a\nS: x\n\nbody\n\n", "S: x\n\nbody\n|"},
    {"From a\nS: x\n\nbody\n\n\n", "S: x\n\nbody\n\n|"},
    {"From a\nS: x\n\nbody", "S: x\n\nbody|"},
    {"From a\nS: x\n\none\n\nFrom b\nS: y\n\ntwo\n\n", "S: x\n\none\n|S: y\n\ntwo\n|"},
    {"From a\nS: x\n\none\nFrom here on\n\nFrom b\nS: y\n\n",
     "S: x\n\none\nFrom here on\n|S: y\n|"},
    {"From a\nS: x\n\none\n\nFromage\n\n", "S: x\n\none\n\nFromage\n|"},
    {"From a\r\nS: x\r\n\r\none\r\n\r\nFrom b\r\n\r\ntwo\r\n", "S: x\r\n\r\none\r\n|\r\ntwo\r\n|"},
    {"\n\nFrom a\nS: x\n", "S: x\n|"},
    {"no mailbox\n\nat all\n", ""},
    {"From a\n\nFrom b\n\nFrom c\n", "|||"},
    {"From a\nS: a line that is longer than what is kept of it\n\nx\n\nFrom b\n",
     "S: a line that is longer than what is kept of it\n\nx\n||"},
};

static struct mbox_scan *scan(const char *file, size_t piece)
{
	struct mbox_scan *s = mbox_scan_new(MOST);
	for (struct slice rest = slice_str(file); rest.len > 0; rest = slice_from(rest, piece))
		ck_assert(mbox_scan_add(s, slice_sub(rest, 0, piece)));
	return s;
}

START_TEST(messages_are_found_wherever_the_file_is_cut)
{
	const char *file = files[_i].file;
	for (size_t piece = 1; piece <= strlen(file) + 1; piece++) {
		struct mbox_scan *s = scan(file, piece);
		char text[256] = "";
		size_t len = 0, count;
		const struct mbox_message *m = mbox_scan_end(s, &count);
		for (size_t i = 0; i < count; i++) {
			size_t n = (size_t)(m[i].end - m[i].content);
			ck_assert_uint_le(m[i].content, m[i].end);
			memcpy(text + len, file + m[i].content, n);
			text[len + n] = '|';
			len += n + 1;
			ck_assert_int_eq(strncmp(file + m[i].start, "From ", 5), 0);
		}
		ck_assert_str_eq(text, files[_i].contents);
		mbox_scan_free(&s);
	}
}
END_TEST

static struct mbox_message first(const char *file)
{
	struct mbox_scan *s = scan(file, 7);
	size_t count;
	struct mbox_message m = mbox_scan_end(s, &count)[0];
	ck_assert_uint_ge(count, 1);
	mbox_scan_free(&s);
	return m;
}

static bool same(const char *a, const char *b)
{
	struct mbox_message m = first(a), n = first(b);
	return memcmp(m.digest, n.digest, MBOX_DIGEST_SIZE) == 0;
}

START_TEST(a_message_is_known_by_its_header_without_notes)
{
	const char *plain = "From a\nSubject: x\nTo: y\n\nbody\n";
	ck_assert(same(plain, plain));
	ck_assert(same(plain, "From a\nSubject: x\nStatus: RO\nTo: y\nX-Status: A\n\nbody\n"));
	ck_assert(same(plain, "From a\nX-Keywords: a\n b\nSubject: x\nTo: y\nX-UID: 5\n\nother\n"));
	ck_assert(!same(plain, "From b\nSubject: x\nTo: y\n\nbody\n"));
	ck_assert(!same(plain, "From a\nSubject: y\nTo: y\n\nbody\n"));
	ck_assert(!same(plain, "From a\nSubject: x\n\nbody\n"));
}
END_TEST

START_TEST(twins_are_counted)
{
	struct mbox_scan *s = scan("From a\n\nx\n\nFrom b\n\nFrom a\n\ny\n\nFrom a\n\n", 100);
	size_t count;
	const struct mbox_message *m = mbox_scan_end(s, &count);
	ck_assert_uint_eq(count, 4);
	ck_assert_uint_eq(m[0].twin, 0);
	ck_assert_uint_eq(m[1].twin, 0);
	ck_assert_uint_eq(m[2].twin, 1);
	ck_assert_uint_eq(m[3].twin, 2);
	mbox_scan_free(&s);
}
END_TEST

START_TEST(octets_count_crlf)
{
	ck_assert_uint_eq(first("From a\nS: x\n\nbody\n\nFrom b\n").octets, 6 + 2 + 6);
	ck_assert_uint_eq(first("From a\r\nS: x\r\n\r\nbody\r\n\r\nFrom b\r\n").octets, 6 + 2 + 6);
	ck_assert_uint_eq(first("From a\nS: x\n\nbody").octets, 6 + 2 + 6);
}
END_TEST

START_TEST(too_many_messages_are_told)
{
	struct mbox_scan *s = mbox_scan_new(2);
	ck_assert(!mbox_scan_add(s, SLICE("From a\n\nFrom b\n\nFrom c\n\n")));
	mbox_scan_free(&s);
}
END_TEST

START_TEST(a_message_alone_is_compared_as_soon_as_its_header_is_there)
{
	struct mbox_message m = first("From a\nS: x\n\nbody\n");
	struct mbox_scan *s = mbox_scan_new(1);
	ck_assert(mbox_scan_add(s, SLICE("From a\nS: x\n")));
	ck_assert(!mbox_scan_header_seen(s) && !mbox_scan_is(s, m.digest));
	ck_assert(mbox_scan_add(s, SLICE("\n")));
	ck_assert(mbox_scan_header_seen(s) && mbox_scan_is(s, m.digest));
	m.digest[0] ^= 1;
	ck_assert(!mbox_scan_is(s, m.digest));
	mbox_scan_free(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mbox_scan");
	TCase *tc = tcase_create("mbox_scan");
	tcase_add_loop_test(tc, messages_are_found_wherever_the_file_is_cut, 0,
			    sizeof(files) / sizeof(files[0]));
	tcase_add_test(tc, a_message_is_known_by_its_header_without_notes);
	tcase_add_test(tc, twins_are_counted);
	tcase_add_test(tc, octets_count_crlf);
	tcase_add_test(tc, too_many_messages_are_told);
	tcase_add_test(tc, a_message_alone_is_compared_as_soon_as_its_header_is_there);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
