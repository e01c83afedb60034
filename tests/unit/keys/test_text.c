/*
 * What keys takes for a text that a TLS server signs, and what not.
 */
#include <check.h>
#include <stdlib.h>

#include "daemons/keys/text.h"

enum { TEXT_MAX = 600 };

struct made {
	char octets[TEXT_MAX];
	size_t len;
};

static void add(struct made *m, const void *octets, size_t len)
{
	ck_assert(m->len + len <= sizeof(m->octets));
	memcpy(m->octets + m->len, octets, len);
	m->len += len;
}

static void fill(struct made *m, int octet, size_t len)
{
	char many[TEXT_MAX];
	memset(many, octet, len);
	add(m, many, len);
}

static struct slice text_of(const struct made *m)
{
	return slice_make(m->octets, m->len);
}

static struct made made_13(int blank, size_t blanks, const char *context, size_t context_len,
			   size_t hash)
{
	struct made m = {.len = 0};
	fill(&m, blank, blanks);
	add(&m, context, context_len);
	fill(&m, 0xaa, hash);
	return m;
}

static struct made made_12(unsigned type, unsigned curve, size_t said, int first, size_t point)
{
	const unsigned char head[] = {(unsigned char)type, (unsigned char)(curve >> 8),
				      (unsigned char)curve, (unsigned char)said};
	struct made m = {.len = 0};
	fill(&m, 0x55, 64);
	add(&m, head, sizeof(head));
	fill(&m, first, point > 0);
	fill(&m, 0x66, point > 0 ? point - 1 : 0);
	return m;
}

static const char server[] = "TLS 1.3, server CertificateVerify";
static const char client[] = "TLS 1.3, client CertificateVerify";

START_TEST(signs_a_tls_13_servers_proof_and_nothing_like_it)
{
	const struct {
		const char *what;
		int blank;
		size_t blanks;
		const char *context;
		size_t len, hash;
		bool fits;
	} cases[] = {
	    {"SHA-256", ' ', 64, server, sizeof(server), 32, true},
	    {"SHA-384", ' ', 64, server, sizeof(server), 48, true},
	    {"a client's", ' ', 64, client, sizeof(client), 32, false},
	    {"no NUL", ' ', 64, server, sizeof(server) - 1, 32, false},
	    {"no NUL, one octet more", ' ', 64, server, sizeof(server) - 1, 33, false},
	    {"63 blanks", ' ', 63, server, sizeof(server), 32, false},
	    {"65 blanks", ' ', 65, server, sizeof(server), 32, false},
	    {"other blanks", '\t', 64, server, sizeof(server), 32, false},
	    {"no hash", ' ', 64, server, sizeof(server), 0, false},
	    {"SHA-1", ' ', 64, server, sizeof(server), 20, false},
	    {"SHA-512", ' ', 64, server, sizeof(server), 64, false},
	    {"31", ' ', 64, server, sizeof(server), 31, false},
	    {"33", ' ', 64, server, sizeof(server), 33, false},
	    {"49", ' ', 64, server, sizeof(server), 49, false},
	    {"no context", ' ', 64, "", 0, 48, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct made m = made_13(cases[i].blank, cases[i].blanks, cases[i].context,
					cases[i].len, cases[i].hash);
		ck_assert_msg(text_fits(KEYS_TLS13_SERVER, text_of(&m)) == cases[i].fits, "%s",
			      cases[i].what);
		ck_assert_msg(!text_fits(KEYS_TLS12_SERVER, text_of(&m)), "%s", cases[i].what);
	}
}
END_TEST

START_TEST(signs_a_tls_12_servers_parameters_and_nothing_like_them)
{
	const struct {
		const char *what;
		unsigned type, curve;
		size_t said;
		int first;
		size_t point;
		bool fits;
	} cases[] = {
	    {"P-256", 3, 23, 65, 4, 65, true},
	    {"P-384", 3, 24, 97, 4, 97, true},
	    {"P-521", 3, 25, 133, 4, 133, true},
	    {"X25519", 3, 29, 32, 9, 32, true},
	    {"X448", 3, 30, 56, 9, 56, false},
	    {"explicit prime", 1, 23, 65, 4, 65, false},
	    {"explicit char2", 2, 23, 65, 4, 65, false},
	    {"a curve of no name here", 3, 22, 65, 4, 65, false},
	    {"brainpool", 3, 26, 65, 4, 65, false},
	    {"another octet of the curve", 3, 0x0117, 65, 4, 65, false},
	    {"a compressed point", 3, 23, 33, 2, 33, false},
	    {"an uncompressed one that says 2", 3, 23, 65, 2, 65, false},
	    {"another curve's point", 3, 23, 97, 4, 97, false},
	    {"a length that lies, too much", 3, 23, 65, 4, 66, false},
	    {"a length that lies, too little", 3, 23, 65, 4, 64, false},
	    {"X25519 of 33", 3, 29, 33, 4, 33, false},
	    {"nothing", 3, 29, 0, 0, 0, false},
	    {"no point", 3, 29, 32, 0, 0, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct made m = made_12(cases[i].type, cases[i].curve, cases[i].said,
					cases[i].first, cases[i].point);
		ck_assert_msg(text_fits(KEYS_TLS12_SERVER, text_of(&m)) == cases[i].fits, "%s",
			      cases[i].what);
		ck_assert_msg(!text_fits(KEYS_TLS13_SERVER, text_of(&m)), "%s", cases[i].what);
	}
}
END_TEST

/* Every shorter one and every longer one is refused, and so is a changed octet of what is fixed. */
static void attack(enum keys_purpose purpose, struct made m, size_t fixed_from, size_t fixed_to)
{
	ck_assert(text_fits(purpose, text_of(&m)));
	for (size_t len = 0; len < m.len; len++)
		ck_assert_msg(!text_fits(purpose, slice_make(m.octets, len)), "%zu octets", len);
	for (size_t i = fixed_from; i < fixed_to; i++) {
		m.octets[i] ^= 1;
		ck_assert_msg(!text_fits(purpose, text_of(&m)), "octet %zu", i);
		m.octets[i] ^= 1;
	}
	fill(&m, 0, 1);
	ck_assert(!text_fits(purpose, text_of(&m)));
}

START_TEST(each_octet_and_the_length_count)
{
	attack(KEYS_TLS13_SERVER, made_13(' ', 64, server, sizeof(server), 32), 0, 98);
	attack(KEYS_TLS12_SERVER, made_12(3, 29, 32, 7, 32), 64, 68);
	attack(KEYS_TLS12_SERVER, made_12(3, 24, 97, 4, 97), 64, 69);
}
END_TEST

START_TEST(there_are_no_other_purposes)
{
	struct made m = made_13(' ', 64, server, sizeof(server), 32);
	ck_assert(!text_fits((enum keys_purpose)0, text_of(&m)));
	ck_assert(!text_fits((enum keys_purpose)3, text_of(&m)));
	ck_assert(!text_fits(KEYS_TLS13_SERVER, SLICE_EMPTY));
	ck_assert(!text_fits(KEYS_TLS12_SERVER, SLICE_EMPTY));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keys text");
	TCase *t = tcase_create("text");
	int failed;
	tcase_add_test(t, signs_a_tls_13_servers_proof_and_nothing_like_it);
	tcase_add_test(t, signs_a_tls_12_servers_parameters_and_nothing_like_them);
	tcase_add_test(t, each_octet_and_the_length_count);
	tcase_add_test(t, there_are_no_other_purposes);
	suite_add_tcase(s, t);
	SRunner *runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
