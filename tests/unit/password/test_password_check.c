/* password/check: what holds and what does not; the vector of RFC 7677 3. */
#include <check.h>
#include <stdlib.h>

#include "common/base/encode.h"
#include "common/password/password.h"

/* perl's crypt() and `doveadm pw` of Dovecot 2.3.19 made these. */
static const char *const entries[] = {
    "{PLAIN}geheim",
    "{CLEARTEXT}geheim",
    "$5$tvH0ve7W6WMAVDRO$LVmMGWPGDtvV4u1jNoBQrGi7gBv4S1jLUocRgtg4ge1",
    "$6$PepxHplrk6GOGwpL$MSLWp7XBvNt1Uu4uzh004UvwH8yoxKnHhnq4koVoUP7zbpGBQ2ajmIEdB/"
    "Eha4Zi3TYtH/o2kIKJx4/IDJGcz0",
    "{SHA512-CRYPT}$6$PepxHplrk6GOGwpL$MSLWp7XBvNt1Uu4uzh004UvwH8yoxKnHhnq4koVoUP7zbpGBQ2ajmIEdB/"
    "Eha4Zi3TYtH/o2kIKJx4/IDJGcz0",
    "{BLF-CRYPT}$2y$05$6Ef9hZdZobx4GYXW2dokru3xpA30b7t9lqLbP3A6Rjecao1sdaQF.",
    "{CRYPT}$y$j9T$F5Jx5fExrKuPp53xLKQ..1$iLMagHjBvrahXhlULvb9yW5faxBRfc3sREKM24WCe2C",
    "{SCRAM-SHA-256}4096,5DUOdg+gBTBrNP+Q2WVTgw==,Di6kkpp8xRr/"
    "cZ04iZ4EY51HDrw56iIU3DFoS7BUo90=,rNOoaDugvESWuwWwlBRJbj8QrgpmtP/ceBIZIs3rMWI=",
};

START_TEST(a_password_holds_for_its_own_entry_alone)
{
	static const char *const others[] = {"Geheim", "geheim ", "gehei", "x"};
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		struct slice entry = slice_str(entries[i]);
		ck_assert_msg(password_check(entry, SLICE("geheim")), "%s", entries[i]);
		ck_assert_msg(!password_fault(entry), "%s", entries[i]);
		ck_assert(!password_check(entry, SLICE("")));
		ck_assert(!password_check(entry, entry));
		for (size_t j = 0; j < sizeof(others) / sizeof(others[0]); j++)
			ck_assert_msg(!password_check(entry, slice_str(others[j])), "%s %s",
				      entries[i], others[j]);
	}
}
END_TEST

START_TEST(nobody_has_no_password)
{
	static const char *const none[] = {"", "*", "!", "!$6$a$b", "{CRYPT}!", "{CRYPT}*"};
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		ck_assert(!password_check(slice_str(none[i]), SLICE("")));
		ck_assert(!password_check(slice_str(none[i]), SLICE("geheim")));
		ck_assert_msg(!password_fault(slice_str(none[i])), "%s", none[i]);
	}
}
END_TEST

START_TEST(what_can_not_be_checked_is_a_fault)
{
	static const char *const faults[] = {
	    "{SSHA}cGFzc3dvcmQ=",
	    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$aGFzaA",
	    "{SCRAM-SHA-256}1,a,b,c",
	    "{CRYPT}abJnggxhB/yWI",
	    "$nothing$x",
	    "geheim",
	};
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		ck_assert(!password_check(slice_str(faults[i]), SLICE("geheim")));
		ck_assert_msg(password_fault(slice_str(faults[i])) != NULL, "%s", faults[i]);
	}
}
END_TEST

/* U+00E9 of one keyboard, e and U+0301 of another; RFC 4013 2.2 makes them one. */
START_TEST(a_password_may_be_typed_on_any_keyboard)
{
	struct buffer entry;
	buffer_init(&entry, PASSWORD_ENTRY_MAX);
	ck_assert(password_make_scram(SLICE("caf\xc3\xa9"), 4096, &entry));
	ck_assert(password_check(buffer_slice(&entry), SLICE("caf\xc3\xa9")));
	ck_assert(password_check(buffer_slice(&entry), SLICE("cafe\xcc\x81")));
	ck_assert(!password_check(buffer_slice(&entry), SLICE("cafe")));
	ck_assert(!password_check(buffer_slice(&entry), SLICE("caf\xe9")));
	buffer_free(&entry);
}
END_TEST

/* RFC 7677 3: user "user", password "pencil" */
#define AUTH_MESSAGE                                                                             \
	"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"    \
	"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)" \
	"hNlF$k0"

static void decode(const char *text, uint8_t out[SCRAM_KEY_SIZE])
{
	struct buffer b;
	buffer_init(&b, SCRAM_KEY_SIZE);
	ck_assert(base64_decode(slice_str(text), &b) && b.len == SCRAM_KEY_SIZE);
	memcpy(out, buffer_slice(&b).ptr, SCRAM_KEY_SIZE);
	buffer_free(&b);
}

START_TEST(scram_proof_of_the_rfc)
{
	struct scram_keys keys = {.iterations = 4096, .salt_len = 16};
	uint8_t proof[SCRAM_KEY_SIZE], signature[SCRAM_KEY_SIZE], expected[SCRAM_KEY_SIZE];
	struct buffer salt;
	buffer_init(&salt, 16);
	ck_assert(base64_decode(SLICE("W22ZaJ0SNY7soEsUEjb6gQ=="), &salt));
	memcpy(keys.salt, buffer_slice(&salt).ptr, 16);
	buffer_free(&salt);
	ck_assert(password_scram_derive(SLICE("pencil"), &keys));
	decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", proof);
	decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", expected);
	ck_assert(password_scram_check(&keys, SLICE(AUTH_MESSAGE), proof, signature));
	ck_assert_mem_eq(signature, expected, SCRAM_KEY_SIZE);
	ck_assert(!password_scram_check(&keys, SLICE(AUTH_MESSAGE "x"), proof, signature));
	proof[31] ^= 1;
	ck_assert(!password_scram_check(&keys, SLICE(AUTH_MESSAGE), proof, signature));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("password check");
	TCase *t = tcase_create("check");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_password_holds_for_its_own_entry_alone);
	tcase_add_test(t, nobody_has_no_password);
	tcase_add_test(t, what_can_not_be_checked_is_a_fault);
	tcase_add_test(t, a_password_may_be_typed_on_any_keyboard);
	tcase_add_test(t, scram_proof_of_the_rfc);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
