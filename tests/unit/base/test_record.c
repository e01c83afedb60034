/* record: the table that the macros make, and the two things done with it here. */
#include <check.h>

#include "common/base/record.h"

#define GREETING_FIELDS(F, S)                            \
	F(S, u64, request, 0, "what the answer repeats") \
	F(S, bool, polite, 0, "whether it says please")  \
	F(S, u32, count, 9, "how often")                 \
	F(S, string, address, 320, "the recipient")      \
	F(S, bytes, digest, 32, "of the content")        \
	F(S, fd, content, 0, "where it lies")
RECORD_DECLARE(greeting, GREETING_FIELDS)
RECORD_DEFINE(greeting, GREETING_FIELDS)

START_TEST(a_table_describes_its_struct)
{
	ck_assert_str_eq(greeting_record.name, "greeting");
	ck_assert_uint_eq(greeting_record.size, sizeof(struct greeting));
	ck_assert_uint_eq(greeting_record.field_count, 6);
	const struct record_field *f = &greeting_record.fields[3];
	ck_assert_str_eq(f->name, "address");
	ck_assert_int_eq(f->kind, RECORD_STRING);
	ck_assert_uint_eq(f->offset, offsetof(struct greeting, address));
	ck_assert_uint_eq(f->limit, 320);
	ck_assert_str_eq(f->help, "the recipient");
}
END_TEST

START_TEST(a_field_is_found_by_its_whole_name)
{
	const struct record *r = &greeting_record;
	ck_assert_ptr_eq(record_field_find(r, SLICE("count")), &r->fields[2]);
	ck_assert_ptr_eq(record_field_find(r, SLICE("content")), &r->fields[5]);
	ck_assert_ptr_null(record_field_find(r, SLICE("coun")));
	ck_assert_ptr_null(record_field_find(r, SLICE("counts")));
	ck_assert_ptr_null(record_field_find(r, SLICE_EMPTY));
}
END_TEST

START_TEST(an_empty_record_has_no_descriptor)
{
	struct greeting g;
	memset(&g, 0x55, sizeof(g));
	record_clear(&greeting_record, &g);
	ck_assert_int_eq(g.content, -1);
	ck_assert(g.request == 0 && !g.polite && g.count == 0);
	ck_assert(g.address.ptr == NULL && g.address.len == 0 && g.digest.len == 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("record");
	TCase *c = tcase_create("record");
	tcase_set_timeout(c, 60);
	tcase_add_test(c, a_table_describes_its_struct);
	tcase_add_test(c, a_field_is_found_by_its_whole_name);
	tcase_add_test(c, an_empty_record_has_no_descriptor);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
