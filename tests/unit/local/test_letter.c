/* letter: what lies in the Maildir, octet for octet; what is stopped on the way. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "daemons/local/letter.h"

enum { ROOM = 8 * 1024 * 1024 };

static struct letter_room *room;
static struct buffer got;
static size_t pieces, refuse_at;

static void setup(void)
{
	room = letter_room_new();
	buffer_init(&got, ROOM);
	pieces = 0;
	refuse_at = SIZE_MAX;
}

static void teardown(void)
{
	letter_room_free(&room);
	buffer_free(&got);
}

static bool put(void *arg, struct slice octets)
{
	(void)arg;
	if (pieces++ == refuse_at) {
		errno = ENOSPC;
		return false;
	}
	ck_assert(octets.len > 0 && octets.len <= LETTER_CHUNK);
	ck_assert(buffer_append(&got, octets));
	return true;
}

static enum letter_fault write_it(const struct letter *l)
{
	buffer_reset(&got);
	pieces = 0;
	return letter_write(l, room, put, NULL);
}

static struct letter letter_of(struct slice trace, struct slice header, struct slice body)
{
	return (struct letter){
	    .sender = SLICE("s@example.net"),
	    .address = SLICE("bob@example.org"),
	    .original = SLICE("bob@example.org"),
	    .content = {.trace = trace, .header = header, .body = body, .fd = -1}};
}

#define OUR_FIELDS "Return-Path: <s@example.net>\nDelivered-To: bob@example.org\n"

static const struct {
	const char *header, *body, *expected; /* behind our fields */
} texts[] = {
    {"Subject: x\r\n", "\r\nbody\r\n", "Subject: x\n\nbody\n"},
    {"", "", ""},
    {"Subject: x\r\n", "", "Subject: x\n"},
    {"", "\r\n.\r\n..\r\n.dot\r\n", "\n.\n..\n.dot\n"},
    {"A: b\r\n folded\r\n", "\r\nno end", "A: b\n folded\n\nno end"},
    {"A: b\r\n", "\r\nbare\rcr\r\r\nend\r", "A: b\n\nbare\rcr\r\nend\r"},
    {"A: b\r\n", "\r\nbare\nlf\n", "A: b\n\nbare\nlf\n"},
    {"A: b\r\n", "\r\nFrom here\r\n>From\r\n", "A: b\n\nFrom here\n>From\n"},
    /* Return-Path is ours alone (S57), however it is written */
    {"Return-Path: <evil@example>\r\nA: b\r\n", "", "A: b\n"},
    {"A: b\r\nRETURN-PATH :\r\n <evil>\r\n\tmore\r\nreturn-path: x\r\nC: d\r\n", "",
     "A: b\nC: d\n"},
    /* S57: blind copies are nobody's business */
    {"Bcc: a@b,\r\n c@d\r\nA: b\r\nresent-bcc: e\r\n", "\r\nBcc: x\r\n", "A: b\n\nBcc: x\n"},
    {"Return-Path: only\r\n", "\r\nReturn-Path: body\r\n", "\nReturn-Path: body\n"},
    {"X-Return-Path: stays\r\n", "", "X-Return-Path: stays\n"},
    /* our own earlier delivery to somebody else is no loop */
    {"Delivered-To: alice@example.org\r\n", "", "Delivered-To: alice@example.org\n"},
    {"A: b\r\n", "\r\nDelivered-To: bob@example.org\r\n",
     "A: b\n\nDelivered-To: bob@example.org\n"},
    {"X: \xff\x80 8-bit\r\n", "\r\n\xfe\r\n", "X: \xff\x80 8-bit\n\n\xfe\n"},
};

START_TEST(content_lies_as_it_came_but_for_line_ends_and_return_path)
{
	char expected[1024];
	struct letter l = letter_of(SLICE("Received: by us\r\n"), slice_str(texts[_i].header),
				    slice_str(texts[_i].body));
	ck_assert_int_eq(write_it(&l), LETTER_FINE);
	snprintf(expected, sizeof(expected), OUR_FIELDS "Received: by us\n%s", texts[_i].expected);
	ck_assert(buffer_byte(&got, '\0'));
	ck_assert_str_eq(got.data + got.start, expected);
}
END_TEST

START_TEST(a_nul_in_the_content_passes)
{
	struct letter l = letter_of(SLICE_EMPTY, SLICE("A: b\r\n"), SLICE("\r\n\0x\r\n"));
	ck_assert_int_eq(write_it(&l), LETTER_FINE);
	ck_assert(slice_equal(buffer_slice(&got), SLICE(OUR_FIELDS "A: b\n\n\0x\n")));
}
END_TEST

static const struct {
	const char *sender, *address, *original, *expected;
} envelopes[] = {
    {"", "b@d", "b@d", "Return-Path: <>\nDelivered-To: b@d\n"},
    {"s@d", "b@d", "list@d", "Return-Path: <s@d>\nX-Original-To: list@d\nDelivered-To: b@d\n"},
    {"s@d", "b@d", "B@D", "Return-Path: <s@d>\nX-Original-To: B@D\nDelivered-To: b@d\n"},
    {"\"a b\"@d", "b@d", "b@d", "Return-Path: <\"a b\"@d>\nDelivered-To: b@d\n"},
    /* nobody begins a line with an address */
    {"a\r\nX: y@d", "b\n@d", "b\n@d", "Return-Path: <a??X: y@d>\nDelivered-To: b?@d\n"},
};

START_TEST(final_delivery_names_sender_and_recipients)
{
	struct letter l = letter_of(SLICE_EMPTY, SLICE_EMPTY, SLICE_EMPTY);
	l.sender = slice_str(envelopes[_i].sender);
	l.address = slice_str(envelopes[_i].address);
	l.original = slice_str(envelopes[_i].original);
	ck_assert_int_eq(write_it(&l), LETTER_FINE);
	ck_assert(buffer_byte(&got, '\0'));
	ck_assert_str_eq(got.data + got.start, envelopes[_i].expected);
}
END_TEST

/* The plain way to the same end. */
static size_t convert(const char *from, size_t len, char *to)
{
	size_t out = 0;
	for (size_t i = 0; i < len; i++)
		if (from[i] != '\r' || i + 1 == len || from[i + 1] != '\n')
			to[out++] = from[i];
	return out;
}

/* A run of line ends of every kind lies across the borders of what is read and what is written. */
START_TEST(line_ends_are_found_across_every_border)
{
	static const char ends[] = "\r\n\r\nx\r\r\n\n\r\ry\r";
	static const size_t borders[] = {CONTENT_CHUNK, 2 * CONTENT_CHUNK, LETTER_CHUNK,
					 LETTER_CHUNK - sizeof(OUR_FIELDS) + 1, 5 * CONTENT_CHUNK};
	size_t border = borders[_i], size = 6 * CONTENT_CHUNK;
	char *body = memory_get(size), *expected = memory_get(size);
	for (size_t shift = 0; shift <= sizeof(ends); shift++) {
		size_t at = border - shift, len;
		struct letter l = letter_of(SLICE_EMPTY, SLICE_EMPTY, slice_make(body, at + 40));
		memset(body, 'a', size);
		memcpy(body + at, ends, sizeof(ends) - 1);
		memcpy(body + at + 40 - sizeof(ends) + 1, ends, sizeof(ends) - 1);
		len = convert(body, at + 40, expected);
		ck_assert_int_eq(write_it(&l), LETTER_FINE);
		buffer_consume(&got, sizeof(OUR_FIELDS) - 1);
		ck_assert(slice_equal(buffer_slice(&got), slice_make(expected, len)));
	}
	memory_free(body);
	memory_free(expected);
}
END_TEST

static const struct {
	const char *header, *address;
	enum letter_fault fault;
} loops[] = {
    {"Delivered-To: bob@example.org\r\n", "bob@example.org", LETTER_LOOP},
    {"A: b\r\nDELIVERED-TO:\r\n Bob@EXAMPLE.org \r\nC: d\r\n", "bob@example.org", LETTER_LOOP},
    {"Delivered-To: \"bob\"@example.org\r\n", "bob@example.org", LETTER_LOOP},
    {"Delivered-To: bob@example.org\r\n", "BOB@example.org", LETTER_LOOP},
    {"Delivered-To: bob@example.com\r\n", "bob@example.org", LETTER_FINE},
    {"Delivered-To: xbob@example.org\r\n", "bob@example.org", LETTER_FINE},
    {"X-Delivered-To: bob@example.org\r\n", "bob@example.org", LETTER_FINE},
    {"Delivered-To:\r\n", "bob@example.org", LETTER_FINE},
};

/* S28 */
START_TEST(mail_that_was_here_before_is_a_loop)
{
	struct letter l = letter_of(SLICE_EMPTY, slice_str(loops[_i].header), SLICE("\r\nx\r\n"));
	l.address = slice_str(loops[_i].address);
	ck_assert_int_eq(write_it(&l), loops[_i].fault);
	if (loops[_i].fault)
		ck_assert_uint_eq(pieces, 0);
}
END_TEST

static enum letter_fault with_fields(size_t count, const char *field, const char *last)
{
	struct buffer header;
	struct letter l;
	enum letter_fault fault;
	buffer_init(&header, HEADER_BLOCK_MAX);
	for (size_t i = 0; i < count; i++)
		ck_assert(buffer_append(&header, slice_str(field)));
	ck_assert(buffer_append(&header, slice_str(last)));
	l = letter_of(SLICE("Received: ours\r\n"), buffer_slice(&header), SLICE_EMPTY);
	fault = write_it(&l);
	buffer_free(&header);
	return fault;
}

/* S26, S28 */
START_TEST(hops_are_counted_and_a_thousand_fields_are_looked_at)
{
	const char *again = "Delivered-To: bob@example.org\r\n";
	ck_assert_int_eq(with_fields(100, "Received: x\r\n", ""), LETTER_FINE);
	ck_assert_int_eq(with_fields(101, "Received: x\r\n", ""), LETTER_HOPS);
	ck_assert_int_eq(with_fields(999, "A: b\r\n", again), LETTER_LOOP);
	ck_assert_int_eq(with_fields(1000, "A: b\r\n", again), LETTER_FINE);
}
END_TEST

START_TEST(a_large_header_passes_whole_and_a_larger_one_does_not)
{
	size_t size = HEADER_BLOCK_MAX;
	char *block = memory_get(size + 1);
	struct letter l;
	memset(block, 'x', size + 1);
	memcpy(block, "A:", 2);
	memcpy(block + size - 2, "\r\n", 2);
	l = letter_of(SLICE_EMPTY, slice_make(block, size), SLICE("\r\nb\r\n"));
	ck_assert_int_eq(write_it(&l), LETTER_FINE);
	ck_assert_uint_eq(got.len, sizeof(OUR_FIELDS) - 1 + size - 1 + 3);
	l = letter_of(SLICE_EMPTY, slice_make(block, size + 1), SLICE("\r\nb\r\n"));
	ck_assert_int_eq(write_it(&l), LETTER_SPOILED);
	memory_free(block);
}
END_TEST

START_TEST(the_error_of_who_takes_it_is_told)
{
	struct letter l = letter_of(SLICE_EMPTY, SLICE("A: b\r\n"), SLICE_EMPTY);
	refuse_at = 0;
	ck_assert_int_eq(write_it(&l), LETTER_TROUBLE);
	ck_assert_int_eq(errno, ENOSPC);
	refuse_at = SIZE_MAX; /* and the room can be used again */
	ck_assert_int_eq(write_it(&l), LETTER_FINE);
	ck_assert(slice_equal(buffer_slice(&got), SLICE(OUR_FIELDS "A: b\n")));
}
END_TEST

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

int main(void)
{
	Suite *s = suite_create("letter");
	TCase *tc = tcase_create("letter");
	SRunner *sr = srunner_create(s);
	int failed;
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, content_lies_as_it_came_but_for_line_ends_and_return_path, 0,
			    COUNT(texts));
	tcase_add_test(tc, a_nul_in_the_content_passes);
	tcase_add_loop_test(tc, final_delivery_names_sender_and_recipients, 0, COUNT(envelopes));
	tcase_add_loop_test(tc, line_ends_are_found_across_every_border, 0, 5);
	tcase_add_loop_test(tc, mail_that_was_here_before_is_a_loop, 0, COUNT(loops));
	tcase_add_test(tc, hops_are_counted_and_a_thousand_fields_are_looked_at);
	tcase_add_test(tc, a_large_header_passes_whole_and_a_larger_one_does_not);
	tcase_add_test(tc, the_error_of_who_takes_it_is_told);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
