/*
 * Sessions that are used again, and transactions that follow one another without waiting: whatever
 * happens to the one before, nothing is lost, and nothing is sent twice that was not.
 */
#include <sys/resource.h>

#include "tests/unit/daemon-smtp/house.h"

#include "tests/unit/daemon-smtp/expect.h"

#define SAID	   "<MAIL\n<RCPT\n<DATA\n"
#define SAID_OK	   ">250 ok\n>250 ok\n>354 go\n"
#define FIRST	   SAID SAID_OK ".\n>250 first\n"
#define CHUNKS	   GREETING ">250-mx.test\n>250-PIPELINING\n>250 CHUNKING\n"
#define CHUNK_SAID "<MAIL\n<RCPT\n<BDAT\n#\n"
/* the third message's commands are heard before the second one's content is answered */
#define BOTH HELLO FIRST SAID SAID_OK ".\n" SAID
#define BOTH_CHUNKS \
	CHUNKS CHUNK_SAID ">250 ok\n>250 ok\n>250 first\n" CHUNK_SAID "<RSET\n" CHUNK_SAID

/* The second and the third of three messages to one destination. */
static const struct {
	const char *name, *script, *second, *third;
	unsigned connections;
} cases[] = {
    {"all is well", BOTH ">250 second\n" SAID_OK ".\n>250 third\n&", "1 250 2.0.0 - 1 second",
     "1 250 2.0.0 - 1 third", 1},
    {"the second is deferred", BOTH ">451 later\n" SAID_OK ".\n>250 third\n&",
     "2 451 4.0.0 - 1 later", "1 250 2.0.0 - 1 third", 1},
    {"the second is refused", BOTH ">550 no\n" SAID_OK ".\n>250 third\n&", "3 550 5.0.0 - 1 no",
     "1 250 2.0.0 - 1 third", 1},
    {"421 to the second", BOTH ">421 bye", "2 421 4.0.0 site 1 bye", "1 250 2.6.0 - 1 taken", 2},
    {"death before the answer to the second", BOTH,
     "2 451 4.4.2 site 0 lost connection after the content", "1 250 2.6.0 - 1 taken", 2},
    {"garbage for an answer to the second", BOTH ">what?\n&",
     "2 451 4.4.2 site 0 what it says is no SMTP after the content", "1 250 2.6.0 - 1 taken", 2},
    {"354 for an answer to the second", BOTH ">354 what?\n&",
     "2 451 4.4.2 site 0 replies are out of step after the content", "1 250 2.6.0 - 1 taken", 2},
    {"death before the answer to the third's MAIL", BOTH ">250 second", "1 250 2.0.0 - 1 second",
     "1 250 2.6.0 - 1 taken", 2},
    {"421 to the third's MAIL: the session is used up", BOTH ">250 second\n>421 enough",
     "1 250 2.0.0 - 1 second", "1 250 2.6.0 - 1 taken", 2},
    {"421 to the third's RCPT", BOTH ">250 second\n>250 ok\n>421 enough", "1 250 2.0.0 - 1 second",
     "2 421 4.0.0 site 1 enough", 1},
    {"the third's MAIL is refused", BOTH ">250 second\n>550 no\n>503 a\n>503 b\n&",
     "1 250 2.0.0 - 1 second", "3 550 5.0.0 - 1 no", 1},
    {"the second is refused and not ended by the server (S6)",
     BOTH ">550 no\n>503 5.5.1 nested MAIL\n&", "3 550 5.0.0 - 1 no", "1 250 2.6.0 - 1 taken", 2},
    {"the third's MAIL is refused, DATA is not",
     BOTH ">250 second\n>550 no\n>503 a\n>354 go\n<.\n>503 c\n&", "1 250 2.0.0 - 1 second",
     "3 550 5.0.0 - 1 no", 1},
    {"the third's RCPT is refused", BOTH ">250 second\n>250 ok\n>550 no\n>503 b\n<RSET\n>250 ok\n&",
     "1 250 2.0.0 - 1 second", "3 550 5.0.0 - 1 no", 1},
    {"the third's DATA is refused",
     BOTH ">250 second\n>250 ok\n>250 ok\n>554 no\n<RSET\n>250 ok\n&", "1 250 2.0.0 - 1 second",
     "3 554 5.0.0 - 1 no", 1},
    {"death in the third's envelope", BOTH ">250 second\n>250 ok", "1 250 2.0.0 - 1 second",
     "2 451 4.4.2 site 0 lost connection while", 1},
    {"death after the third's content", BOTH ">250 second\n" SAID_OK ".", "1 250 2.0.0 - 1 second",
     "2 451 4.4.2 site 0 lost connection after the content", 1},
    {"chunks: all is well",
     BOTH_CHUNKS ">250 ok\n>250 ok\n>250 second\n>250 reset\n>250 ok\n>250 ok\n>250 third\n&",
     "1 250 2.0.0 - 1 second", "1 250 2.0.0 - 1 third", 1},
    {"chunks: the second's RCPT is refused",
     BOTH_CHUNKS ">250 ok\n>550 no\n>503 no\n>250 reset\n>250 ok\n>250 ok\n>250 third\n&",
     "3 550 5.0.0 - 1 no", "1 250 2.0.0 - 1 third", 1},
    {"chunks: death before any answer: both may be there", BOTH_CHUNKS,
     "2 451 4.4.2 site 0 lost connection after the content",
     "2 451 4.4.2 site 0 lost connection after the content", 1},
    {"chunks: death after the second's answer", BOTH_CHUNKS ">250 ok\n>250 ok\n>250 second",
     "1 250 2.0.0 - 1 second", "2 451 4.4.2 site 0 lost connection after the content", 1},
    {"chunks: RSET is refused", BOTH_CHUNKS ">250 ok\n>250 ok\n>250 second\n>500 what\n&",
     "1 250 2.0.0 - 1 second", "2 451 4.4.2 site 0 RSET was refused after the content", 1},
};

static void send_jobs(uint64_t first, uint64_t last, const char *next_hop)
{
	for (uint64_t i = first; i <= last; i++) {
		struct job_start m = job_of(i, next_hop);
		start(&m);
	}
}

START_TEST(the_next_transaction_does_not_wait_and_is_none_the_worse)
{
	const char *name = cases[_i].name;
	server_start(0, cases[_i].script);
	servers[0].scripts[1] = GOOD;
	send_jobs(1, 1, hops(1));
	run_until_outcomes(1);
	send_jobs(2, 3, hops(1));
	run_until_outcomes(3);
	expect(name, outcome_of(1, 1), "1 250 2.0.0 - 1 first");
	expect(name, outcome_of(2, 1), cases[_i].second);
	expect(name, outcome_of(3, 1), cases[_i].third);
	run_for(30000);
	ck_assert_uint_eq(outcome_count, 3);
	ck_assert_uint_eq(servers[0].connections, cases[_i].connections);
	ck_assert_uint_eq(servers[0].messages, cases[_i].connections - 1);
}
END_TEST

START_TEST(a_session_is_used_again)
{
	server_start(0, GOOD);
	for (uint64_t i = 1; i <= 50; i++) {
		send_jobs(i, i, hops(1));
		run_until_outcomes(i);
	}
	ck_assert_uint_eq(servers[0].connections, 1);
	ck_assert_uint_eq(servers[0].messages, 50);
	ck_assert(!server_heard(0, "RSET"));
	run_until_heard(0, "QUIT");
}
END_TEST

START_TEST(S49_after_a_rest_it_is_reset_first)
{
	server_start(0, GOOD);
	send_jobs(1, 1, hops(1));
	run_until_outcomes(1);
	run_for(200000);
	send_jobs(2, 2, hops(1));
	run_until_outcomes(2);
	ck_assert_uint_eq(servers[0].connections, 1);
	ck_assert(server_heard(0, "RSET\r\nMAIL"));
}
END_TEST

START_TEST(a_session_that_ended_while_it_rested_harms_no_job)
{
	server_start(0, HELLO FIRST);
	servers[0].scripts[1] = HELLO FIRST ">421 idle for too long";
	servers[0].scripts[2] = HELLO FIRST "<RSET\n<MAIL\n<RCPT\n<DATA\n>421 bye";
	servers[0].scripts[3] = HELLO FIRST "<RSET\n<MAIL\n<RCPT\n<DATA\n>500 what is RSET";
	servers[0].scripts[4] = HELLO FIRST "<RSET\n!";
	servers[0].scripts[5] = HELLO FIRST "<RSET\n<MAIL\n<RCPT\n<DATA\n>250 ok\n>421 bye";
	servers[0].scripts[6] = GOOD;
	for (uint64_t i = 1; i <= 7; i++) {
		send_jobs(i, i, hops(1));
		run_until_outcomes(i);
		ck_assert_uint_eq(outcomes[i - 1].status, JOB_DELIVERED);
		run_for(120000);
	}
	ck_assert_uint_eq(servers[0].connections, 7);
}
END_TEST

START_TEST(many_messages_share_few_sessions)
{
	enum { JOBS = 1000 };
	server_start(0, GOOD);
	send_jobs(1, JOBS, hops(1));
	run_until_outcomes(JOBS);
	for (size_t i = 0; i < JOBS; i++)
		ck_assert_msg(outcomes[i].status == JOB_DELIVERED, "%s", outcomes[i].text);
	ck_assert_uint_eq(servers[0].messages, JOBS);
	ck_assert_uint_le(servers[0].connections, DESTINATION_SESSIONS_MAX);
}
END_TEST

START_TEST(a_server_that_is_slow_sees_twenty_sessions_and_no_more)
{
	server_start(0, HELLO SAID SAID_OK ".\n&");
	send_jobs(1, 100, hops(1));
	while (servers[0].connections < DESTINATION_SESSIONS_MAX)
		run_for(10000);
	run_for(200000);
	ck_assert_uint_eq(servers[0].connections, DESTINATION_SESSIONS_MAX);
	ck_assert_uint_eq(outcome_count, 0);
}
END_TEST

START_TEST(a_server_that_does_not_greet_sees_two)
{
	server_start(0, "&");
	send_jobs(1, 100, hops(1));
	run_for(300000);
	ck_assert_uint_eq(servers[0].connections, CONNECTING_AT_FIRST);
}
END_TEST

START_TEST(when_nobody_is_there_all_that_wait_hear_it_at_once)
{
	server_start(0, NULL);
	send_jobs(1, 100, hops(1));
	run_until_outcomes(100);
	for (size_t i = 0; i < 100; i++)
		expect("refused", &outcomes[i], "2 451 4.4.1 site 0 connect to");
}
END_TEST

/* One that never answers does not keep the others waiting. */
START_TEST(a_thousand_destinations_have_a_session_each)
{
	enum { DESTINATIONS = 1000 };
	struct rlimit files;
	char destination[32];
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_max < 2 * DESTINATIONS)
		return; /* this system gives a process too few descriptors to see it */
	server_start(0, HELLO SAID SAID_OK ".\n&");
	server_start(1, GOOD);
	for (uint64_t i = 1; i <= DESTINATIONS; i++) {
		struct job_start m = job_of(i, hops(1));
		snprintf(destination, sizeof(destination), "d%u", (unsigned)i);
		m.destination = slice_str(destination);
		start(&m);
	}
	while (servers[0].connections < DESTINATIONS)
		run_for(10000);
	struct job_start m = job_of(DESTINATIONS + 1, mx("m2.test"));
	start(&m);
	run_until_outcomes(1);
	expect("another", &outcomes[0], "1 250 2.6.0 - 2 taken");
}
END_TEST

START_TEST(destinations_do_not_share_sessions)
{
	struct job_start m;
	server_start(0, GOOD);
	for (uint64_t i = 1; i <= 4; i++) {
		m = job_of(i, hops(1));
		m.destination = i % 2 ? SLICE("a") : SLICE("b");
		start(&m);
		run_until_outcomes(i);
	}
	ck_assert_uint_eq(servers[0].connections, 2);
}
END_TEST

/* The owner of a domain has told the manager another site's hosts, and us his own. */
static struct job_start strayed_job(uint64_t message, char site[100], char domain[100])
{
	struct job_start m;
	snprintf(site, 100, "%s", mx("m2.test"));
	snprintf(domain, 100, "%s", mx("m1.test"));
	m = job_of(message, domain);
	m.destination = slice_str(site);
	return m;
}

START_TEST(nobodys_mail_meets_the_servers_of_another_site)
{
	char site[100], domain[100];
	struct job_start m;
	server_start(0, GOOD);
	server_start(1, GOOD);
	for (uint64_t i = 1; i <= 2; i++) {
		m = strayed_job(i, site, domain);
		start(&m);
		run_until_outcomes(i);
	}
	m = job_of(3, site);
	start(&m);
	run_until_outcomes(3);
	expect("strayed", outcome_of(1, 1), "1 250 2.6.0 - 1 taken");
	expect("strayed too", outcome_of(2, 1), "1 250 2.6.0 - 1 taken");
	expect("of the site", outcome_of(3, 1), "1 250 2.6.0 - 2 taken");
	ck_assert_uint_eq(servers[1].messages, 1);
}
END_TEST

START_TEST(no_site_is_blamed_for_the_servers_of_another)
{
	char site[100], domain[100];
	struct job_start m;
	server_start(0, NULL);
	m = strayed_job(1, site, domain);
	start(&m);
	run_until_outcomes(1);
	expect("strayed", outcome_of(1, 1), "2 451 4.4.1 - 0 connect to mx1.test");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sessions");
	TCase *t = tcase_create("sessions");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_add_checked_fixture(t, house_begin, house_end);
	tcase_set_timeout(t, 40);
	tcase_add_loop_test(t, the_next_transaction_does_not_wait_and_is_none_the_worse, 0,
			    sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(t, a_session_is_used_again);
	tcase_add_test(t, S49_after_a_rest_it_is_reset_first);
	tcase_add_test(t, a_session_that_ended_while_it_rested_harms_no_job);
	tcase_add_test(t, many_messages_share_few_sessions);
	tcase_add_test(t, a_server_that_is_slow_sees_twenty_sessions_and_no_more);
	tcase_add_test(t, a_server_that_does_not_greet_sees_two);
	tcase_add_test(t, when_nobody_is_there_all_that_wait_hear_it_at_once);
	tcase_add_test(t, destinations_do_not_share_sessions);
	tcase_add_test(t, nobodys_mail_meets_the_servers_of_another_site);
	tcase_add_test(t, no_site_is_blamed_for_the_servers_of_another);
	tcase_add_test(t, a_thousand_destinations_have_a_session_each);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
