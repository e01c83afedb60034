/*
 * What the command prints: for programs in shapes that stay, for people with nothing that steers a
 * terminal.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "commands/stagepost/destinations.h"
#include "commands/stagepost/json.h"
#include "commands/stagepost/listing.h"
#include "commands/stagepost/status.h"
#include "commands/stagepost/words.h"
#include "common/base/queue_id.h"
#include "common/os/clock.h"

static char *text;
static size_t text_len;
static FILE *to;

static void open_text(void)
{
	clock_warm();
	to = open_memstream(&text, &text_len);
	ck_assert_ptr_nonnull(to);
}

static void close_text(void)
{
	fclose(to);
	free(text);
}

static json_t *parse_line(const char *line)
{
	json_error_t e;
	json_t *o = json_loads(line, 0, &e);
	ck_assert_msg(o != NULL, "%s in %s", e.text, line);
	return o;
}

static const char *string(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	ck_assert_msg(json_is_string(v), "%s is no string", key);
	return json_string_value(v);
}

static json_int_t number(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	ck_assert_msg(json_is_integer(v), "%s is no number", key);
	return json_integer_value(v);
}

/* Words */

static const struct {
	const char *raw, *shown;
} strangers[] = {
    {"plain@example.org", "plain@example.org"},
    {"\x1b[31mred", "\\x1b[31mred"},	   /* an escape sequence */
    {"a\rb\nc\td", "a\\x0db\\x0ac\\x09d"}, /* lines */
    {"\x7f", "\\x7f"},			   /* DEL */
    {"\xc2\x9b"
     "31m",
     "\\xc2\\x9b31m"},				  /* CSI as one C1 character */
    {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"}, /* UTF-8 */
    {"\xff\xfe", "\\xff\\xfe"},			  /* not UTF-8 */
    {"a\xe2\x80\xae"
     "b",
     "a\\xe2\\x80\\xaeb"}, /* right-to-left override */
};

START_TEST(shows_nothing_that_steers_a_terminal)
{
	open_text();
	words_print(to, slice_str(strangers[_i].raw));
	fflush(to);
	ck_assert_str_eq(text, strangers[_i].shown);
	close_text();
}
END_TEST

START_TEST(keeps_lines_of_text_and_turns_crlf_into_lf)
{
	open_text();
	words_print_lines(to, SLICE("a: b\r\n\tc\r\nd\re\n"));
	fflush(to);
	ck_assert_str_eq(text, "a: b\n\tc\nd\\x0de\n");
	close_text();
}
END_TEST

START_TEST(writes_sizes_and_times)
{
	char size[SIZE_TEXT_SIZE], time[TIME_TEXT_SIZE];
	ck_assert_str_eq(words_size(0, size), "0");
	ck_assert_str_eq(words_size(1023, size), "1023");
	ck_assert_str_eq(words_size(1536, size), "1.5K");
	ck_assert_str_eq(words_size(52428800, size), "50M");
	ck_assert_str_eq(words_size(UINT64_MAX, size), "huge");
	ck_assert_str_eq(words_until(100, 100, time), "now");
	ck_assert_str_eq(words_until(100, 400, time), "in 5m");
	ck_assert_str_eq(words_until(8000, 100, time), "2h ago");
	ck_assert_str_eq(words_until(0, 864000, time), "in 10d");
	ck_assert_uint_eq(strlen(words_time(1700000000, time)), strlen("2023-11-14 22:13"));
	ck_assert_str_eq(words_time(UINT64_MAX, time), "?");
}
END_TEST

/* Lists */

static struct queue_item item(const char *state, const char *sender)
{
	struct queue_item m = {.client = SLICE("192.0.2.1"), .user = SLICE("u@v.org")};
	m.id = queue_id_make(1, 2, 3);
	m.state = slice_str(state);
	m.arrived = 1700000000;
	m.size = 4321;
	m.sender = slice_str(sender);
	m.next_attempt = 1700000300;
	m.attempts = 2;
	m.recipients = 2;
	return m;
}

static void list_one(bool json, enum queue_verb verb, const char *sender)
{
	struct listing *l = listing_new(to, verb, json);
	struct queue_item m = item("deferred", sender);
	struct queue_recipient first = {.address = SLICE("c@d.org"),
					.original = SLICE("list@d.org"),
					.status = SLICE("deferred"),
					.reply = SLICE("451 4.2.0 mailbox is busy")};
	struct queue_recipient finished = {.address = SLICE("g@h.org"),
					   .status = SLICE("delivered")};
	struct queue_recipient second = {.address = SLICE("e@f.org"), .status = SLICE("pending")};
	listing_item(l, &m);
	listing_recipient(l, &first);
	listing_recipient(l, &second);
	if (verb == QUEUE_LIST)
		listing_recipient(l, &finished);
	if (verb == QUEUE_SHOW)
		listing_line(l, SLICE("Subject: \xe4\r\n"));
	listing_flush(l);
	listing_free(&l);
	fflush(to);
}

/* What check_mailq and munin look for. */
START_TEST(lists_messages_as_mailq_does)
{
	static const char columns[] =
	    "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n";
	struct queue_item m;
	struct queue_recipient first = {.address = SLICE("c@d.org"),
					.status = SLICE("deferred"),
					.reply = SLICE("451 4.2.0 mailbox is busy")};
	struct listing *l;
	open_text();
	l = listing_new(to, QUEUE_LIST, false);
	listing_as_mailq(l);
	m = item("hold", "");
	listing_item(l, &m);
	listing_recipient(l, &first);
	listing_flush(l);
	listing_end(l);
	listing_free(&l);
	fflush(to);
	ck_assert_msg(strncmp(text, columns, sizeof(columns) - 1) == 0, "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "!    4321 "));
	ck_assert_ptr_nonnull(strstr(text, "  MAILER-DAEMON\n(451 4.2.0 mailbox is busy)\n"));
	ck_assert_ptr_nonnull(strstr(text, "                                         c@d.org\n"));
	ck_assert_ptr_nonnull(strstr(text, "\n-- 5 Kbytes in 1 Request.\n"));
	close_text();
}
END_TEST

START_TEST(an_empty_queue_is_said_as_mailq_does)
{
	struct listing *l;
	open_text();
	l = listing_new(to, QUEUE_LIST, false);
	listing_as_mailq(l);
	listing_end(l);
	listing_free(&l);
	fflush(to);
	ck_assert_str_eq(text, "Mail queue is empty\n");
	close_text();
}
END_TEST

START_TEST(lists_messages_with_the_keys_of_postqueue)
{
	char id[QUEUE_ID_LEN + 1];
	json_t *o, *recipients, *r;
	open_text();
	list_one(true, QUEUE_LIST, "a@b.org");
	ck_assert_uint_eq(slice_find(slice_str(text), '\n'), text_len - 1);
	o = parse_line(text);
	queue_id_text(queue_id_make(1, 2, 3), id);
	ck_assert_str_eq(string(o, "queue_name"), "deferred");
	ck_assert_str_eq(string(o, "queue_id"), id);
	ck_assert_int_eq(number(o, "arrival_time"), 1700000000);
	ck_assert_int_eq(number(o, "message_size"), 4321);
	ck_assert(json_is_false(json_object_get(o, "forced_expire")));
	ck_assert_str_eq(string(o, "sender"), "a@b.org");
	ck_assert_str_eq(string(o, "user"), "u@v.org");
	ck_assert_int_eq(number(o, "attempts"), 2);
	ck_assert_int_eq(number(o, "next_attempt"), 1700000300);
	recipients = json_object_get(o, "recipients");
	ck_assert_uint_eq(json_array_size(recipients), 2);
	r = json_array_get(recipients, 0);
	ck_assert_str_eq(string(r, "address"), "c@d.org");
	ck_assert_str_eq(string(r, "orig_address"), "list@d.org");
	ck_assert_str_eq(string(r, "delay_reason"), "451 4.2.0 mailbox is busy");
	r = json_array_get(recipients, 1);
	ck_assert_str_eq(string(r, "address"), "e@f.org");
	ck_assert_ptr_null(json_object_get(r, "orig_address"));
	ck_assert_ptr_null(json_object_get(r, "delay_reason"));
	json_decref(o);
	close_text();
}
END_TEST

START_TEST(writes_valid_json_of_octets_that_are_no_text)
{
	json_t *o;
	open_text();
	list_one(true, QUEUE_SHOW, "\xff\x1b\x7f\"@b.org");
	for (size_t i = 0; i + 1 < text_len; i++)
		ck_assert(text[i] >= ' ' && text[i] < 0x7f);
	o = parse_line(text);
	ck_assert_str_eq(string(o, "sender"), "\xef\xbf\xbd\x1b\x7f\"@b.org");
	ck_assert_str_eq(string(o, "header"), "Subject: \xef\xbf\xbd\r\n");
	json_decref(o);
	close_text();
}
END_TEST

START_TEST(writes_each_message_when_the_next_begins)
{
	struct listing *l;
	struct queue_item m = item("hold", "");
	open_text();
	l = listing_new(to, QUEUE_LIST, true);
	listing_item(l, &m);
	listing_item(l, &m);
	fflush(to);
	ck_assert_uint_eq(slice_find(slice_str(text), '\n'), text_len - 1);
	listing_flush(l);
	listing_free(&l);
	close_text();
}
END_TEST

START_TEST(lists_for_people_in_a_table)
{
	open_text();
	list_one(false, QUEUE_LIST, "a\x1b@b.org");
	ck_assert_ptr_nonnull(strstr(text, "SENDER\n"));
	ck_assert_ptr_nonnull(strstr(text, "<a\\x1b@b.org>\n"));
	ck_assert_ptr_nonnull(strstr(text, "to <c@d.org> for <list@d.org>, deferred (451 4.2.0 "));
	ck_assert_ptr_nonnull(strstr(text, "to <e@f.org>\n"));
	close_text();
}
END_TEST

START_TEST(shows_a_message_for_people)
{
	open_text();
	list_one(false, QUEUE_SHOW, "a@b.org");
	ck_assert_ptr_nonnull(strstr(text, "  sender     <a@b.org>\n"));
	ck_assert_ptr_nonnull(strstr(text, "  user       u@v.org\n"));
	ck_assert_ptr_nonnull(strstr(text, "  recipient  <e@f.org>, pending\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nSubject: \\xe4\n"));
	close_text();
}
END_TEST

START_TEST(gathers_the_findings_of_verify)
{
	struct listing *l;
	json_t *o;
	open_text();
	l = listing_new(to, QUEUE_VERIFY, true);
	listing_line(l, SLICE("one\ntwo\n"));
	listing_line(l, SLICE("three"));
	o = listing_findings(l);
	listing_free(&l);
	ck_assert_uint_eq(json_array_size(json_object_get(o, "findings")), 3);
	json_decref(o);
	close_text();
}
END_TEST

/* Destinations */

static void print_destinations(bool json)
{
	const struct queue_destination list[] = {
	    {.transport = SLICE("smtp"),
	     .key = SLICE("mx.idle.example:25"),
	     .out = 1,
	     .window = 20},
	    {.transport = SLICE("smtp"),
	     .key = SLICE("mx.dead.example:25"),
	     .deferred = 7,
	     .window = 1,
	     .failures = 3,
	     .dead_until = 1700000000,
	     .reply = SLICE("421 4.3.2 no\x1b[2J")},
	};
	struct destinations *d = destinations_new();
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		destinations_add(d, &list[i]);
	destinations_print(d, to, json);
	destinations_free(&d);
	fflush(to);
}

START_TEST(destinations_with_most_waiting_come_first)
{
	open_text();
	print_destinations(false);
	ck_assert_ptr_nonnull(strstr(text, "mx.dead"));
	ck_assert(strstr(text, "mx.dead") < strstr(text, "mx.idle"));
	ck_assert_ptr_null(strchr(text, 0x1b));
	close_text();
}
END_TEST

START_TEST(that_there_is_no_destination_is_said)
{
	struct destinations *d = destinations_new();
	open_text();
	destinations_print(d, to, true);
	destinations_print(d, to, false);
	fflush(to);
	ck_assert_str_eq(text, "no destination has mail under way or is in trouble\n");
	destinations_free(&d);
	close_text();
}
END_TEST

START_TEST(destinations_are_objects_for_programs)
{
	open_text();
	print_destinations(true);
	*strchr(text, '\n') = '\0';
	json_t *o = parse_line(text);
	ck_assert_str_eq(string(o, "destination"), "mx.dead.example:25");
	ck_assert_int_eq(number(o, "deferred"), 7);
	ck_assert_int_eq(number(o, "dead_until"), 1700000000);
	json_decref(o);
	close_text();
}
END_TEST

/* Status */

enum { NOW = 1700000000, DAY = 86400 };

static struct status *running(void)
{
	struct status *s = status_new(4, NOW);
	struct master_process p = {.name = SLICE("smtpd"),
				   .pid = 12,
				   .uid = 34,
				   .restarts = 5,
				   .started = 1700000000,
				   .state = SLICE("serving")};
	struct queue_counts c = {
	    .incoming = 1, .active = 2, .deferred = 3, .hold = 4, .corrupt = 5};
	status_process(s, &p);
	status_counts(s, &c);
	return s;
}

START_TEST(tells_programs_the_state)
{
	struct status *s = running();
	json_t *o = status_json(s, EX_OK), *queue = json_object_get(o, "queue"), *p;
	ck_assert_str_eq(string(o, "state"), "running");
	ck_assert_int_eq(number(queue, "incoming"), 1);
	ck_assert_int_eq(number(queue, "active"), 2);
	ck_assert_int_eq(number(queue, "deferred"), 3);
	ck_assert_int_eq(number(queue, "hold"), 4);
	ck_assert_int_eq(number(queue, "corrupt"), 5);
	ck_assert_uint_eq(json_array_size(json_object_get(o, "processes")), 1);
	p = json_array_get(json_object_get(o, "processes"), 0);
	ck_assert_str_eq(string(p, "name"), "smtpd");
	ck_assert_int_eq(number(p, "pid"), 12);
	ck_assert_int_eq(number(p, "uid"), 34);
	ck_assert_int_eq(number(p, "restarts"), 5);
	json_decref(o);
	status_free(&s);
}
END_TEST

START_TEST(says_degraded_when_a_process_does_not_serve)
{
	struct status *s = running();
	struct master_process p = {.name = SLICE("local"), .state = SLICE("waiting")};
	status_process(s, &p);
	json_t *o = status_json(s, EX_OK);
	ck_assert_str_eq(string(o, "state"), "degraded");
	json_decref(o);
	status_free(&s);
}
END_TEST

START_TEST(says_stopped_when_nobody_listens)
{
	struct status *s = status_new(0, NOW);
	status_stopped(s, "the server is not running");
	json_t *o = status_json(s, EX_UNAVAILABLE);
	ck_assert_str_eq(string(o, "state"), "stopped");
	ck_assert(json_is_null(json_object_get(o, "queue")));
	ck_assert_uint_eq(json_array_size(json_object_get(o, "processes")), 0);
	json_decref(o);
	status_free(&s);
}
END_TEST

static const struct {
	const char *state, *says;
	struct keys_certificate m;
} papers[] = {
    {"fine",
     ": RSA 2048, until ",
     {.names = SLICE("a.example b.example"), .kind = SLICE("RSA 2048"), .until = NOW + 15 * DAY}},
    {"ending",
     "renew it SOON",
     {.names = SLICE("a.example b.example"), .kind = SLICE("Ed25519"), .until = NOW + 13 * DAY}},
    {"ended",
     "it has ENDED",
     {.names = SLICE("a.example b.example"), .kind = SLICE("EC P-256"), .until = NOW - 1}},
    {"missing", "no certificate", {.trouble = SLICE("the certificate: bad\033[2J")}},
};

START_TEST(tells_of_certificates_and_when_they_end)
{
	struct keys_certificate m = papers[_i].m;
	struct status *s = running();
	json_t *o, *list, *p;
	m.certificate = SLICE("/etc/a.pem");
	m.key = SLICE("/etc/a.key");
	status_certificate(s, &m);
	o = status_json(s, EX_OK);
	list = json_object_get(o, "certificates");
	ck_assert_uint_eq(json_array_size(list), 1);
	p = json_array_get(list, 0);
	ck_assert_str_eq(string(p, "state"), papers[_i].state);
	ck_assert_str_eq(string(p, "certificate"), "/etc/a.pem");
	ck_assert_uint_eq(json_array_size(json_object_get(p, "names")), m.names.len > 0 ? 2 : 0);
	ck_assert_int_eq(json_is_null(json_object_get(p, "trouble")), m.trouble.len == 0);
	open_text();
	status_text(s, to);
	fflush(to);
	ck_assert_msg(strstr(text, papers[_i].says) != NULL, "%s", text);
	ck_assert_ptr_null(strchr(text, '\033'));
	close_text();
	json_decref(o);
	status_free(&s);
}
END_TEST

START_TEST(says_when_keys_does_not_answer)
{
	struct status *s = running();
	json_t *o;
	status_certificates_missing(s, "keys has gone");
	o = status_json(s, EX_OK);
	ck_assert(json_is_null(json_object_get(o, "certificates")));
	json_decref(o);
	status_free(&s);
}
END_TEST

START_TEST(tells_people_the_state)
{
	struct status *s = running();
	open_text();
	status_text(s, to);
	fflush(to);
	ck_assert(slice_starts(slice_str(text), SLICE("running\n")));
	ck_assert_ptr_nonnull(strstr(text, "1 incoming, 2 active, 3 deferred, 4 hold, 5 corrupt"));
	ck_assert_ptr_nonnull(strstr(text, "Landlock version 4"));
	ck_assert_ptr_nonnull(strstr(text, "smtpd"));
	status_free(&s);
	close_text();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("output");
	TCase *t = tcase_create("output");
	SRunner *sr = srunner_create(s);
	suite_add_tcase(s, t);
	tcase_add_loop_test(t, shows_nothing_that_steers_a_terminal, 0,
			    sizeof(strangers) / sizeof(strangers[0]));
	tcase_add_test(t, keeps_lines_of_text_and_turns_crlf_into_lf);
	tcase_add_test(t, writes_sizes_and_times);
	tcase_add_test(t, lists_messages_as_mailq_does);
	tcase_add_test(t, an_empty_queue_is_said_as_mailq_does);
	tcase_add_test(t, lists_messages_with_the_keys_of_postqueue);
	tcase_add_test(t, writes_valid_json_of_octets_that_are_no_text);
	tcase_add_test(t, writes_each_message_when_the_next_begins);
	tcase_add_test(t, lists_for_people_in_a_table);
	tcase_add_test(t, shows_a_message_for_people);
	tcase_add_test(t, gathers_the_findings_of_verify);
	tcase_add_test(t, destinations_with_most_waiting_come_first);
	tcase_add_test(t, that_there_is_no_destination_is_said);
	tcase_add_test(t, destinations_are_objects_for_programs);
	tcase_add_test(t, tells_programs_the_state);
	tcase_add_test(t, says_degraded_when_a_process_does_not_serve);
	tcase_add_test(t, says_stopped_when_nobody_listens);
	tcase_add_test(t, tells_people_the_state);
	tcase_add_loop_test(t, tells_of_certificates_and_when_they_end, 0,
			    sizeof(papers) / sizeof(papers[0]));
	tcase_add_test(t, says_when_keys_does_not_answer);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
