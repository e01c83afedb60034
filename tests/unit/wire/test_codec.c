/*
 * Records to octets and back.
 */
#include "common/wire/codec.h"
#include "tests/unit/wire/talk.h"

static struct buffer out;

static void begin(void)
{
	buffer_init(&out, 200000);
}

static void end(void)
{
	buffer_free(&out);
}

static struct all sample(void)
{
	return (struct all){.request = 7,
			    .flag = true,
			    .small = 1000,
			    .large = UINT64_MAX,
			    .name = SLICE("bob"),
			    .data = SLICE("a\0b"),
			    .fd = 3};
}

START_TEST(every_kind_comes_back_as_it_was)
{
	struct all a = sample(), b;
	ck_assert(codec_encode(&all_record, &a, &out));
	ck_assert(codec_decode(&all_record, buffer_slice(&out), &b));
	ck_assert_uint_eq(b.request, 7);
	ck_assert(b.flag);
	ck_assert_uint_eq(b.small, 1000);
	ck_assert_uint_eq(b.large, UINT64_MAX);
	ck_assert(slice_equal(b.name, a.name));
	ck_assert(slice_equal(b.data, a.data));
	ck_assert_int_eq(b.fd, -1);
}
END_TEST

START_TEST(octets_are_as_the_header_says)
{
	struct plain p = {.request = 0x0102, .data = SLICE("xy")};
	ck_assert(codec_encode(&plain_record, &p, &out));
	ck_assert(slice_equal(buffer_slice(&out), SLICE("\2\1\0\0\0\0\0\0\2\0\0\0xy")));
}
END_TEST

START_TEST(a_field_over_its_limit_is_not_encoded)
{
	struct all a = sample();
	char text[65] = {0};
	a.small = 1001;
	ck_assert(!codec_encode(&all_record, &a, &out));
	a = sample();
	memset(text, 'x', sizeof(text));
	a.name = slice_make(text, sizeof(text));
	ck_assert(!codec_encode(&all_record, &a, &out));
	a.name = SLICE("a\0b");
	ck_assert(!codec_encode(&all_record, &a, &out));
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(a_full_buffer_gets_nothing)
{
	struct all a = sample();
	struct buffer tight;
	ck_assert(codec_encode(&all_record, &a, &out));
	buffer_init(&tight, out.len + 3);
	ck_assert(buffer_append(&tight, SLICE("1234")));
	ck_assert(!codec_encode(&all_record, &a, &tight));
	ck_assert_uint_eq(tight.len, 4);
	buffer_truncate(&tight, 3);
	ck_assert(codec_encode(&all_record, &a, &tight));
	ck_assert_uint_eq(tight.len, out.len + 3);
	buffer_free(&tight);
}
END_TEST

START_TEST(every_cut_and_every_excess_is_refused)
{
	struct all a = sample(), b;
	ck_assert(codec_encode(&all_record, &a, &out));
	for (size_t n = 0; n < out.len; n++)
		ck_assert(!codec_decode(&all_record, slice_sub(buffer_slice(&out), 0, n), &b));
	buffer_byte(&out, 0);
	ck_assert(!codec_decode(&all_record, buffer_slice(&out), &b));
}
END_TEST

START_TEST(wrong_values_are_refused)
{
	static const struct {
		size_t at;
		char octet;
	} wrong[] = {
	    {8, 2},	/* a bool that is neither */
	    {11, 4},	/* small over 1000 */
	    {21, 65},	/* name longer than its limit */
	    {24, 0x7f}, /* name longer than 2 GiB */
	    {26, 0},	/* NUL in a string */
	};
	struct all a = sample(), b;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		buffer_reset(&out);
		ck_assert(codec_encode(&all_record, &a, &out));
		for (size_t n = 0; n < 100; n++)
			buffer_byte(&out, 'x');
		out.data[wrong[i].at] = wrong[i].octet;
		ck_assert_msg(!codec_decode(&all_record, buffer_slice(&out), &b), "row %zu", i);
	}
}
END_TEST

START_TEST(the_descriptor_field_is_found)
{
	ck_assert_str_eq(codec_fd_field(&all_record)->name, "fd");
	ck_assert_ptr_null(codec_fd_field(&plain_record));
}
END_TEST

#define WIDER_FIELDS(F, S)                \
	F(S, u64, request, 0, "repeated") \
	F(S, bytes, data, 120001, "octets")
RECORD_DECLARE(wider, WIDER_FIELDS)
RECORD_DEFINE(wider, WIDER_FIELDS)

START_TEST(the_hash_sees_names_numbers_kinds_and_limits)
{
	const struct record renamed = {"plein", plain_record.size, 2, plain_record.fields};
	const struct record limits = {"plain", wider_record.size, 2, wider_record.fields};
	const struct dialogue_message same[] = {{2, &plain_record}},
				      number[] = {{3, &plain_record}}, name[] = {{2, &renamed}},
				      limit[] = {{2, &limits}};
	uint64_t hash = dialogue_hash(&(struct dialogue){"d", same, 1});
	ck_assert_uint_eq(hash, dialogue_hash(&(struct dialogue){"d", same, 1}));
	ck_assert_uint_ne(hash, dialogue_hash(&(struct dialogue){"e", same, 1}));
	ck_assert_uint_ne(hash, dialogue_hash(&(struct dialogue){"d", number, 1}));
	ck_assert_uint_ne(hash, dialogue_hash(&(struct dialogue){"d", name, 1}));
	ck_assert_uint_ne(hash, dialogue_hash(&(struct dialogue){"d", limit, 1}));
	ck_assert_uint_ne(hash, dialogue_hash(&(struct dialogue){"d", same, 0}));
}
END_TEST

START_TEST(a_number_leads_to_its_record)
{
	ck_assert_ptr_eq(dialogue_record(&talk_dialogue, TALK_ASK), &plain_record);
	ck_assert_ptr_null(dialogue_record(&talk_dialogue, 0));
	ck_assert_ptr_null(dialogue_record(&talk_dialogue, 99));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("codec");
	TCase *t = tcase_create("codec");
	tcase_add_checked_fixture(t, begin, end);
	tcase_add_test(t, every_kind_comes_back_as_it_was);
	tcase_add_test(t, octets_are_as_the_header_says);
	tcase_add_test(t, a_field_over_its_limit_is_not_encoded);
	tcase_add_test(t, a_full_buffer_gets_nothing);
	tcase_add_test(t, every_cut_and_every_excess_is_refused);
	tcase_add_test(t, wrong_values_are_refused);
	tcase_add_test(t, the_descriptor_field_is_found);
	tcase_add_test(t, the_hash_sees_names_numbers_kinds_and_limits);
	tcase_add_test(t, a_number_leads_to_its_record);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
