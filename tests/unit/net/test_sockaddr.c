/*
 * Addresses and networks as text and back.
 */
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "common/net/cidr.h"

START_TEST(addresses_are_written_as_they_were_read)
{
	static const struct {
		const char *text, *back, *ip;
		enum net_family family;
		unsigned port;
	} rows[] = {
	    {"192.0.2.1:25", NULL, "192.0.2.1", NET_IPV4, 25},
	    {"0.0.0.0:65535", NULL, "0.0.0.0", NET_IPV4, 65535},
	    {"[2001:db8::1]:587", NULL, "2001:db8::1", NET_IPV6, 587},
	    {"[2001:DB8:0:0:0:0:0:1]:587", "[2001:db8::1]:587", "2001:db8::1", NET_IPV6, 587},
	    {"[::]:25", NULL, "::", NET_IPV6, 25},
	    {"[::ffff:192.0.2.1]:25", "192.0.2.1:25", "192.0.2.1", NET_IPV4, 25},
	    {"*:25", NULL, "*", NET_ANY, 25},
	    {"unix:/run/stagepost/smtp", NULL, "unix", NET_UNIX, 0},
	    {"unix:a:b", NULL, "unix", NET_UNIX, 0},
	};
	char text[NET_ADDRESS_TEXT], ip[NET_IP_TEXT];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct net_address a;
		const char *back = rows[i].back ? rows[i].back : rows[i].text;
		ck_assert_msg(net_address_parse(slice_str(rows[i].text), &a), "%s", rows[i].text);
		ck_assert_int_eq(a.family, rows[i].family);
		ck_assert_uint_eq(a.port, rows[i].port);
		ck_assert_uint_eq(net_address_format(&a, text), strlen(back));
		ck_assert_str_eq(text, back);
		ck_assert_uint_eq(net_ip_format(&a, ip), strlen(rows[i].ip));
		ck_assert_str_eq(ip, rows[i].ip);
	}
}
END_TEST

START_TEST(what_is_no_address_is_refused)
{
	static const char *const wrong[] = {
	    "",
	    ":25",
	    "*",
	    "25",
	    "192.0.2.1",
	    "192.0.2.1:",
	    "192.0.2.1:0",
	    "192.0.2.1:65536",
	    "192.0.2.1:+25",
	    "192.0.2.1: 25",
	    "192.0.2:25",
	    "192.0.2.256:25",
	    "2001:db8::1",
	    "[2001:db8::1]",
	    "[2001:db8::1]25",
	    "[]:25",
	    "[*]:25",
	    "[192.0.2.1]:25",
	    "mail.example:25",
	    "**:25",
	    "unix:",
	    "[fe80::1%eth0]:25",
	    "192.0.2.1:25:25",
	    " 192.0.2.1:25",
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct net_address a;
		ck_assert_msg(!net_address_parse(slice_str(wrong[i]), &a), "%s", wrong[i]);
		ck_assert_int_eq(a.family, NET_NONE);
	}
	struct net_address a;
	static char path[NET_PATH_MAX + 6] = "unix:";
	memset(path + 5, 'x', NET_PATH_MAX);
	ck_assert(net_address_parse(slice_make(path, sizeof(path) - 1), &a));
	ck_assert(!net_address_parse(slice_make(path, sizeof(path)), &a));
	ck_assert(!net_address_parse(SLICE("unix:a\0b"), &a));
	ck_assert(!net_address_parse(SLICE("192.0.2.1\0:25"), &a));
}
END_TEST

START_TEST(a_long_path_is_cut_in_its_text)
{
	struct net_address a;
	static char path[NET_PATH_MAX + 5] = "unix:";
	char text[NET_ADDRESS_TEXT];
	memset(path + 5, 'x', NET_PATH_MAX);
	ck_assert(net_address_parse(slice_make(path, sizeof(path)), &a));
	ck_assert_uint_eq(net_address_format(&a, text), NET_ADDRESS_TEXT - 1);
}
END_TEST

static struct net_address ip(const char *text)
{
	struct net_address a;
	ck_assert_msg(net_ip_parse(slice_str(text), &a), "%s", text);
	return a;
}

START_TEST(the_same_host_has_any_port)
{
	struct net_address a, b;
	ck_assert(net_address_parse(SLICE("192.0.2.1:25"), &a));
	ck_assert(net_address_parse(SLICE("[::ffff:192.0.2.1]:26"), &b));
	ck_assert(net_address_same_host(&a, &b));
	b = ip("192.0.2.2");
	ck_assert(!net_address_same_host(&a, &b));
	b = ip("c000:201::");
	ck_assert(!net_address_same_host(&a, &b));
}
END_TEST

START_TEST(local_addresses_are_known)
{
	static const char *const local[] = {"127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"};
	static const char *const far[] = {"126.0.0.1", "::2", "1::1", "::"};
	for (size_t i = 0; i < 4; i++) {
		struct net_address a = ip(local[i]), b = ip(far[i]);
		ck_assert_msg(net_address_is_local(&a), "%s", local[i]);
		ck_assert_msg(!net_address_is_local(&b), "%s", far[i]);
	}
}
END_TEST

START_TEST(the_kernels_form_comes_back)
{
	static const char *const rows[] = {"192.0.2.1:25", "[2001:db8::1]:587"};
	for (size_t i = 0; i < 2; i++) {
		struct net_address a, b;
		struct sockaddr_storage s;
		ck_assert(net_address_parse(slice_str(rows[i]), &a));
		socklen_t len = net_address_to(&a, &s);
		ck_assert_uint_gt(len, 0);
		net_address_from(&s, len, &b);
		ck_assert(net_address_same_host(&a, &b));
		ck_assert_uint_eq(a.port, b.port);
		net_address_from(&s, 1, &b);
		ck_assert_int_eq(b.family, NET_NONE);
	}
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
	mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
	mapped.sin6_addr.s6_addr[12] = 10;
	struct sockaddr_storage s;
	struct net_address a, ten = ip("10.0.0.0"), any = {.family = NET_ANY};
	memcpy(&s, &mapped, sizeof(mapped));
	net_address_from(&s, sizeof(mapped), &a);
	ck_assert(net_address_same_host(&a, &ten));
	ck_assert_uint_eq(net_address_to(&any, &s), 0);
}
END_TEST

START_TEST(networks_hold_what_they_should)
{
	static const struct {
		const char *net, *address;
		bool in;
	} rows[] = {
	    {"127.0.0.0/8", "127.255.0.1", true},
	    {"127.0.0.0/8", "128.0.0.1", false},
	    {"192.0.2.0/25", "192.0.2.127", true},
	    {"192.0.2.0/25", "192.0.2.128", false},
	    {"192.0.2.128/25", "192.0.2.129", true},
	    {"192.0.2.7", "192.0.2.7", true},
	    {"192.0.2.7", "192.0.2.6", false},
	    {"192.0.2.7/32", "192.0.2.6", false},
	    {"0.0.0.0/0", "192.0.2.6", true},
	    {"0.0.0.0/0", "2001:db8::1", false},
	    {"::/0", "2001:db8::1", true},
	    {"::/0", "192.0.2.1", false},
	    {"2001:db8::/33", "2001:db8:7fff::1", true},
	    {"2001:db8::/33", "2001:db8:8000::1", false},
	    {"::1", "::1", true},
	    {"::1/128", "::2", false},
	    {"::ffff:10.0.0.0/104", "10.9.9.9", true},
	    {"::ffff:10.0.0.0/104", "11.9.9.9", false},
	    {"10.0.0.0/8", "::ffff:10.9.9.9", true},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cidr c;
		struct net_address a = ip(rows[i].address);
		ck_assert_msg(cidr_parse(slice_str(rows[i].net), &c), "%s", rows[i].net);
		ck_assert_msg(cidr_match(&c, &a) == rows[i].in, "%s in %s", rows[i].address,
			      rows[i].net);
	}
}
END_TEST

START_TEST(what_is_no_network_is_refused)
{
	static const char *const wrong[] = {
	    "",
	    "/8",
	    "10/8",
	    "10.0.0.0/",
	    "10.0.0.0/33",
	    "10.0.0.0/-1",
	    "10.0.0.1/8",
	    "::/129",
	    "::1/64",
	    "10.0.0.0/8 ",
	    "::ffff:10.0.0.0/90",
	    "*",
	    "10.0.0.0/8/8",
	    "mail.example",
	    "[::1]",
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct cidr c;
		ck_assert_msg(!cidr_parse(slice_str(wrong[i]), &c), "%s", wrong[i]);
	}
}
END_TEST

START_TEST(a_set_is_asked_as_a_whole_and_is_bounded)
{
	struct cidr_set set = {0};
	struct cidr c;
	struct net_address a = ip("10.1.2.3"), six = ip("::1"), none = {.family = NET_UNIX};
	ck_assert(!cidr_set_match(&set, &a));
	cidr_parse(SLICE("::1"), &c);
	ck_assert(cidr_set_add(&set, &c));
	cidr_parse(SLICE("10.0.0.0/8"), &c);
	ck_assert(cidr_set_add(&set, &c));
	ck_assert(cidr_set_match(&set, &a));
	ck_assert(cidr_set_match(&set, &six));
	ck_assert(!cidr_set_match(&set, &none));
	while (cidr_set_add(&set, &c))
		;
	ck_assert_uint_eq(set.count, CIDR_SET_MAX);
	cidr_set_free(&set);
	ck_assert(!cidr_set_match(&set, &a));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sockaddr");
	TCase *t = tcase_create("sockaddr");
	tcase_add_test(t, addresses_are_written_as_they_were_read);
	tcase_add_test(t, what_is_no_address_is_refused);
	tcase_add_test(t, a_long_path_is_cut_in_its_text);
	tcase_add_test(t, the_same_host_has_any_port);
	tcase_add_test(t, local_addresses_are_known);
	tcase_add_test(t, the_kernels_form_comes_back);
	tcase_add_test(t, networks_hold_what_they_should);
	tcase_add_test(t, what_is_no_network_is_refused);
	tcase_add_test(t, a_set_is_asked_as_a_whole_and_is_bounded);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
