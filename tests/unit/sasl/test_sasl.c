/* sasl: what clients of each mechanism say, right and wrong, and what they get. */
#include <check.h>
#include <stdio.h>

#include "common/base/encode.h"
#include "common/sasl/sasl.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define TEXT(literal)                        \
	{                                    \
		literal, sizeof(literal) - 1 \
	}
#define RFC_NONCE  "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define RFC_CLIENT "rOprNGfwEbeRWgbNEkqO"
#define RFC_SALT   "W22ZaJ0SNY7soEsUEjb6gQ=="
#define RFC_PROOF  "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define RFC_VERIFY "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

/* The channel of the tests binds to "0123", and knows one type. */
static size_t binding(void *arg, const char *type, unsigned char *dst)
{
	ck_assert_ptr_null(arg);
	if (strcmp(type, "tls-exporter") != 0)
		return 0;
	memcpy(dst, "0123", 4);
	return 4;
}

static struct sasl_session *session(enum sasl_mechanism mechanism, bool plus_offered)
{
	struct sasl_terms terms = {.mechanism = mechanism,
				   .plus_offered = plus_offered,
				   .nonce = SLICE(RFC_NONCE),
				   .binding = binding};
	return sasl_new(&terms);
}

/* The step to text, which is encoded. */
static enum sasl_step say(struct sasl_session *s, bool begin, struct slice text)
{
	struct buffer out;
	buffer_init(&out, 100000);
	ck_assert(base64_encode(text, &out));
	enum sasl_step step = begin ? sasl_begin(s, true, out.len ? buffer_slice(&out) : SLICE("="))
				    : sasl_line(s, buffer_slice(&out));
	buffer_free(&out);
	return step;
}

static void challenge_is(const struct sasl_session *s, const char *text)
{
	struct buffer out;
	buffer_init(&out, 100000);
	ck_assert(base64_decode(sasl_challenge(s), &out));
	ck_assert_msg(slice_equal(buffer_slice(&out), slice_str(text)), "%.*s",
		      SLICE_FMT(buffer_slice(&out)));
	buffer_free(&out);
}

static void is(struct slice got, const char *text)
{
	ck_assert_msg(slice_equal(got, slice_str(text)), "%.*s", SLICE_FMT(got));
}

START_TEST(offers_the_best_first)
{
	struct buffer out;
	buffer_init(&out, 100);
	ck_assert(sasl_offer(SASL_PLAIN | SASL_LOGIN | SASL_SCRAM_BOTH, &out));
	is(buffer_slice(&out), "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN");
	buffer_reset(&out);
	ck_assert(sasl_offer(SASL_LOGIN, &out));
	is(buffer_slice(&out), "LOGIN");
	buffer_free(&out);
	ck_assert_int_eq(sasl_named(SLICE("scram-sha-256-plus")), SASL_SCRAM_PLUS);
	ck_assert_int_eq(sasl_named(SLICE("Plain")), SASL_PLAIN);
	ck_assert_int_eq(sasl_named(SLICE("PLAINX")), 0);
	ck_assert_int_eq(sasl_named(SLICE("")), 0);
	ck_assert_str_eq(sasl_name(SASL_SCRAM), "SCRAM-SHA-256");
}
END_TEST

START_TEST(plain_in_one_message_or_after_a_challenge)
{
	struct sasl_session *s = session(SASL_PLAIN, false);
	ck_assert_int_eq(say(s, true, SLICE("\0alice@x.example\0secret")), SASL_ASK_PASSWORD);
	is(sasl_user(s), "alice@x.example");
	is(sasl_password(s), "secret");
	sasl_forget_password(s);
	ck_assert_uint_eq(sasl_password(s).len, 0);
	is(sasl_user(s), "alice@x.example"); /* for the log */
	sasl_free(&s);
	ck_assert_ptr_null(s);

	s = session(SASL_PLAIN, false);
	ck_assert_int_eq(sasl_begin(s, false, SLICE_EMPTY), SASL_CHALLENGE);
	ck_assert_uint_eq(sasl_challenge(s).len, 0);
	ck_assert_int_eq(say(s, false, SLICE("Alice\0alice\0p\xc3\xa4ss")), SASL_ASK_PASSWORD);
	is(sasl_user(s), "alice");
	is(sasl_password(s), "p\xc3\xa4ss");
	/* the session is over */
	ck_assert_int_eq(say(s, false, SLICE("\0a\0b")), SASL_FAILED);
	sasl_free(&s);
}
END_TEST

/* S10, RFC 4616 2 */
START_TEST(s10_plain_refuses)
{
	static const struct {
		struct slice text;
		enum sasl_fault fault;
	} cases[] = {
	    {TEXT(""), SASL_MALFORMED},
	    {TEXT("alice"), SASL_MALFORMED},
	    {TEXT("\0alice"), SASL_MALFORMED},
	    {TEXT("\0alice\0"), SASL_MALFORMED},
	    {TEXT("\0\0secret"), SASL_MALFORMED},
	    {TEXT("\0alice\0sec\0ret"), SASL_MALFORMED},
	    {TEXT("\0alice\0secret\0"), SASL_MALFORMED},
	    {TEXT("\0al\rice\0secret"), SASL_BAD_NAME},
	    {TEXT("\0al\nice\0secret"), SASL_BAD_NAME},
	    {TEXT("\0al\tice\0secret"), SASL_BAD_NAME},
	    {TEXT("\0al\x7fice\0secret"), SASL_BAD_NAME},
	    {TEXT("\0al\xffice\0secret"), SASL_BAD_NAME},
	    {TEXT("\0al\xc0\x80ice\0secret"), SASL_BAD_NAME}, /* an overlong NUL */
	    {TEXT("\0alice\0sec\xffret"), SASL_MALFORMED},
	    {TEXT("bob\0alice\0secret"), SASL_DENIED},
	    {TEXT("alic\0alice\0secret"), SASL_DENIED},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct sasl_session *s = session(SASL_PLAIN, false);
		ck_assert_msg(say(s, true, cases[i].text) == SASL_FAILED, "case %zu", i);
		ck_assert_msg(sasl_fault(s) == cases[i].fault, "case %zu: %s", i,
			      sasl_fault_text(s));
		ck_assert_uint_eq(sasl_password(s).len, 0);
		sasl_free(&s);
	}
}
END_TEST

START_TEST(login_asks_for_both)
{
	struct sasl_session *s = session(SASL_LOGIN, false);
	ck_assert_int_eq(sasl_begin(s, false, SLICE_EMPTY), SASL_CHALLENGE);
	is(sasl_challenge(s), "VXNlcm5hbWU6");
	ck_assert_int_eq(say(s, false, SLICE("alice")), SASL_CHALLENGE);
	is(sasl_challenge(s), "UGFzc3dvcmQ6");
	ck_assert_int_eq(say(s, false, SLICE("secret")), SASL_ASK_PASSWORD);
	is(sasl_user(s), "alice");
	is(sasl_password(s), "secret");
	sasl_free(&s);

	s = session(SASL_LOGIN, false); /* the name as initial response */
	ck_assert_int_eq(say(s, true, SLICE("alice")), SASL_CHALLENGE);
	is(sasl_challenge(s), "UGFzc3dvcmQ6");
	ck_assert_int_eq(say(s, false, SLICE("")), SASL_FAILED);
	sasl_free(&s);

	s = session(SASL_LOGIN, false);
	ck_assert_int_eq(say(s, true, SLICE("al\0ice")), SASL_FAILED); /* S10 */
	ck_assert_int_eq(sasl_fault(s), SASL_BAD_NAME);
	sasl_free(&s);
	s = session(SASL_LOGIN, false);
	ck_assert_int_eq(say(s, true, SLICE("")), SASL_FAILED);
	sasl_free(&s);
}
END_TEST

/* RFC 4954 4 */
START_TEST(lines_are_bounded_base64_and_can_cancel)
{
	static char text[SASL_LINE_MAX + 4];
	static const struct {
		const char *line;
		enum sasl_fault fault;
	} cases[] = {
	    {"*", SASL_CANCELLED},	  {"=", SASL_NO_BASE64},    {"AGE", SASL_NO_BASE64},
	    {"AGE=YQ==", SASL_NO_BASE64}, {"AG A", SASL_NO_BASE64}, {"AGE\r", SASL_NO_BASE64},
	    {"**", SASL_NO_BASE64},
	};
	struct sasl_session *s;
	for (size_t i = 0; i < COUNT(cases); i++) {
		s = session(SASL_PLAIN, false);
		ck_assert_int_eq(sasl_begin(s, false, SLICE_EMPTY), SASL_CHALLENGE);
		ck_assert_int_eq(sasl_line(s, slice_str(cases[i].line)), SASL_FAILED);
		ck_assert_msg(sasl_fault(s) == cases[i].fault, "%s", cases[i].line);
		sasl_free(&s);
	}
	memset(text, 'A', sizeof(text));
	s = session(SASL_PLAIN, false);
	ck_assert_int_eq(sasl_begin(s, true, slice_make(text, SASL_LINE_MAX)), SASL_FAILED);
	ck_assert_int_eq(sasl_fault(s), SASL_MALFORMED);
	sasl_free(&s);
	s = session(SASL_PLAIN, false);
	ck_assert_int_eq(sasl_begin(s, true, slice_make(text, SASL_LINE_MAX + 4)), SASL_FAILED);
	ck_assert_int_eq(sasl_fault(s), SASL_TOO_LONG);
	sasl_free(&s);
}
END_TEST

START_TEST(names_and_passwords_are_bounded)
{
	char text[1 + SASL_USER_MAX + 2 + SASL_PASSWORD_MAX + 1];
	for (size_t more = 0; more < 3; more++) {
		struct sasl_session *s = session(SASL_PLAIN, false);
		size_t user = SASL_USER_MAX + (more == 1),
		       password = SASL_PASSWORD_MAX + (more == 2);
		memset(text, 'a', sizeof(text));
		text[0] = text[1 + user] = '\0';
		ck_assert_int_eq(say(s, true, slice_make(text, 2 + user + password)),
				 more == 0 ? SASL_ASK_PASSWORD : SASL_FAILED);
		if (more == 0) {
			ck_assert_uint_eq(sasl_user(s).len, SASL_USER_MAX);
			ck_assert_uint_eq(sasl_password(s).len, SASL_PASSWORD_MAX);
		}
		sasl_free(&s);
	}
}
END_TEST

static struct slice salt(struct buffer *out)
{
	buffer_init(out, SASL_SALT_MAX);
	ck_assert(base64_decode(SLICE(RFC_SALT), out));
	return buffer_slice(out);
}

/* From the first message to the server's: the text of that is checked. */
static struct sasl_session *scram_until_challenge(enum sasl_mechanism mechanism, const char *first)
{
	struct sasl_session *s = session(mechanism, mechanism == SASL_SCRAM_PLUS);
	struct buffer out;
	ck_assert_int_eq(say(s, true, slice_str(first)), SASL_ASK_SALT);
	ck_assert_int_eq(sasl_salt(s, salt(&out), 4096), SASL_CHALLENGE);
	buffer_free(&out);
	challenge_is(s, "r=" RFC_CLIENT RFC_NONCE ",s=" RFC_SALT ",i=4096");
	return s;
}

START_TEST(scram_as_rfc_7677_shows_it)
{
	struct sasl_session *s = scram_until_challenge(SASL_SCRAM, "n,,n=user,r=" RFC_CLIENT);
	struct buffer out;
	is(sasl_user(s), "user");
	ck_assert_int_eq(say(s, false, SLICE("c=biws,r=" RFC_CLIENT RFC_NONCE ",p=" RFC_PROOF)),
			 SASL_ASK_PROOF);
	is(sasl_auth_message(s), "n=user,r=" RFC_CLIENT ",r=" RFC_CLIENT RFC_NONCE ",s=" RFC_SALT
				 ",i=4096,c=biws,r=" RFC_CLIENT RFC_NONCE);
	buffer_init(&out, 100);
	ck_assert(base64_encode(sasl_proof(s), &out));
	is(buffer_slice(&out), RFC_PROOF);
	buffer_reset(&out);
	ck_assert(base64_decode(SLICE(RFC_VERIFY), &out));
	ck_assert_int_eq(sasl_signature(s, buffer_slice(&out)), SASL_CHALLENGE);
	challenge_is(s, "v=" RFC_VERIFY);
	ck_assert_int_eq(sasl_line(s, SLICE_EMPTY), SASL_HOLDS);
	ck_assert_int_eq(sasl_line(s, SLICE_EMPTY), SASL_FAILED);
	buffer_free(&out);
	sasl_free(&s);
}
END_TEST

/* c= is base64 of `p=tls-exporter,,` and the binding. */
START_TEST(scram_plus_binds_to_the_channel)
{
	struct sasl_session *s =
	    scram_until_challenge(SASL_SCRAM_PLUS, "p=tls-exporter,,n=user,r=" RFC_CLIENT);
	ck_assert_int_eq(
	    say(s, false,
		SLICE("c=cD10bHMtZXhwb3J0ZXIsLDAxMjM=,r=" RFC_CLIENT RFC_NONCE ",p=" RFC_PROOF)),
	    SASL_ASK_PROOF);
	sasl_free(&s);
	/* the client sees another channel: there is somebody between */
	s = scram_until_challenge(SASL_SCRAM_PLUS, "p=tls-exporter,,n=user,r=" RFC_CLIENT);
	ck_assert_int_eq(
	    say(s, false,
		SLICE("c=cD10bHMtZXhwb3J0ZXIsLDAxMjQ=,r=" RFC_CLIENT RFC_NONCE ",p=" RFC_PROOF)),
	    SASL_FAILED);
	ck_assert_int_eq(sasl_fault(s), SASL_DENIED);
	sasl_free(&s);
}
END_TEST

START_TEST(scram_first_messages)
{
	static const struct {
		const char *text;
		enum sasl_mechanism mechanism;
		bool plus_offered;
		enum sasl_fault fault; /* SASL_FINE: taken */
		const char *user;
	} cases[] = {
	    {"n,,n=user,r=x", SASL_SCRAM, false, SASL_FINE, "user"},
	    {"n,,n=user,r=x", SASL_SCRAM, true, SASL_FINE, "user"},
	    {"y,,n=user,r=x", SASL_SCRAM, false, SASL_FINE, "user"},
	    /* RFC 5802 6: we did offer it, somebody took it away */
	    {"y,,n=user,r=x", SASL_SCRAM, true, SASL_DENIED, NULL},
	    {"y,,n=user,r=x", SASL_SCRAM_PLUS, true, SASL_DENIED, NULL},
	    {"n,,n=user,r=x", SASL_SCRAM_PLUS, true, SASL_MALFORMED, NULL},
	    {"p=tls-exporter,,n=user,r=x", SASL_SCRAM, true, SASL_MALFORMED, NULL},
	    {"p=tls-unique,,n=user,r=x", SASL_SCRAM_PLUS, true, SASL_DENIED, NULL},
	    {"p=,,n=user,r=x", SASL_SCRAM_PLUS, true, SASL_MALFORMED, NULL},
	    {"n,a=User,n=user,r=x", SASL_SCRAM, false, SASL_FINE, "user"},
	    {"n,a=root,n=user,r=x", SASL_SCRAM, false, SASL_DENIED, NULL},
	    {"n,a=a=2Cb,n=a=2Cb,r=x", SASL_SCRAM, false, SASL_FINE, "a,b"},
	    {"n,a=,n=user,r=x", SASL_SCRAM, false, SASL_MALFORMED, NULL},
	    {"n,x=user,n=user,r=x", SASL_SCRAM, false, SASL_MALFORMED, NULL},
	    {"n,,n=us=3Der,r=x", SASL_SCRAM, false, SASL_FINE, "us=er"},
	    {"n,,n=us=er,r=x", SASL_SCRAM, false, SASL_MALFORMED, NULL},
	    {"n,,n=us=3der,r=x", SASL_SCRAM, false, SASL_MALFORMED, NULL},
	    {"n,,n=us=2,r=x", SASL_SCRAM, false, SASL_MALFORMED, NULL},
	    {"n,,n=us\rer,r=x", SASL_SCRAM, false, SASL_BAD_NAME, NULL},
	    {"n,,n=us\xff,r=x", SASL_SCRAM, false, SASL_BAD_NAME, NULL},
	    {"n,,n=,r=x", SASL_SCRAM, false, SASL_MALFORMED, NULL},
	    {"n,,n=user,r=", SASL_SCRAM, false, SASL_MALFORMED, NULL},
	    {"n,,n=user,r=a b", SASL_SCRAM, false, SASL_MALFORMED, NULL},
	    {"n,,n=user,r=x,z=ext", SASL_SCRAM, false, SASL_FINE, "user"},
	    {"n,,n=user,r=x,z", SASL_SCRAM, false, SASL_MALFORMED, NULL},
	    {"n,,m=ext,n=user,r=x", SASL_SCRAM, false, SASL_MALFORMED, NULL},
	    {"n,,r=x,n=user", SASL_SCRAM, false, SASL_MALFORMED, NULL},
	    {"n,,n=user", SASL_SCRAM, false, SASL_MALFORMED, NULL},
	    {"n,n=user,r=x", SASL_SCRAM, false, SASL_MALFORMED, NULL},
	    {"z,,n=user,r=x", SASL_SCRAM, false, SASL_MALFORMED, NULL},
	    {"", SASL_SCRAM, false, SASL_MALFORMED, NULL},
	    {",,,,", SASL_SCRAM, false, SASL_MALFORMED, NULL},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct sasl_session *s = session(cases[i].mechanism, cases[i].plus_offered);
		enum sasl_step step = say(s, true, slice_str(cases[i].text));
		ck_assert_msg(sasl_fault(s) == cases[i].fault, "%s: %s", cases[i].text,
			      sasl_fault_text(s));
		ck_assert_int_eq(step, cases[i].user ? SASL_ASK_SALT : SASL_FAILED);
		if (cases[i].user)
			is(sasl_user(s), cases[i].user);
		sasl_free(&s);
	}
}
END_TEST

START_TEST(scram_last_messages)
{
	static const struct {
		const char *text;
		enum sasl_fault fault;
	} cases[] = {
	    {"c=biws,r=" RFC_CLIENT RFC_NONCE ",x=ext,p=" RFC_PROOF, SASL_FINE},
	    {"c=biws,r=" RFC_CLIENT RFC_NONCE "x,p=" RFC_PROOF, SASL_DENIED},
	    {"c=biws,r=" RFC_CLIENT ",p=" RFC_PROOF, SASL_DENIED},
	    {"c=eSws,r=" RFC_CLIENT RFC_NONCE ",p=" RFC_PROOF, SASL_DENIED}, /* said n, says y */
	    {"c=,r=" RFC_CLIENT RFC_NONCE ",p=" RFC_PROOF, SASL_DENIED},
	    {"c=biws,r=" RFC_CLIENT RFC_NONCE ",p=AAAA", SASL_MALFORMED},
	    {"c=biws,r=" RFC_CLIENT RFC_NONCE ",p=", SASL_MALFORMED},
	    {"c=biws,r=" RFC_CLIENT RFC_NONCE, SASL_MALFORMED},
	    {"r=" RFC_CLIENT RFC_NONCE ",c=biws,p=" RFC_PROOF, SASL_MALFORMED},
	    {"c=biws,r=" RFC_CLIENT RFC_NONCE ",x,p=" RFC_PROOF, SASL_MALFORMED},
	    {"p=" RFC_PROOF, SASL_MALFORMED},
	    {"", SASL_MALFORMED},
	    {",", SASL_MALFORMED},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct sasl_session *s =
		    scram_until_challenge(SASL_SCRAM, "n,,n=user,r=" RFC_CLIENT);
		ck_assert_int_eq(say(s, false, slice_str(cases[i].text)),
				 cases[i].fault == SASL_FINE ? SASL_ASK_PROOF : SASL_FAILED);
		ck_assert_msg(sasl_fault(s) == cases[i].fault, "%s: %s", cases[i].text,
			      sasl_fault_text(s));
		sasl_free(&s);
	}
}
END_TEST

START_TEST(scram_messages_are_bounded)
{
	char text[4096];
	/* how long the client's nonce is, and how far it gets */
	static const struct {
		int nonce;
		enum sasl_step first, salted;
	} cases[] = {
	    {1000, SASL_ASK_SALT, SASL_CHALLENGE},
	    {2030, SASL_ASK_SALT, SASL_FAILED},
	    {3000, SASL_FAILED, SASL_FAILED},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct sasl_session *s = session(SASL_SCRAM, false);
		struct buffer out;
		snprintf(text, sizeof(text), "n,,n=user,r=%0*d", cases[i].nonce, 0);
		ck_assert_int_eq(say(s, true, slice_str(text)), cases[i].first);
		ck_assert_int_eq(sasl_salt(s, salt(&out), 4096), cases[i].salted);
		buffer_free(&out);
		sasl_free(&s);
	}
}
END_TEST

START_TEST(answers_that_nobody_asked_for_fail)
{
	struct sasl_session *s = session(SASL_SCRAM, false);
	ck_assert_int_eq(sasl_salt(s, SLICE("salt"), 4096), SASL_FAILED);
	sasl_free(&s);
	s = session(SASL_SCRAM, false);
	ck_assert_int_eq(say(s, true, SLICE("n,,n=user,r=x")), SASL_ASK_SALT);
	ck_assert_int_eq(sasl_signature(s, SLICE("0123456789abcdef0123456789abcdef")), SASL_FAILED);
	ck_assert_int_eq(sasl_fault(s), SASL_TROUBLE);
	sasl_free(&s);
	s = session(SASL_SCRAM, false); /* the client does not wait for the server's message */
	ck_assert_int_eq(say(s, true, SLICE("n,,n=user,r=x")), SASL_ASK_SALT);
	ck_assert_int_eq(say(s, false, SLICE("c=biws,r=x,p=" RFC_PROOF)), SASL_FAILED);
	sasl_free(&s);
	s = scram_until_challenge(SASL_SCRAM, "n,,n=user,r=" RFC_CLIENT);
	ck_assert_int_eq(say(s, false, SLICE("c=biws,r=" RFC_CLIENT RFC_NONCE ",p=" RFC_PROOF)),
			 SASL_ASK_PROOF);
	ck_assert_int_eq(sasl_signature(s, SLICE("0123456789abcdef0123456789abcdef")),
			 SASL_CHALLENGE);
	ck_assert_int_eq(say(s, false, SLICE("more")), SASL_FAILED);
	sasl_free(&s);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sasl");
	TCase *c = tcase_create("sasl");
	tcase_add_test(c, offers_the_best_first);
	tcase_add_test(c, plain_in_one_message_or_after_a_challenge);
	tcase_add_test(c, s10_plain_refuses);
	tcase_add_test(c, login_asks_for_both);
	tcase_add_test(c, lines_are_bounded_base64_and_can_cancel);
	tcase_add_test(c, names_and_passwords_are_bounded);
	tcase_add_test(c, scram_as_rfc_7677_shows_it);
	tcase_add_test(c, scram_plus_binds_to_the_channel);
	tcase_add_test(c, scram_first_messages);
	tcase_add_test(c, scram_last_messages);
	tcase_add_test(c, scram_messages_are_bounded);
	tcase_add_test(c, answers_that_nobody_asked_for_fail);
	suite_add_tcase(suite, c);
	SRunner *r = srunner_create(suite);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
