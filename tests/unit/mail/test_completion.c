/*
 * completion: what is seen in a header block, and what is added for own clients.
 */
#include <check.h>

#include "common/mail/completion.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const struct completion all = {
    .date = {"D", 1}, .message_id = {"<i@h>", 5}, .from = {"a@b", 3}};

START_TEST(one_walk_sees_what_is_there)
{
	struct header_look look;

	header_look(SLICE("From x\r\nRECEIVED: a\r\n b\r\nReceived : c\r\ndate: d\r\nFrom: e\r\n"
			  "MESSAGE-ID:\r\n <i@j>\r\nMessage-Id: <second>\r\nresent-bcc: g\r\n"),
		    &look);
	ck_assert_uint_eq(look.received, 2);
	ck_assert(look.date && look.from && look.bcc && look.from_line && look.message_id);
	ck_assert(slice_equal(look.message_id_value, SLICE("<i@j>")));
	header_look(SLICE("Subject: x\r\nX-Date: y\r\nFroms: z\r\nReceive: a\r\n"), &look);
	ck_assert_uint_eq(look.received, 0);
	ck_assert(!look.date && !look.from && !look.bcc && !look.from_line && !look.message_id);
	header_look(SLICE_EMPTY, &look);
	ck_assert(!look.message_id);
}
END_TEST

START_TEST(S57_what_is_missing_is_added_and_bcc_is_taken_out)
{
	static const struct {
		const char *block, *want;
	} cases[] = {
	    {"", "Date: D\r\nMessage-ID: <i@h>\r\nFrom: a@b\r\n"},
	    {"Date: x\r\nmessage-id: y\r\nFrom: z\r\n", "Date: x\r\nmessage-id: y\r\nFrom: z\r\n"},
	    {"Bcc: x,\r\n y\r\nDate: x\r\nRESENT-BCC: z\r\nFrom: z\r\n",
	     "Date: x\r\nFrom: z\r\nMessage-ID: <i@h>\r\n"},
	    {"From x\r\nDate: x\r\nFrom: z",
	     "X-Mailbox-Line: From x\r\nDate: x\r\nFrom: z\r\nMessage-ID: <i@h>\r\n"},
	    {"Bcc: x", "Date: D\r\nMessage-ID: <i@h>\r\nFrom: a@b\r\n"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct slice block = slice_str(cases[i].block);
		struct header_look look;
		struct buffer out;
		buffer_init(&out, 1000);
		header_look(block, &look);
		ck_assert(header_complete(block, &look, &all, &out));
		ck_assert_msg(slice_equal(buffer_slice(&out), slice_str(cases[i].want)), "%.*s",
			      SLICE_FMT(buffer_slice(&out)));
		buffer_free(&out);
	}
}
END_TEST

START_TEST(S57_strangers_headers_are_not_completed)
{
	struct slice block = SLICE(">From x\r\nBcc: y\r\n");
	struct header_look look;
	struct buffer out;

	buffer_init(&out, 1000);
	header_look(block, &look);
	ck_assert(header_complete(block, &look, NULL, &out));
	ck_assert(slice_equal(buffer_slice(&out), SLICE("X-Mailbox-Line: >From x\r\nBcc: y\r\n")));
	buffer_free(&out);
}
END_TEST

START_TEST(a_full_buffer_is_said)
{
	struct header_look look = {0};

	for (size_t limit = 0; limit < 40; limit++) {
		struct buffer out;
		buffer_init(&out, limit);
		ck_assert(!header_complete(SLICE("Subject: x"), &look, &all, &out));
		buffer_free(&out);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("completion");
	TCase *c = tcase_create("completion");
	tcase_add_test(c, one_walk_sees_what_is_there);
	tcase_add_test(c, S57_what_is_missing_is_added_and_bcc_is_taken_out);
	tcase_add_test(c, S57_strangers_headers_are_not_completed);
	tcase_add_test(c, a_full_buffer_is_said);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
