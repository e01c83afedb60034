/*
 * content: what was seen of a message, as it is kept.
 */
#include <check.h>

#include "common/mail/content.h"

START_TEST(flags_survive_the_disk)
{
	for (uint32_t bits = 0; bits < 256; bits++) {
		struct content_flags f = content_flags_unpack(bits);
		ck_assert_uint_eq(content_flags_pack(&f), bits);
	}
}
END_TEST

/* "LF . CRLF" in content is no end of it; made CRLF.CRLF it would be one for the next server. */
START_TEST(normalized_content_is_stuffed_when_it_is_sent)
{
	struct content_flags lf = {.bare_lf = true}, cr = {.bare_cr = true}, none = {0};

	content_flags_normalized(&lf);
	content_flags_normalized(&cr);
	content_flags_normalized(&none);
	ck_assert(lf.needs_stuffing && !lf.bare_lf);
	ck_assert(cr.needs_stuffing && !cr.bare_cr);
	ck_assert(!none.needs_stuffing);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("content");
	TCase *c = tcase_create("content");
	SRunner *sr;
	int failed;

	tcase_add_test(c, flags_survive_the_disk);
	tcase_add_test(c, normalized_content_is_stuffed_when_it_is_sent);
	suite_add_tcase(s, c);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
