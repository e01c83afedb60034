/* drop: the file that waits for the server, written and read. */
#include <check.h>
#include <stdlib.h>

#include "common/base/bytes.h"
#include "common/mail/drop.h"

static struct buffer envelope;

static void setup(void)
{
	buffer_init(&envelope, DROP_ENVELOPE_MAX);
}

static void teardown(void)
{
	buffer_free(&envelope);
}

START_TEST(what_was_written_is_read_back)
{
	struct drop d = {.sender = SLICE("alice@example.org"),
			 .notify = SLICE("SUCCESS,DELAY"),
			 .ret = SLICE("HDRS"),
			 .envid = SLICE("id-7"),
			 .eight_bit = true,
			 .utf8 = true},
		    back;
	struct slice to;
	size_t at = 0;
	ck_assert(drop_begin(&d, &envelope));
	ck_assert(drop_add(&envelope, SLICE("bob@example.org")));
	ck_assert(drop_add(&envelope, SLICE("\"a b\"@example.org")));
	ck_assert(drop_read(buffer_slice(&envelope), &back));
	ck_assert(slice_equal(back.sender, d.sender) && slice_equal(back.notify, d.notify) &&
		  slice_equal(back.ret, d.ret) && slice_equal(back.envid, d.envid));
	ck_assert(back.eight_bit && back.utf8);
	ck_assert_uint_eq(back.recipient_count, 2);
	ck_assert(drop_next(&back, &at, &to) && slice_equal(to, SLICE("bob@example.org")));
	ck_assert(drop_next(&back, &at, &to) && slice_equal(to, SLICE("\"a b\"@example.org")));
	ck_assert(!drop_next(&back, &at, &to));
}
END_TEST

START_TEST(the_null_sender_is_one)
{
	struct drop d = {.sender = SLICE_EMPTY}, back;
	ck_assert(drop_begin(&d, &envelope));
	ck_assert(!drop_read(buffer_slice(&envelope), &back)); /* to nobody */
	ck_assert(drop_add(&envelope, SLICE("bob@example.org")));
	ck_assert(drop_read(buffer_slice(&envelope), &back));
	ck_assert_uint_eq(back.sender.len, 0);
	ck_assert(!back.eight_bit && !back.utf8);
}
END_TEST

/* Fields as they lie: letter, length, octets. */
static const struct {
	const char *fields;
	size_t len;
} strange[] = {
#define FIELDS(text)                   \
	{                              \
		text, sizeof(text) - 1 \
	}
    FIELDS(""),
    FIELDS("s\0\0"),
    FIELDS("r\5\0a@b.c"),
    FIELDS("s\0\0r\6\0a@b.c"),		     /* longer than it is */
    FIELDS("s\0\0r\5\0a@b.c."),		     /* more than it is */
    FIELDS("s\0\0s\0\0r\5\0a@b.c"),	     /* two senders */
    FIELDS("s\0\0r\1\0a"),		     /* no domain */
    FIELDS("s\0\0r\0\0"),		     /* nobody */
    FIELDS("s\0\0r\7\0<a@b.c>"),	     /* brackets */
    FIELDS("s\0\0r\16\0a@b.c>\r\nDATA\r\n"), /* another command */
    FIELDS("s\7\0a@b.c\r\nr\5\0a@b.c"),	     /* the same in the sender */
    FIELDS("s\0\0r\5\0a@b.cn\5\0NEVER\1"),   /* what ends behind a word */
    FIELDS("s\0\0n\7\0NEVER X"
	   "r\5\0a@b.c"), /* two words */
    FIELDS("s\0\0v\2\0\r\n"
	   "r\5\0a@b.c"), /* control characters */
    FIELDS("s\0\0"
	   "8\1\0x"
	   "r\5\0a@b.c"), /* a flag with octets */
    FIELDS("s\0\0uu\0\0r\5\0a@b.c"),
    FIELDS("s\0\0x\0\0r\5\0a@b.c"), /* another version's */
    FIELDS("s"),
};

START_TEST(what_can_not_be_said_in_SMTP_is_foreign)
{
	struct drop d;
	ck_assert(!drop_read(slice_make(strange[_i].fields, strange[_i].len), &d));
}
END_TEST

START_TEST(the_front_must_fit_the_file)
{
	char front[DROP_FRONT];
	uint32_t fields;
	uint64_t content;
	drop_front(slice_make("0123456789", 10), 100, front);
	ck_assert(drop_read_front(front, DROP_FRONT + 110 + DROP_END, &fields, &content));
	ck_assert_uint_eq(fields, 10);
	ck_assert_uint_eq(content, 100);
	ck_assert(!drop_read_front(front, DROP_FRONT + 109 + DROP_END, &fields, &content));
	ck_assert(!drop_read_front(front, DROP_FRONT + 111 + DROP_END, &fields, &content));
	put_u64(front + 24, UINT64_MAX - 9); /* sums that run over */
	ck_assert(!drop_read_front(front, DROP_FRONT + DROP_END, &fields, &content));
	drop_front(SLICE_EMPTY, 0, front);
	front[15] = '2';
	ck_assert(!drop_read_front(front, DROP_FRONT + DROP_END, &fields, &content));
}
END_TEST

START_TEST(the_end_tells_a_torn_file)
{
	char end[DROP_END];
	drop_end(7, end);
	ck_assert(drop_read_end(end, 7));
	ck_assert(!drop_read_end(end, 8));
	end[DROP_END - 1] = 0;
	ck_assert(!drop_read_end(end, 7));
}
END_TEST

START_TEST(a_name_says_whose_and_when)
{
	struct drop_name n = {.uid = UINT32_MAX, .made = UINT64_MAX, .part = true}, back;
	char text[DROP_NAME_SIZE];
	drop_name_write(&n, UINT64_MAX, text);
	ck_assert(drop_name_read(slice_str(text), &back));
	ck_assert(back.uid == n.uid && back.made == n.made && back.part);
	n = (struct drop_name){.uid = 0, .made = 1};
	drop_name_write(&n, 0, text);
	ck_assert_str_eq(text, "0.0000000000000001.0000000000000000");
	ck_assert(drop_name_read(slice_str(text), &back) && !back.part && back.made == 1);
}
END_TEST

static const char *const no_names[] = {
    "",
    "0",
    "0.0000000000000001",
    "0.0000000000000001.000000000000000",
    "0.0000000000000001.0000000000000000.",
    "0.0000000000000001.0000000000000000.party",
    "-1.0000000000000001.0000000000000000",
    "4294967296.0000000000000001.0000000000000000",
    "0.000000000000000G.0000000000000000",
    "bad.0.0000000000000001.0000000000000000",
};

START_TEST(any_other_name_is_none)
{
	struct drop_name n;
	ck_assert(!drop_name_read(slice_str(no_names[_i]), &n));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("drop");
	TCase *c = tcase_create("drop");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, what_was_written_is_read_back);
	tcase_add_test(c, the_null_sender_is_one);
	tcase_add_loop_test(c, what_can_not_be_said_in_SMTP_is_foreign, 0,
			    sizeof(strange) / sizeof(strange[0]));
	tcase_add_test(c, the_front_must_fit_the_file);
	tcase_add_test(c, the_end_tells_a_torn_file);
	tcase_add_test(c, a_name_says_whose_and_when);
	tcase_add_loop_test(c, any_other_name_is_none, 0, sizeof(no_names) / sizeof(no_names[0]));
	suite_add_tcase(s, c);
	SRunner *r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	int failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed > 0;
}
