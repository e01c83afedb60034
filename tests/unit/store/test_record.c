/* record: round trips of random messages, and every way in which octets are no record. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <bsd/stdlib.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "queue/store/format.h"

enum { ROUNDS = 400, RECIPIENTS = 40 };

static struct arena arena;
static struct buffer out;
static struct error error;

static void setup(void)
{
	arena_init(&arena, 1 << 22);
	buffer_init(&out, 16 << 20);
}

static void teardown(void)
{
	arena_free(&arena);
	buffer_free(&out);
}

static struct slice random_octets(size_t max)
{
	size_t len = random() % 4 ? (size_t)random() % 50 : (size_t)random() % max;
	char *octets = arena_get(&arena, len);
	for (size_t i = 0; i < len; i++)
		octets[i] = (char)random();
	return slice_make(octets, len);
}

static struct stored_message random_message(bool in_file)
{
	struct stored_message m = {.id = (uint64_t)random() + 1,
				   .arrived = (uint64_t)random() << 20,
				   .content_flags = (uint32_t)random(),
				   .content_size = (uint64_t)random() << 10,
				   .reverse_path = random_octets(300),
				   .client = random_octets(40),
				   .trace = random_octets(2000),
				   .recipient_count = (uint32_t)random() % RECIPIENTS + 1};
	m.recipients = arena_get(&arena, m.recipient_count * sizeof(*m.recipients));
	memset(m.recipients, 0, m.recipient_count * sizeof(*m.recipients));
	for (uint32_t i = 0; i < m.recipient_count; i++) {
		m.recipients[i].address = random_octets(300);
		if (random() % 2)
			m.recipients[i].notify = (uint32_t)random() % (STORED_NOTIFY_MAX + 1);
		if (random() % 2)
			m.recipients[i].orcpt = random_octets(STORED_ORCPT_MAX);
	}
	if (random() % 2) {
		m.flags = (uint32_t)random() % 16;
		m.envid = random_octets(STORED_ENVID_MAX);
		m.user = random_octets(STORED_USER_MAX);
	}
	if (random() % 2)
		m.hold = random_octets(STORED_HOLD_MAX);
	if (random() % 2) {
		m.parent = (uint64_t)random() + 1;
		m.parent_mark = (uint32_t)random();
		m.parent_kind = 1 + (uint32_t)random() % 2;
	}
	if (in_file) {
		m.file = (struct stored_file){.number = (uint64_t)random() + 1,
					      .length = (uint64_t)random(),
					      .body_offset = (uint64_t)random(),
					      .body_length = (uint64_t)random(),
					      .header_offset = (uint64_t)random(),
					      .header_length = (uint64_t)random()};
		memset(m.file.nonce, 7, NONCE_SIZE);
		memset(m.file.digest, 9, DIGEST_SIZE);
	} else {
		m.header = random_octets(30000);
		m.body = random_octets(30000);
	}
	return m;
}

static void assert_same(const struct stored_message *a, const struct stored_message *b)
{
	ck_assert_uint_eq(a->id, b->id);
	ck_assert_uint_eq(a->arrived, b->arrived);
	ck_assert_uint_eq(a->content_flags, b->content_flags);
	ck_assert_uint_eq(a->content_size, b->content_size);
	ck_assert(slice_equal(a->reverse_path, b->reverse_path));
	ck_assert(slice_equal(a->client, b->client));
	ck_assert(slice_equal(a->trace, b->trace));
	ck_assert(slice_equal(a->header, b->header));
	ck_assert(slice_equal(a->body, b->body));
	ck_assert_mem_eq(&a->file, &b->file, sizeof(a->file));
	ck_assert_uint_eq(a->recipient_count, b->recipient_count);
	ck_assert_uint_eq(a->flags, b->flags);
	ck_assert(slice_equal(a->envid, b->envid));
	ck_assert(slice_equal(a->user, b->user));
	ck_assert(slice_equal(a->hold, b->hold));
	ck_assert_uint_eq(a->parent, b->parent);
	ck_assert_uint_eq(a->parent_mark, b->parent_mark);
	ck_assert_uint_eq(a->parent_kind, b->parent_kind);
	for (uint32_t i = 0; i < a->recipient_count; i++) {
		ck_assert(slice_equal(a->recipients[i].address, b->recipients[i].address));
		ck_assert_uint_eq(a->recipients[i].notify, b->recipients[i].notify);
		ck_assert(slice_equal(a->recipients[i].orcpt, b->recipients[i].orcpt));
	}
}

START_TEST(every_message_comes_back_as_it_was)
{
	srandom(1);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		struct stored_message m = random_message(i % 3 == 0), back;
		uint32_t length, ordinal;
		uint64_t id;
		struct record_numbers numbers;
		buffer_reset(&out);
		ck_assert(record_encode(&m, &out));
		ck_assert_uint_eq(out.len % 8, 0);
		record_seal(out.data, i, 5);
		struct slice record = buffer_slice(&out);
		ck_assert(record_look(record, &length, &ordinal, &id));
		ck_assert_uint_eq(length, record.len);
		ck_assert_uint_eq(ordinal, i);
		ck_assert_uint_eq(id, m.id);
		record_read_numbers(record, &numbers);
		ck_assert_uint_eq(numbers.recipients, m.recipient_count);
		ck_assert_uint_eq(numbers.file, m.file.number);
		struct slice who = m.user.len > 0 ? m.user : m.client;
		ck_assert_uint_eq(numbers.origin, crc32c(0, who.ptr, who.len));
		ck_assert_uint_eq(numbers.parent, m.parent);
		ck_assert_uint_eq(numbers.parent_mark, m.parent_mark);
		ck_assert_int_eq(numbers.held, m.hold.len > 0);
		ck_assert_msg(record_decode(record, &arena, &back, &error), "%s", error.text);
		ck_assert_uint_eq(back.ordinal, i);
		assert_same(&m, &back);
		arena_reset(&arena);
	}
}
END_TEST

START_TEST(the_file_can_be_told_at_the_end)
{
	struct stored_message m = random_message(true), back;
	struct stored_file file = m.file;
	m.file = (struct stored_file){.number = 1};
	ck_assert(record_encode(&m, &out));
	record_set_file(out.data, &file);
	record_seal(out.data, 0, 5);
	ck_assert(record_decode(buffer_slice(&out), &arena, &back, &error));
	m.file = file;
	assert_same(&m, &back);
}
END_TEST

START_TEST(a_changed_octet_is_seen)
{
	struct stored_message m = random_message(false), back;
	ck_assert(record_encode(&m, &out));
	record_seal(out.data, 3, 5);
	for (size_t i = 0; i < out.len; i++) {
		out.data[i] ^= 0x10;
		ck_assert(!record_decode(buffer_slice(&out), &arena, &back, &error));
		ck_assert_int_eq(error.code, EBADMSG);
		out.data[i] ^= 0x10;
	}
	for (size_t len = 0; len < out.len; len++)
		ck_assert(!record_decode(slice_make(out.data, len), &arena, &back, &error));
	ck_assert(record_decode(buffer_slice(&out), &arena, &back, &error));
}
END_TEST

/* A program from before there was this part must not send the message. */
START_TEST(a_hold_is_critical_and_its_reason_is_cut)
{
	char reason[2 * STORED_HOLD_MAX];
	struct stored_recipient to = {.address = SLICE("bob@trial.example")};
	struct stored_message m = {.id = 1, .recipients = &to, .recipient_count = 1}, back;
	size_t plain;
	ck_assert(record_encode(&m, &out));
	plain = out.len;
	buffer_reset(&out);
	memset(reason, 'r', sizeof(reason));
	m.hold = slice_make(reason, sizeof(reason));
	ck_assert(record_encode(&m, &out));
	ck_assert_uint_eq(get_u16(out.data + plain), PART_HOLD);
	ck_assert_uint_eq(get_u16(out.data + plain + 2), PART_CRITICAL);
	record_seal(out.data, 0, 5);
	ck_assert(record_decode(buffer_slice(&out), &arena, &back, &error));
	ck_assert(slice_equal(back.hold, slice_make(reason, STORED_HOLD_MAX)));
}
END_TEST

START_TEST(the_digest_does_not_depend_on_the_place)
{
	struct stored_message m = random_message(false);
	uint8_t first[DIGEST_SIZE], second[DIGEST_SIZE];
	ck_assert(record_encode(&m, &out));
	record_seal(out.data, 3, 5);
	record_digest(buffer_slice(&out), first);
	record_seal(out.data, 4, 6);
	record_digest(buffer_slice(&out), second);
	ck_assert_mem_eq(first, second, DIGEST_SIZE);
	out.data[out.len - 1] ^= 1;
	record_digest(buffer_slice(&out), second);
	ck_assert(memcmp(first, second, DIGEST_SIZE) != 0);
}
END_TEST

START_TEST(what_is_too_large_is_not_encoded)
{
	char *octets = memory_zero(1, RECORD_LENGTH_MAX);
	struct stored_recipient to = {.address = SLICE("bob@trial.example")};
	struct stored_message m = {.id = 1, .recipients = &to, .recipient_count = 1};
	m.body = slice_make(octets, CONTENT_INLINE_MAX);
	ck_assert(record_encode(&m, &out));
	m.header = SLICE("x");
	ck_assert(!record_encode(&m, &out));
	m.header = SLICE_EMPTY;
	m.trace = slice_make(octets, RECORD_LENGTH_MAX);
	ck_assert(!record_encode(&m, &out));
	m.trace = SLICE_EMPTY;
	size_t len = out.len;
	out.limit = len + 100;
	ck_assert(!record_encode(&m, &out));
	ck_assert_uint_eq(out.len, len);
	memory_free(octets);
}
END_TEST

/* More parts than their number in the header can say. */
START_TEST(a_record_has_a_hundred_thousand_recipients)
{
	enum { MANY = 100000 };
	struct stored_recipient *to = memory_zero(MANY, sizeof(*to));
	char *names = memory_get(MANY * (size_t)32);
	size_t octets = 0;
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(names + i * 32, 32, "user%u@trial.example", i);
		to[i].address = slice_str(names + i * 32);
		if (i % 1000 == 0)
			to[i].notify = 1;
		octets += record_recipient_size(to[i].address.len, to[i].notify != 0, 0);
	}
	struct stored_message m = {.id = 1, .recipients = to, .recipient_count = MANY}, n;
	ck_assert(record_encode(&m, &out));
	ck_assert_uint_lt(octets, out.len);
	ck_assert_uint_gt(octets + 1000, out.len);
	record_seal(out.data, 0, 0);
	arena.limit = 16 << 20;
	ck_assert_msg(record_decode(buffer_slice(&out), &arena, &n, &error), "%s", error.text);
	ck_assert_uint_eq(n.recipient_count, MANY);
	for (uint32_t i = 0; i < MANY; i++) {
		ck_assert(slice_equal(n.recipients[i].address, to[i].address));
		ck_assert_uint_eq(n.recipients[i].notify, to[i].notify);
	}
	struct record_numbers numbers;
	record_read_numbers(buffer_slice(&out), &numbers);
	ck_assert_uint_eq(numbers.recipients, MANY);
	memory_free(names);
	memory_free(to);
}
END_TEST

/* A record made by hand: parts given as type, flags and octets. */
struct hand_part {
	unsigned type, flags;
	struct slice octets;
};

static struct slice by_hand(const struct hand_part *parts, unsigned version)
{
	char head[RECORD_HEADER_SIZE] = {0};
	unsigned count = 0;
	buffer_reset(&out);
	ck_assert(buffer_append(&out, slice_make(head, sizeof(head))));
	for (; parts[count].type; count++) {
		const struct hand_part *p = &parts[count];
		char part[PART_HEADER_SIZE], zeros[8] = {0};
		put_u16(part, (uint16_t)p->type);
		put_u16(part + 2, (uint16_t)p->flags);
		put_u32(part + 4, (uint32_t)p->octets.len);
		ck_assert(buffer_append(&out, slice_make(part, sizeof(part))));
		ck_assert(buffer_append(&out, p->octets));
		ck_assert(buffer_append(
		    &out, slice_make(zeros, record_align(p->octets.len) - p->octets.len)));
	}
	put_u32(out.data, RECORD_MAGIC);
	put_u32(out.data + 4, (uint32_t)out.len);
	put_u64(out.data + 16, 77);
	put_u16(out.data + 24, (uint16_t)version);
	put_u16(out.data + 26, (uint16_t)count);
	record_seal(out.data, 0, 5);
	return buffer_slice(&out);
}

#define ENVELOPE                                                               \
	{                                                                      \
		PART_ENVELOPE, 1,                                              \
		{                                                              \
			"\1\0\0\0\0\0\0\0\2\0\0\0\3\0\0\0\0\0\0\0\1\0\0\0", 24 \
		}                                                              \
	}
#define PATHS                                   \
	{PART_REVERSE_PATH, 1, SLICE("a@b")},   \
	{                                       \
		PART_RECIPIENT, 1, SLICE("c@d") \
	}
#define CONTENT                                 \
	{PART_BODY, 1, SLICE("body")},          \
	{                                       \
		PART_HEADER, 1, SLICE("header") \
	}

#define FLAGS                                    \
	{                                        \
		PART_FLAGS, 0, SLICE("\3\0\0\0") \
	}
#define NOTIFY(n)                                         \
	{                                                 \
		PART_NOTIFY, 0, SLICE(n "\0\0\0\2\0\0\0") \
	}
#define ORCPT(n)                                           \
	{                                                  \
		PART_ORCPT, 0, SLICE(n "\0\0\0rfc822;c@d") \
	}

START_TEST(parts_are_as_the_format_says_or_refused)
{
	static const struct {
		const char *what;
		int code;
		unsigned version;
		struct hand_part parts[9];
	} cases[] = {
	    {"right", 0, 1, {ENVELOPE, PATHS, CONTENT}},
	    {"an unknown part is ignored", 0, 1, {ENVELOPE, {99, 0, SLICE("?")}, PATHS, CONTENT}},
	    {"a critical one is not", ENOTSUP, 1, {ENVELOPE, PATHS, {99, 1, SLICE("?")}, CONTENT}},
	    {"a later version", ENOTSUP, 2, {ENVELOPE, PATHS, CONTENT}},
	    {"no envelope", EBADMSG, 1, {PATHS, CONTENT}},
	    {"no content", EBADMSG, 1, {ENVELOPE, PATHS}},
	    {"half a content", EBADMSG, 1, {ENVELOPE, PATHS, {PART_BODY, 1, SLICE("body")}}},
	    {"a recipient too few",
	     EBADMSG,
	     1,
	     {ENVELOPE, {PART_REVERSE_PATH, 1, SLICE("")}, CONTENT}},
	    {"a recipient too many",
	     EBADMSG,
	     1,
	     {ENVELOPE, PATHS, {PART_RECIPIENT, 1, SLICE("e@f")}, CONTENT}},
	    {"an order changed", EBADMSG, 1, {PATHS, ENVELOPE, CONTENT}},
	    {"an envelope twice", EBADMSG, 1, {ENVELOPE, ENVELOPE, PATHS, CONTENT}},
	    {"a short envelope", EBADMSG, 1, {{PART_ENVELOPE, 1, SLICE("short")}, PATHS, CONTENT}},
	    {"what came later", 0, 1, {ENVELOPE, PATHS, CONTENT, FLAGS, NOTIFY("\0"), ORCPT("\0")}},
	    {"an empty ENVID", EBADMSG, 1, {ENVELOPE, PATHS, CONTENT, {PART_ENVID, 0, SLICE("")}}},
	    {"short flags", EBADMSG, 1, {ENVELOPE, PATHS, CONTENT, {PART_FLAGS, 0, SLICE("f")}}},
	    {"a NOTIFY of nobody", EBADMSG, 1, {ENVELOPE, PATHS, CONTENT, NOTIFY("\1")}},
	    {"a NOTIFY twice", EBADMSG, 1, {ENVELOPE, PATHS, CONTENT, NOTIFY("\0"), NOTIFY("\0")}},
	    {"an ORCPT of nobody", EBADMSG, 1, {ENVELOPE, PATHS, CONTENT, ORCPT("\1")}},
	    {"an ORCPT twice", EBADMSG, 1, {ENVELOPE, PATHS, CONTENT, ORCPT("\0"), ORCPT("\0")}},
	    {"no parent", EBADMSG, 1, {ENVELOPE, PATHS, CONTENT, {PART_PARENT, 0, SLICE("0")}}},
	    {"an impossible parent",
	     EBADMSG,
	     1,
	     {ENVELOPE,
	      PATHS,
	      CONTENT,
	      {PART_PARENT, 0,
	       SLICE("\xff\xff\xff\xff\xff\xff\xff\xff"
		     "markkind")}}},
	    {"a later part before", EBADMSG, 1, {ENVELOPE, PATHS, FLAGS, CONTENT}},
	    {"a short file", EBADMSG, 1, {ENVELOPE, PATHS, {PART_FILE, 1, SLICE("short")}}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stored_message m;
		struct slice record = by_hand(cases[i].parts, cases[i].version);
		error.code = 0;
		bool right = record_decode(record, &arena, &m, &error);
		ck_assert_msg(right == (cases[i].code == 0) && error.code == cases[i].code,
			      "%s: %d %s", cases[i].what, error.code, error.text);
		if (right) {
			ck_assert_uint_eq(m.arrived, 1);
			ck_assert_uint_eq(m.content_flags, 2);
			ck_assert_uint_eq(m.content_size, 3);
			ck_assert(slice_equal(m.recipients[0].address, SLICE("c@d")));
		}
	}
}
END_TEST

START_TEST(an_impossible_id_is_no_record)
{
	static const struct hand_part parts[] = {ENVELOPE, PATHS, CONTENT, {0}};
	struct slice record = by_hand(parts, 1);
	uint32_t length, ordinal;
	uint64_t id;
	ck_assert(record_look(record, &length, &ordinal, &id));
	put_u64(out.data + 16, 0);
	record_seal(out.data, 0, 5);
	ck_assert(!record_look(record, &length, &ordinal, &id));
	put_u64(out.data + 16, UINT64_C(1) << 59);
	record_seal(out.data, 0, 5);
	ck_assert(!record_look(record, &length, &ordinal, &id));
}
END_TEST

START_TEST(a_small_arena_is_an_error_of_its_own)
{
	struct stored_message m = random_message(false), back;
	struct arena small;
	ck_assert(record_encode(&m, &out));
	record_seal(out.data, 0, 5);
	arena_init(&small, 1);
	ck_assert(!record_decode(buffer_slice(&out), &small, &back, &error));
	ck_assert_int_eq(error.code, ENOMEM);
	arena_free(&small);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("record");
	TCase *c = tcase_create("record");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, every_message_comes_back_as_it_was);
	tcase_add_test(c, the_file_can_be_told_at_the_end);
	tcase_add_test(c, a_changed_octet_is_seen);
	tcase_add_test(c, a_hold_is_critical_and_its_reason_is_cut);
	tcase_add_test(c, the_digest_does_not_depend_on_the_place);
	tcase_add_test(c, what_is_too_large_is_not_encoded);
	tcase_add_test(c, a_record_has_a_hundred_thousand_recipients);
	tcase_add_test(c, parts_are_as_the_format_says_or_refused);
	tcase_add_test(c, an_impossible_id_is_no_record);
	tcase_add_test(c, a_small_arena_is_an_error_of_its_own);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
