/* date, message_id, received, content: what we write into a message ourselves. */
#include <check.h>
#include <stdio.h>
#include <time.h>

#include "common/mail/content.h"
#include "common/mail/date.h"
#include "common/mail/message_id.h"
#include "common/mail/received.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

START_TEST(writes_dates_with_their_zone)
{
	static const struct {
		int64_t seconds;
		int offset;
		const char *text;
	} cases[] = {
	    {0, 0, "Thu, 1 Jan 1970 00:00:00 +0000"},
	    {-1, 0, "Wed, 31 Dec 1969 23:59:59 +0000"},
	    {951782400, 7200, "Tue, 29 Feb 2000 02:00:00 +0200"},
	    {951782400, -12600, "Mon, 28 Feb 2000 20:30:00 -0330"},
	    {951782400, -3659, "Mon, 28 Feb 2000 23:00:00 -0100"},
	    {951782400, 100000, "Tue, 29 Feb 2000 00:00:00 +0000"},
	    {INT64_MAX, 3600, "Fri, 31 Dec 9999 23:59:59 +0100"},
	    {INT64_MIN, -3600, "Mon, 1 Jan 0001 00:00:00 -0100"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[DATE_SIZE];
		ck_assert_uint_eq(date_text(cases[i].seconds, cases[i].offset, text).len,
				  strlen(cases[i].text));
		ck_assert_str_eq(text, cases[i].text);
	}
}
END_TEST

START_TEST(agrees_with_the_c_library_for_four_centuries)
{
	for (int64_t seconds = -3000000000; seconds < 13000000000; seconds += 86399 * 7) {
		char ours[DATE_SIZE], theirs[DATE_SIZE];
		time_t at = (time_t)seconds;
		struct tm tm;
		(void)date_text(seconds, 0, ours);
		ck_assert_ptr_nonnull(gmtime_r(&at, &tm));
		ck_assert(strftime(theirs, sizeof(theirs), "%a, %-d %b %Y %H:%M:%S +0000", &tm) >
			  0);
		ck_assert_str_eq(ours, theirs);
	}
}
END_TEST

START_TEST(makes_message_ids)
{
	char text[MESSAGE_ID_SIZE], host[400];
	(void)message_id_text(951782400, SLICE("0BCD"), SLICE("mx.example.org"), text);
	ck_assert_str_eq(text, "<20000229000000.0BCD@mx.example.org>");
	memset(host, 'h', sizeof(host));
	struct slice id =
	    message_id_text(INT64_MAX, slice_make(host, 400), slice_make(host, 400), text);
	ck_assert_uint_lt(id.len, MESSAGE_ID_SIZE);
	ck_assert_int_eq(id.ptr[id.len - 1], '>');
}
END_TEST

static struct received usual(void)
{
	return (struct received){
	    .helo = SLICE("client.example"),
	    .name = SLICE_EMPTY,
	    .address = SLICE("192.0.2.1"),
	    .host = SLICE("mx.example.org"),
	    .protocol = received_protocol(true, false, false, false),
	    .id = SLICE("0BCDFGHJKLMN"),
	    .recipient = SLICE("bob@example.org"),
	    .seconds = 951782400,
	    .zone = 7200,
	};
}

static void writes(const struct received *r, const char *want)
{
	struct buffer out;
	buffer_init(&out, 4096);
	ck_assert(received_write(r, &out));
	ck_assert_int_eq(buffer_byte(&out, '\0'), true);
	ck_assert_str_eq(buffer_slice(&out).ptr, want);
	buffer_free(&out);
}

START_TEST(writes_a_received_field)
{
	struct received r = usual();
	writes(&r, "Received: from client.example (unknown [192.0.2.1])\r\n"
		   "\tby mx.example.org with ESMTP id 0BCDFGHJKLMN\r\n"
		   "\tfor <bob@example.org>; Tue, 29 Feb 2000 02:00:00 +0200\r\n");
}
END_TEST

START_TEST(names_the_recipient_only_when_given_and_ascii)
{
	struct received r = usual();
	r.recipient = _i == 0 ? SLICE_EMPTY
			      : SLICE("b\xc3\xb6"
				      "b@example.org");
	r.address = SLICE("2001:db8::1");
	r.name = SLICE("host.example");
	r.helo = SLICE("[IPv6:2001:db8::1]");
	writes(&r, "Received: from [IPv6:2001:db8::1] (host.example [IPv6:2001:db8::1])\r\n"
		   "\tby mx.example.org with ESMTP id 0BCDFGHJKLMN;\r\n"
		   "\tTue, 29 Feb 2000 02:00:00 +0200\r\n");
}
END_TEST

START_TEST(says_which_user_of_the_machine_it_was)
{
	struct received r = usual();
	r.local = true;
	r.uid = 1000;
	writes(&r, "Received: by mx.example.org (Stagepost, from userid 1000)\r\n"
		   "\tid 0BCDFGHJKLMN\r\n"
		   "\tfor <bob@example.org>; Tue, 29 Feb 2000 02:00:00 +0200\r\n");
}
END_TEST

START_TEST(makes_hostile_names_harmless)
{
	struct received r = usual();
	r.helo = SLICE("a (b) <c@d>;\r\n\r\nX: \"\\\0\xff.e");
	r.name = SLICE("x])\r\n\tby evil");
	writes(&r, "Received: from a??b???c?d??????X:?????.e (x]????by?evil [192.0.2.1])\r\n"
		   "\tby mx.example.org with ESMTP id 0BCDFGHJKLMN\r\n"
		   "\tfor <bob@example.org>; Tue, 29 Feb 2000 02:00:00 +0200\r\n");
	r.helo = SLICE_EMPTY;
	r.name = SLICE_EMPTY;
	r.recipient = SLICE_EMPTY;
	writes(&r, "Received: from unknown (unknown [192.0.2.1])\r\n"
		   "\tby mx.example.org with ESMTP id 0BCDFGHJKLMN;\r\n"
		   "\tTue, 29 Feb 2000 02:00:00 +0200\r\n");
}
END_TEST

START_TEST(folds_long_lines_and_cuts_endless_names)
{
	char endless[3000];
	struct received r = usual();
	struct buffer out;
	size_t column = 0;
	memset(endless, 'x', sizeof(endless));
	r.helo = r.name = r.address = slice_make(endless, sizeof(endless));
	r.recipient = slice_make(endless, 240);
	buffer_init(&out, 4096);
	ck_assert(received_write(&r, &out));
	struct slice text = buffer_slice(&out);
	for (size_t i = 0; i < text.len; i++) {
		column = text.ptr[i] == '\n' ? 0 : column + 1;
		ck_assert_uint_lt(column, 300);
	}
	buffer_free(&out);

	r = usual();
	r.helo = SLICE("a-rather-long-long-name-of-a-client.department.organisation.example");
	r.name = SLICE("another-long-name.department.organisation.example");
	writes(&r, "Received: from\r\n"
		   "\ta-rather-long-long-name-of-a-client.department.organisation.example\r\n"
		   "\t(another-long-name.department.organisation.example [192.0.2.1])\r\n"
		   "\tby mx.example.org with ESMTP id 0BCDFGHJKLMN\r\n"
		   "\tfor <bob@example.org>; Tue, 29 Feb 2000 02:00:00 +0200\r\n");
}
END_TEST

START_TEST(leaves_a_full_buffer_as_it_was)
{
	struct received r = usual();
	struct buffer out;
	buffer_init(&out, 100);
	ck_assert(buffer_append(&out, SLICE("before")));
	ck_assert(!received_write(&r, &out));
	ck_assert(slice_equal(buffer_slice(&out), SLICE("before")));
	buffer_free(&out);
}
END_TEST

START_TEST(knows_the_registered_protocol_words)
{
	static const char *const words[] = {
	    "SMTP",   "SMTP",	   "SMTP",    "SMTP",	    "SMTP",   "SMTP",
	    "SMTP",   "SMTP",	   "ESMTP",   "UTF8SMTP",   "ESMTPA", "UTF8SMTPA",
	    "ESMTPS", "UTF8SMTPS", "ESMTPSA", "UTF8SMTPSA",
	};
	for (unsigned i = 0; i < 16; i++)
		ck_assert(slice_equal(received_protocol(i & 8, i & 4, i & 2, i & 1),
				      slice_str(words[i])));
}
END_TEST

START_TEST(packs_flags_and_unpacks_them)
{
	ck_assert_uint_eq(content_flags_pack(&(struct content_flags){.bare_lf = true}), 1);
	ck_assert_uint_eq(content_flags_pack(&(struct content_flags){.no_final_crlf = true}), 128);
	for (uint32_t bits = 0; bits < 256; bits++) {
		struct content_flags f = content_flags_unpack(bits);
		ck_assert_uint_eq(content_flags_pack(&f), bits);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("trace");
	TCase *c = tcase_create("trace");
	tcase_add_test(c, writes_dates_with_their_zone);
	tcase_add_test(c, agrees_with_the_c_library_for_four_centuries);
	tcase_add_test(c, makes_message_ids);
	tcase_add_test(c, writes_a_received_field);
	tcase_add_loop_test(c, names_the_recipient_only_when_given_and_ascii, 0, 2);
	tcase_add_test(c, says_which_user_of_the_machine_it_was);
	tcase_add_test(c, makes_hostile_names_harmless);
	tcase_add_test(c, folds_long_lines_and_cuts_endless_names);
	tcase_add_test(c, leaves_a_full_buffer_as_it_was);
	tcase_add_test(c, knows_the_registered_protocol_words);
	tcase_add_test(c, packs_flags_and_unpacks_them);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
