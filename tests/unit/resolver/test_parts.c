/*
 * What needs no network: replies, resolv.conf, the list of MX hosts and its site, the order of
 * addresses, which of them are ours.
 */
#include <check.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemons/resolver/mx.h"
#include "daemons/resolver/order.h"
#include "daemons/resolver/own.h"
#include "daemons/resolver/resolv_conf.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* Writing replies */

enum { REPLY_MAX = 65535 };

static struct written {
	uint8_t octets[REPLY_MAX];
	size_t len;
} w;

static void put(const void *octets, size_t len)
{
	ck_assert_uint_le(w.len + len, REPLY_MAX);
	memcpy(w.octets + w.len, octets, len);
	w.len += len;
}

static void put16(unsigned n)
{
	put((uint8_t[]){(uint8_t)(n >> 8), (uint8_t)n}, 2);
}

/* "mx1.example" as labels; "" is the root */
static void put_name(const char *text)
{
	struct slice label, rest = slice_str(text);
	while (rest.len > 0) {
		slice_split(rest, '.', &label, &rest);
		put((uint8_t[]){(uint8_t)label.len}, 1);
		put(label.ptr, label.len);
	}
	put("", 1);
}

static void begin_reply(uint16_t type, unsigned rcode, unsigned answers, unsigned authorities)
{
	w.len = 0;
	put16(0);
	put16(0x8180 | rcode);
	put16(1);
	put16(answers);
	put16(authorities);
	put16(0);
	put_name("example.org");
	put16(type);
	put16(1);
}

static void put_record(uint16_t type, uint32_t ttl, size_t length)
{
	put16(0xc00c); /* the name of the question */
	put16(type);
	put16(1);
	put16(ttl >> 16);
	put16(ttl & 0xffff);
	put16((unsigned)length);
}

static void put_mx(unsigned preference, const char *host)
{
	put_record(REPLY_MX, 300, strlen(host) + (host[0] ? 2 : 1) + 2);
	put16(preference);
	put_name(host);
}

static struct reply opened(uint16_t type)
{
	struct reply p;
	ck_assert(reply_open(slice_make(w.octets, w.len), type, &p));
	return p;
}

START_TEST(records_of_the_type_are_read_and_others_passed_over)
{
	struct reply_record r;
	begin_reply(REPLY_A, 0, 4, 0);
	put_record(REPLY_CNAME, 60, 2);
	put16(0xc00c);
	put_record(REPLY_A, 300, 4);
	put("\xc0\0\2\1", 4);
	put_record(REPLY_A, 300, 3); /* too short */
	put("\xc0\0\2", 3);
	put_record(REPLY_A, 300, 4);
	put("\xc0\0\2\2", 4);
	struct reply p = opened(REPLY_A);
	ck_assert_uint_eq(reply_count(&p), 3);
	ck_assert_uint_eq(reply_ttl(&p), 60);
	ck_assert(reply_next(&p, &r));
	ck_assert_int_eq(memcmp(r.address.bytes, "\xc0\0\2\1", 4), 0);
	ck_assert(reply_next(&p, &r));
	ck_assert_int_eq(memcmp(r.address.bytes, "\xc0\0\2\2", 4), 0);
	ck_assert(!reply_next(&p, &r));
}
END_TEST

START_TEST(a_negative_answer_lives_as_long_as_its_soa_says)
{
	begin_reply(REPLY_MX, REPLY_NXDOMAIN, 0, 1);
	put_record(REPLY_SOA, 900, 2 + 2 + 20);
	put16(0xc00c);
	put16(0xc00c);
	put("\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\x78", 20);
	struct reply p = opened(REPLY_MX);
	ck_assert_uint_eq(p.rcode, REPLY_NXDOMAIN);
	ck_assert_uint_eq(reply_count(&p), 0);
	ck_assert_uint_eq(reply_ttl(&p), 0x78);
	ck_assert(reply_has_soa(&p));
	begin_reply(REPLY_MX, 0, 0, 0);
	p = opened(REPLY_MX);
	ck_assert(!reply_has_soa(&p));
}
END_TEST

static const struct {
	const char *labels;
	size_t len;
	const char *name; /* NULL: can't be used */
} names[] = {
    {"\3Mx1\7EXAMPLE\0", 13, "mx1.example"},
    {"\0", 1, ""},
    {"\4_a-b\0", 6, "_a-b"},
    {"\3a b\0", 5, NULL},
    {"\3a.b\0", 5, NULL}, /* one label, that would read as two */
    {"\3a\0b\0", 5, NULL},
    {"\3a\r\n\0", 5, NULL},
    {"\3a/b\0", 5, NULL},
    {"\3\xff\xfe\xfd\0", 5, NULL},
    {"\3abc", 4, NULL},	      /* does not end in the packet */
    {"\xc0\xff", 2, NULL},    /* leads beyond it */
    {"\x40xxx\0", 5, NULL},   /* no kind of label */
    {"\1a\xc0\x29", 4, NULL}, /* leads to itself */
};

START_TEST(a_name_that_is_no_hosts_is_passed_over)
{
	struct reply_record r;
	begin_reply(REPLY_PTR, 0, 1, 0);
	put_record(REPLY_PTR, 300, names[_i].len);
	put(names[_i].labels, names[_i].len);
	struct reply p = opened(REPLY_PTR);
	ck_assert_uint_eq(reply_count(&p), 1);
	if (!names[_i].name) {
		ck_assert(!reply_next(&p, &r));
		return;
	}
	ck_assert(reply_next(&p, &r));
	ck_assert_str_eq(r.name, names[_i].name);
}
END_TEST

START_TEST(a_reply_to_another_question_is_none)
{
	struct reply p;
	begin_reply(REPLY_A, 0, 0, 0);
	ck_assert(!reply_open(slice_make(w.octets, w.len), REPLY_MX, &p));
	for (size_t len = 0; len < w.len; len++)
		ck_assert(!reply_open(slice_make(w.octets, len), REPLY_A, &p));
}
END_TEST

START_TEST(an_address_has_a_reverse_name)
{
	char name[REPLY_NAME_SIZE];
	struct net_address a;
	ck_assert(net_ip_parse(SLICE("192.0.2.17"), &a));
	reply_reverse(&a, name);
	ck_assert_str_eq(name, "17.2.0.192.in-addr.arpa");
	ck_assert(net_ip_parse(SLICE("2001:db8::1f"), &a));
	reply_reverse(&a, name);
	ck_assert_str_eq(
	    name, "f.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}
END_TEST

static const struct {
	const char *name;
	bool usable;
} asked[] = {
    {"example.org", true}, {"localhost", true}, {"_dmarc.example.org", true},
    {"", false},	   {".", false},	{"a..b", false},
    {"a.b.", false},	   {"a b", false},	{"a\\.b", false},
    {"a@b", false},
};

START_TEST(what_is_no_name_is_not_asked_for)
{
	char label[66], name[300] = "";
	for (size_t i = 0; i < COUNT(asked); i++)
		ck_assert_msg(reply_name_usable(slice_str(asked[i].name)) == asked[i].usable, "%s",
			      asked[i].name);
	memset(label, 'a', 65);
	ck_assert(reply_name_usable(slice_make(label, 63)));
	ck_assert(!reply_name_usable(slice_make(label, 64)));
	for (size_t i = 0; i < 254; i++)
		name[i] = i % 2 ? '.' : 'a';
	ck_assert(reply_name_usable(slice_make(name, 253)));
	name[253] = 'b';
	name[252] = 'b';
	ck_assert(!reply_name_usable(slice_make(name, 254)));
}
END_TEST

/* resolv.conf */

static const struct {
	const char *text, *servers;
} files[] = {
    {"nameserver 192.0.2.1\n", "192.0.2.1:53 "},
    {"# x\nsearch example.org\nnameserver\t192.0.2.1  # y\noptions timeout:1\n"
     "nameserver 2001:db8::1",
     "192.0.2.1:53 [2001:db8::1]:53 "},
    {" nameserver 192.0.2.1\r\n", "192.0.2.1:53 "},
    {"", ""},
    {"nameserver\nnameserver x\nnameserver fe80::1%eth0\nnameservers 192.0.2.1\n"
     "#nameserver 192.0.2.1\n;nameserver 192.0.2.2\n",
     ""},
};

START_TEST(name_servers_are_read_from_resolv_conf)
{
	struct servers s;
	char text[400] = "", one[NET_ADDRESS_TEXT];
	resolv_conf_read(slice_str(files[_i].text), &s);
	for (size_t i = 0; i < s.count; i++) {
		net_address_format(&s.list[i], one);
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", one);
	}
	ck_assert_str_eq(text, files[_i].servers);
}
END_TEST

START_TEST(servers_of_the_configuration_have_ports)
{
	struct servers s, t;
	ck_assert(servers_parse(SLICE("127.0.0.1:5353 [::1]:53"), &s));
	ck_assert_uint_eq(s.count, 2);
	ck_assert_uint_eq(s.list[0].port, 5353);
	ck_assert(servers_parse(SLICE("127.0.0.1:5354 [::1]:53"), &t));
	ck_assert(servers_same(&s, &s) && !servers_same(&s, &t));
	ck_assert(!servers_parse(SLICE("127.0.0.1:53 ns.example"), &s));
	ck_assert(!servers_parse(SLICE("*:53"), &s));
	ck_assert(servers_parse(SLICE_EMPTY, &s) && s.count == 0);
}
END_TEST

/* MX */

static struct mx_list l;

static void read_mx(void)
{
	struct reply p = opened(REPLY_MX);
	mx_read(&p, &l);
}

START_TEST(mx_hosts_are_in_order_and_each_is_there_once)
{
	begin_reply(REPLY_MX, 0, 5, 0);
	put_mx(20, "b.example");
	put_mx(10, "c.example");
	put_mx(30, "c.example");
	put_mx(10, "A.example");
	put_mx(5, "b.example");
	read_mx();
	ck_assert_uint_eq(l.count, 3);
	ck_assert(!l.null);
	ck_assert_str_eq(l.list[0].host, "b.example");
	ck_assert_uint_eq(l.list[0].preference, 5);
	ck_assert_str_eq(l.list[1].host, "a.example");
	ck_assert_str_eq(l.list[2].host, "c.example");
	ck_assert_uint_eq(l.list[2].preference, 10);
}
END_TEST

START_TEST(S38_a_root_alone_is_a_null_mx_and_beside_hosts_nothing)
{
	begin_reply(REPLY_MX, 0, 1, 0);
	put_mx(0, "");
	read_mx();
	ck_assert(l.null && l.count == 0);
	begin_reply(REPLY_MX, 0, 2, 0);
	put_mx(0, "");
	put_mx(10, "mx.example");
	read_mx();
	ck_assert(!l.null && l.count == 1);
	begin_reply(REPLY_MX, 0, 2, 0);
	put_mx(0, "");
	put_mx(10, "no host.example");
	read_mx();
	ck_assert(!l.null && l.count == 0);
}
END_TEST

START_TEST(S41_of_too_many_hosts_the_best_are_taken_whatever_their_order)
{
	char host[32], site[RESOLVER_SITE_MAX + 1], other[RESOLVER_SITE_MAX + 1];
	for (unsigned turn = 0; turn < 2; turn++) {
		begin_reply(REPLY_MX, 0, 2000, 0);
		for (unsigned i = 0; i < 2000; i++) {
			unsigned n = turn ? 1999 - i : (i * 7) % 2000;
			snprintf(host, sizeof(host), "mx%04u.example", n);
			put_mx(n, host);
		}
		read_mx();
		ck_assert_uint_eq(l.count, MX_MAX);
		ck_assert_str_eq(l.list[MX_MAX - 1].host, "mx0099.example");
		mx_site(&l, turn ? other : site);
	}
	ck_assert_str_eq(site, other);
	ck_assert_uint_eq(strlen(site), RESOLVER_SITE_MAX);
	ck_assert_int_eq(site[RESOLVER_SITE_MAX - 17], '#');
	snprintf(l.list[99].host, sizeof(l.list[99].host), "zzz.example");
	mx_site(&l, other);
	ck_assert_str_ne(site, other);
}
END_TEST

START_TEST(a_site_is_the_set_of_hosts)
{
	char site[RESOLVER_SITE_MAX + 1];
	begin_reply(REPLY_MX, 0, 2, 0);
	put_mx(10, "mx2.example");
	put_mx(20, "mx1.example");
	read_mx();
	mx_site(&l, site);
	ck_assert_str_eq(site, "mx1.example+mx2.example");
	mx_implicit("example.org", &l);
	mx_site(&l, site);
	ck_assert_str_eq(site, "example.org");
}
END_TEST

/* Order */

static struct target targets[1000];
static size_t count;

static void add(uint32_t preference, size_t host, const char *address)
{
	struct target *t = &targets[count++];
	*t = (struct target){.preference = preference, .host = host};
	ck_assert(net_ip_parse(slice_str(address), &t->address));
}

static uint32_t no_random(uint32_t bound)
{
	return bound - 1; /* as they came; IPv4 first */
}

static uint32_t state;

static uint32_t some_random(uint32_t bound)
{
	state = state * 1103515245 + 12345;
	return (state >> 8) % bound;
}

static const char *order(size_t most, order_random *random)
{
	static char text[8192];
	char one[NET_IP_TEXT];
	text[0] = '\0';
	order_targets(targets, &count, most, random);
	for (size_t i = 0; i < count; i++) {
		net_ip_format(&targets[i].address, one);
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", one);
	}
	return text;
}

START_TEST(S40_preferences_come_in_order_and_families_in_turn)
{
	count = 0;
	add(20, 2, "2001:db8::20");
	add(10, 0, "192.0.2.10");
	add(10, 0, "2001:db8::10");
	add(10, 1, "2001:db8::11");
	add(10, 1, "192.0.2.11");
	add(5, 3, "2001:db8::5");
	add(5, 3, "2001:db8::6");
	const char *text = order(100, no_random);
	ck_assert_ptr_nonnull(strstr(text, "2001:db8::5 "));
	ck_assert_uint_eq(targets[0].preference, 5);
	ck_assert_uint_eq(targets[1].preference, 5);
	for (size_t i = 2; i < 6; i++) {
		ck_assert_uint_eq(targets[i].preference, 10);
		ck_assert_uint_eq(targets[i].address.family, i % 2 ? NET_IPV6 : NET_IPV4);
	}
	ck_assert_uint_eq(targets[6].preference, 20);
}
END_TEST

START_TEST(S40_equal_hosts_are_shuffled_evenly)
{
	enum { TURNS = 3000 };
	unsigned first[3] = {0};
	state = 1;
	for (unsigned turn = 0; turn < TURNS; turn++) {
		count = 0;
		add(10, 0, "192.0.2.1");
		for (unsigned i = 0; i < 5; i++) /* many addresses: no larger share */
			add(10, 1, "192.0.2.2");
		add(10, 2, "192.0.2.3");
		order(100, some_random);
		first[targets[0].host]++;
	}
	for (unsigned i = 0; i < 3; i++)
		ck_assert_msg(first[i] > TURNS / 4 && first[i] < TURNS / 2, "%u: %u", i, first[i]);
}
END_TEST

START_TEST(S40_a_family_with_many_addresses_starves_none)
{
	char text[64];
	size_t v4 = 0;
	count = 0;
	for (unsigned i = 0; i < 300; i++) {
		snprintf(text, sizeof(text), "2001:db8::%x", i);
		add(10, i % 100, text);
	}
	for (unsigned i = 0; i < 7; i++) {
		snprintf(text, sizeof(text), "192.0.2.%u", i);
		add(20, 100, text);
	}
	order(100, some_random);
	ck_assert_uint_eq(count, 100);
	for (size_t i = 0; i < count; i++)
		v4 += targets[i].address.family == NET_IPV4;
	ck_assert_uint_eq(v4, 7);
}
END_TEST

START_TEST(S39_hosts_behind_us_are_dropped)
{
	uint32_t own = 0;
	count = 0;
	add(10, 0, "192.0.2.1");
	add(20, 1, "192.0.2.2");
	add(20, 2, "192.0.2.3");
	add(30, 3, "192.0.2.4");
	ck_assert(!order_drop_own(targets, &count, &own));
	ck_assert_uint_eq(count, 4);
	targets[2].ours = targets[3].ours = true;
	ck_assert(order_drop_own(targets, &count, &own));
	ck_assert_uint_eq(own, 20);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(targets[0].preference, 10);
	targets[0].ours = true;
	ck_assert(order_drop_own(targets, &count, &own));
	ck_assert_uint_eq(own, 10);
	ck_assert_uint_eq(count, 0);
}
END_TEST

/* Ours */

static const struct {
	const char *address;
	bool ours;
} addresses[] = {
    {"127.0.0.1", true},	{"127.9.9.9", true},  {"::1", true},
    {"0.0.0.0", true},		{"::", true},	      {"192.0.2.5", true},
    {"::ffff:127.0.0.1", true}, {"192.0.3.5", false}, {"2001:db8:1::5", true},
    {"2001:db8:2::5", false},
};

START_TEST(S39_addresses_of_the_configuration_and_loopback_are_ours)
{
	struct net_address a;
	own_begin();
	own_add(SLICE("192.0.2.0/24"));
	own_add(SLICE("2001:db8:1::/48"));
	ck_assert(net_ip_parse(slice_str(addresses[_i].address), &a));
	ck_assert_int_eq(own_has(&a), addresses[_i].ours);
	own_begin();
}
END_TEST

START_TEST(S39_addresses_of_all_interfaces_are_ours)
{
	struct ifaddrs *list;
	ck_assert_int_eq(getifaddrs(&list), 0);
	for (struct ifaddrs *i = list; i; i = i->ifa_next) {
		struct sockaddr_storage s = {0};
		struct net_address a;
		if (!i->ifa_addr ||
		    (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
			continue;
		memcpy(&s, i->ifa_addr,
		       i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
							 : sizeof(struct sockaddr_in6));
		net_address_from(&s, sizeof(s), &a);
		if (a.family == NET_IPV6 && a.bytes[0] == 0xfe)
			continue; /* of a link: has no meaning in the DNS */
		ck_assert_msg(own_has(&a), "%s", i->ifa_name);
		a.bytes[a.family == NET_IPV6 ? 15 : 3] ^= 0x55;
		ck_assert(own_has(&a) == net_address_is_local(&a));
	}
	freeifaddrs(list);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("parts");
	TCase *tc = tcase_create("parts");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_add_test(tc, records_of_the_type_are_read_and_others_passed_over);
	tcase_add_test(tc, a_negative_answer_lives_as_long_as_its_soa_says);
	tcase_add_loop_test(tc, a_name_that_is_no_hosts_is_passed_over, 0, COUNT(names));
	tcase_add_test(tc, a_reply_to_another_question_is_none);
	tcase_add_test(tc, an_address_has_a_reverse_name);
	tcase_add_test(tc, what_is_no_name_is_not_asked_for);
	tcase_add_loop_test(tc, name_servers_are_read_from_resolv_conf, 0, COUNT(files));
	tcase_add_test(tc, servers_of_the_configuration_have_ports);
	tcase_add_test(tc, mx_hosts_are_in_order_and_each_is_there_once);
	tcase_add_test(tc, S38_a_root_alone_is_a_null_mx_and_beside_hosts_nothing);
	tcase_add_test(tc, S41_of_too_many_hosts_the_best_are_taken_whatever_their_order);
	tcase_add_test(tc, a_site_is_the_set_of_hosts);
	tcase_add_test(tc, S40_preferences_come_in_order_and_families_in_turn);
	tcase_add_test(tc, S40_equal_hosts_are_shuffled_evenly);
	tcase_add_test(tc, S40_a_family_with_many_addresses_starves_none);
	tcase_add_test(tc, S39_hosts_behind_us_are_dropped);
	tcase_add_loop_test(tc, S39_addresses_of_the_configuration_and_loopback_are_ours, 0,
			    COUNT(addresses));
	tcase_add_test(tc, S39_addresses_of_all_interfaces_are_ours);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
