/*
 * Domain names as A-labels.
 */
#include <check.h>
#include <stdlib.h>

#include "common/mail/idna.h"

START_TEST(names_become_lower_case_a_labels)
{
	static const struct {
		const char *name, *ascii;
	} cases[] = {
	    {"example.org", "example.org"},
	    {"Example.ORG", "example.org"},
	    {"xn--Mller-kva.example", "xn--mller-kva.example"},
	    {"müller.example", "xn--mller-kva.example"},
	    {"MÜLLER.Example", "xn--mller-kva.example"},
	    {"mu\xcc\x88ller.example", "xn--mller-kva.example"}, /* u and a combining mark */
	    {"straße.example", "xn--strae-oqa.example"},
	    {"例え.テスト", "xn--r8jz45g.xn--zckzah"},
	    {"例え。テスト", "xn--r8jz45g.xn--zckzah"}, /* with the full stop of that script */
	    {"_dmarc.example.org", "_dmarc.example.org"},
	};
	char text[ADDRESS_SIZE];
	struct slice ascii;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_msg(idna_ascii(slice_str(cases[i].name), text, &ascii), "%s",
			      cases[i].name);
		ck_assert_str_eq(text, cases[i].ascii);
		ck_assert_uint_eq(ascii.len, strlen(cases[i].ascii));
	}
}
END_TEST

START_TEST(what_is_no_name_is_refused)
{
	static const char *const cases[] = {
	    "",
	    "\xff.example",
	    "ü-.example",
	    "a\xe2\x80\xae.example", /* a control of the writing direction */
	    "üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü"
	    "üüüü.example",
	};
	char text[ADDRESS_SIZE];
	struct slice ascii;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(!idna_ascii(slice_str(cases[i]), text, &ascii), "%s", cases[i]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("idna");
	TCase *t = tcase_create("idna");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(t, names_become_lower_case_a_labels);
	tcase_add_test(t, what_is_no_name_is_refused);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
