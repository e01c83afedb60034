/*
 * Certificates and keys before a start: what is wrong with their files, and what one should know.
 */
#include <sysexits.h>

#include "common/base/buffer.h"
#include "common/config/config.h"
#include "tests/unit/config/folder.h"
#include "tests/unit/net/certificates.h"

enum { DAY = 86400 };

struct found {
	int errors, warnings;
	struct buffer text;
};

static void note(void *arg, enum config_severity severity, const char *place, const char *text)
{
	struct found *f = arg;
	f->errors += severity == CONFIG_ERROR;
	f->warnings += severity == CONFIG_WARNING;
	buffer_printf(&f->text, "%s %s\n", place, text);
}

/* Checks `tls` with that in it; the word is in what is said. */
static void expect(const char *tls, int code, int errors, int warnings, const char *word)
{
	char text[2000];
	struct found f = {0};
	struct config *c;
	snprintf(text, sizeof(text), "listen 127.0.0.1:2525 smtp\ntls {\n%s\n}\n", tls);
	c = folder_load(folder_text(text));
	buffer_init(&f.text, 100000);
	int got = config_check_pairs(c, note, &f);
	buffer_byte(&f.text, '\0');
	ck_assert_msg(got == code && f.errors == errors && f.warnings == warnings &&
			  strstr(f.text.data, word),
		      "%s: code %d, %d errors, %d warnings, %s: %s", tls, got, f.errors, f.warnings,
		      word, f.text.data);
	buffer_free(&f.text);
	config_free(&c);
}

static void write_slice(const char *name, struct slice text, mode_t mode)
{
	folder_write(name, text.ptr);
	ck_assert_int_eq(chmod(folder_path(name), mode), 0);
	free((char *)text.ptr);
}

static X509 *made(EVP_PKEY *key, const char *name, long from, long until)
{
	X509 *x = certificate_make(key, name, NULL);
	X509_gmtime_adj(X509_getm_notBefore(x), from);
	X509_gmtime_adj(X509_getm_notAfter(x), until);
	ck_assert_int_gt(X509_sign(x, key, EVP_sha256()), 0);
	return x;
}

static void write_certificate(const char *name, EVP_PKEY *key, long from, long until)
{
	X509 *x = made(key, "a.example", from, until);
	write_slice(name, certificate_pem(x), 0644);
	X509_free(x);
}

static EVP_PKEY *a, *b;

static void write_chain(const char *name, const char *first, const char *second)
{
	X509 *x = made(a, first, 0, 100 * DAY), *y = made(b, second, 0, 100 * DAY);
	X509_NAME *by = X509_NAME_new();
	struct slice p, q;
	char both[8192];
	X509_NAME_add_entry_by_txt(by, "CN", MBSTRING_ASC, (const unsigned char *)"issuer", -1, -1,
				   0);
	X509_set_issuer_name(x, by);
	X509_sign(x, b, EVP_sha256());
	p = certificate_pem(x);
	q = certificate_pem(y);
	snprintf(both, sizeof(both), "%s%s", p.ptr, q.ptr);
	folder_write(name, both);
	free((char *)p.ptr);
	free((char *)q.ptr);
	X509_NAME_free(by);
	X509_free(x);
	X509_free(y);
}

static void setup(void)
{
	a = key_make("P-256");
	b = key_make("P-256");
	folder_make();
	write_certificate("a.pem", a, 0, 100 * DAY);
	write_slice("a.key", key_pem(a), 0640);
	write_slice("b.key", key_pem(b), 0600);
	write_slice("open.key", key_pem(a), 0644);
	write_certificate("soon.pem", a, -100 * DAY, 10 * DAY);
	write_certificate("ended.pem", a, -100 * DAY, -DAY);
	write_certificate("future.pem", a, DAY, 100 * DAY);
	write_chain("ordered.pem", "a.example", "issuer");
	write_chain("disordered.pem", "a.example", "somebody");
	folder_write("nonsense", "nonsense\n");
	ck_assert_int_eq(chmod(folder_path("nonsense"), 0600), 0);
}

static void teardown(void)
{
	folder_remove();
	EVP_PKEY_free(a);
	EVP_PKEY_free(b);
}

START_TEST(a_good_pair_has_nothing_to_say)
{
	expect("certificate F/a.pem; key F/a.key", 0, 0, 0, "");
	expect("certificate F/ordered.pem; key F/a.key", 0, 0, 0, "");
	expect("certificate F/a.pem; key F/a.key; certificate F/a.pem; key F/a.key", 0, 0, 0, "");
}
END_TEST

START_TEST(files_that_can_not_be_used_are_errors_at_their_place)
{
	static const char *const cases[][2] = {
	    {"certificate F/a.pem; key F/b.key", "the key is not that of the certificate"},
	    {"certificate F/nonsense; key F/a.key", "stagepost.conf:3:1 "},
	    {"certificate F/a.pem; key F/nonsense", "no private key"},
	    {"certificate F/a.pem\nkey F/none", "stagepost.conf:4:1 "},
	    {"certificate F/none; key F/a.key", "No such file"},
	    {"certificate F/a.key; key F/a.key", "private key in it"},
	    {"certificate F/.; key F/a.key", "no ordinary file"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(cases[i][0], EX_DATAERR, 1, 0, cases[i][1]);
	expect("certificate F/a.pem; key F/a.key; certificate F/nonsense; key F/nonsense",
	       EX_DATAERR, 2, 0, "");
}
END_TEST

START_TEST(what_one_should_know_is_a_warning)
{
	static const char *const cases[][2] = {
	    {"certificate F/a.pem; key F/open.key", "chmod o= "},
	    {"certificate F/soon.pem; key F/a.key", "ends within 10 days"},
	    {"certificate F/ended.pem; key F/a.key", "has ended"},
	    {"certificate F/future.pem; key F/a.key", "not valid yet"},
	    {"certificate F/disordered.pem; key F/a.key", "certificate 1 is not issued"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(cases[i][0], 0, 0, 1, cases[i][1]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("check pairs");
	TCase *t = tcase_create("check pairs");
	int failed;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_good_pair_has_nothing_to_say);
	tcase_add_test(t, files_that_can_not_be_used_are_errors_at_their_place);
	tcase_add_test(t, what_one_should_know_is_a_warning);
	suite_add_tcase(s, t);
	SRunner *runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
