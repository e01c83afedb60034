/* dsn: what a notification looks like, in each of its forms, and that nobody but us decides where
 * its lines and fields begin. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/encode.h"
#include "common/mail/dsn.h"
#include "common/mail/header.h"
#include "common/mail/xtext.h"

enum { OUT_MAX = 1 << 20 };

static struct buffer out;

static void setup(void)
{
	buffer_init(&out, OUT_MAX);
}

static void teardown(void)
{
	buffer_free(&out);
}

static struct dsn_recipient failed(void)
{
	return (struct dsn_recipient){.address = SLICE("bob@far.example"),
				      .original = SLICE("bob@far.example"),
				      .action = DSN_FAILED,
				      .code = 550,
				      .enhanced = SLICE("5.1.1"),
				      .text = SLICE("No such user here"),
				      .relay = SLICE("mx.far.example[192.0.2.7]:25")};
}

static struct dsn notification(const struct dsn_recipient *r, size_t count)
{
	return (struct dsn){.host = SLICE("mx.trial.example"),
			    .to = SLICE("alice@trial.example"),
			    .id = SLICE("0000000000B2"),
			    .now = 1790000000,
			    .now_zone = 3600,
			    .parent = SLICE("0000000000B1"),
			    .sender = SLICE("alice@trial.example"),
			    .arrived = 1789990000,
			    .arrived_zone = 3600,
			    .trace = SLICE("Received: from a by b\r\n"),
			    .header = SLICE("Subject: hello\r\nFrom: alice@trial.example\r\n"),
			    .body = SLICE("\r\nHow are you?\r\n"),
			    .recipients = r,
			    .recipient_count = count};
}

static struct slice compose(const struct dsn *d, struct dsn_plan *plan)
{
	buffer_reset(&out);
	dsn_plan(d, plan);
	ck_assert(dsn_header(d, plan, &out));
	ck_assert(dsn_body(d, plan, &out));
	return buffer_slice(&out);
}

static bool has(struct slice s, const char *text)
{
	return memmem(s.ptr, s.len, text, strlen(text)) != NULL;
}

/* Each line ends with CRLF and has no other CR, LF or control; none is too long. */
static void assert_lines(struct slice s)
{
	size_t start = 0;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c == '\n') {
			ck_assert_uint_gt(i, 0);
			ck_assert_int_eq(s.ptr[i - 1], '\r');
			ck_assert_uint_le(i - start, 999);
			start = i + 1;
		} else if (c == '\r') {
			ck_assert(i + 1 < s.len && s.ptr[i + 1] == '\n');
		} else {
			ck_assert_msg((c >= 32 && c != 127) || c == '\t', "octet %u at %zu", c, i);
		}
	}
	ck_assert_uint_eq(start, s.len);
}

/* The n-th part behind a delimiter, from 0. */
static struct slice part(struct slice s, const struct dsn_plan *plan, int n)
{
	char delimiter[DSN_BOUNDARY_SIZE + 8];
	snprintf(delimiter, sizeof(delimiter), "\r\n--%s", plan->boundary);
	for (int i = 0; i <= n; i++) {
		const char *at = memmem(s.ptr, s.len, delimiter, strlen(delimiter));
		ck_assert_ptr_nonnull(at);
		s = slice_from(s, (size_t)(at - s.ptr) + strlen(delimiter) + 2);
	}
	const char *end = memmem(s.ptr, s.len, delimiter, strlen(delimiter));
	ck_assert_ptr_nonnull(end);
	return slice_sub(s, 0, (size_t)(end - s.ptr));
}

static const char golden[] =
    "Date: Mon, 21 Sep 2026 15:13:20 +0100\r\n"
    "From: MAILER-DAEMON@mx.trial.example (Mail Delivery System)\r\n"
    "To: alice@trial.example\r\n"
    "Subject: Undelivered Mail Returned to Sender\r\n"
    "Message-ID: <20260921141320.0000000000B2@mx.trial.example>\r\n"
    "Auto-Submitted: auto-replied\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: multipart/report; report-type=delivery-status;\r\n"
    "\tboundary=\"0000000000B2.0.stagepost\"\r\n"
    "\r\n"
    "This is a MIME-encapsulated message.\r\n"
    "\r\n"
    "--0000000000B2.0.stagepost\r\n"
    "Content-Description: Notification\r\n"
    "Content-Type: text/plain; charset=us-ascii\r\n"
    "\r\n"
    "This is the mail system at mx.trial.example.\r\n"
    "\r\n"
    "Your message could not be delivered to the recipients named below. It has\r\n"
    "been given up for them: nothing more will be tried. Each name is followed by\r\n"
    "the reason.\r\n"
    "\r\n"
    "<bob@far.example>\r\n"
    "    mx.far.example[192.0.2.7]:25 said: 550 5.1.1 No such user here\r\n"
    "\r\n"
    "The message came on Mon, 21 Sep 2026 12:26:40 +0100.\r\n"
    "It is attached.\r\n"
    "\r\n"
    "If you need help, send this report to postmaster@mx.trial.example.\r\n"
    "\r\n"
    "--0000000000B2.0.stagepost\r\n"
    "Content-Description: Delivery report\r\n"
    "Content-Type: message/delivery-status\r\n"
    "\r\n"
    "Reporting-MTA: dns; mx.trial.example\r\n"
    "Original-Envelope-Id: QQ 31\r\n"
    "X-Stagepost-Queue-ID: 0000000000B1\r\n"
    "X-Stagepost-Sender: rfc822; alice@trial.example\r\n"
    "Arrival-Date: Mon, 21 Sep 2026 12:26:40 +0100\r\n"
    "\r\n"
    "Original-Recipient: rfc822; robert+x@trial.example\r\n"
    "Final-Recipient: rfc822; bob@far.example\r\n"
    "Action: failed\r\n"
    "Status: 5.1.1\r\n"
    "Remote-MTA: dns; mx.far.example\r\n"
    "Diagnostic-Code: smtp; 550 5.1.1 No such user here\r\n"
    "\r\n"
    "--0000000000B2.0.stagepost\r\n"
    "Content-Description: Undelivered Message\r\n"
    "Content-Type: message/rfc822\r\n"
    "\r\n"
    "Received: from a by b\r\n"
    "Subject: hello\r\n"
    "From: alice@trial.example\r\n"
    "\r\n"
    "How are you?\r\n"
    "\r\n"
    "--0000000000B2.0.stagepost--\r\n";

START_TEST(a_failure_is_told_as_here)
{
	struct dsn_recipient r = failed();
	struct dsn_plan plan;
	r.orcpt = SLICE("rfc822;robert+2Bx@trial.example");
	struct dsn d = notification(&r, 1);
	d.envid = SLICE("QQ+2031");
	struct slice s = compose(&d, &plan);
	ck_assert_msg(slice_equal(s, slice_make(golden, sizeof(golden) - 1)), "%.*s", SLICE_FMT(s));
	assert_lines(s);
	ck_assert(!plan.eight_bit && !plan.global && !plan.utf8_header && !plan.headers_only);
}
END_TEST

START_TEST(what_we_said_ourselves_is_no_smtp_reply)
{
	struct dsn_recipient r = failed();
	struct dsn_plan plan;
	r.relay = SLICE_EMPTY;
	r.original = SLICE("robert@trial.example");
	r.text = SLICE("the mailbox is full, and has been so for all the days in which this was "
		       "tried again and again");
	r.enhanced = SLICE("4.2.2"); /* of the last attempt: not what failed means */
	struct dsn d = notification(&r, 1);
	struct slice s = compose(&d, &plan), status = part(s, &plan, 1);
	ck_assert(!has(status, "Remote-MTA"));
	ck_assert(has(status, "Diagnostic-Code: x-stagepost; the mailbox is full"));
	ck_assert(has(status, "\r\n    ")); /* folded */
	ck_assert(has(status, "Status: 5.0.0\r\n"));
	ck_assert(has(part(s, &plan, 0), "<bob@far.example> (written as <robert@trial.example>)"));
	assert_lines(s);
}
END_TEST

START_TEST(a_success_comes_with_the_header_alone)
{
	struct dsn_recipient r[3] = {failed(), failed(), failed()};
	struct dsn_plan plan;
	static const enum dsn_action actions[] = {DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED};
	for (int i = 0; i < 3; i++) {
		r[i].action = actions[i];
		r[i].code = 250;
		r[i].enhanced = SLICE("2.1.5");
		r[i].text = SLICE("ok");
	}
	struct dsn d = notification(r, 3);
	struct slice s = compose(&d, &plan), status = part(s, &plan, 1), last = part(s, &plan, 2);
	ck_assert(plan.only_success && plan.headers_only);
	ck_assert(has(s, "Subject: Successful Mail Delivery Report\r\n"));
	ck_assert(has(status, "Action: delivered\r\nStatus: 2.1.5\r\n"));
	ck_assert(has(status, "Action: relayed\r\n"));
	ck_assert(has(status, "Action: expanded\r\n"));
	ck_assert(has(last, "Content-Type: text/rfc822-headers\r\n"));
	ck_assert(has(last, "Subject: hello\r\n") && !has(last, "How are you"));
	ck_assert(!has(part(s, &plan, 0), "could not"));
	/* With a failure among them it is a failure's report. */
	r[1] = failed();
	s = compose(&d, &plan);
	ck_assert(!plan.only_success && !plan.headers_only);
	ck_assert(has(s, "Subject: Undelivered Mail Returned to Sender\r\n"));
	ck_assert(has(part(s, &plan, 0), "could not"));
	assert_lines(s);
}
END_TEST

START_TEST(the_postmaster_gets_a_copy_of_what_has_no_sender)
{
	struct dsn_recipient r = failed();
	struct dsn_plan plan;
	struct dsn d = notification(&r, 1);
	d.postmaster = true;
	d.sender = SLICE_EMPTY;
	struct slice s = compose(&d, &plan);
	ck_assert(has(s, "Subject: Postmaster Copy: Undelivered Mail\r\n"));
	ck_assert(has(part(s, &plan, 0), "the postmaster is"));
	ck_assert(has(part(s, &plan, 1), "X-Stagepost-Sender: rfc822; \r\n"));
	assert_lines(s);
}
END_TEST

START_TEST(what_is_large_is_sent_back_as_its_header)
{
	static char body[DSN_CONTENT_MAX], header[3 * DSN_CONTENT_MAX];
	struct dsn_recipient r = failed();
	struct dsn_plan plan;
	struct dsn d = notification(&r, 1);
	memset(body, 'x', sizeof(body));
	for (size_t i = 78; i < sizeof(body); i += 80)
		memcpy(body + i, "\r\n", 2);
	d.body = slice_make(body, sizeof(body) - d.header.len - d.trace.len);
	compose(&d, &plan);
	ck_assert(!plan.headers_only);
	d.body = slice_make(body, sizeof(body) - d.header.len - d.trace.len + 1);
	struct slice s = compose(&d, &plan);
	ck_assert(plan.headers_only);
	ck_assert(has(part(s, &plan, 2), "Undelivered Message Headers"));
	d.body = SLICE_EMPTY;
	d.headers_only = true; /* RET=HDRS */
	s = compose(&d, &plan);
	ck_assert(has(part(s, &plan, 2), "text/rfc822-headers"));
	/* A header can be large too: whole fields of it. */
	size_t len = 0;
	while (len + 64 < sizeof(header))
		len += (size_t)snprintf(header + len, sizeof(header) - len, "X-%zu: %050d\r\n", len,
					7);
	d.header = slice_make(header, len);
	s = compose(&d, &plan);
	ck_assert_uint_lt(s.len, DSN_CONTENT_MAX + 4096);
	assert_lines(s);
}
END_TEST

START_TEST(no_stranger_begins_a_line_or_a_field)
{
	static const struct slice evil[] = {
	    SLICE("x\r\nX-Evil: 1\r\n\r\nbody"),
	    SLICE("x\nX-Evil: 1"),
	    SLICE("x\rX-Evil: 1"),
	    SLICE("\r\n\r\n--0000000000B2.0.stagepost--\r\nX-Evil: 1"),
	    {"a\0b\r\n\tX-Evil: 1", 16},
	    SLICE("\x1b[2J\x7f\xc2\x85X-Evil: 1"),
	    SLICE("\xff\xfe\xc0\x80X-Evil: 1"),
	    SLICE("\xe2\x80\xaeturned round \xe2\x80\xa8X-Evil: 1"),
	};
	for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
		for (int utf8 = 0; utf8 < 2; utf8++) {
			struct dsn_recipient r = {.address = evil[i],
						  .original = evil[i],
						  .orcpt = evil[i],
						  .code = 550,
						  .enhanced = evil[i],
						  .text = evil[i],
						  .relay = evil[i]};
			struct dsn d = notification(&r, 1);
			struct dsn_plan plan;
			d.smtputf8 = utf8;
			d.to = d.sender = d.envid = evil[i];
			struct slice s = compose(&d, &plan);
			assert_lines(s);
			ck_assert(!has(s, "\xe2\x80\xae") && !has(s, "\xe2\x80\xa8"));
			ck_assert_msg(!has(s, "\nX-Evil"), "case %zu: %.*s", i, SLICE_FMT(s));
			/* Three parts and an end. */
			part(s, &plan, 2);
			size_t ends = 0;
			for (struct slice t = s; has(t, "\n--");) {
				const char *at = memmem(t.ptr, t.len, "\n--", 3);
				t = slice_from(t, (size_t)(at - t.ptr) + 3);
				ends++;
			}
			ck_assert_uint_eq(ends, 4);
		}
	}
}
END_TEST

START_TEST(the_boundary_is_not_in_the_message)
{
	struct dsn_recipient r = failed();
	struct dsn_plan plan;
	struct dsn d = notification(&r, 1);
	d.body = SLICE("\r\n--0000000000B2.0.stagepost--\r\n\r\n--0000000000B2.1.stagepost\r\n");
	struct slice s = compose(&d, &plan);
	ck_assert_str_eq(plan.boundary, "0000000000B2.2.stagepost");
	ck_assert(has(part(s, &plan, 2), "B2.1.stagepost"));
}
END_TEST

START_TEST(eight_bit_content_stays_as_it_is)
{
	struct dsn_recipient r = failed();
	struct dsn_plan plan;
	struct dsn d = notification(&r, 1);
	d.body = SLICE("\r\nGr\xfc\xdf"
		       "e\r\n");
	struct slice s = compose(&d, &plan);
	ck_assert(plan.eight_bit && !plan.utf8_header && !plan.utf8_text);
	ck_assert(has(s, "stagepost\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"));
	ck_assert(has(part(s, &plan, 2), "8bit\r\n\r\nReceived"));
	ck_assert(has(part(s, &plan, 2), "Gr\xfc\xdf"
					 "e"));
	ck_assert(!has(part(s, &plan, 0), "8bit") && !has(part(s, &plan, 1), "8bit"));
	d.headers_only = true;
	s = compose(&d, &plan);
	ck_assert(!plan.eight_bit && ascii_only(s));
}
END_TEST

START_TEST(addresses_beyond_ascii_are_global_or_written_in_ascii)
{
	struct dsn_recipient r = failed();
	struct dsn_plan plan;
	r.address = SLICE("j\xc3\xb6rg+a@d\xc3\xb6m.example");
	r.original = r.address;
	r.text = SLICE("unbekannt: j\xc3\xb6rg");
	struct dsn d = notification(&r, 1);
	struct slice s = compose(&d, &plan), status = part(s, &plan, 1);
	ck_assert(!plan.global && plan.utf8_text && !plan.utf8_header);
	ck_assert(has(status, "Content-Type: message/delivery-status\r\n"));
	ck_assert(has(status, "Final-Recipient: utf-8; j\\x{F6}rg\\x{2B}a@d\\x{F6}m.example\r\n"));
	ck_assert(has(status, "unbekannt: j?rg\r\n") && ascii_only(status));
	ck_assert(has(part(s, &plan, 0), "charset=utf-8"));
	ck_assert(has(part(s, &plan, 0), "<j\xc3\xb6rg+a@d\xc3\xb6m.example>"));
	d.smtputf8 = true;
	d.header = SLICE("Subject: sch\xc3\xb6n\r\n");
	s = compose(&d, &plan);
	status = part(s, &plan, 1);
	ck_assert(plan.global && !plan.utf8_header);
	ck_assert(has(status, "Content-Type: message/global-delivery-status\r\n"));
	ck_assert(has(status, "Final-Recipient: utf-8; j\xc3\xb6rg+a@d\xc3\xb6m.example\r\n"));
	ck_assert(has(status, "X-Stagepost-Sender: rfc822; alice@trial.example\r\n"));
	ck_assert(has(part(s, &plan, 2), "Content-Type: message/global\r\n"));
	d.to = d.sender = SLICE("\xc3\xa4@trial.example");
	d.headers_only = true;
	s = compose(&d, &plan);
	ck_assert(plan.utf8_header);
	ck_assert(has(s, "To: \xc3\xa4@trial.example\r\n"));
	ck_assert(has(part(s, &plan, 2), "Content-Type: message/global-headers\r\n"));
	/* All is ASCII: nothing global about it (RFC 6533 3). */
	d = notification(&r, 1);
	r = failed();
	d.smtputf8 = true;
	compose(&d, &plan);
	ck_assert(!plan.global && !plan.eight_bit);
}
END_TEST

START_TEST(an_end_of_room_is_said)
{
	struct dsn_recipient r = failed();
	struct dsn d = notification(&r, 1);
	struct dsn_plan plan;
	struct buffer small;
	dsn_plan(&d, &plan);
	buffer_init(&small, 300);
	ck_assert(!dsn_header(&d, &plan, &small));
	buffer_free(&small);
	buffer_init(&small, 1000);
	ck_assert(dsn_header(&d, &plan, &small));
	ck_assert(!dsn_body(&d, &plan, &small));
	buffer_free(&small);
}
END_TEST

START_TEST(xtext_stands_for_what_it_was)
{
	struct buffer b;
	buffer_init(&b, 100);
	ck_assert(xtext_decode(SLICE("a+2Bb+3Dc+20d"), &b));
	ck_assert(slice_equal(buffer_slice(&b), SLICE("a+b=c d")));
	ck_assert(!xtext_decode(SLICE("a+0Ab"), &b));
	ck_assert(!xtext_decode(SLICE("a+2"), &b));
	buffer_free(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("dsn");
	TCase *t = tcase_create("dsn");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_failure_is_told_as_here);
	tcase_add_test(t, what_we_said_ourselves_is_no_smtp_reply);
	tcase_add_test(t, a_success_comes_with_the_header_alone);
	tcase_add_test(t, the_postmaster_gets_a_copy_of_what_has_no_sender);
	tcase_add_test(t, what_is_large_is_sent_back_as_its_header);
	tcase_add_test(t, no_stranger_begins_a_line_or_a_field);
	tcase_add_test(t, the_boundary_is_not_in_the_message);
	tcase_add_test(t, eight_bit_content_stays_as_it_is);
	tcase_add_test(t, addresses_beyond_ascii_are_global_or_written_in_ascii);
	tcase_add_test(t, an_end_of_room_is_said);
	tcase_add_test(t, xtext_stands_for_what_it_was);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed_tests = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed_tests ? 1 : 0;
}
