/*
 * Pairs of certificate and key: what is in use, what is not, and what is said of it.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/config/settings.h"
#include "common/os/loop.h"
#include "daemons/keys/pairs.h"
#include "daemons/keys/ring.h"
#include "tests/unit/net/certificates.h"

enum { LOG_SIZE = 16384, DAY = 86400 };

static char logged[LOG_SIZE];
static unsigned came, gone;

static void keep_log(enum log_level level, struct slice line)
{
	size_t len = strlen(logged);
	(void)level;
	snprintf(logged + len, sizeof(logged) - len, "%.*s\n", SLICE_FMT(line));
}

static void count(const unsigned char *name, bool present)
{
	(void)name;
	came += present;
	gone += !present;
}

/* A key and its certificate as text. */
struct papers {
	struct slice key, certificate;
};

static struct papers make(const char *kind, const char *name, long seconds)
{
	EVP_PKEY *key = key_make(kind);
	X509 *x = certificate_make(key, name, NULL);
	struct papers p;
	X509_gmtime_adj(X509_getm_notAfter(x), seconds);
	ck_assert_int_gt(X509_sign(x, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()), 0);
	p = (struct papers){key_pem(key), certificate_pem(x)};
	X509_free(x);
	EVP_PKEY_free(key);
	return p;
}

static void papers_free(struct papers *p)
{
	free((char *)p->key.ptr);
	free((char *)p->certificate.ptr);
}

static void give(const char *detail, const char *path, struct slice text)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	struct service_descriptor d = {
	    .kind = SLICE("file"), .name = slice_str(path), .detail = slice_str(detail), .fd = fd};
	ck_assert_int_eq(write(fd, text.ptr, text.len), (ssize_t)text.len);
	pairs_descriptor(&d);
	ck_assert_int_eq(close(fd), -1);
}

static void set(const char *const files[][2], size_t count_)
{
	pairs_settings_begin();
	for (size_t i = 0; i < count_; i++) {
		struct settings_certificate c = {.number = (uint32_t)i + 1,
						 .certificate = slice_str(files[i][0]),
						 .key = slice_str(files[i][1])};
		pairs_setting(&settings_certificate_record, &c);
	}
}

static const char *const one[][2] = {{"/a.pem", "/a.key"}};
static const char *const two[][2] = {{"/a.pem", "/a.key"}, {"/b.pem", "/b.key"}};

static void setup(void)
{
	log_set_sink(keep_log, LOG_LEVEL_INFO);
	logged[0] = '\0';
	came = gone = 0;
	ring_begin(count);
	set(one, 1);
	pairs_settings_end();
}

static void teardown(void)
{
	pairs_free();
	ring_free();
}

struct seen {
	unsigned count;
	char names[100], trouble[ERROR_TEXT_SIZE], kind[40];
};

static void see(void *arg, const struct pair_facts *f)
{
	struct seen *s = arg;
	if (s->count++ > 0)
		return;
	ck_assert(slice_copy(f->trouble, s->trouble, sizeof(s->trouble)));
	if (f->paper) {
		ck_assert(slice_copy(slice_str(f->paper->names), s->names, sizeof(s->names)));
		ck_assert(slice_copy(slice_str(f->paper->kind), s->kind, sizeof(s->kind)));
	}
}

/* The first pair. */
static struct seen look(void)
{
	struct seen s = {0};
	pairs_each(see, &s);
	return s;
}

START_TEST(a_pair_that_fits_is_in_use_whichever_file_comes_first)
{
	static const char *const kinds[] = {"RSA", "P-256", "ED25519"};
	for (size_t i = 0; i < 3; i++) {
		struct papers p = make(kinds[i], i == 1 ? "b.example" : "a.example", 100 * DAY);
		if (i == 1)
			give("key", "/a.key", p.key);
		give("certificate", "/a.pem", p.certificate);
		if (i == 0)
			ck_assert_msg(strstr(look().trouble, "could not be opened"), "%s",
				      look().trouble);
		if (i != 1)
			give("key", "/a.key", p.key);
		ck_assert_str_eq(look().trouble, "");
		ck_assert_str_eq(look().names, i == 1 ? "b.example" : "a.example");
		papers_free(&p);
	}
	ck_assert_str_eq(look().kind, "Ed25519");
	ck_assert_uint_eq(came, 3);
	ck_assert_uint_eq(gone, 0); /* who shows an old certificate can go on for a while */
}
END_TEST

START_TEST(a_bad_new_file_keeps_the_old_pair_and_says_so)
{
	struct papers p = make("P-256", "a.example", 100 * DAY),
		      other = make("P-256", "other.example", 100 * DAY);
	give("certificate", "/a.pem", p.certificate);
	give("key", "/a.key", p.key);

	give("certificate", "/a.pem", SLICE("nonsense\n"));
	ck_assert_ptr_nonnull(strstr(look().trouble, "the certificate: "));
	ck_assert_str_eq(look().names, "a.example");
	ck_assert_ptr_nonnull(strstr(logged, "the old pair stays in use"));

	give("certificate", "/a.pem", p.certificate);
	ck_assert_str_eq(look().trouble, "");

	give("key", "/a.key", SLICE(""));
	ck_assert_ptr_nonnull(strstr(look().trouble, "the key: "));
	ck_assert_str_eq(look().names, "a.example");

	give("key", "/a.key", other.key);
	ck_assert_ptr_nonnull(strstr(look().trouble, "not the certificate's"));
	ck_assert_str_eq(look().names, "a.example");
	ck_assert_uint_eq(ring_count(), 2);

	give("certificate", "/a.pem", other.certificate);
	ck_assert_str_eq(look().trouble, "");
	ck_assert_str_eq(look().names, "other.example");
	papers_free(&p);
	papers_free(&other);
}
END_TEST

START_TEST(an_old_key_signs_for_ten_minutes_more)
{
	struct papers old = make("P-256", "a.example", 100 * DAY),
		      fresh = make("P-256", "a.example", 100 * DAY);
	uint64_t now = loop_now();
	give("certificate", "/a.pem", old.certificate);
	give("key", "/a.key", old.key);
	ring_sweep(now + 10 * RING_GRACE_US);
	ck_assert_uint_eq(ring_count(), 1); /* it is named */
	give("certificate", "/a.pem", fresh.certificate);
	give("key", "/a.key", fresh.key);
	ring_sweep(now + RING_GRACE_US / 2);
	ck_assert_uint_eq(ring_count(), 2);
	give("key", "/a.key",
	     old.key); /* back before it has gone: the pair in use needs the other */
	ring_sweep(now + 10 * RING_GRACE_US);
	ck_assert_uint_eq(ring_count(), 2);
	give("key", "/a.key", fresh.key);
	ring_sweep(loop_now() + RING_GRACE_US);
	ck_assert_uint_eq(ring_count(), 1);
	ck_assert_uint_eq(gone, 1);
	papers_free(&old);
	papers_free(&fresh);
}
END_TEST

/* The certificate's file goes to all that speak TLS. */
START_TEST(a_key_in_the_certificates_file_is_refused)
{
	struct papers p = make("P-256", "a.example", 100 * DAY);
	char both[8192];
	snprintf(both, sizeof(both), "%.*s%.*s", SLICE_FMT(p.certificate), SLICE_FMT(p.key));
	give("certificate", "/a.pem", slice_str(both));
	ck_assert_ptr_nonnull(strstr(look().trouble, "private key"));
	papers_free(&p);
}
END_TEST

START_TEST(at_a_reload_the_new_files_come_before_the_set_is_in_use)
{
	struct papers a = make("P-256", "a.example", 100 * DAY),
		      b = make("ED25519", "b.example", 100 * DAY);
	give("certificate", "/a.pem", a.certificate);
	give("key", "/a.key", a.key);
	set(two, 2);
	give("certificate", "/b.pem", b.certificate);
	give("key", "/b.key", b.key);
	ck_assert_uint_eq(look().count, 1);
	pairs_settings_end();
	ck_assert_uint_eq(look().count, 2);
	set(two + 1, 1);
	pairs_settings_end();
	ck_assert_uint_eq(look().count, 1);
	ck_assert_str_eq(look().names, "b.example");
	papers_free(&a);
	papers_free(&b);
}
END_TEST

START_TEST(what_ends_soon_or_has_ended_is_told)
{
	static const struct {
		long seconds;
		const char *says; /* NULL: nothing */
	} cases[] = {
	    {15 * DAY, NULL},
	    {13 * DAY, "ends within 13 days"},
	    {3600, "ends within 1 day"},
	    {-60, "has ended"},
	};
	pairs_start();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct papers p = make("P-256", "a.example", cases[i].seconds);
		logged[0] = '\0';
		give("certificate", "/a.pem", p.certificate);
		give("key", "/a.key", p.key);
		if (cases[i].says)
			ck_assert_msg(strstr(logged, cases[i].says) != NULL, "%s", logged);
		else
			ck_assert_ptr_null(strstr(logged, "ends"));
		papers_free(&p);
	}
}
END_TEST

START_TEST(the_ring_is_bounded_and_gives_up_what_nobody_names_first)
{
	unsigned char first[TLS_KEY_NAME_SIZE];
	ring_begin(count);
	for (unsigned i = 0; i < RING_MAX + 5; i++) {
		EVP_PKEY *key = key_make("ED25519");
		struct slice pem = key_pem(key);
		struct tls_private *k = tls_private_read(pem, NULL);
		unsigned char name[TLS_KEY_NAME_SIZE];
		memcpy(name, tls_private_name(k), sizeof(name));
		if (i == 0)
			memcpy(first, name, sizeof(first));
		ck_assert(ring_add(k));
		ring_naming();
		ring_name(first);
		ring_named();
		ck_assert_ptr_nonnull(ring_find(slice_make(name, sizeof(name))));
		free((char *)pem.ptr);
		EVP_PKEY_free(key);
	}
	ck_assert_uint_eq(ring_count(), RING_MAX);
	ck_assert_uint_eq(gone, 5);
	ck_assert_ptr_nonnull(ring_find(slice_make(first, sizeof(first))));
	ck_assert_ptr_null(ring_find(slice_make(first, sizeof(first) - 1)));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keys pairs");
	TCase *t = tcase_create("pairs");
	int failed;
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_pair_that_fits_is_in_use_whichever_file_comes_first);
	tcase_add_test(t, a_bad_new_file_keeps_the_old_pair_and_says_so);
	tcase_add_test(t, an_old_key_signs_for_ten_minutes_more);
	tcase_add_test(t, a_key_in_the_certificates_file_is_refused);
	tcase_add_test(t, at_a_reload_the_new_files_come_before_the_set_is_in_use);
	tcase_add_test(t, what_ends_soon_or_has_ended_is_told);
	tcase_add_test(t, the_ring_is_bounded_and_gives_up_what_nobody_names_first);
	suite_add_tcase(s, t);
	SRunner *runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
