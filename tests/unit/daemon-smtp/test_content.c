/*
 * What is said about a message, and how its content goes over: as it lies, stuffed, in chunks, from
 * a file.
 */
#include "tests/unit/daemon-smtp/house.h"

#include "tests/unit/daemon-smtp/expect.h"

enum {
	NUL = 4,
	EIGHT_BIT = 8,
	EIGHT_BIT_HEADER = 16,
	LONG = 32,
	DOTS = 64,
	NO_END = 128,
};

#define OFFERS(words) GREETING ">250-mx.test\n" words ">250 PIPELINING\n*"
#define CHUNKING      ">250-CHUNKING\n"
#define X100                                                                                       \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
	"xxxxxxxxxxxx"
#define X1000 X100 X100 X100 X100 X100 X100 X100 X100 X100 X100
#define X998                                                               \
	X100 X100 X100 X100 X100 X100 X100 X100 X100                       \
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define ALL    ">250-SIZE 1000000\n>250-8BITMIME\n>250-SMTPUTF8\n>250-DSN\n"
#define ENVID  SLICE("QQ+2B7")
#define HEADER "Received: us\r\nSubject: x\r\n"

/* {next hop's offers, content flags, job flags, notify, body, heard} */
static const struct {
	const char *name, *script;
	uint32_t content, flags, notify;
	const char *body, *heard;
} said[] = {
    {"as it lies", OFFERS(""), 0, 0, 0, "\r\na\r\n", HEADER "\r\na\r\n.\r\n"},
    {"dots are doubled", OFFERS(""), DOTS, 0, 0, "\r\n.a\r\n..\r\nb.\r\n",
     "\r\n..a\r\n...\r\nb.\r\n.\r\n"},
    {"the end of the last line is added", OFFERS(""), NO_END, 0, 0, "\r\na",
     HEADER "\r\na\r\n.\r\n"},
    {"a dot at the end without its line end", OFFERS(""), NO_END | DOTS, 0, 0, "\r\n.",
     HEADER "\r\n..\r\n.\r\n"},
    {"S25: long lines are broken", OFFERS(""), LONG, 0, 0, "\r\n" X1000 "\r\n",
     X998 "\r\n xx\r\n.\r\n"},
    {"S2: a stray LF never gets out", OFFERS(""), 1, 0, 0, "\r\na\n.\nb\r\n",
     "\r\na\r\n..\r\nb\r\n.\r\n"},
    {"chunks: as it lies, dots and all", OFFERS(CHUNKING), DOTS, 0, 0, "\r\n.a\r\n.\r\n",
     "BDAT 35 LAST\r\n" HEADER "\r\n.a\r\n.\r\n"},
    {"chunks: without a line end", OFFERS(CHUNKING), NO_END, 0, 0, "\r\na",
     "BDAT 29 LAST\r\n" HEADER "\r\na"},
    {"chunks, S25: long lines are broken", OFFERS(CHUNKING), LONG, 0, 0, "\r\n" X1000 "\r\n",
     "BDAT 1033 LAST\r\n" HEADER "\r\n" X998 "\r\n xx\r\n"},
    {"nothing is said that is not offered", OFFERS(""), 0, JOB_UTF8 | JOB_8BITMIME | JOB_RET_FULL,
     NOTIFY_NEVER, "\r\na\r\n", "MAIL FROM:<s@a.test>\r\nRCPT TO:<r1@b.test>\r\nDATA\r\n"},
    {"SIZE", OFFERS(">250-SIZE\n"), 0, 0, 0, "\r\na\r\n", "MAIL FROM:<s@a.test> SIZE=31\r\n"},
    {"8BITMIME where it is needed", OFFERS(">250-8BITMIME\n"), EIGHT_BIT, 0, 0, "\r\n\xc3\xa4\r\n",
     "MAIL FROM:<s@a.test> BODY=8BITMIME\r\n"},
    {"8BITMIME where it is not", OFFERS(">250-8BITMIME\n"), 0, JOB_8BITMIME, 0, "\r\na\r\n",
     "MAIL FROM:<s@a.test>\r\n"},
    {"S23: SMTPUTF8 where the header needs it", OFFERS(">250-SMTPUTF8\n>250-8BITMIME\n"),
     EIGHT_BIT | EIGHT_BIT_HEADER, JOB_UTF8, 0, "\r\na\r\n",
     "MAIL FROM:<s@a.test> BODY=8BITMIME SMTPUTF8\r\n"},
    {"S23: not for the body", OFFERS(">250-SMTPUTF8\n>250-8BITMIME\n"), EIGHT_BIT, JOB_UTF8, 0,
     "\r\na\r\n", "MAIL FROM:<s@a.test> BODY=8BITMIME\r\n"},
    {"S22: NOTIFY that was not said stays so", OFFERS(">250-DSN\n"), 0, 0, 0, "\r\na\r\n",
     "RCPT TO:<r1@b.test> ORCPT=rfc822;o1@b.test\r\n"},
    {"NOTIFY", OFFERS(">250-DSN\n"), 0, JOB_RET_HDRS, NOTIFY_SUCCESS | NOTIFY_DELAY, "\r\na\r\n",
     "RET=HDRS ENVID=QQ+2B7\r\nRCPT TO:<r1@b.test> NOTIFY=SUCCESS,DELAY ORCPT="},
    {"all at once", OFFERS(ALL), EIGHT_BIT, JOB_RET_FULL, NOTIFY_NEVER, "\r\na\r\n",
     "MAIL FROM:<s@a.test> SIZE=31 BODY=8BITMIME RET=FULL ENVID=QQ+2B7\r\n"
     "RCPT TO:<r1@b.test> NOTIFY=NEVER ORCPT=rfc822;o1@b.test\r\n"},
};

START_TEST(content_and_parameters_are_as_the_server_can_take_them)
{
	struct job_start m;
	server_start(0, said[_i].script);
	m = job_of(1, hops(1));
	m.content = said[_i].content;
	m.flags = said[_i].flags;
	m.notify = said[_i].notify;
	m.envid = ENVID;
	m.body = slice_str(said[_i].body);
	start(&m);
	run_until_outcomes(1);
	expect(said[_i].name, &outcomes[0], "1 250 2.6.0 - 1 taken");
	ck_assert_msg(server_heard(0, said[_i].heard), "%s: %.*s", said[_i].name,
		      SLICE_FMT(buffer_slice(&servers[0].heard)));
	ck_assert_int_eq(outcomes[0].dsn, strstr(said[_i].script, "DSN") != NULL);
}
END_TEST

START_TEST(a_nul_passes)
{
	struct job_start m;
	server_start(0, GOOD);
	m = job_of(1, hops(1));
	m.content = NUL;
	m.body = SLICE("\r\na\0b\r\n");
	start(&m);
	run_until_outcomes(1);
	ck_assert_ptr_nonnull(memmem(servers[0].heard.data, servers[0].heard.len, "a\0b\r\n.", 6));
}
END_TEST

START_TEST(orcpt_is_sent_as_it_came_or_made_of_the_recipient)
{
	struct job_start m;
	server_start(0, OFFERS(">250-DSN\n"));
	m = job_of(1, hops(1));
	m.orcpt = SLICE("x400;a+3Db");
	start(&m);
	run_until_outcomes(1);
	ck_assert(server_heard(0, "RCPT TO:<r1@b.test> ORCPT=x400;a+3Db\r\n"));
	m = job_of(2, hops(1));
	m.original = SLICE("a+b=c@b.test");
	start(&m);
	run_until_outcomes(2);
	ck_assert(server_heard(0, "RCPT TO:<r1@b.test> ORCPT=rfc822;a+2Bb+3Dc@b.test\r\n"));
}
END_TEST

/* What the first server can't take, the second may. */
static const struct {
	const char *name, *scripts[2];
	uint32_t content, flags;
	const char *sender, *recipient, *expected;
} unfit[] = {
    {"too large: at once",
     {OFFERS(">250-SIZE 20\n"), OFFERS("")},
     0,
     0,
     "s@a",
     "r@b",
     "3 552 5.3.4 - 0 the message has 35 octets"},
    {"SIZE 0 is no limit",
     {OFFERS(">250-SIZE 0\n"), OFFERS("")},
     0,
     0,
     "s@a",
     "r@b",
     "1 250 2.6.0 - 1 taken"},
    {"no 8BITMIME",
     {OFFERS(""), OFFERS("")},
     EIGHT_BIT,
     0,
     "s@a",
     "r@b",
     "3 554 5.6.3 - 0 the message has 8-bit"},
    {"8BITMIME elsewhere",
     {OFFERS(""), OFFERS(">250-8BITMIME\n")},
     EIGHT_BIT,
     0,
     "s@a",
     "r@b",
     "1 250 2.6.0 - 2 taken"},
    {"8BITMIME perhaps elsewhere",
     {OFFERS(""), ">421 later"},
     EIGHT_BIT,
     0,
     "s@a",
     "r@b",
     "2 421 4.0.0 site 2 later"},
    {"S23: no SMTPUTF8 for the header",
     {OFFERS(">250-8BITMIME\n"), OFFERS(">250-8BITMIME\n")},
     EIGHT_BIT | EIGHT_BIT_HEADER,
     JOB_UTF8,
     "s@a",
     "r@b",
     "3 553 5.6.7 - 0 the message needs SMTPUTF8"},
    {"S23: no SMTPUTF8 for the sender",
     {OFFERS(""), OFFERS("")},
     0,
     JOB_UTF8,
     "\xc3\xa4@a",
     "r@b",
     "3 553 5.6.7 - 0 "},
    {"S23: no SMTPUTF8 for the recipient",
     {OFFERS(""), OFFERS("")},
     0,
     JOB_UTF8,
     "s@a",
     "\xc3\xa4@b",
     "3 553 5.6.7 - 0 "},
    {"S23: SMTPUTF8 elsewhere",
     {OFFERS(""), OFFERS(">250-SMTPUTF8\n")},
     0,
     JOB_UTF8,
     "s@a",
     "\xc3\xa4@b",
     "1 250 2.6.0 - 2 taken"},
};

START_TEST(what_a_host_can_not_take_is_offered_to_the_next)
{
	struct job_start m;
	server_start(0, unfit[_i].scripts[0]);
	server_start(1, unfit[_i].scripts[1]);
	m = job_of(1, hops(2));
	m.content = unfit[_i].content;
	m.flags = unfit[_i].flags;
	m.sender = slice_str(unfit[_i].sender);
	m.address = slice_str(unfit[_i].recipient);
	start(&m);
	run_until_outcomes(1);
	expect(unfit[_i].name, &outcomes[0], unfit[_i].expected);
}
END_TEST

START_TEST(S23_one_recipient_that_needs_utf8_does_not_stop_the_others)
{
	struct job_start m;
	server_start(0, OFFERS(""));
	m = job_of(1, hops(1));
	m.address = SLICE("\xc3\xa4@b.test");
	start_to(m, 3);
	run_until_outcomes(3);
	expect("utf8", outcome_of(1, 1), "3 553 5.6.7 - 0 ");
	expect("ascii", outcome_of(1, 2), "1 250 2.6.0 - 1 taken");
	expect("ascii", outcome_of(1, 3), "1 250 2.6.0 - 1 taken");
}
END_TEST

START_TEST(an_address_with_a_line_end_is_not_sent)
{
	struct job_start m;
	server_start(0, GOOD);
	m = job_of(1, hops(1));
	m.address = SLICE("r@b.test>\r\nRSET\r\n");
	start(&m);
	run_until_outcomes(1);
	expect("line end", &outcomes[0], "3 501 5.1.3 - 0 ");
	ck_assert_uint_eq(servers[0].connections, 0);
}
END_TEST

/* Files */

enum { LARGE = 3 * 1000 * 1000 };
static char large[LARGE];

static int file_of(struct slice header, struct slice body, struct stored_file *f)
{
	char path[] = "/tmp/test-smtp-file-XXXXXX";
	uint8_t head[LARGE_HEAD_SIZE];
	struct twin d;
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	unlink(path);
	*f = (struct stored_file){.number = 7,
				  .length = LARGE_HEAD_SIZE + body.len + header.len,
				  .body_offset = LARGE_HEAD_SIZE,
				  .body_length = body.len,
				  .header_offset = LARGE_HEAD_SIZE + body.len,
				  .header_length = header.len};
	memset(f->nonce, 7, NONCE_SIZE);
	large_head_encode(f->number, f->nonce, head);
	twin_init(&d);
	twin_add(&d, body);
	twin_add(&d, header);
	twin_end(&d, f->digest);
	twin_free(&d);
	ck_assert_int_eq(pwrite(fd, head, sizeof(head), 0), (ssize_t)sizeof(head));
	ck_assert_int_eq(pwrite(fd, body.ptr, body.len, LARGE_HEAD_SIZE), (ssize_t)body.len);
	ck_assert_int_eq(pwrite(fd, header.ptr, header.len, (off_t)f->header_offset),
			 (ssize_t)header.len);
	return fd;
}

/* A large message; `spoil`: its digest is another. */
static void send_file(uint64_t message, const char *next_hop, uint32_t content, bool spoil)
{
	struct stored_file f;
	struct job_start m = job_of(message, next_hop);
	m.fd = file_of(SLICE("Subject: large\r\n"), slice_make(large, LARGE), &f);
	f.digest[0] ^= spoil;
	m.content = content;
	m.header = m.body = SLICE_EMPTY;
	m.file = f.number;
	m.file_nonce = slice_make(f.nonce, NONCE_SIZE);
	m.file_digest = slice_make(f.digest, DIGEST_SIZE);
	m.body_offset = f.body_offset;
	m.body_length = f.body_length;
	m.header_offset = f.header_offset;
	m.header_length = f.header_length;
	start(&m);
	close(m.fd);
}

static void fill_large(const char *line)
{
	size_t len = strlen(line);
	for (size_t i = 0; i < LARGE; i++)
		large[i] = line[i % len];
	memcpy(large, "\r\n", 2);
	memcpy(large + LARGE - 2, "\r\n", 2);
}

static void content_heard(const char *before, struct slice content, const char *after)
{
	struct slice heard = buffer_slice(&servers[0].heard);
	const char *at = memmem(heard.ptr, heard.len, before, strlen(before));
	ck_assert_ptr_nonnull(at);
	at += strlen(before);
	heard = slice_make(at, (size_t)(heard.ptr + heard.len - at));
	ck_assert_uint_ge(heard.len, content.len);
	ck_assert(slice_equal(slice_sub(heard, 0, content.len), content));
	ck_assert(slice_starts(slice_from(heard, content.len), slice_str(after)));
}

START_TEST(a_file_goes_over_whole)
{
	fill_large("seventy-two octets of a line of text, so that there are many of them.\r\n");
	server_start(0, GOOD);
	send_file(1, hops(1), 0, false);
	run_until_outcomes(1);
	expect("file", &outcomes[0], "1 250 2.6.0 - 1 taken");
	content_heard("Subject: large\r\n", slice_make(large, LARGE), ".\r\n");
}
END_TEST

START_TEST(a_file_goes_over_in_chunks)
{
	struct slice heard;
	size_t octets = 0;
	fill_large("seventy-two octets of a line of text, so that there are many of them.\r\n");
	server_start(0, OFFERS(CHUNKING));
	send_file(1, hops(1), DOTS, false);
	run_until_outcomes(1);
	expect("chunks", &outcomes[0], "1 250 2.6.0 - 1 taken");
	heard = buffer_slice(&servers[0].heard);
	for (const char *at = heard.ptr;
	     (at = memmem(at, (size_t)(heard.ptr + heard.len - at), "BDAT ", 5)); at += 5)
		octets += (size_t)atol(at + 5);
	ck_assert_uint_eq(octets, strlen("Received: us\r\nSubject: large\r\n") + LARGE);
	ck_assert(server_heard(0, "BDAT 0 LAST\r\n"));
}
END_TEST

START_TEST(a_files_dots_are_doubled_wherever_it_is_cut)
{
	size_t lines = 0;
	struct slice heard;
	fill_large(".\r\n");
	server_start(0, GOOD);
	send_file(1, hops(1), DOTS, false);
	run_until_outcomes(1);
	expect("dots", &outcomes[0], "1 250 2.6.0 - 1 taken");
	heard = buffer_slice(&servers[0].heard);
	for (const char *at = heard.ptr;
	     (at = memmem(at, (size_t)(heard.ptr + heard.len - at), "\r\n..\r\n", 6)); at += 4)
		lines++;
	ck_assert_uint_ge(lines, LARGE / 3 - 3);
}
END_TEST

START_TEST(a_spoiled_file_is_never_ended)
{
	fill_large("seventy-two octets of a line of text, so that there are many of them.\r\n");
	server_start(0, _i ? OFFERS(CHUNKING) : GOOD);
	send_file(1, hops(1), 0, true);
	run_until_outcomes(1);
	ck_assert_uint_eq(outcomes[0].status, JOB_SPOILED);
	run_for(100000);
	ck_assert(!server_heard(0, "\r\n.\r\n"));
	ck_assert(!server_heard(0, "LAST"));
	ck_assert_uint_eq(servers[0].messages, 0);
	send_file(2, hops(1), 0, false); /* the next one is none the worse */
	run_until_outcomes(2);
	expect("next", &outcomes[1], "1 250 2.6.0 - 1 taken");
}
END_TEST

START_TEST(S45_a_refusal_while_content_is_sent_is_heard)
{
	static const char *const scripts[] = {
	    HELLO ENVELOPE ENVELOPE_OK ",100000\n>552 5.3.4 too big",
	    HELLO ENVELOPE ENVELOPE_OK ",100000\n>552 5.3.4 too big\n!",
	    GREETING ">250-mx.test\n>250-PIPELINING\n>250 CHUNKING\n"
		     "<MAIL\n<RCPT\n>250 ok\n>250 ok\n<BDAT\n#\n>552 5.3.4 too big\n&",
	};
	fill_large("seventy-two octets of a line of text, so that there are many of them.\r\n");
	server_start(0, scripts[_i]);
	send_file(1, hops(1), 0, false);
	run_until_outcomes(1);
	expect("early", &outcomes[0], _i == 1 ? "" : "3 552 5.3.4 - 1 too big");
}
END_TEST

/* The kernel may have taken all of it, with the dot, before the death is known: then nobody can say
 * whether it was accepted (S45), and it is tried again. */
START_TEST(a_death_while_content_is_sent_leads_to_the_next_host)
{
	fill_large("seventy-two octets of a line of text, so that there are many of them.\r\n");
	server_start(0, HELLO ENVELOPE ENVELOPE_OK ",100000\n");
	server_start(1, GOOD);
	send_file(1, hops(2), 0, false);
	run_until_outcomes(1);
	if (outcomes[0].status == JOB_DEFERRED)
		expect("death", &outcomes[0],
		       "2 451 4.4.2 site 0 lost connection after the content was sent");
	else
		expect("death", &outcomes[0], "1 250 2.6.0 - 2 taken");
}
END_TEST

START_TEST(a_file_that_did_not_come_waits)
{
	struct job_start m;
	server_start(0, GOOD);
	m = job_of(1, hops(1));
	m.file = 7;
	start(&m);
	run_until_outcomes(1);
	expect("no file", &outcomes[0], "2 451 4.3.0 - 0 the job's large file");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("content");
	TCase *t = tcase_create("content");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_add_checked_fixture(t, house_begin, house_end);
	tcase_set_timeout(t, 40);
	tcase_add_loop_test(t, content_and_parameters_are_as_the_server_can_take_them, 0,
			    sizeof(said) / sizeof(said[0]));
	tcase_add_test(t, a_nul_passes);
	tcase_add_test(t, orcpt_is_sent_as_it_came_or_made_of_the_recipient);
	tcase_add_loop_test(t, what_a_host_can_not_take_is_offered_to_the_next, 0,
			    sizeof(unfit) / sizeof(unfit[0]));
	tcase_add_test(t, S23_one_recipient_that_needs_utf8_does_not_stop_the_others);
	tcase_add_test(t, an_address_with_a_line_end_is_not_sent);
	tcase_add_test(t, a_file_goes_over_whole);
	tcase_add_test(t, a_file_goes_over_in_chunks);
	tcase_add_test(t, a_files_dots_are_doubled_wherever_it_is_cut);
	tcase_add_loop_test(t, a_spoiled_file_is_never_ended, 0, 2);
	tcase_add_loop_test(t, S45_a_refusal_while_content_is_sent_is_heard, 0, 3);
	tcase_add_test(t, a_death_while_content_is_sent_leads_to_the_next_host);
	tcase_add_test(t, a_file_that_did_not_come_waits);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
