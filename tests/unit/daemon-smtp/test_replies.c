/*
 * What a job's recipients hear, whatever its servers say and wherever they die. The scripts are
 * explained in servers.h; the numbers S.. are the rules that new mail systems get wrong.
 */
#include "tests/unit/daemon-smtp/house.h"

#include "tests/unit/daemon-smtp/expect.h"

#define DATA_OK "<MAIL\n>250 ok\n<RCPT\n>250 ok\n<DATA\n>354 go\n.\n"
#define FOUR	"<MAIL\n<RCPT TO:<r1@\n<RCPT\n" REST
#define REST	"<RCPT\n<RCPT\n<DATA\n"
#define NO_MORE ">452 4.5.3 no more\n"
#define TAKEN	">354 go\n.\n>250 yes\n"
#define TWO	"<MAIL\n<RCPT TO:<r1@\n<RCPT TO:<r2@\n<DATA\n"

static const struct {
	const char *name;
	const char *scripts[3]; /* of servers 1 to 3; NULL: nobody is there */
	unsigned hosts, recipients;
	/* of the first and the last recipient: "status code enhanced site relay text" */
	const char *expected[2];
	const char *heard; /* by the last server; NULL: whatever */
} cases[] = {
    {.name = "it is delivered", {GOOD}, 1, 1, {"1 250 2.6.0 - 1 taken"}, "\r\nHello\r\n.\r\nQUIT"},
    {.name = "without an enhanced code",
     {HELLO ENVELOPE ENVELOPE_OK ".\n>250 queued as 7"},
     1,
     1,
     {"1 250 2.0.0 - 1 queued as 7"}},
    {.name = "without PIPELINING it goes step by step",
     {SLOW_HELLO DATA_OK ">250 yes\n<QUIT"},
     1,
     1,
     {"1 250 2.0.0 - 1 yes"},
     "Hello"},
    {.name = "a hundred recipients at once",
     {GOOD},
     1,
     100,
     {"1 250 2.6.0 - 1 taken", "1 250 2.6.0 - 1 taken"},
     "RCPT TO:<r100@b.test>"},

    /* S44: the greeting and EHLO */
    {.name = "a 5xx greeting is a host that can't serve now",
     {">554 5.7.1 go away", GOOD},
     2,
     1,
     {"1 250 2.6.0 - 2 taken"}},
    {.name = "when all greet so it waits",
     {">554 5.7.1 no\n<QUIT", ">554 no\n<QUIT"},
     2,
     1,
     {"2 451 4.0.0 site 2 554 no"}},
    {.name = "a 4xx greeting", {">421 4.3.2 later", GOOD}, 2, 1, {"1 250 2.6.0 - 2 taken"}},
    {.name = "4xx to EHLO", {GREETING ">450 later", GOOD}, 2, 1, {"1 250 2.6.0 - 2 taken"}},
    {.name = "4xx to EHLO of all",
     {GREETING ">450 4.7.1 later"},
     1,
     1,
     {"2 450 4.7.1 site 1 later"}},
    {.name = "5xx to EHLO leads to HELO",
     {GREETING ">502 what\n<HELO us.test\n>250 mx\n" DATA_OK ">250 yes"},
     1,
     1,
     {"1 250 2.0.0 - 1 yes"}},
    {.name = "5xx to HELO too",
     {GREETING ">502 what\n<HELO\n>550 5.7.0 not you"},
     1,
     1,
     {"3 550 5.7.0 - 1 not you"}},
    {.name = "4xx to HELO",
     {GREETING ">502 what\n<HELO\n>450 busy", GOOD},
     2,
     1,
     {"1 250 2.6.0 - 2 taken"}},

    /* connections */
    {.name = "nobody is there",
     {NULL},
     1,
     1,
     {"2 451 4.4.1 site 0 connect to 127.0.0.1[127.0.0.1]:"}},
    {.name = "the second is there", {NULL, GOOD}, 2, 1, {"1 250 2.6.0 - 2 taken"}},
    {.name = "it dies before the greeting", {"!", GOOD}, 2, 1, {"1 250 2.6.0 - 2 taken"}},
    /* 4.4.1 or 4.4.2: the reset may come before the kernel has told us of the connection */
    {.name = "it dies before the greeting, alone", {"!"}, 1, 1, {"2 451 4.4."}},
    {.name = "it closes after the greeting",
     {">220 hi\n<EHLO", GOOD},
     2,
     1,
     {"1 250 2.6.0 - 2 taken"}},
    {.name = "it dies after EHLO", {HELLO "!", GOOD}, 2, 1, {"1 250 2.6.0 - 2 taken"}},
    {.name = "it dies after MAIL", {SLOW_HELLO "<MAIL\n!", GOOD}, 2, 1, {"1 250 2.6.0 - 2 taken"}},
    {.name = "it dies after RCPT",
     {SLOW_HELLO "<MAIL\n>250 ok\n<RCPT\n!", GOOD},
     2,
     1,
     {"1 250 2.6.0 - 2 taken"}},
    {.name = "it dies after DATA",
     {SLOW_HELLO "<MAIL\n>250 ok\n<RCPT\n>250 ok\n<DATA\n!", GOOD},
     2,
     1,
     {"1 250 2.6.0 - 2 taken"}},
    {.name = "it dies after 354",
     {HELLO ENVELOPE ENVELOPE_OK "!"},
     1,
     1,
     {"2 451 4.4.2 site 0 lost connection"}},
    {.name = "S45: it dies after the final dot",
     {HELLO ENVELOPE ENVELOPE_OK ".\n", GOOD},
     2,
     1,
     {"2 451 4.4.2 site 0 lost connection after the content was sent to 127.0.0.1[127.0.0.1]"}},
    {.name = "garbage for a greeting",
     {">SSH-2.0-OpenSSH_9", GOOD},
     2,
     1,
     {"1 250 2.6.0 - 2 taken"}},
    {.name = "garbage for a greeting, alone",
     {">SSH-2.0-OpenSSH_9"},
     1,
     1,
     {"2 451 4.4.2 site 0 what it says is no SMTP while"}},
    {.name = "garbage in the middle",
     {HELLO "<MAIL\n>25 what", GOOD},
     2,
     1,
     {"1 250 2.6.0 - 2 taken"}},
    {.name = "more replies than commands",
     {SLOW_HELLO "<MAIL\n>250 ok\n>250 ok\n>250 ok\n&"},
     1,
     1,
     {"2 451 4.4.2 site 0 replies are out of step"}},
    {.name = "S50: replies to what we have not said yet, up to STARTTLS",
     {"=220 hi|250-mx|250 STARTTLS|220 go|\n&", GOOD},
     2,
     1,
     {"1 250 2.6.0 - 2 taken"}},
    {.name = "S50: replies to a whole message that we have not sent",
     {"=220 hi|250 mx|250 ok|250 ok|354 go|250 2.0.0 taken|\n&"},
     1,
     1,
     {"2 451 4.4.2 site 0 replies are out of step"}},
    {.name = "421 behind the greeting, before EHLO is heard",
     {"=220 hi|421 4.3.2 full|"},
     1,
     1,
     {"2 421 4.3.2 site 1 full"}},
    {.name = "354 to MAIL",
     {HELLO ENVELOPE ">354 go\n>250 ok\n>250 ok\n&"},
     1,
     1,
     {"2 451 4.4.2 site 0 replies are out of step"}},
    {.name = "354 to RCPT",
     {HELLO ENVELOPE ">250 ok\n>354 go\n>250 ok\n&"},
     1,
     1,
     {"2 451 4.4.2 site 0 replies are out of step"}},
    {.name = "250 to DATA",
     {HELLO ENVELOPE ">250 ok\n>250 ok\n>250 ok\n&"},
     1,
     1,
     {"2 451 4.4.2 site 0 replies are out of step"}},
    {.name = "354 to the dot",
     {HELLO ENVELOPE ENVELOPE_OK ".\n>354 go\n&"},
     1,
     1,
     {"2 451 4.4.2 site 0 replies are out of step after the content was sent"}},

    /* MAIL */
    {.name = "5xx to MAIL is final",
     {HELLO TWO ">550 5.1.8 bad sender\n>503 no\n>503 no\n>503 no\n&", GOOD},
     2,
     2,
     {"3 550 5.1.8 - 1 bad sender", "3 550 5.1.8 - 1 bad sender"}},
    {.name = "4xx to MAIL: the next host",
     {HELLO TWO ">450 4.1.8 later\n>503 no\n>503 no\n>503 no\n&", GOOD},
     2,
     2,
     {"1 250 2.6.0 - 2 taken", "1 250 2.6.0 - 2 taken"}},
    {.name = "4xx to MAIL of all is not the site's trouble (S47)",
     {HELLO ENVELOPE ">450 4.1.8 later\n>503 no\n>503 no\n&"},
     1,
     1,
     {"2 450 4.1.8 - 1 later"}},
    {.name = "5xx to MAIL, step by step: no RCPT",
     {SLOW_HELLO "<MAIL\n>550 no\n<QUIT"},
     1,
     1,
     {"3 550 5.0.0 - 1 no"},
     "MAIL FROM:<s@a.test>\r\nQUIT"},

    /* RCPT */
    {.name = "5xx to one does not stop the other (S46)",
     {HELLO TWO ">250 ok\n>550 5.1.1 unknown\n>250 ok\n>354 go\n.\n>250 yes"},
     1,
     2,
     {"3 550 5.1.1 - 1 unknown", "1 250 2.0.0 - 1 yes"}},
    {.name = "4xx to one: the next host for that one",
     {HELLO TWO ">250 ok\n>450 4.2.1 busy\n>250 ok\n>354 go\n.\n>250 yes\n&", GOOD},
     2,
     2,
     {"1 250 2.6.0 - 2 taken", "1 250 2.0.0 - 1 yes"}},
    {.name = "4xx to one, and no other host (S47)",
     {HELLO TWO ">250 ok\n>450 4.2.1 busy\n>250 ok\n>354 go\n.\n>250 yes\n&"},
     1,
     2,
     {"2 450 4.2.1 - 1 busy", "1 250 2.0.0 - 1 yes"}},
    {.name = "S46: all rejected, DATA refused",
     {HELLO TWO ">250 ok\n>550 a\n>550 b\n>554 no valid recipients\n<RSET\n>250 ok\n&"},
     1,
     2,
     {"3 550 5.0.0 - 1 a", "3 550 5.0.0 - 1 b"},
     "RSET"},
    {.name = "S46: all rejected, DATA not refused: a lone dot",
     {HELLO TWO ">250 ok\n>550 a\n>450 b\n>354 go\n<.\n>554 no\n&"},
     1,
     2,
     {"3 550 5.0.0 - 1 a", "2 450 4.0.0 - 1 b"},
     "DATA\r\n.\r\n"},
    {.name = "S46: all rejected, step by step: RSET, not DATA",
     {SLOW_HELLO "<MAIL\n>250 ok\n<RCPT\n>550 no\n<RSET\n>250 ok\n&"},
     1,
     1,
     {"3 550 5.0.0 - 1 no"},
     "RSET"},
    {.name = "S48: 552 to RCPT is permanent",
     {HELLO ENVELOPE ">250 ok\n>552 5.2.2 full\n>503 no\n&"},
     1,
     1,
     {"3 552 5.2.2 - 1 full"}},
    {.name = "S48: unless it means too many",
     {HELLO TWO ">250 ok\n>250 ok\n>552 5.5.3 too many\n>354 go\n.\n>250 yes\n"
		"<MAIL\n<RCPT TO:<r2@\n<DATA\n>250 ok\n>250 ok\n>354 go\n.\n>250 too\n&"},
     1,
     2,
     {"1 250 2.0.0 - 1 yes", "1 250 2.0.0 - 1 too"}},
    {.name = "452 too many: the rest goes to the same host",
     {HELLO TWO ">250 ok\n>250 ok\n>452 4.5.3 too many\n>354 go\n.\n>250 yes\n"
		"<MAIL\n<RCPT TO:<r2@\n<DATA\n>250 ok\n>250 ok\n>354 go\n.\n>250 too\n&"},
     1,
     2,
     {"1 250 2.0.0 - 1 yes", "1 250 2.0.0 - 1 too"}},
    {.name = "one recipient each time: the same host gets all of them",
     {HELLO FOUR ">250 ok\n>250 ok\n" NO_MORE NO_MORE NO_MORE TAKEN "<MAIL\n<RCPT TO:<r2@\n" REST
		 ">250 ok\n>250 ok\n" NO_MORE NO_MORE TAKEN "<MAIL\n<RCPT TO:<r3@\n<RCPT\n<DATA\n"
		 ">250 ok\n>250 ok\n" NO_MORE TAKEN
		 "<MAIL\n<RCPT TO:<r4@\n<DATA\n>250 ok\n>250 ok\n" TAKEN "&"},
     1,
     4,
     {"1 250 2.0.0 - 1 yes", "1 250 2.0.0 - 1 yes"}},
    {.name = "452 to all: waits",
     {HELLO ENVELOPE ">250 ok\n>452 4.5.3 too many\n>503 no\n&"},
     1,
     1,
     {"2 452 4.5.3 - 1 too many"}},

    /* DATA and content */
    {.name = "5xx to DATA is final",
     {HELLO ENVELOPE ">250 ok\n>250 ok\n>554 5.6.0 no\n&", GOOD},
     2,
     1,
     {"3 554 5.6.0 - 1 no"}},
    {.name = "4xx to DATA: the next host",
     {HELLO ENVELOPE ">250 ok\n>250 ok\n>451 later\n&", GOOD},
     2,
     1,
     {"1 250 2.6.0 - 2 taken"}},
    {.name = "5xx to the content is final",
     {HELLO ENVELOPE ENVELOPE_OK ".\n>550 5.7.1 spam\n&", GOOD},
     2,
     1,
     {"3 550 5.7.1 - 1 spam"}},
    {.name = "4xx to the content: the next host",
     {HELLO ENVELOPE ENVELOPE_OK ".\n>451 4.3.0 later\n&", GOOD},
     2,
     1,
     {"1 250 2.6.0 - 2 taken"}},
    {.name = "S44: only the remaining ones go to the next host",
     {HELLO TWO ">250 ok\n>550 5.1.1 unknown\n>250 ok\n>354 go\n.\n>451 later\n&", GOOD},
     2,
     2,
     {"3 550 5.1.1 - 1 unknown", "1 250 2.6.0 - 2 taken"},
     "RCPT TO:<r2@b.test>\r\nDATA"},

    /* 421: S45 */
    {.name = "421 to MAIL: the next host",
     {HELLO ENVELOPE ">421 4.3.2 bye", GOOD},
     2,
     1,
     {"1 250 2.6.0 - 2 taken"}},
    {.name = "421 to MAIL of all is the site's",
     {HELLO ENVELOPE ">421 4.3.2 bye"},
     1,
     1,
     {"2 421 4.3.2 site 1 bye"}},
    {.name = "421 to RCPT",
     {HELLO TWO ">250 ok\n>250 ok\n>421 bye", GOOD},
     2,
     2,
     {"1 250 2.6.0 - 2 taken", "1 250 2.6.0 - 2 taken"}},
    {.name = "421 to DATA",
     {HELLO ENVELOPE ">250 ok\n>250 ok\n>421 bye", GOOD},
     2,
     1,
     {"1 250 2.6.0 - 2 taken"}},
    {.name = "421 to the dot is an answer: it was not taken",
     {HELLO ENVELOPE ENVELOPE_OK ".\n>421 bye", GOOD},
     2,
     1,
     {"1 250 2.6.0 - 2 taken"}},
    {.name = "421 out of the blue", {HELLO ">421 bye", GOOD}, 2, 1, {"1 250 2.6.0 - 2 taken"}},

    /* S40 */
    {.name = "not more than two hosts that answer",
     {">421 a", ">421 b", ">421 c"},
     3,
     1,
     {"2 421 4.0.0 site 3 c"}},
};

START_TEST(each_recipient_hears_what_became_of_it)
{
	struct job_start m;
	for (unsigned i = 0; i < cases[_i].hosts; i++)
		server_start(i, cases[_i].scripts[i]);
	m = job_of(1, hops(cases[_i].hosts));
	start_to(m, cases[_i].recipients);
	run_until_outcomes(cases[_i].recipients);
	expect(cases[_i].name, outcome_of(1, 1), cases[_i].expected[0]);
	if (cases[_i].recipients > 1)
		expect(cases[_i].name, outcome_of(1, cases[_i].recipients), cases[_i].expected[1]);
	ck_assert_uint_eq(outcome_count, cases[_i].recipients);
	if (cases[_i].heard)
		run_until_heard(cases[_i].hosts - 1, cases[_i].heard);
}
END_TEST

/* MAIL was refused, and all that follows is taken: a dot alone would be an empty message. */
START_TEST(nobody_gets_an_empty_message)
{
	struct job_start m;
	server_start(0, HELLO ENVELOPE ">550 5.7.1 no\n>250 ok\n>354 go\n&");
	m = job_of(1, hops(1));
	start(&m);
	run_until_outcomes(1);
	expect("refused", outcome_of(1, 1), "3 550 5.7.1 - 1 no");
	run_for(50000);
	ck_assert(server_heard(0, "DATA\r\n"));
	ck_assert(!server_heard(0, "DATA\r\n."));
}
END_TEST

/* By MX (S40, S43) and the resolver's answers. */
static const struct {
	const char *name, *next_hop;
	const char *scripts[5];
	const char *expected;
} walks[] = {
    {"the hosts of a domain", "m12.test", {">421 no", GOOD}, "1 250 2.6.0 - 2 taken"},
    {"two that answer are enough (S40)",
     "m123.test",
     {">421 a", ">421 b", GOOD},
     "2 421 4.0.0 site 2 b"},
    {"hosts that are not there do not count (S40)",
     "m4123.test",
     {">421 a", GOOD},
     "1 250 2.6.0 - 2 taken"},
    {"five addresses are enough (S40)",
     "m456781.test",
     {GOOD},
     "2 451 4.4.1 site 0 connect to mx8.test[127.0.0.8]:"},
    {"another host before another address of the same",
     "m251.test",
     {GOOD, ">421 b", NULL, NULL, ">421 e"},
     "1 250 2.6.0 - 1 taken"},
    {"five addresses of each item", "m456781.test+m1.test", {GOOD}, "1 250 2.6.0 - 1 taken"},
    {"there is no such domain", "550.test", {GOOD}, "3 550 5.4.4 - 0 no such host"},
    {"the name server fails", "451.test", {GOOD}, "2 451 4.4.3 - 0 no such host"},
    {"the next item of the next hop", "550.test+m1.test", {GOOD}, "1 250 2.6.0 - 1 taken"},
    {"what may pass is worth more", "451.test+550.test", {GOOD}, "2 451 4.4.3 - 0 no such host"},
    {"S43: we are its best host",
     "m12.test",
     {">220 x\n<EHLO\n>250 Us.TEST\n<QUIT", GOOD},
     "3 554 5.4.6 - 0 mail loops back"},
    {"S43: we are not its best host",
     "m32.test",
     {NULL, ">220 x\n<EHLO\n>250 us.test\n<QUIT", NULL},
     "2 451 4.4.6 site 0 mail loops back"},
};

START_TEST(the_hosts_of_a_next_hop_are_tried_in_order)
{
	char next_hop[200] = "";
	struct slice rest = slice_str(walks[_i].next_hop), item;
	struct job_start m;
	for (unsigned i = 0; i < 5; i++)
		server_start(i, walks[_i].scripts[i]);
	while (rest.len > 0) {
		slice_split(rest, '+', &item, &rest);
		snprintf(next_hop + strlen(next_hop), sizeof(next_hop) - strlen(next_hop),
			 "%s%.*s:%u", next_hop[0] ? " " : "", SLICE_FMT(item), server_port);
	}
	m = job_of(1, next_hop);
	start(&m);
	run_until_outcomes(1);
	expect(walks[_i].name, &outcomes[0], walks[_i].expected);
	ck_assert_uint_ge(questions, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("replies");
	TCase *t = tcase_create("replies");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_add_checked_fixture(t, house_begin, house_end);
	tcase_set_timeout(t, 40);
	tcase_add_loop_test(t, each_recipient_hears_what_became_of_it, 0,
			    sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(t, nobody_gets_an_empty_message);
	tcase_add_loop_test(t, the_hosts_of_a_next_hop_are_tried_in_order, 0,
			    sizeof(walks) / sizeof(walks[0]));
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
