/*
 * answers: what the daemon says about domains, hosts and clients, to a DNS that behaves (nsd) and
 * one that does not.
 */
#include "tests/unit/resolver/daemon.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const char anchor[] =
    "; the key of signed.test\n"
    "signed.test. IN DS 41656 13 2 "
    "b9faa803757fca058ce9d73693d3b1f02190a90df1925f97c1412938d9b2f8a8 ;;state=2\n";

static void setup(void)
{
	start_daemon(nsd_port, anchor, "");
}

static void setup_misbehaving(void)
{
	start_daemon(misbehaving_port, NULL, "");
}

static const struct {
	const char *rule, *domain;
	uint32_t code;
	const char *enhanced, *site, *text; /* text: part of it */
} sites[] = {
    {"RFC 5321 5.1", "two.test", 0, "", "mx1.two.test+mx2.two.test", ""},
    {"the same site", "other.test", 0, "", "mx1.two.test+mx2.two.test", ""},
    {"S36 implicit", "implicit.test", 0, "", "implicit.test", ""},
    {"S36 implicit, whatever is there", "nodata.test", 0, "", "nodata.test", ""},
    {"S36 NXDOMAIN", "gone.test", 550, "5.4.4", "", "MX gone.test: NXDOMAIN from 127.0.0.1"},
    {"S38 null MX", "null.test", 556, "5.1.10", "", "null MX"},
    {"S38 not combined", "both.test", 0, "", "mx1.two.test", ""},
    {"S41 a CNAME is followed", "alias.test", 0, "", "mx1.two.test+mx2.two.test", ""},
    {"a name that is none", "odd.test", 0, "", "mx1.two.test", ""},
    {"only such names", "allodd.test", 550, "5.4.4", "", "no MX record names a host"},
    {"no domain's name", "two test", 550, "5.1.2", "", "no name"},
    {"no domain's name", "", 550, "5.1.2", "", "no name"},
};

START_TEST(a_domain_has_a_site)
{
	ask_site(sites[_i].domain);
	ck_assert_msg(seen.code == sites[_i].code, "%s: %u %s", sites[_i].rule, seen.code,
		      seen.text);
	ck_assert_str_eq(seen.enhanced, sites[_i].enhanced);
	ck_assert_str_eq(seen.site, sites[_i].site);
	ck_assert_msg(strstr(seen.text, sites[_i].text) != NULL, "%s", seen.text);
	ck_assert(!seen.secure);
}
END_TEST

START_TEST(answers_are_kept_neither_too_short_nor_too_long)
{
	ask_site("two.test");
	ck_assert_uint_eq(seen.ttl, 3600);
	ask_site("short.test");
	ck_assert_uint_eq(seen.ttl, 5);
	ask_site("gone.test");
	ck_assert(seen.ttl > 50 && seen.ttl <= 60);
}
END_TEST

/* Targets as text: "host address preference", and '!' for those that are not best. */
static const char *targets(void)
{
	static char text[4096];
	text[0] = '\0';
	for (size_t i = 0; i < seen.count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s %s %u%s; ",
			 seen.list[i].host, seen.list[i].address, seen.list[i].preference,
			 seen.list[i].best ? "" : "!");
	return text;
}

static const struct {
	const char *rule, *name;
	bool mx;
	uint32_t port, code;
	const char *enhanced, *targets, *text;
} hosts[] = {
    {"S37 a host without address is skipped", "skip.test", true, 24, 0, "",
     "mx1.two.test 2001:db8::1 20!; mx1.two.test 192.0.2.1 20!; ", ""},
    {"S37 none has one: not the domain's", "noaddress.test", true, 25, 550, "5.4.4", "", "A"},
    {"S36 implicit MX", "implicit.test", true, 25, 0, "", "implicit.test 192.0.2.3 0; ", ""},
    {"S36 without address", "nodata.test", true, 25, 550, "5.4.4", "", "nodata.test: no such"},
    {"NXDOMAIN", "gone.test", true, 25, 550, "5.4.4", "", "MX gone.test: NXDOMAIN"},
    {"S38", "null.test", true, 25, 556, "5.1.10", "", "MX null.test"},
    {"S41 MX that is a CNAME", "aliased.test", true, 25, 0, "",
     "mxalias.test 2001:db8::1 10; mxalias.test 192.0.2.1 10; ", ""},
    {"S42 no MX of a host", "two.test", false, 25, 550, "5.4.4", "", "two.test"},
    {"S42 no suffix", "dotless.test", true, 25, 0, "", "mailhost 192.0.2.7 10; ", ""},
    {"S42 no suffix", "suffix.test", true, 25, 550, "5.4.4", "", "mx1: NXDOMAIN"},
    {"a host", "mx2.two.test", false, 587, 0, "", "mx2.two.test 192.0.2.2 0; ", ""},
    {"a host that is an alias", "mxalias.test", false, 25, 0, "",
     "mxalias.test 2001:db8::1 0; mxalias.test 192.0.2.1 0; ", ""},
    {"localhost", "localhost", false, 25, 0, "", "localhost ::1 0; localhost 127.0.0.1 0; ", ""},
    {"S39 those behind us are dropped", "backup.test", true, 25, 0, "",
     "mx1.two.test 2001:db8::1 10; mx1.two.test 192.0.2.1 10; ", ""},
    {"S39 we are the best", "loop.test", true, 25, 550, "5.4.6", "",
     "mail for loop.test loops back to myself"},
    {"S39 better ones have no address", "behind.test", true, 25, 451, "4.4.4", "", "gone.test"},
    {"S39 loopback", "loopback.test", true, 25, 550, "5.4.6", "", "loops back"},
    {"S39 implicit MX", "self.test", true, 25, 550, "5.4.6", "", "loops back"},
    {"S39 for port 25 only", "loop.test", true, 2525, 0, "",
     "ours.test 198.51.100.1 10; mx1.two.test 2001:db8::1 20!; mx1.two.test 192.0.2.1 20!; ", ""},
    {"S39 not for a host", "ours.test", false, 25, 0, "", "ours.test 198.51.100.1 0; ", ""},
    {"no name", "a..b", true, 25, 550, "5.1.2", "", "no name"},
};

/* Families take turns, and either may begin: "x" and "y" of one host. */
static void expect_targets(const char *expected)
{
	char words[4096], *at, *save;
	size_t count = 0;
	snprintf(words, sizeof(words), "%s", expected);
	for (at = strtok_r(words, ";", &save); at; at = strtok_r(NULL, ";", &save)) {
		at += strspn(at, " ");
		if (*at == '\0')
			continue;
		ck_assert_msg(strstr(targets(), at) != NULL, "%s, not %s", targets(), expected);
		count++;
	}
	ck_assert_msg(count == seen.count, "%s, not %s", targets(), expected);
	for (size_t i = 1; i < seen.count; i++)
		ck_assert_uint_le(seen.list[i - 1].preference, seen.list[i].preference);
}

START_TEST(a_next_hop_has_addresses)
{
	ask_hosts(hosts[_i].name, hosts[_i].mx, hosts[_i].port);
	ck_assert_msg(seen.code == hosts[_i].code, "%s: %u %s", hosts[_i].rule, seen.code,
		      seen.text);
	ck_assert_str_eq(seen.enhanced, hosts[_i].enhanced);
	ck_assert_msg(strstr(seen.text, hosts[_i].text) != NULL, "%s", seen.text);
	expect_targets(hosts[_i].targets);
}
END_TEST

static const struct {
	const char *address, *name;
} clients[] = {
    {"192.0.2.1", "mx1.two.test"},
    {"2001:db8::1", "mx1.two.test"},
    {"192.0.2.2", "mx2.two.test"}, /* one of its two names is a lie */
    {"192.0.2.3", ""},		   /* its name is another's */
    {"192.0.2.4", ""},		   /* its name is none */
    {"192.0.2.5", ""},		   /* its name is not there */
    {"192.0.2.9", ""},		   /* it has no name */
    {"10.0.0.5", "private.test"},  /* of a private network, which the server knows */
    {"127.0.0.1", "localhost"},
    {"nonsense", ""},
};

START_TEST(a_client_has_the_name_that_leads_back_to_it)
{
	ask_name(clients[_i].address);
	ck_assert_str_eq(seen.name, clients[_i].name);
	ck_assert(!seen.trouble);
}
END_TEST

/* DNSSEC */

START_TEST(what_is_signed_is_secure_and_what_was_changed_is_trouble)
{
	ask_site("signed.test");
	ck_assert_msg(seen.code == 0 && seen.secure, "%s", seen.text);
	ask_hosts("signed.test", true, 25);
	ck_assert_uint_eq(seen.count, 2);
	ck_assert(seen.list[0].secure && seen.list[1].secure);
	ask_site("bogus.signed.test");
	ck_assert_uint_eq(seen.code, 451);
	ck_assert_str_eq(seen.enhanced, "4.4.3");
	ck_assert_msg(strstr(seen.text, "not valid by DNSSEC from 127.0.0.1") != NULL, "%s",
		      seen.text);
	ask_site("two.test");
	ck_assert(seen.code == 0 && !seen.secure);
}
END_TEST

START_TEST(an_insecure_domain_is_not_validated)
{
	stop_daemon();
	start_daemon(nsd_port, anchor, "x.test bogus.signed.test");
	ask_site("bogus.signed.test");
	ck_assert(seen.code == 0 && !seen.secure);
	ck_assert_str_eq(seen.site, "evil.signed.test");
	ask_site("signed.test");
	ck_assert(seen.secure);
}
END_TEST

START_TEST(a_bad_anchor_leaves_the_former_way_in_use)
{
	send_file("/anchor", "anchor", "nonsense\n");
	go(2);
	ask_site("signed.test");
	ck_assert(seen.code == 0 && seen.secure);
	stop_daemon();
	start_daemon(nsd_port, "signed.test. IN DS nonsense\n", "");
	ask_site("signed.test");
	ck_assert(seen.code == 0 && !seen.secure); /* and nothing claims to be */
}
END_TEST

/* Which server is asked */

static void send_resolv_conf(unsigned port)
{
	char text[200];
	snprintf(text, sizeof(text), "search two.test\nnameserver 127.0.0.%u\n", port);
	send_file("/etc/resolv.conf", "resolv.conf", text);
}

START_TEST(the_configured_server_goes_before_resolv_conf)
{
	send_resolv_conf(99);
	go(2);
	ask_site("suffix.test");
	ck_assert_str_eq(seen.site, "mx1");
}
END_TEST

/* The first server never answers; the question is asked again of the next one. */
START_TEST(a_change_of_server_takes_what_is_under_way_along)
{
	struct resolve_site m = {.request = 3, .domain = SLICE("silent.test")};
	stop_daemon();
	start_daemon(misbehaving_port, NULL, "");
	begin_asking();
	ck_assert(channel_send(peer, RESOLVE_SITE, &m));
	m.request = 4;
	m.domain = SLICE("silent.two.test");
	ck_assert(channel_send(peer, RESOLVE_SITE, &m));
	go(1); /* what was sent before was read */
	send_settings(2, nsd_port, "", "");
	go(2);
	await_answers(2);
	ck_assert_uint_eq(seen.code, 550);
}
END_TEST

/* A DNS that misbehaves */

static const struct {
	const char *domain, *text;
} troubles[] = {
    {"servfail.bad", "MX servfail.bad: SERVFAIL from 127.0.0.1"},
    {"refused.bad", "MX refused.bad: SERVFAIL from 127.0.0.1"},
    {"loop.bad", "MX loop.bad: SERVFAIL from 127.0.0.1"},
};

START_TEST(S36_trouble_is_trouble_and_no_way_to_the_domains_address)
{
	ask_site(troubles[_i].domain);
	ck_assert_uint_eq(seen.code, 451);
	ck_assert_str_eq(seen.enhanced, "4.4.3");
	ck_assert_str_eq(seen.text, troubles[_i].text);
	ck_assert_uint_eq(seen.ttl, 5);
	ask_hosts(troubles[_i].domain, true, 25);
	ck_assert_uint_eq(seen.code, 451);
	ck_assert_uint_eq(seen.count, 0);
	ask_hosts(troubles[_i].domain, false, 25);
	ck_assert_uint_eq(seen.code, 451);
}
END_TEST

START_TEST(S37_no_address_for_now_is_deferred)
{
	ask_hosts("half.bad", true, 25);
	ck_assert_uint_eq(seen.code, 451);
	ck_assert_str_eq(seen.enhanced, "4.4.3");
	ck_assert_msg(strstr(seen.text, "servfail.bad: SERVFAIL") != NULL, "%s", seen.text);
	ask_hosts("mostly.bad", true, 25);
	ck_assert_uint_eq(seen.code, 0);
	ck_assert_uint_eq(seen.count, 1);
	ck_assert(!seen.list[0].best);
}
END_TEST

START_TEST(a_lame_server_makes_no_mail_come_back)
{
	static const char *const domains[] = {"lame.bad", "empty.bad"};
	for (size_t i = 0; i < COUNT(domains); i++) {
		ask_hosts(domains[i], true, 25);
		ck_assert_uint_eq(seen.code, 451);
		ck_assert_str_eq(seen.enhanced, "4.4.3");
		ck_assert_msg(strstr(seen.text, "an empty answer") != NULL, "%s", seen.text);
	}
}
END_TEST

START_TEST(S37_a_host_of_which_nobody_tells_keeps_mail_from_no_other)
{
	ask_hosts("partly.bad", true, 25);
	ck_assert_uint_eq(seen.code, 0);
	ck_assert_uint_eq(seen.count, 1);
	ck_assert_str_eq(seen.list[0].host, "count.bad");
	ck_assert_uint_eq(seen.list[0].preference, 20);
	ck_assert(!seen.list[0].best);
	ck_assert_str_eq(seen.site, "count.bad+silent.bad");
}
END_TEST

START_TEST(S36_a_server_that_is_silent_is_trouble_in_time)
{
	uint64_t begun = loop_now();
	struct resolve_site s = {.request = 3, .domain = SLICE("silent.bad")};
	begin_asking();
	ck_assert(channel_send(peer, RESOLVE_SITE, &s));
	await_answers(1);
	ck_assert_uint_eq(seen.code, 451);
	ck_assert_str_eq(seen.enhanced, "4.4.3");
	ck_assert_msg(strstr(seen.text, "MX silent.bad: ") != NULL, "%s", seen.text);
	ck_assert_uint_le(loop_now() - begun, 31 * 1000000);
}
END_TEST

START_TEST(S41_of_2000_mx_records_100_hosts_are_looked_at)
{
	ask_site("big.bad");
	ck_assert_msg(seen.code == 0, "%s", seen.text);
	ck_assert_uint_eq(strlen(seen.site), RESOLVER_SITE_MAX);
	ask_hosts("big.bad", true, 25);
	ck_assert_uint_eq(seen.code, 550);
	ask_site("huge.bad");
	ck_assert_uint_eq(seen.code, 451);
	ck_assert_msg(strstr(seen.text, "the answer is too large") != NULL, "%s", seen.text);
}
END_TEST

START_TEST(a_question_of_many_is_asked_once)
{
	enum { ASKERS = 300 };
	struct resolve_site m = {.domain = SLICE("many.bad")};
	begin_asking();
	for (uint64_t i = 1; i <= ASKERS; i++) {
		m.request = i;
		ck_assert(channel_send(peer, RESOLVE_SITE, &m));
	}
	await_answers(ASKERS);
	ck_assert_str_eq(seen.site, "mx.many.bad");
	ask_hosts("count.bad", false, 25);
	ck_assert_uint_eq(seen.count, 1);
	ck_assert_str_eq(seen.list[0].address, "10.0.0.1");
}
END_TEST

/* Peers */

START_TEST(a_peer_that_goes_takes_its_questions_along)
{
	struct resolve_site m = {.request = 1, .domain = SLICE("silent.bad")};
	struct channel *other = link_peer("smtp", &resolver_dialogue, peer_routes);
	for (int i = 0; i < 1000; i++) {
		m.request++;
		ck_assert(channel_send(other, RESOLVE_SITE, &m));
	}
	ck_assert(channel_flush(other, 1000000));
	ck_assert_uint_eq(answer_count, 0);
	ask_site("many.bad"); /* others have their turn, while the server says nothing */
	ck_assert_uint_eq(seen.code, 0);
	channel_free(&other);
	ask_hosts("count.bad", false, 25);
	ck_assert_uint_eq(seen.code, 0);
}
END_TEST

START_TEST(who_asks_too_much_at_once_is_told_so)
{
	enum { MORE = 10 };
	struct resolve_hosts m = {.name = SLICE("silent.bad"), .mx = true, .port = 25};
	begin_asking();
	for (m.request = 1; m.request <= QUESTIONS_PEER_MAX + MORE; m.request++)
		ck_assert(channel_send(peer, RESOLVE_HOSTS, &m));
	await_answers(MORE);
	ck_assert_uint_eq(seen.code, 451);
	ck_assert_str_eq(seen.text, "addresses of silent.bad: too many questions at once");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("answers");
	TCase *good = tcase_create("good"), *bad = tcase_create("bad"),
	      *peers = tcase_create("peers");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_set_timeout(good, 60);
	tcase_add_unchecked_fixture(good, servers_setup, servers_teardown);
	tcase_add_checked_fixture(good, setup, stop_daemon);
	tcase_add_loop_test(good, a_domain_has_a_site, 0, COUNT(sites));
	tcase_add_test(good, answers_are_kept_neither_too_short_nor_too_long);
	tcase_add_loop_test(good, a_next_hop_has_addresses, 0, COUNT(hosts));
	tcase_add_loop_test(good, a_client_has_the_name_that_leads_back_to_it, 0, COUNT(clients));
	tcase_add_test(good, what_is_signed_is_secure_and_what_was_changed_is_trouble);
	tcase_add_test(good, an_insecure_domain_is_not_validated);
	tcase_add_test(good, a_bad_anchor_leaves_the_former_way_in_use);
	tcase_add_test(good, the_configured_server_goes_before_resolv_conf);
	tcase_add_test(good, a_change_of_server_takes_what_is_under_way_along);
	suite_add_tcase(s, good);
	tcase_set_timeout(bad, 90);
	tcase_add_unchecked_fixture(bad, servers_setup, servers_teardown);
	tcase_add_checked_fixture(bad, setup_misbehaving, stop_daemon);
	tcase_add_loop_test(bad, S36_trouble_is_trouble_and_no_way_to_the_domains_address, 0,
			    COUNT(troubles));
	tcase_add_test(bad, S37_no_address_for_now_is_deferred);
	tcase_add_test(bad, a_lame_server_makes_no_mail_come_back);
	tcase_add_test(bad, S37_a_host_of_which_nobody_tells_keeps_mail_from_no_other);
	tcase_add_test(bad, S36_a_server_that_is_silent_is_trouble_in_time);
	tcase_add_test(bad, S41_of_2000_mx_records_100_hosts_are_looked_at);
	suite_add_tcase(s, bad);
	tcase_set_timeout(peers, 90);
	tcase_add_unchecked_fixture(peers, servers_setup, servers_teardown);
	tcase_add_checked_fixture(peers, setup_misbehaving, stop_daemon);
	tcase_add_test(peers, a_question_of_many_is_asked_once);
	tcase_add_test(peers, a_peer_that_goes_takes_its_questions_along);
	tcase_add_test(peers, who_asks_too_much_at_once_is_told_so);
	suite_add_tcase(s, peers);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
