/* address: what is a mailbox, what is none, and how it is written again. */
#include <check.h>
#include <stdio.h>

#include "common/mail/address.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define A63	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct address parsed(const char *text, unsigned options)
{
	struct address a;
	enum address_fault fault = address_parse(slice_str(text), options, &a);
	ck_assert_msg(fault == ADDRESS_FINE, "%s: %s", text, address_fault_text(fault));
	return a;
}

START_TEST(takes_a_mailbox_apart_and_writes_it_canonically)
{
	static const struct {
		const char *text, *local, *domain, *canonical;
		enum address_domain kind;
	} cases[] = {
	    {"Bob@Example.ORG", "Bob", "Example.ORG", "Bob@Example.ORG", ADDRESS_NAME},
	    {"a.b+c_d-e=f@x", "a.b+c_d-e=f", "x", "a.b+c_d-e=f@x", ADDRESS_NAME},
	    {"!#$%&'*/?^`{|}~@x.y", "!#$%&'*/?^`{|}~", "x.y", "!#$%&'*/?^`{|}~@x.y", ADDRESS_NAME},
	    {"\"bob\"@x.y", "bob", "x.y", "bob@x.y", ADDRESS_NAME},
	    {"\"b ob\"@x.y", "b ob", "x.y", "\"b ob\"@x.y", ADDRESS_NAME},
	    {"\"b\\\"\\\\\\o>@\"@x.y", "b\"\\o>@", "x.y", "\"b\\\"\\\\o>@\"@x.y", ADDRESS_NAME},
	    {"\"\"@x.y", "", "x.y", "\"\"@x.y", ADDRESS_NAME},
	    {"\"../etc\"@x.y", "../etc", "x.y", "\"../etc\"@x.y", ADDRESS_NAME},
	    {"a..b.@x.y", "a..b.", "x.y", "\"a..b.\"@x.y", ADDRESS_NAME},
	    {".a@x.y", ".a", "x.y", "\".a\"@x.y", ADDRESS_NAME},
	    {"a@[192.0.2.1]", "a", "[192.0.2.1]", "a@[192.0.2.1]", ADDRESS_IPV4},
	    {"a@[ipv6:2001:DB8::1]", "a", "[ipv6:2001:DB8::1]", "a@[ipv6:2001:DB8::1]",
	     ADDRESS_IPV6},
	    {"a@my_host.4-2.x", "a", "my_host.4-2.x", "a@my_host.4-2.x", ADDRESS_NAME},
	    /* S19: source routes stripped */
	    {"@relay.one,@[192.0.2.9]:bob@x.y", "bob", "x.y", "bob@x.y", ADDRESS_NAME},
	    {"@[IPv6:::1]:bob@x.y", "bob", "x.y", "bob@x.y", ADDRESS_NAME},
	    /* S19: postmaster without domain */
	    {"PostMaster", "PostMaster", "", "PostMaster", ADDRESS_NO_DOMAIN},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[ADDRESS_SIZE], again[ADDRESS_SIZE];
		struct address a = parsed(cases[i].text, 0);
		ck_assert_str_eq(a.local, cases[i].local);
		ck_assert_str_eq(a.domain, cases[i].domain);
		ck_assert_int_eq(a.kind, cases[i].kind);
		ck_assert(!a.utf8);
		ck_assert_uint_eq(address_text(&a, text).len, strlen(cases[i].canonical));
		ck_assert_str_eq(text, cases[i].canonical);
		struct address b = parsed(text, 0);
		(void)address_text(&b, again);
		ck_assert_str_eq(again, text);
		ck_assert(address_equal_fold(&a, &b));
	}
}
END_TEST

START_TEST(refuses_what_is_no_mailbox)
{
	static const struct {
		const char *text;
		enum address_fault fault;
	} cases[] = {
	    {"", ADDRESS_EMPTY},
	    {"@x.y", ADDRESS_BAD_ROUTE},
	    {"bob", ADDRESS_MISSING_DOMAIN},
	    {"\"postmaster\"", ADDRESS_MISSING_DOMAIN},
	    {"bob@", ADDRESS_BAD_DOMAIN},
	    {"bob@.x", ADDRESS_BAD_DOMAIN},
	    {"bob@x.", ADDRESS_BAD_DOMAIN},
	    {"bob@x..y", ADDRESS_BAD_DOMAIN},
	    {"bob@-x.y", ADDRESS_BAD_DOMAIN},
	    {"bob@x-.y", ADDRESS_BAD_DOMAIN},
	    {"bob@x y", ADDRESS_BAD_DOMAIN},
	    {"bob@x/y", ADDRESS_BAD_DOMAIN},
	    {"bob@192.0.2.1", ADDRESS_BAD_DOMAIN},
	    {"bob@[192.0.2.256]", ADDRESS_BAD_DOMAIN},
	    {"bob@[192.0.2.1", ADDRESS_BAD_DOMAIN},
	    {"bob@[]", ADDRESS_BAD_DOMAIN},
	    {"bob@[2001:db8::1]", ADDRESS_BAD_DOMAIN},
	    {"bob@[IPv6:2001:db8:::1]", ADDRESS_BAD_DOMAIN},
	    {"bob@[tag:text]", ADDRESS_BAD_DOMAIN},
	    {"bob@x.y@z", ADDRESS_BAD_DOMAIN},
	    {"b ob@x.y", ADDRESS_BAD_LOCAL},
	    {"b(c)ob@x.y", ADDRESS_BAD_LOCAL},
	    {"b<ob@x.y", ADDRESS_BAD_LOCAL},
	    {"b\\@ob@x.y", ADDRESS_BAD_LOCAL},
	    {"\"bob@x.y", ADDRESS_BAD_LOCAL},
	    {"\"bob\\", ADDRESS_BAD_LOCAL},
	    {"\"bob\"x@x.y", ADDRESS_BAD_LOCAL},
	    {"\"\"", ADDRESS_MISSING_DOMAIN},
	    {"\"b\tb\"@x.y", ADDRESS_BAD_LOCAL},
	    {"\"b\\\nb\"@x.y", ADDRESS_BAD_LOCAL},
	    {"b\rb@x.y", ADDRESS_BAD_LOCAL},
	    {"@a@x.y", ADDRESS_BAD_ROUTE},
	    {"@a,b@x.y", ADDRESS_BAD_ROUTE},
	    {"@a,@b", ADDRESS_BAD_ROUTE},
	    {"@a:", ADDRESS_BAD_ROUTE},
	    {"@a:@b:c@d", ADDRESS_BAD_ROUTE},
	    {"@:c@d", ADDRESS_BAD_ROUTE},
	    {"b\xc3\xb6@x.y", ADDRESS_NOT_ASCII},
	    {"b@x\xc3\xb6.y", ADDRESS_NOT_ASCII},
	    {"bob@" A63 "a.x", ADDRESS_BAD_DOMAIN},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct address a;
		enum address_fault fault = address_parse(slice_str(cases[i].text), 0, &a);
		ck_assert_msg(fault == cases[i].fault, "%s: %s", cases[i].text,
			      address_fault_text(fault));
		ck_assert(address_is_null(&a));
	}
	struct address a;
	ck_assert_int_eq(address_parse(SLICE("b\0b@x.y"), 0, &a), ADDRESS_BAD_LOCAL);
	ck_assert_int_eq(address_parse(SLICE("\"b\0b\"@x.y"), 0, &a), ADDRESS_BAD_LOCAL);
	ck_assert_int_eq(address_parse(SLICE("b@x\0y"), 0, &a), ADDRESS_BAD_DOMAIN);
	ck_assert_int_eq(address_parse(SLICE("\"\""), ADDRESS_DOMAINLESS, &a), ADDRESS_BAD_LOCAL);
}
END_TEST

START_TEST(holds_the_limits)
{
	char text[1200];
	struct address a;

	/* a path has 256 octets with its brackets */
	memset(text, 'a', sizeof(text));
	memcpy(text + 250, "@x.y", 4);
	ck_assert_int_eq(address_parse(slice_make(text, 254), 0, &a), ADDRESS_FINE);
	ck_assert_uint_eq(a.local_len, 250);
	memcpy(text + 250, "a@x.y", 5);
	ck_assert_int_eq(address_parse(slice_make(text, 255), 0, &a), ADDRESS_TOO_LONG);
	/* quotes that we would have to add count */
	memcpy(text, "..", 2);
	memcpy(text + 250, "@x.y", 4);
	ck_assert_int_eq(address_parse(slice_make(text, 254), 0, &a), ADDRESS_TOO_LONG);
	ck_assert_int_eq(address_parse(slice_make(text, 1200), 0, &a), ADDRESS_TOO_LONG);
	/* a route is not counted */
	ck_assert_int_eq(
	    snprintf(text, sizeof(text), "@%s.%s.%s:b@%s.%s.%s", A63, A63, A63, A63, A63, A63),
	    2 * 191 + 4);
	ck_assert_int_eq(address_parse(slice_str(text), 0, &a), ADDRESS_FINE);
	ck_assert_uint_eq(a.domain_len, 191);
	/* no cap of 64 for the local part: VERP */
	parsed("bounces+" A63 "=example.org@list.example", 0);
}
END_TEST

START_TEST(takes_utf8_only_when_asked)
{
	struct address a = parsed("b\xc3\xb6"
				  "b@b\xc3\xbc"
				  "cher.example",
				  ADDRESS_UTF8);
	ck_assert(a.utf8);
	ck_assert_int_eq(address_parse(SLICE("\xff@x.y"), ADDRESS_UTF8, &a), ADDRESS_NOT_ASCII);
	ck_assert_int_eq(address_parse(SLICE("\"\xc3\"\xb6@x.y"), ADDRESS_UTF8, &a),
			 ADDRESS_NOT_ASCII);
	ck_assert(!parsed("@\xc3\xbc.x:bob@x.y", ADDRESS_UTF8).utf8);
}
END_TEST

START_TEST(lets_a_bare_local_part_pass_when_asked)
{
	struct address a = parsed("bob", ADDRESS_DOMAINLESS);
	ck_assert_int_eq(a.kind, ADDRESS_NO_DOMAIN);
	ck_assert(!address_is_null(&a));
}
END_TEST

START_TEST(completes_a_bare_local_part)
{
	struct address a;
	char text[ADDRESS_SIZE], local[ADDRESS_SIZE];
	ck_assert_int_eq(address_parse(SLICE("\"a b\""), ADDRESS_DOMAINLESS, &a), ADDRESS_FINE);
	ck_assert(address_complete(&a, SLICE("x.example")));
	ck_assert(slice_equal(address_text(&a, text), SLICE("\"a b\"@x.example")));
	memset(local, 'a', sizeof(local));
	for (size_t len = ADDRESS_MAX - 5; len <= ADDRESS_MAX; len++) {
		ck_assert_int_eq(address_parse(slice_make(local, len), ADDRESS_DOMAINLESS, &a),
				 ADDRESS_FINE);
		ck_assert_int_eq(address_complete(&a, SLICE("x.y")), len + 4 <= ADDRESS_MAX);
	}
}
END_TEST

START_TEST(folds_the_key_alone)
{
	char key[ADDRESS_SIZE];
	struct address a = parsed("\"Bob\"@Example.Org", 0);
	(void)address_key(&a, key);
	ck_assert_str_eq(key, "bob@example.org");
	ck_assert_str_eq(a.local, "Bob");
	address_null(&a);
	ck_assert_uint_eq(address_key(&a, key).len, 0);
}
END_TEST

START_TEST(finds_the_bracket_outside_quotes)
{
	ck_assert_uint_eq(address_end(SLICE("a@b> x")), 3);
	ck_assert_uint_eq(address_end(SLICE("\"a>\\\">\"@b>")), 9);
	ck_assert_uint_eq(address_end(SLICE("a@b")), 3);
	ck_assert_uint_eq(address_end(SLICE("\"a\\")), 3);
	ck_assert_uint_eq(address_end(SLICE(">")), 0);
}
END_TEST

START_TEST(splits_the_extension)
{
	static const struct {
		const char *local, *base, *extension;
		bool found;
	} cases[] = {
	    {"bob", "bob", "", false}, {"bob+x", "bob", "x", true}, {"bob+x+y", "bob", "x+y", true},
	    {"bob+", "bob", "", true}, {"+x", "+x", "", false},	    {"", "", "", false},
	    {"++x", "+", "x", true},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice base, extension;
		ck_assert_int_eq(
		    address_extension(slice_str(cases[i].local), '+', &base, &extension),
		    cases[i].found);
		ck_assert(slice_equal(base, slice_str(cases[i].base)));
		ck_assert(slice_equal(extension, slice_str(cases[i].extension)));
	}
}
END_TEST

START_TEST(keeps_dangerous_names_from_paths)
{
	ck_assert(address_path_safe(SLICE("bob")));
	ck_assert(address_path_safe(SLICE("b.o b+\xc3\xb6")));
	ck_assert(!address_path_safe(SLICE("")));
	ck_assert(!address_path_safe(SLICE(".")));
	ck_assert(!address_path_safe(SLICE("..")));
	ck_assert(!address_path_safe(SLICE(".bob")));
	ck_assert(!address_path_safe(SLICE("a/b")));
	ck_assert(!address_path_safe(SLICE("a\0b")));
	ck_assert(!address_path_safe(SLICE("a\nb")));
	ck_assert(!address_path_safe(SLICE("a\x7f")));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("address");
	TCase *c = tcase_create("address");
	tcase_add_test(c, takes_a_mailbox_apart_and_writes_it_canonically);
	tcase_add_test(c, refuses_what_is_no_mailbox);
	tcase_add_test(c, holds_the_limits);
	tcase_add_test(c, takes_utf8_only_when_asked);
	tcase_add_test(c, lets_a_bare_local_part_pass_when_asked);
	tcase_add_test(c, completes_a_bare_local_part);
	tcase_add_test(c, folds_the_key_alone);
	tcase_add_test(c, finds_the_bracket_outside_quotes);
	tcase_add_test(c, splits_the_extension);
	tcase_add_test(c, keeps_dangerous_names_from_paths);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
