/*
 * What is read from a certificate's file, and what is refused.
 */
#include <check.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/buffer.h"
#include "common/net/tls_certificate.h"
#include "tests/unit/net/certificates.h"

static struct error e;

static struct slice pem_of(const char *kind, const char *common, const char *alternative)
{
	EVP_PKEY *key = key_make(kind);
	X509 *x = certificate_make(key, common, alternative);
	struct slice pem = certificate_pem(x);
	X509_free(x);
	EVP_PKEY_free(key);
	return pem;
}

static struct tls_certificate *read_of(const char *kind, const char *common,
				       const char *alternative)
{
	struct slice pem = pem_of(kind, common, alternative);
	struct tls_certificate *c = tls_certificate_read(pem, &e);
	free((char *)pem.ptr);
	return c;
}

static void refused(struct slice pem, const char *why)
{
	ck_assert_ptr_null(tls_certificate_read(pem, &e));
	ck_assert_int_eq(e.code, 65);
	ck_assert_msg(strstr(e.text, why) != NULL, "%s", e.text);
}

START_TEST(tells_the_kind_of_its_key)
{
	static const char *const kinds[][2] = {
	    {"RSA", "RSA 2048"},   {"P-256", "EC P-256"},  {"P-384", "EC P-384"},
	    {"P-521", "EC P-521"}, {"ED25519", "Ed25519"},
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct tls_certificate *c = read_of(kinds[i][0], "mx", NULL);
		ck_assert_msg(c != NULL, "%s", e.text);
		ck_assert_str_eq(tls_certificate_kind(c), kinds[i][1]);
		tls_certificate_free(&c);
	}
}
END_TEST

START_TEST(names_the_key_as_the_key_names_itself)
{
	static const char *const kinds[] = {"RSA", "P-256", "P-384", "P-521", "ED25519"};
	unsigned char name[TLS_KEY_NAME_SIZE];
	EVP_PKEY *key = key_make(kinds[_i]);
	X509 *x = certificate_make(key, "mx", NULL);
	struct slice pem = certificate_pem(x);
	struct tls_certificate *c = tls_certificate_read(pem, &e);
	ck_assert(tls_key_name(key, name, &e));
	ck_assert_mem_eq(tls_certificate_key(c), name, sizeof(name));
	tls_certificate_free(&c);
	free((char *)pem.ptr);
	X509_free(x);
	EVP_PKEY_free(key);
}
END_TEST

START_TEST(tells_when_it_is_valid)
{
	struct tls_certificate *c = read_of("P-256", "mx", NULL);
	uint64_t now = (uint64_t)time(NULL);
	ck_assert_uint_le(tls_certificate_from(c), now);
	ck_assert_uint_ge(tls_certificate_until(c), now + 3000);
	ck_assert_uint_le(tls_certificate_until(c), now + 3600);
	tls_certificate_free(&c);
}
END_TEST

START_TEST(is_for_the_names_in_it)
{
	static const struct {
		const char *common, *alternative, *host;
		bool is_for;
	} cases[] = {
	    {"cn.example", "DNS:Mx.example,DNS:*.mail.example", "mx.example", true},
	    {"cn.example", "DNS:Mx.example,DNS:*.mail.example", "MX.EXAMPLE", true},
	    {"cn.example", "DNS:Mx.example,DNS:*.mail.example", "a.mail.example", true},
	    {"cn.example", "DNS:Mx.example,DNS:*.mail.example", "a.b.mail.example", false},
	    {"cn.example", "DNS:Mx.example,DNS:*.mail.example", "mail.example", false},
	    {"cn.example", "DNS:Mx.example,DNS:*.mail.example", ".mail.example", false},
	    {"cn.example", "DNS:Mx.example,DNS:*.mail.example", "cn.example", false},
	    {"cn.example", NULL, "cn.example", true},
	    {"cn.example", "IP:192.0.2.1", "cn.example", true},
	    {"Mail of cn.example", NULL, "cn.example", false},
	    {"*", NULL, "cn", false},
	    {"w*.example", NULL, "www.example", false},
	    {"cn.example", NULL, "", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tls_certificate *c = read_of("P-256", cases[i].common, cases[i].alternative);
		ck_assert_msg(c != NULL, "%s", e.text);
		ck_assert_msg(tls_certificate_is_for(c, slice_str(cases[i].host)) ==
				  cases[i].is_for,
			      "case %zu", i);
		tls_certificate_free(&c);
	}
}
END_TEST

START_TEST(refuses_what_is_no_certificate)
{
	struct slice pem = pem_of("P-256", "mx", NULL);
	struct slice rsa = SLICE_EMPTY;
	EVP_PKEY *small = EVP_RSA_gen(1024), *other = EVP_EC_gen("secp256k1");
	X509 *x = certificate_make(small, "mx", NULL), *y = certificate_make(other, "mx", NULL);
	refused(SLICE(""), "no certificate");
	refused(SLICE("hello\n"), "no certificate");
	refused(slice_sub(pem, 0, pem.len / 2), "damaged");
	refused(SLICE("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"), "damaged");
	rsa = certificate_pem(x);
	refused(rsa, "an RSA key of 1024 bits");
	free((char *)rsa.ptr);
	rsa = certificate_pem(y);
	refused(rsa, "secp256k1");
	free((char *)rsa.ptr);
	free((char *)pem.ptr);
	X509_free(x);
	X509_free(y);
	EVP_PKEY_free(small);
	EVP_PKEY_free(other);
}
END_TEST

START_TEST(refuses_what_was_signed_with_sha_1)
{
	EVP_PKEY *key = key_make("P-256"), *authority = key_make("P-256");
	X509 *x = certificate_make(key, "mx", NULL), *ca = certificate_make(authority, "ca", NULL);
	X509_set_issuer_name(x, X509_get_subject_name(ca));
	ck_assert_int_gt(X509_sign(x, authority, _i ? EVP_sha1() : EVP_sha256()), 0);
	struct slice pem = certificate_pem(x);
	struct tls_certificate *c = tls_certificate_read(pem, &e);
	ck_assert_int_eq(c != NULL, !_i);
	tls_certificate_free(&c);
	if (_i)
		refused(pem, "TLS can't be spoken with it: ca md too weak");
	free((char *)pem.ptr);
	X509_free(x);
	X509_free(ca);
	EVP_PKEY_free(key);
	EVP_PKEY_free(authority);
}
END_TEST

START_TEST(refuses_a_file_with_a_private_key)
{
	EVP_PKEY *key = key_make("P-256");
	X509 *x = certificate_make(key, "mx", NULL);
	struct slice first = certificate_pem(x), second = key_pem(key);
	for (int i = 0; i < 2; i++) {
		struct buffer both;
		buffer_init(&both, 10000);
		buffer_append(&both, i ? first : second);
		buffer_append(&both, i ? second : first);
		refused(buffer_slice(&both), "private key");
		buffer_free(&both);
	}
	free((char *)first.ptr);
	free((char *)second.ptr);
	X509_free(x);
	EVP_PKEY_free(key);
}
END_TEST

START_TEST(a_chain_is_bounded_and_its_first_counts)
{
	struct slice first = pem_of("P-256", "first", NULL), more = pem_of("RSA", "more", NULL);
	struct tls_certificate *c;
	struct buffer all;
	buffer_init(&all, TLS_PEM_MAX);
	buffer_append(&all, first);
	for (int i = 1; i < TLS_CHAIN_MAX; i++)
		buffer_append(&all, more);
	c = tls_certificate_read(buffer_slice(&all), &e);
	ck_assert_msg(c != NULL, "%s", e.text);
	ck_assert(tls_certificate_is_for(c, SLICE("first")));
	ck_assert(!tls_certificate_is_for(c, SLICE("more")));
	tls_certificate_free(&c);
	buffer_append(&all, more);
	refused(buffer_slice(&all), "more than 16 certificates");
	buffer_free(&all);
	free((char *)first.ptr);
	free((char *)more.ptr);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls_certificate");
	TCase *t = tcase_create("tls_certificate");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_add_test(t, tells_the_kind_of_its_key);
	tcase_add_loop_test(t, names_the_key_as_the_key_names_itself, 0, 5);
	tcase_add_test(t, tells_when_it_is_valid);
	tcase_add_test(t, is_for_the_names_in_it);
	tcase_add_test(t, refuses_what_is_no_certificate);
	tcase_add_loop_test(t, refuses_what_was_signed_with_sha_1, 0, 2);
	tcase_add_test(t, refuses_a_file_with_a_private_key);
	tcase_add_test(t, a_chain_is_bounded_and_its_first_counts);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
