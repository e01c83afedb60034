/*
 * Which private keys are taken, and what they sign.
 */
#include <check.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/net/tls_private.h"
#include "tests/unit/net/certificates.h"

static struct slice pem_of(EVP_PKEY *key, const char *form, const char *passphrase)
{
	BIO *bio = BIO_new(BIO_s_mem());
	const EVP_CIPHER *cipher = passphrase ? EVP_aes_128_cbc() : NULL;
	int len = passphrase ? (int)strlen(passphrase) : 0;
	if (strcmp(form, "PKCS#8") == 0)
		ck_assert_int_eq(
		    PEM_write_bio_PKCS8PrivateKey(bio, key, cipher, passphrase, len, NULL, NULL),
		    1);
	else
		ck_assert_int_eq(
		    PEM_write_bio_PrivateKey_traditional(
			bio, key, cipher, (const unsigned char *)passphrase, len, NULL, NULL),
		    1);
	return bio_take(bio);
}

static struct tls_private *take(EVP_PKEY *key, const char *form)
{
	struct error e = {0};
	struct slice pem = pem_of(key, form, NULL);
	struct tls_private *k = tls_private_read(pem, &e);
	ck_assert_msg(k != NULL, "%s: %s", form, e.text);
	free((char *)pem.ptr);
	return k;
}

START_TEST(every_kind_is_taken_in_each_form_and_has_its_certificates_name)
{
	static const char *const cases[][3] = {
	    {"RSA", "PKCS#8", "RSA 2048"},    {"RSA", "traditional", "RSA 2048"},
	    {"P-256", "PKCS#8", "EC P-256"},  {"P-256", "traditional", "EC P-256"},
	    {"P-384", "PKCS#8", "EC P-384"},  {"P-521", "traditional", "EC P-521"},
	    {"ED25519", "PKCS#8", "Ed25519"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EVP_PKEY *key = key_make(cases[i][0]);
		X509 *x = certificate_make(key, "a.example", NULL);
		struct slice pem = certificate_pem(x);
		struct tls_certificate *c = tls_certificate_read(pem, NULL);
		struct tls_private *k = take(key, cases[i][1]);
		ck_assert_str_eq(tls_private_kind(k), cases[i][2]);
		ck_assert_mem_eq(tls_private_name(k), tls_certificate_key(c), TLS_KEY_NAME_SIZE);
		tls_private_free(&k);
		ck_assert_ptr_null(k);
		tls_certificate_free(&c);
		free((char *)pem.ptr);
		X509_free(x);
		EVP_PKEY_free(key);
	}
}
END_TEST

static void refused(struct slice pem, const char *word)
{
	struct error e = {0};
	ck_assert_ptr_null(tls_private_read(pem, &e));
	ck_assert_int_eq(e.code, EX_DATAERR);
	ck_assert_msg(strstr(e.text, word) != NULL, "%s: %s", word, e.text);
}

START_TEST(an_encrypted_key_is_refused_with_what_to_do)
{
	EVP_PKEY *key = key_make("P-256");
	struct slice a = pem_of(key, "PKCS#8", "secret"), b = pem_of(key, "traditional", "secret");
	refused(a, "openssl pkey");
	refused(b, "openssl pkey");
	free((char *)a.ptr);
	free((char *)b.ptr);
	EVP_PKEY_free(key);
}
END_TEST

START_TEST(what_is_no_key_that_can_be_used_is_refused)
{
	EVP_PKEY *small = EVP_RSA_gen(1024), *odd = EVP_EC_gen("secp256k1"),
		 *exchange = EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), *good = key_make("ED25519");
	X509 *x = certificate_make(good, "a.example", NULL);
	struct slice a = key_pem(small), b = key_pem(odd), c = key_pem(exchange),
		     d = certificate_pem(x), half = key_pem(good);
	refused(a, "1024");
	refused(b, "secp256k1");
	refused(c, "X25519");
	refused(d, "no private key");
	refused(slice_sub(half, 0, half.len / 2), "private key");
	refused(SLICE(""), "no private key");
	refused(SLICE_EMPTY, "no private key");
	refused(SLICE("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "");
	struct slice all[] = {a, b, c, d, half};
	for (size_t i = 0; i < 5; i++)
		free((char *)all[i].ptr);
	X509_free(x);
	EVP_PKEY_free(small);
	EVP_PKEY_free(odd);
	EVP_PKEY_free(exchange);
	EVP_PKEY_free(good);
}
END_TEST

/* RFC 5915 3: the private octets begin at 7 (P-256), the public ones follow. */
START_TEST(a_key_whose_halves_do_not_belong_together_is_refused)
{
	EVP_PKEY *key = key_make("P-256");
	unsigned char *der = NULL;
	int len = i2d_PrivateKey(key, &der);
	BIO *bio = BIO_new(BIO_s_mem());
	struct slice pem;
	der[20] ^= 1;
	PEM_write_bio(bio, PEM_STRING_ECPRIVATEKEY, "", der, len);
	pem = bio_take(bio);
	refused(pem, "");
	free((char *)pem.ptr);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
}
END_TEST

START_TEST(each_kind_signs_by_its_schemes_and_no_other)
{
	enum { KINDS = 5 };
	static const char *const kinds[KINDS] = {"RSA", "P-256", "P-384", "P-521", "ED25519"};
	static const struct {
		unsigned scheme;
		const char *in_12, *in_13; /* a letter for each kind: it signs */
	} cases[] = {
	    {0x0201, ".....", "....."}, /* SHA-1 */
	    {0x0203, ".....", "....."}, {0x0401, "x....", "....."}, {0x0501, "x....", "....."},
	    {0x0601, "x....", "....."}, {0x0804, "x....", "x...."}, {0x0805, "x....", "x...."},
	    {0x0806, "x....", "x...."}, {0x0809, ".....", "....."}, /* RSASSA-PSS keys */
	    {0x0403, ".xxx.", ".x..."}, {0x0503, ".xxx.", "..x.."}, {0x0603, ".xxx.", "...x."},
	    {0x0807, "....x", "....x"}, {0x0808, ".....", "....."}, {0, ".....", "....."},
	};
	for (size_t kind = 0; kind < KINDS; kind++) {
		EVP_PKEY *key = key_make(kinds[kind]);
		struct tls_private *k = take(key, "PKCS#8");
		unsigned char s[TLS_SIGNATURE_MAX];
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			size_t old =
			    tls_private_sign(k, TLS_SIGN_12, cases[i].scheme, SLICE("a text"), s);
			ck_assert_msg((old > 0) == (cases[i].in_12[kind] == 'x'), "%s 1.2 %04x",
				      kinds[kind], cases[i].scheme);
			size_t fresh =
			    tls_private_sign(k, TLS_SIGN_13, cases[i].scheme, SLICE("a text"), s);
			ck_assert_msg((fresh > 0) == (cases[i].in_13[kind] == 'x'), "%s 1.3 %04x",
				      kinds[kind], cases[i].scheme);
		}
		tls_private_free(&k);
		EVP_PKEY_free(key);
	}
}
END_TEST

START_TEST(what_is_signed_holds)
{
	static const struct {
		const char *kind, *digest;
		unsigned scheme;
		int padding;
	} cases[] = {
	    {"RSA", "SHA384", 0x0805, RSA_PKCS1_PSS_PADDING},
	    {"RSA", "SHA256", 0x0401, RSA_PKCS1_PADDING},
	    {"P-521", "SHA256", 0x0403, 0},
	    {"ED25519", NULL, 0x0807, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EVP_PKEY *key = key_make(cases[i].kind);
		struct tls_private *k = take(key, "PKCS#8");
		unsigned char s[TLS_SIGNATURE_MAX];
		EVP_MD_CTX *md = EVP_MD_CTX_new();
		EVP_PKEY_CTX *c;
		size_t len = tls_private_sign(k, TLS_SIGN_12, cases[i].scheme, SLICE("a text"), s);
		ck_assert_int_eq(
		    EVP_DigestVerifyInit_ex(md, &c, cases[i].digest, NULL, NULL, key, NULL), 1);
		if (cases[i].padding)
			EVP_PKEY_CTX_set_rsa_padding(c, cases[i].padding);
		if (cases[i].padding == RSA_PKCS1_PSS_PADDING) /* RFC 8446 4.2.3 */
			EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST);
		ck_assert_int_eq(EVP_DigestVerify(md, s, len, (const unsigned char *)"a text", 6),
				 1);
		EVP_MD_CTX_free(md);
		tls_private_free(&k);
		EVP_PKEY_free(key);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tls private");
	TCase *t = tcase_create("tls private");
	int failed;
	tcase_set_timeout(t, 60);
	tcase_add_test(t, every_kind_is_taken_in_each_form_and_has_its_certificates_name);
	tcase_add_test(t, an_encrypted_key_is_refused_with_what_to_do);
	tcase_add_test(t, what_is_no_key_that_can_be_used_is_refused);
	tcase_add_test(t, a_key_whose_halves_do_not_belong_together_is_refused);
	tcase_add_test(t, each_kind_signs_by_its_schemes_and_no_other);
	tcase_add_test(t, what_is_signed_holds);
	suite_add_tcase(s, t);
	SRunner *runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
