/* fields: a header block that is edited. */
#include <check.h>

#include "common/mail/fields.h"

static void is(const struct fields *l, const char *want)
{
	struct buffer out;
	buffer_init(&out, 4096);
	ck_assert(fields_write(l, &out));
	ck_assert(slice_equal(buffer_slice(&out), slice_str(want)));
	ck_assert_uint_eq(l->octets, strlen(want));
	buffer_free(&out);
}

START_TEST(reads_and_writes_back_unchanged)
{
	struct fields l;
	fields_init(&l);
	ck_assert(fields_read(&l, SLICE("A: b\r\n c\r\nD :e\r\n")));
	ck_assert_uint_eq(l.count, 2);
	is(&l, "A: b\r\n c\r\nD :e\r\n");
	fields_free(&l);
	fields_free(&l);
}
END_TEST

START_TEST(renames_from_lines_and_ends_the_last_field)
{
	/* S20 */
	struct fields l;
	fields_init(&l);
	ck_assert(fields_read(&l, SLICE(">From a\r\nB: c")));
	is(&l, "X-Mailbox-Line: >From a\r\nB: c\r\n");
	ck_assert_uint_eq(fields_count(&l, SLICE("x-mailbox-line")), 1);
	fields_free(&l);
}
END_TEST

START_TEST(adds_finds_and_removes)
{
	struct fields l;
	fields_init(&l);
	ck_assert(fields_read(&l, SLICE("Bcc: x\r\nA: b\r\nbcc: y\r\n")));
	ck_assert(fields_add_front(&l, SLICE("Received: here\r\n")));
	ck_assert(fields_add_back(&l, SLICE("Date: now\r\n")));
	is(&l, "Received: here\r\nBcc: x\r\nA: b\r\nbcc: y\r\nDate: now\r\n");
	ck_assert_uint_eq(fields_remove(&l, SLICE("BCC")), 2);
	ck_assert_uint_eq(fields_remove(&l, SLICE("BCC")), 0);
	is(&l, "Received: here\r\nA: b\r\nDate: now\r\n");
	ck_assert_ptr_nonnull(fields_find(&l, SLICE("date")));
	ck_assert_ptr_null(fields_find(&l, SLICE("Dat")));
	fields_free(&l);
}
END_TEST

START_TEST(takes_single_whole_fields_only)
{
	struct fields l;
	fields_init(&l);
	ck_assert(!fields_add_front(&l, SLICE("A: b")));
	ck_assert(!fields_add_front(&l, SLICE("A: b\r\nC: d\r\n")));
	ck_assert(!fields_add_front(&l, SLICE("A: b\r\n\r\n")));
	ck_assert(!fields_add_front(&l, SLICE("From x\r\n")));
	ck_assert(!fields_add_front(&l, SLICE("")));
	is(&l, "");
	fields_free(&l);
}
END_TEST

START_TEST(grows_up_to_its_limits)
{
	static char block[HEADER_LIMIT + 5];
	static char large[FIELDS_OWN_MAX];
	struct fields l;
	fields_init(&l);
	for (size_t i = 0; i < HEADER_LIMIT; i += 4)
		memcpy(block + i, "a:\r\n", 4);
	ck_assert(fields_read(&l, slice_make(block, HEADER_LIMIT)));
	ck_assert_uint_eq(l.count, FIELDS_MAX);
	ck_assert(!fields_add_front(&l, SLICE("b:\r\n")));
	ck_assert_uint_eq(fields_remove(&l, SLICE("a")), FIELDS_MAX);
	ck_assert(!fields_read(&l, slice_make(block, HEADER_LIMIT + 4)));
	memset(large, 'x', sizeof(large));
	memcpy(large, "a:", 2);
	memcpy(large + sizeof(large) - 2, "\r\n", 2);
	ck_assert(fields_add_front(&l, SLICE("b:\r\n")));
	ck_assert(!fields_add_front(&l, slice_make(large, sizeof(large))));
	is(&l, "b:\r\n");
	fields_free(&l);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fields");
	TCase *c = tcase_create("fields");
	tcase_add_test(c, reads_and_writes_back_unchanged);
	tcase_add_test(c, renames_from_lines_and_ends_the_last_field);
	tcase_add_test(c, adds_finds_and_removes);
	tcase_add_test(c, takes_single_whole_fields_only);
	tcase_add_test(c, grows_up_to_its_limits);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
