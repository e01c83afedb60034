/* password/scheme, make: entries are read as Dovecot writes them; new ones are what RFC 5802 has.
 */
#include <check.h>
#include <stdlib.h>

#include "common/base/encode.h"
#include "common/password/password.h"

START_TEST(scheme_of_an_entry)
{
	static const struct {
		const char *entry;
		enum password_scheme scheme;
		const char *hash;
	} cases[] = {
	    {"{SCRAM-SHA-256}4096,a,b,c", PASSWORD_SCRAM_SHA_256, "4096,a,b,c"},
	    {"{scram-sha-256}x", PASSWORD_SCRAM_SHA_256, "x"},
	    {"{CRYPT}$y$j9T$a$b", PASSWORD_CRYPT, "$y$j9T$a$b"},
	    {"{SHA512-CRYPT}$6$a$b", PASSWORD_CRYPT, "$6$a$b"},
	    {"{BLF-CRYPT}$2y$05$a", PASSWORD_CRYPT, "$2y$05$a"},
	    {"$6$a$b", PASSWORD_CRYPT, "$6$a$b"},
	    {"{PLAIN}secret", PASSWORD_PLAIN, "secret"},
	    {"{ARGON2ID}$argon2id$v=19$m=65536", PASSWORD_CRYPT, "$argon2id$v=19$m=65536"},
	    {"{SSHA}abc", PASSWORD_NONE, "abc"},
	    {"{CRYPT}abJnggxhB/yWI", PASSWORD_NONE, "abJnggxhB/yWI"}, /* DES */
	    {"{CRYPT}!$6$a$b", PASSWORD_NONE, "!$6$a$b"},	      /* locked */
	    {"{CRYPT", PASSWORD_NONE, NULL},
	    {"secret", PASSWORD_NONE, "secret"},
	    {"*", PASSWORD_NONE, "*"},
	    {"", PASSWORD_NONE, ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice hash;
		ck_assert_msg(password_scheme(slice_str(cases[i].entry), &hash) == cases[i].scheme,
			      "%s", cases[i].entry);
		if (cases[i].hash)
			ck_assert(slice_equal(hash, slice_str(cases[i].hash)));
	}
}
END_TEST

START_TEST(refuses_scram_keys_out_of_bounds)
{
#define KEYS "XtZzJKUm4a6I11CjiJ1ahg==,0oznagIHkNHMlZaESHc6ZCuXQqQ1SdtrRG4ZTG+9NiI=,"
#define LAST "W7bmgcY8jEvwu3aSF5dH/bUOSJm8IMGMhnBQeU4CkNU="
	static const struct {
		const char *hash;
		bool fine;
	} cases[] = {
	    {"4096," KEYS LAST, true},
	    {"1000000," KEYS LAST, true},
	    {"4095," KEYS LAST, false},
	    {"1000001," KEYS LAST, false},
	    {"-1," KEYS LAST, false},
	    {"4096," KEYS LAST ",x", false},
	    {"4096," KEYS, false},
	    {"4096," KEYS "W7bmgcY8jEvwu3aSF5dH/bUOSJm8IMGMhnBQeU4C", false},
	    {"4096,,0oznagIHkNHMlZaESHc6ZCuXQqQ1SdtrRG4ZTG+9NiI=," LAST, false},
	    {"", false},
	};
	struct scram_keys keys;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(password_scram_read(slice_str(cases[i].hash), &keys) == cases[i].fine,
			      "%s", cases[i].hash);
}
END_TEST

/* `doveadm pw -s SCRAM-SHA-256 -p secret` of Dovecot 2.3.19 made this one. */
START_TEST(derives_the_keys_that_dovecot_derives)
{
	struct scram_keys theirs, ours;
	ck_assert(password_scram_read(slice_str("4096," KEYS LAST), &theirs));
	ours = theirs;
	memset(ours.stored, 0, sizeof(ours.stored));
	memset(ours.server, 0, sizeof(ours.server));
	ck_assert(password_scram_derive(SLICE("secret"), &ours));
	ck_assert_mem_eq(ours.stored, theirs.stored, SCRAM_KEY_SIZE);
	ck_assert_mem_eq(ours.server, theirs.server, SCRAM_KEY_SIZE);
}
END_TEST

START_TEST(makes_entries_that_can_be_read_and_differ)
{
	struct buffer one, two;
	struct scram_keys keys, again;
	struct slice hash;
	buffer_init(&one, PASSWORD_ENTRY_MAX);
	buffer_init(&two, PASSWORD_ENTRY_MAX);
	ck_assert(password_make_scram(SLICE("geheim"), 4096, &one));
	ck_assert(password_make_scram(SLICE("geheim"), 4096, &two));
	ck_assert(!slice_equal(buffer_slice(&one), buffer_slice(&two)));
	ck_assert_int_eq(password_scheme(buffer_slice(&one), &hash), PASSWORD_SCRAM_SHA_256);
	ck_assert(password_scram_read(hash, &keys));
	ck_assert_uint_eq(keys.iterations, 4096);
	ck_assert_uint_eq(keys.salt_len, SCRAM_SALT_NEW);
	again = keys;
	ck_assert(password_scram_derive(SLICE("geheim"), &again));
	ck_assert_mem_eq(again.stored, keys.stored, SCRAM_KEY_SIZE);
	ck_assert(password_scram_derive(SLICE("Geheim"), &again));
	ck_assert(memcmp(again.stored, keys.stored, SCRAM_KEY_SIZE) != 0);
	buffer_free(&one);
	buffer_free(&two);
}
END_TEST

START_TEST(makes_hashes_of_libcrypt)
{
	static const char *const prefixes[] = {"$y$", "$6$"};
	for (size_t i = 0; i < 2; i++) {
		struct buffer out;
		struct slice hash;
		buffer_init(&out, PASSWORD_ENTRY_MAX);
		ck_assert(password_make_crypt(SLICE("geheim"), prefixes[i], &out));
		ck_assert_int_eq(password_scheme(buffer_slice(&out), &hash), PASSWORD_CRYPT);
		ck_assert(slice_starts(hash, slice_str(prefixes[i])));
		buffer_free(&out);
	}
}
END_TEST

START_TEST(a_full_buffer_gets_nothing)
{
	struct buffer out;
	buffer_init(&out, 60);
	ck_assert(buffer_append(&out, SLICE("x:")));
	ck_assert(!password_make_scram(SLICE("geheim"), 4096, &out));
	ck_assert(!password_make_crypt(SLICE("geheim"), "$6$", &out));
	ck_assert(!password_make_crypt(SLICE("geheim"), "$nonesuch$", &out));
	ck_assert_uint_eq(out.len, 2);
	buffer_free(&out);
}
END_TEST

START_TEST(prepares_as_rfc_4013_has_it)
{
	static const struct {
		const char *said, *kept; /* NULL: refused */
		bool unassigned;
	} cases[] = {
	    {"I\xc2\xadX", "IX", false},   /* soft hyphen: mapped to nothing */
	    {"user", "user", false},	   /* no change */
	    {"USER", "USER", false},	   /* case kept */
	    {"\xc2\xaa", "a", false},	   /* NFKC */
	    {"\xe2\x85\xa8", "IX", false}, /* NFKC */
	    {"a\xc2\xa0"
	     "b",
	     "a b", false},		   /* another blank */
	    {"\x07", NULL, false},	   /* prohibited */
	    {"\xd8\xa7\x31", NULL, false}, /* bidi */
	    {"\xc2\xad", NULL, false},	   /* nothing is left */
	    {"", NULL, false},
	    {"\xff", NULL, false},
	    {"\xf0\x9f\x90\x88", NULL, false}, /* not in Unicode 3.2: kept by nobody ... */
	    {"\xf0\x9f\x90\x88", "\xf0\x9f\x90\x88", true}, /* ... but looked at */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buffer out;
		buffer_init(&out, PASSWORD_MAX);
		ck_assert_msg(password_prepare(slice_str(cases[i].said), cases[i].unassigned,
					       &out) == (cases[i].kept != NULL),
			      "case %zu", i);
		if (cases[i].kept)
			ck_assert(slice_equal(buffer_slice(&out), slice_str(cases[i].kept)));
		buffer_free(&out);
	}
}
END_TEST

START_TEST(bounds_a_password)
{
	char text[PASSWORD_MAX + 1];
	struct buffer out;
	memset(text, 'a', sizeof(text));
	buffer_init(&out, PASSWORD_MAX);
	ck_assert(password_prepare(slice_make(text, PASSWORD_MAX), false, &out));
	buffer_reset(&out);
	ck_assert(!password_prepare(slice_make(text, PASSWORD_MAX + 1), false, &out));
	ck_assert(!password_prepare(slice_make("a\0b", 3), false, &out));
	buffer_free(&out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("password/make");
	TCase *t = tcase_create("make");
	tcase_add_test(t, scheme_of_an_entry);
	tcase_add_test(t, refuses_scram_keys_out_of_bounds);
	tcase_add_test(t, derives_the_keys_that_dovecot_derives);
	tcase_add_test(t, makes_entries_that_can_be_read_and_differ);
	tcase_add_test(t, makes_hashes_of_libcrypt);
	tcase_add_test(t, a_full_buffer_gets_nothing);
	tcase_add_test(t, prepares_as_rfc_4013_has_it);
	tcase_add_test(t, bounds_a_password);
	suite_add_tcase(s, t);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
