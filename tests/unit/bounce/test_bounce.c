/* bounce between a queue manager, which is the test, and a segment, in which the test reads what
 * was committed. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "common/config/settings.h"
#include "common/mail/content.h"
#include "daemons/bounce/bounce.h"
#include "queue/store/format.h"
#include "queue/store/twin.h"
#include "queue/writing/writing.h"

enum { SEGMENT = 8 * 1024 * 1024, PARENT = 4711, MARK = 99, ANSWERS_MAX = 300 };

static struct channel *ours, *manager;
static int segment = -1, large = -1;
static bool generous; /* leases are given at once */
static uint32_t incarnation;
static size_t leases_wanted, notices, entries, done, made, broken;
static struct bounce_done last;
static char last_text[JOB_TEXT_MAX + 1];
static struct writer_entry last_entry;
static uint64_t ids[ANSWERS_MAX]; /* of entries */
static struct arena arena;
static struct loop_timer look, limit;
static size_t *awaited, until;

static int temporary(size_t size)
{
	char path[] = "/tmp/stagepost-bounce-XXXXXX";
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	unlink(path);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	return fd;
}

static void lend(void)
{
	static uint64_t number;
	int fd = number == 0 ? segment : temporary(SEGMENT); /* the first is the one in use */
	number++;
	struct writer_leased m = {.number = number,
				  .nonce = SLICE("0123456789abcdef"),
				  .segment = (uint32_t)number,
				  .size = SEGMENT,
				  .spool = 1,
				  .incarnation = incarnation,
				  .fd = fd};
	ck_assert(channel_send(manager, WRITER_LEASED, &m));
	if (fd != segment)
		close(fd);
}

static void on_want_lease(struct channel *c, const void *record)
{
	(void)c, (void)record;
	leases_wanted++;
	if (generous)
		lend();
}

static void on_want_file(struct channel *c, const void *record)
{
	(void)c, (void)record;
	large = temporary(0);
	struct writer_filed m = {.number = 5, .nonce = SLICE("abcdefghijklmnop"), .fd = large};
	ck_assert(channel_send(manager, WRITER_FILED, &m));
}

static void on_notice(struct channel *c, const void *record)
{
	const struct writer_notice *m = record;
	(void)c;
	notices++;
	for (size_t i = 0; i < m->entries.len / WRITER_ENTRY_SIZE; i++) {
		const char *p = m->entries.ptr + i * WRITER_ENTRY_SIZE;
		last_entry = (struct writer_entry){.id = get_u64(p),
						   .offset = get_u64(p + 8),
						   .length = get_u32(p + 16),
						   .parent = get_u64(p + 72),
						   .parent_mark = get_u32(p + 80)};
		ids[entries++ % ANSWERS_MAX] = last_entry.id;
	}
}

static void on_done(struct channel *c, const void *record)
{
	bool noticed = false;
	(void)c;
	last = *(const struct bounce_done *)record;
	ck_assert(slice_copy(last.text, last_text, sizeof(last_text)));
	for (size_t i = 0; i < entries; i++)
		noticed = noticed || ids[i] == last.id;
	ck_assert(noticed == (last.id != 0)); /* the notice comes first */
	done++;
	made += last.id != 0;
}

static const struct route manager_routes[] = {
    {WRITER_WANT_LEASE, ROUTE_ALWAYS, on_want_lease},
    {WRITER_WANT_FILE, ROUTE_ALWAYS, on_want_file},
    {WRITER_NOTICE, ROUTE_ALWAYS, on_notice},
    {BOUNCE_DONE, ROUTE_ALWAYS, on_done},
    {0, 0, NULL},
};

static void closed(struct channel *c)
{
	broken += channel_broken(c);
	if (c == ours)
		questions_down(c);
}

static void look_again(void *arg)
{
	(void)arg;
	if (*awaited >= until)
		loop_stop();
	else
		loop_timer_start(&look, 1000, look_again, NULL);
}

static void too_late(void *arg)
{
	(void)arg;
	ck_abort_msg("waited in vain");
}

static void await(size_t *what, size_t count)
{
	awaited = what;
	until = count;
	loop_timer_start(&look, 0, look_again, NULL);
	loop_timer_start(&limit, 20000000, too_late, NULL);
	loop_run();
	loop_timer_stop(&limit);
}

static void connect_both(void)
{
	int fds[2];
	ck_assert(channel_pair(fds));
	incarnation++; /* each manager gives fresh ones */
	ours = channel_open(fds[0], &bounce_dialogue, questions_routes, closed, NULL);
	manager = channel_open(fds[1], &bounce_dialogue, manager_routes, closed, NULL);
	questions_up(ours, 0);
}

static void setup(void)
{
	struct settings_server server = {.hostname = SLICE("mx.trial.example")};
	segment = temporary(SEGMENT);
	arena_init(&arena, 1 << 24);
	report_settings_begin();
	report_setting(&settings_server_record, &server);
	report_settings_end();
	questions_warm();
	questions_start();
	generous = true;
	connect_both();
}

static struct bounce_start question(uint64_t request, uint32_t recipients)
{
	return (struct bounce_start){.request = request,
				     .parent = PARENT,
				     .mark = MARK,
				     .kind = BOUNCE_TO_SENDER,
				     .to = SLICE("alice@trial.example"),
				     .sender = SLICE("alice@trial.example"),
				     .arrived = 1789990000000000,
				     .recipients = recipients,
				     .trace = SLICE("Received: from a by b\r\n"),
				     .header = SLICE("Subject: hello\r\n"),
				     .body = SLICE("\r\n.How are you?\r\n"),
				     .fd = -1};
}

static void ask(const struct bounce_start *m, uint32_t recipients)
{
	char address[64];
	struct bounce_end end = {.request = m->request};
	ck_assert(channel_send(manager, BOUNCE_START, m));
	for (uint32_t i = 0; i < recipients; i++) {
		snprintf(address, sizeof(address), "bob-%u@far.example", i);
		struct bounce_recipient r = {.request = m->request,
					     .address = slice_str(address),
					     .original = slice_str(address),
					     .action = BOUNCE_FAILED,
					     .code = 550,
					     .enhanced = SLICE("5.1.1"),
					     .text = SLICE("No such user"),
					     .relay = SLICE("mx.far.example[192.0.2.7]:25")};
		ck_assert(channel_send(manager, BOUNCE_RECIPIENT, &r));
	}
	ck_assert(channel_send(manager, BOUNCE_END, &end));
}

/* What was committed last. */
static struct stored_message committed(void)
{
	struct stored_message m;
	struct error error;
	char *octets = arena_get(&arena, last_entry.length);
	ck_assert_int_eq(pread(segment, octets, last_entry.length, (off_t)last_entry.offset),
			 last_entry.length);
	ck_assert_msg(record_decode(slice_make(octets, last_entry.length), &arena, &m, &error),
		      "%s", error.text);
	ck_assert_uint_eq(m.id, last_entry.id);
	return m;
}

static bool has(struct slice s, const char *text)
{
	return memmem(s.ptr, s.len, text, strlen(text)) != NULL;
}

START_TEST(a_notification_is_committed_and_then_told)
{
	struct bounce_start q = question(7, 1);
	ask(&q, 1);
	await(&done, 1);
	ck_assert_uint_eq(last.request, 7);
	ck_assert_uint_eq(last.id, last_entry.id);
	ck_assert_uint_eq(last_entry.parent, PARENT);
	ck_assert_uint_eq(last_entry.parent_mark, MARK);
	struct stored_message m = committed();
	ck_assert_uint_eq(m.reverse_path.len, 0); /* S27 */
	ck_assert_uint_eq(m.recipient_count, 1);
	ck_assert(slice_equal(m.recipients[0].address, SLICE("alice@trial.example")));
	ck_assert_uint_eq(m.parent, PARENT);
	ck_assert_uint_eq(m.parent_mark, MARK);
	ck_assert_uint_eq(m.parent_kind, BOUNCE_TO_SENDER);
	ck_assert_uint_eq(m.flags, 0);
	ck_assert_uint_eq(m.content_size, m.header.len + m.body.len);
	struct content_flags f = content_flags_unpack(m.content_flags);
	ck_assert(f.needs_stuffing && !f.eight_bit && !f.long_line && !f.no_final_crlf);
	ck_assert(has(m.trace, "Received: by mx.trial.example (Stagepost)\r\n\tid "));
	ck_assert(has(m.header, "Subject: Undelivered Mail Returned to Sender\r\n"));
	ck_assert(has(m.body, "Final-Recipient: rfc822; bob-0@far.example\r\n"));
	ck_assert(has(m.body, "Subject: hello\r\n\r\n.How are you?\r\n"));
	/* 8-bit content; the postmaster. */
	q = question(8, 1);
	q.body = SLICE("\r\nGr\xc3\xbc\xc3\x9f"
		       "e\r\n");
	q.kind = BOUNCE_TO_POSTMASTER;
	q.sender = SLICE_EMPTY;
	ask(&q, 1);
	await(&done, 2);
	m = committed();
	ck_assert_uint_eq(m.flags, JOB_8BITMIME);
	ck_assert(content_flags_unpack(m.content_flags).eight_bit);
	ck_assert(!content_flags_unpack(m.content_flags).eight_bit_header);
	ck_assert_uint_eq(m.parent_kind, BOUNCE_TO_POSTMASTER);
	ck_assert(has(m.header, "Subject: Postmaster Copy"));
	/* RET=HDRS */
	q = question(9, 1);
	q.flags = JOB_RET_HDRS;
	ask(&q, 1);
	await(&done, 3);
	ck_assert(!has(committed().body, "How are you"));
	/* A sender who needs SMTPUTF8. */
	q = question(10, 1);
	q.flags = JOB_UTF8;
	q.to = q.sender = SLICE("\xc3\xa4@trial.example");
	ask(&q, 1);
	await(&done, 4);
	m = committed();
	ck_assert_uint_eq(m.flags, JOB_UTF8 | JOB_8BITMIME);
	ck_assert(content_flags_unpack(m.content_flags).eight_bit_header);
}
END_TEST

START_TEST(many_are_asked_for_at_once)
{
	enum { MANY = 200 };
	for (uint32_t i = 0; i < MANY; i++) {
		struct bounce_start q = question(i + 1, 3);
		q.parent = PARENT + i;
		ask(&q, 3);
	}
	await(&done, MANY);
	ck_assert_uint_eq(made, MANY);
	ck_assert_uint_lt(notices, MANY); /* together */
}
END_TEST

START_TEST(a_report_on_very_many_goes_to_a_file)
{
	enum { RECIPIENTS = 2000 };
	struct bounce_start q = question(1, RECIPIENTS);
	ask(&q, RECIPIENTS);
	await(&done, 1);
	ck_assert_msg(last.id != 0, "%s", last_text);
	ck_assert_uint_eq(committed().file.number, 5);
}
END_TEST

/* Puts a large message's file together; returns what a question says of it. */
static struct bounce_start large_question(struct slice header, size_t body, bool spoilt)
{
	static uint8_t head[LARGE_HEAD_SIZE], digest[DIGEST_SIZE];
	const uint8_t *nonce = (const uint8_t *)"abcdefghijklmnop";
	char *octets = memory_get(body);
	struct twin hash;
	struct bounce_start q = question(1, 1);
	memset(octets, 'x', body);
	memcpy(octets, "\r\n", 2);
	large_head_encode(9, nonce, head);
	twin_init(&hash);
	twin_add(&hash, slice_make(octets, body));
	twin_add(&hash, header);
	twin_end(&hash, digest);
	twin_free(&hash);
	octets[body / 2] = spoilt ? 'y' : 'x';
	q.fd = temporary(0);
	ck_assert_int_eq(pwrite(q.fd, head, sizeof(head), 0), sizeof(head));
	ck_assert_int_eq(pwrite(q.fd, octets, body, sizeof(head)), (ssize_t)body);
	ck_assert_int_eq(pwrite(q.fd, header.ptr, header.len, (off_t)(sizeof(head) + body)),
			 (ssize_t)header.len);
	memory_free(octets);
	q.header = q.body = SLICE_EMPTY;
	q.file = 9;
	q.file_nonce = slice_make(nonce, NONCE_SIZE);
	q.file_digest = slice_make(digest, DIGEST_SIZE);
	q.body_offset = sizeof(head);
	q.body_length = body;
	q.header_offset = sizeof(head) + body;
	q.header_length = header.len;
	return q;
}

START_TEST(of_a_large_file_the_header_is_attached)
{
	struct bounce_start q = large_question(SLICE("Subject: large\r\n"), 300000, false);
	ask(&q, 1);
	await(&done, 1);
	ck_assert_msg(last.id != 0, "%s", last_text);
	struct stored_message m = committed();
	ck_assert(has(m.body, "text/rfc822-headers\r\n\r\nReceived: from a by b\r\n"
			      "Subject: large\r\n\r\n--"));
	ck_assert(!has(m.body, "xxxx"));
	/* One whose header made it large is small enough to be attached with its body. */
	q = large_question(SLICE("Subject: small\r\n"), 20000, false);
	ask(&q, 1);
	await(&done, 2);
	ck_assert(has(committed().body, "message/rfc822\r\n\r\nReceived: from a by b\r\n"
					"Subject: small\r\n\r\nxxxx"));
	close(q.fd);
}
END_TEST

START_TEST(spoilt_content_is_said_and_not_sent)
{
	struct bounce_start q = large_question(SLICE("Subject: large\r\n"), 300000, true);
	ask(&q, 1);
	await(&done, 1);
	ck_assert_uint_eq(last.id, 0);
	ck_assert(last.spoiled);
	ck_assert_uint_eq(entries, 0);
	q = large_question(SLICE("Subject: large\r\n"), 300000, false);
	q.header_length--; /* not what the file holds */
	ask(&q, 1);
	await(&done, 2);
	ck_assert(last.spoiled && last.id == 0);
}
END_TEST

START_TEST(a_question_waits_for_a_segment)
{
	generous = false;
	struct bounce_start q = question(1, 1);
	ask(&q, 1);
	await(&leases_wanted, 2);
	ck_assert_uint_eq(done, 0);
	lend();
	await(&done, 1);
	ck_assert_uint_ne(last.id, 0);
	/* New mail is not welcome; what lets mail end is. */
	struct writer_pressure full = {.full = true, .reason = SLICE("queue-messages")};
	ck_assert(channel_send(manager, WRITER_PRESSURE, &full));
	q.request = 2;
	ask(&q, 1);
	await(&done, 2);
	ck_assert_uint_ne(last.id, 0);
}
END_TEST

START_TEST(who_asks_what_can_not_be_is_broken)
{
	struct bounce_start q = question(1, 2);
	if (_i == 0) {
		ask(&q, 1); /* too few */
	} else if (_i == 1) {
		ask(&q, 3); /* too many */
	} else if (_i == 2) {
		q.fd = temporary(1); /* and no file */
		ask(&q, 2);
	} else if (_i == 3) {
		q.recipients = QUESTION_RECIPIENTS_MAX + 1;
		ask(&q, 0);
	} else {
		ck_assert(channel_send(manager, BOUNCE_START, &q));
		ck_assert(channel_send(manager, BOUNCE_START, &q)); /* twice */
	}
	await(&broken, 1);
	ck_assert_uint_eq(done, 0);
}
END_TEST

/* As it does when no descriptor was free for it. */
START_TEST(a_question_whose_file_did_not_come_is_for_later)
{
	struct bounce_start q = question(1, 2);
	q.file = 7;
	ask(&q, 2);
	await(&done, 1);
	ck_assert_uint_eq(last.id, 0);
	ck_assert(!last.spoiled);
	ck_assert_uint_eq(broken, 0);
}
END_TEST

START_TEST(the_next_manager_asks_again)
{
	struct bounce_start q = question(1, 1);
	ask(&q, 1);
	await(&done, 1);
	for (int i = 0; i < 20; i++) { /* at every moment of its life */
		struct bounce_start other = question((uint64_t)i + 10, 1);
		ask(&other, 1);
		size_t turns = 0;
		if (i % 4)
			await(&turns, 0);
		questions_down(ours);
		channel_free(&ours);
		channel_free(&manager);
		close(segment);
		segment = temporary(SEGMENT);
		connect_both();
	}
	size_t before = made;
	q.request = 99;
	ask(&q, 1);
	while (made == before || last.request != 99)
		await(&made, made + 1);
	ck_assert_uint_ne(last.id, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("bounce");
	TCase *t = tcase_create("bounce");
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_notification_is_committed_and_then_told);
	tcase_add_test(t, many_are_asked_for_at_once);
	tcase_add_test(t, a_report_on_very_many_goes_to_a_file);
	tcase_add_test(t, of_a_large_file_the_header_is_attached);
	tcase_add_test(t, spoilt_content_is_said_and_not_sent);
	tcase_add_test(t, a_question_waits_for_a_segment);
	tcase_add_loop_test(t, who_asks_what_can_not_be_is_broken, 0, 5);
	tcase_add_test(t, a_question_whose_file_did_not_come_is_for_later);
	tcase_add_test(t, the_next_manager_asks_again);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
