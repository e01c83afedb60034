/*
 * clients: who counts as one, and what one may do in a minute.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemons/smtpd/smtpd.h"

static void limit(uint32_t connections, uint32_t messages, uint32_t recipients)
{
	struct settings_limits limits = {.client_connections = connections,
					 .client_messages = messages,
					 .client_recipients = recipients};
	smtpd_settings_begin();
	smtpd_setting(&settings_limits_record, &limits);
	smtpd_settings_end();
}

static struct client *enter(const char *text, uint32_t uid)
{
	struct net_address a = {.family = NET_UNIX};
	ck_assert(*text == '\0' || net_ip_parse(slice_str(text), &a));
	return client_enter(&a, uid);
}

START_TEST(an_ipv4_address_an_ipv6_64_and_a_user_are_a_client)
{
	static const struct {
		const char *a, *b;
		uint32_t uid_a, uid_b;
		bool same;
	} cases[] = {
	    {"192.0.2.1", "192.0.2.1", 0, 0, true},
	    {"192.0.2.1", "192.0.2.2", 0, 0, false},
	    {"2001:db8::1", "2001:db8::ffff:1", 0, 0, true},
	    {"2001:db8::1", "2001:db8:0:1::1", 0, 0, false},
	    {"::1", "0.0.0.1", 0, 0, false},
	    {"", "", 1000, 1000, true},
	    {"", "", 1000, 1001, false},
	};
	clients_start();
	rates_start();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client *a = enter(cases[i].a, cases[i].uid_a);
		struct client *b = enter(cases[i].b, cases[i].uid_b);
		ck_assert_msg((a == b) == cases[i].same, "%s %s", cases[i].a, cases[i].b);
		ck_assert_uint_eq(client_connections(a), a == b ? 2 : 1);
		client_leave(a);
		client_leave(b);
	}
}
END_TEST

START_TEST(each_deed_has_its_limit_and_it_outlives_connections)
{
	clients_start();
	rates_start();
	limit(0, 3, 5);
	for (unsigned i = 1; i <= 8; i++) {
		struct client *c = enter("192.0.2.1", 0);
		ck_assert(client_count(c, CLIENT_CONNECTION));
		ck_assert_int_eq(client_count(c, CLIENT_MESSAGE), i <= 3);
		ck_assert_int_eq(client_count(c, CLIENT_RECIPIENT), i <= 5);
		client_leave(c);
	}
	struct client *other = enter("192.0.2.2", 0);
	ck_assert(client_count(other, CLIENT_MESSAGE));
	client_leave(other);
	limit(0, 0, 0);
	struct client *c = enter("192.0.2.1", 0);
	ck_assert(client_count(c, CLIENT_MESSAGE));
	client_leave(c);
}
END_TEST

START_TEST(strangers_without_number_take_bounded_memory)
{
	enum { MANY = 200000, KEPT = 65536 };
	char text[64];
	clients_start();
	rates_start();
	limit(1, 0, 0);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
		struct client *c = enter(text, 0);
		ck_assert_msg(client_count(c, CLIENT_CONNECTION), "%s", text);
		client_leave(c);
	}
	/* the first are forgotten, the last are not */
	struct client *first = enter("2001:db8:0:0::1", 0);
	ck_assert(client_count(first, CLIENT_CONNECTION));
	struct client *last = enter(text, 0);
	ck_assert(!client_count(last, CLIENT_CONNECTION));
	snprintf(text, sizeof(text), "2001:db8:%x:%x::1", (MANY - KEPT + 10) >> 16,
		 (MANY - KEPT + 10) & 0xffff);
	struct client *kept = enter(text, 0);
	ck_assert(!client_count(kept, CLIENT_CONNECTION));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("clients");
	TCase *c = tcase_create("clients");
	tcase_add_test(c, an_ipv4_address_an_ipv6_64_and_a_user_are_a_client);
	tcase_add_test(c, each_deed_has_its_limit_and_it_outlives_connections);
	tcase_add_test(c, strangers_without_number_take_bounded_memory);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
