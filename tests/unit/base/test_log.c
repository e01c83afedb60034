/* log: what a line looks like, that no value can look like anything else, and that what was
 * written is read back. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/encode.h"
#include "common/base/log.h"
#include "common/base/queue_id.h"

static char last[LOG_LINE_MAX + 1];
static size_t last_len;
static enum log_level last_level;
static int lines;

static void keep(enum log_level level, struct slice line)
{
	ck_assert_uint_le(line.len, LOG_LINE_MAX);
	memcpy(last, line.ptr, line.len);
	last[line.len] = '\0';
	last_len = line.len;
	last_level = level;
	lines++;
}

START_TEST(a_line_is_id_event_and_pairs)
{
	struct log_line l;
	char id[QUEUE_ID_LEN + 1], want[200];
	log_set_sink(keep, LOG_LEVEL_DEBUG);
	log_start(&l, LOG_LEVEL_INFO, 0, "connect");
	log_pair(&l, "client", SLICE("192.0.2.1"));
	log_number(&l, "port", 0);
	log_number(&l, "most", UINT64_MAX);
	log_text(&l, "reply", "%d %s", 250, "Ok");
	log_end(&l);
	ck_assert_str_eq(last, "- connect client=192.0.2.1 port=0 most=18446744073709551615 "
			       "reply=\"250 Ok\"");
	ck_assert_int_eq(last_level, LOG_LEVEL_INFO);
	uint64_t qid = queue_id_make(1, 2, 3);
	queue_id_text(qid, id);
	log_start(&l, LOG_LEVEL_ERROR, qid, "defer");
	log_end(&l);
	snprintf(want, sizeof(want), "%s defer", id);
	ck_assert_str_eq(last, want);
	ck_assert_int_eq(last_level, LOG_LEVEL_ERROR);
}
END_TEST

START_TEST(a_stranger_s_value_stays_one_value)
{
	static const struct {
		struct slice value;
		const char *written;
	} cases[] = {
	    {SLICE("plain"), "plain"},
	    {SLICE(""), ""},
	    {SLICE("<a@b.example>"), "<a@b.example>"},
	    {SLICE("two words"), "\"two words\""},
	    {SLICE(" "), "\" \""},
	    {SLICE("a=b"), "\"a=b\""},
	    {SLICE("a\"b"), "\"a\\\"b\""},
	    {SLICE("a\\b"), "\"a\\\\b\""},
	    {SLICE("\\"), "\"\\\\\""},
	    {SLICE("\" relay=evil x=\""), "\"\\\" relay=evil x=\\\"\""},
	    {SLICE("a\r\n- panic text=no"), "\"a\\x0d\\x0a- panic text=no\""},
	    {SLICE("a\0b\t\x7f"), "\"a\\x00b\\x09\\x7f\""},
	    {SLICE("\x1b[2J"), "\"\\x1b[2J\""},
	    {SLICE("gr\xc3\xbc\xc3\x9f"), "\"gr\xc3\xbc\xc3\x9f\""},
	    {SLICE("\xf0\x9f\x93\xae"), "\"\xf0\x9f\x93\xae\""},
	    {SLICE("\xc3"), "\"\\xc3\""},			   /* not whole */
	    {SLICE("\xc3(\xff"), "\"\\xc3(\\xff\""},		   /* not valid */
	    {SLICE("\xc0\xaf"), "\"\\xc0\\xaf\""},		   /* overlong */
	    {SLICE("\xed\xa0\x80"), "\"\\xed\\xa0\\x80\""},	   /* surrogate */
	    {SLICE("\xc2\x85\xc2\xa0"), "\"\\xc2\\x85\xc2\xa0\""}, /* C1, and what follows it */
	    {SLICE("\xc2\x9b[2J"), "\"\\xc2\\x9b[2J\""},
	    {SLICE("\xe2\x80\xa8"), "\"\\xe2\\x80\\xa8\""}, /* line separator */
	    {SLICE("\xe2\x80\x8f"), "\"\\xe2\\x80\\x8f\""}, /* right-to-left mark */
	    {SLICE("\xd8\x9c"), "\"\\xd8\\x9c\""},	    /* Arabic letter mark */
	    {SLICE("\xe2\x80\xae"), "\"\\xe2\\x80\\xae\""}, /* right to left */
	    {SLICE("\xe2\x81\xa6"), "\"\\xe2\\x81\\xa6\""},
	    {SLICE("\xe2\x80\xa6"), "\"\xe2\x80\xa6\""}, /* an ellipsis is harmless */
	};
	struct log_line l;
	char want[300];
	log_set_sink(keep, LOG_LEVEL_DEBUG);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		log_start(&l, LOG_LEVEL_INFO, 0, "event");
		log_pair(&l, "v", cases[i].value);
		log_number(&l, "n", 1);
		log_end(&l);
		snprintf(want, sizeof(want), "- event v=%s n=1", cases[i].written);
		ck_assert_str_eq(last, want);
	}
}
END_TEST

/* Takes the last line apart: "-", "event", v=value and the end. */
static void check_round_trip(struct slice value)
{
	struct slice line = slice_make(last, last_len), key;
	char back[LOG_LINE_MAX];
	size_t len;
	ck_assert(log_read_pair(&line, &key, back, sizeof(back), &len));
	ck_assert(key.len == 0 && len == 1 && back[0] == '-');
	ck_assert(log_read_pair(&line, &key, back, sizeof(back), &len));
	ck_assert(key.len == 0 && slice_equal(slice_make(back, len), SLICE("event")));
	ck_assert(log_read_pair(&line, &key, back, sizeof(back), &len));
	ck_assert(slice_equal(key, SLICE("v")));
	ck_assert(slice_equal(slice_make(back, len), value));
	ck_assert_int_eq(back[len], '\0');
	ck_assert(!log_read_pair(&line, &key, back, sizeof(back), &len));
	ck_assert_uint_eq(line.len, 0);
}

START_TEST(random_octets_come_back_from_one_printable_line)
{
	static const char nasty[] = "\"\\= \n\r\t\0x\xc3\xbc\xe2\x80\xa8\xf4\x8f\xbf\xbf\xff";
	struct log_line l;
	char value[300];
	log_set_sink(keep, LOG_LEVEL_DEBUG);
	srand(6);
	for (int i = 0; i < 20000; i++) {
		size_t n = (size_t)rand() % sizeof(value);
		for (size_t k = 0; k < n; k++)
			value[k] = (char)(rand() % 2 ? nasty[(size_t)rand() % sizeof(nasty)]
						     : rand() % 256);
		log_start(&l, LOG_LEVEL_INFO, 0, "event");
		log_pair(&l, "v", slice_make(value, n));
		log_end(&l);
		size_t printable = 0;
		while (printable < last_len && (uint8_t)last[printable] >= ' ' &&
		       last[printable] != 0x7f)
			printable++;
		ck_assert_uint_eq(printable, last_len);
		ck_assert(utf8_valid(slice_make(last, last_len)));
		check_round_trip(slice_make(value, n));
	}
}
END_TEST

START_TEST(a_long_line_is_cut_at_a_pair_s_end)
{
	struct log_line l;
	char value[LOG_LINE_MAX + 100];
	memset(value, 'a', sizeof(value));
	log_set_sink(keep, LOG_LEVEL_DEBUG);
	for (size_t n = 0; n < sizeof(value); n++) {
		log_start(&l, LOG_LEVEL_INFO, 0, "e");
		log_pair(&l, "v", slice_make(value, n));
		log_end(&l);
		if (n <= LOG_LINE_MAX - 8 - 6) { /* "- e v=" and the room for the mark */
			ck_assert_uint_eq(last_len, n + 6);
			continue;
		}
		ck_assert_str_eq(last, "- e cut=yes");
	}
	memset(value, '\n', sizeof(value));
	for (size_t n = 0; n < sizeof(value); n++) {
		log_start(&l, LOG_LEVEL_INFO, 0, "e");
		log_number(&l, "n", n);
		log_pair(&l, "v", slice_make(value, n));
		log_number(&l, "after", 1);
		log_end(&l);
		ck_assert_uint_le(last_len, LOG_LINE_MAX);
		if (n > LOG_LINE_MAX / 4)
			ck_assert(strstr(last, "v=") == NULL &&
				  strcmp(last + last_len - 8, " cut=yes") == 0);
	}
	log_start(&l, LOG_LEVEL_INFO, 0, "e");
	for (int i = 0; i < 1000; i++)
		log_number(&l, "k", 12345);
	log_text(&l, "t", "%*s", LOG_LINE_MAX, "");
	log_end(&l);
	ck_assert_uint_le(last_len, LOG_LINE_MAX);
	ck_assert_str_eq(last + last_len - 16, " k=12345 cut=yes");
}
END_TEST

START_TEST(a_sentence_that_is_too_long_keeps_its_start)
{
	char text[4000];
	log_set_sink(keep, LOG_LEVEL_INFO);
	log_warning("%d of %d", 1, 2);
	ck_assert_str_eq(last, "- notice text=\"1 of 2\"");
	ck_assert_int_eq(last_level, LOG_LEVEL_WARNING);
	memset(text, '\n', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_error("%s", text);
	ck_assert_int_eq(last_level, LOG_LEVEL_ERROR);
	ck_assert(strncmp(last, "- notice text=\"\\x0a\\x0a", 23) == 0);
	ck_assert_str_eq(last + last_len - 13, "\\x0a\" cut=yes");
	log_sentence(LOG_LEVEL_INFO, "panic", "why");
	ck_assert_str_eq(last, "- panic text=why");
}
END_TEST

START_TEST(lines_under_the_wanted_level_are_not_built)
{
	struct log_line l;
	lines = 0;
	log_set_sink(keep, LOG_LEVEL_WARNING);
	ck_assert(log_has_sink());
	log_info("not %s", "this");
	log_start(&l, LOG_LEVEL_DEBUG, 0, "not");
	log_pair(&l, "a", SLICE("b"));
	log_number(&l, "c", 1);
	log_text(&l, "d", "%d", 2);
	log_end(&l);
	ck_assert(l.len == 0 && lines == 0);
	log_warning("this");
	ck_assert_int_eq(lines, 1);
	log_set_sink(NULL, LOG_LEVEL_DEBUG);
	ck_assert(!log_has_sink());
	log_error("dropped");
	ck_assert_int_eq(lines, 1);
}
END_TEST

START_TEST(reading_refuses_what_writing_never_makes)
{
	static const char *const wrong[] = {
	    "a=\"",	   "a=\"x",	 "a=\"\\\"",   "a=\"\\n\"",  "a=\"\\x0\"",
	    "a=\"\\x0g\"", "a=\"x\"b",	 "a=\"x\"c=d", "=b",	     "\"a\"",
	    "a=b=c",	   "a=b\"c",	 "a=\"\n\"",   "a\tb",	     "a=\\x41",
	    "\x80",	   "a=\xc3\xbc", "a=b\n",      "a=\"\x7f\"",
	};
	char value[100];
	size_t len;
	struct slice key;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct slice line = slice_str(wrong[i]), before = line;
		ck_assert_msg(!log_read_pair(&line, &key, value, sizeof(value), &len), "%s",
			      wrong[i]);
		ck_assert(line.ptr == before.ptr && line.len == before.len);
	}
	struct slice line = SLICE("  a=  b=\"\"   c ");
	ck_assert(log_read_pair(&line, &key, value, sizeof(value), &len));
	ck_assert(slice_equal(key, SLICE("a")) && len == 0);
	ck_assert(log_read_pair(&line, &key, value, sizeof(value), &len));
	ck_assert(slice_equal(key, SLICE("b")) && len == 0);
	ck_assert(log_read_pair(&line, &key, value, sizeof(value), &len));
	ck_assert(key.len == 0 && len == 1 && value[0] == 'c');
	ck_assert(!log_read_pair(&line, &key, value, sizeof(value), &len));
	ck_assert_uint_eq(line.len, 0);
}
END_TEST

START_TEST(reading_refuses_a_value_that_does_not_fit)
{
	static const char *const texts[] = {"a=abc", "a=\"abc\"", "a=\"\\x61bc\"", "abc"};
	char value[5] = "????";
	size_t len;
	struct slice key;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		for (size_t size = 0; size <= 4; size++) {
			struct slice line = slice_str(texts[i]);
			value[size] = '#';
			ck_assert_int_eq(log_read_pair(&line, &key, value, size, &len), size == 4);
			ck_assert_int_eq(value[size], '#');
		}
	ck_assert_int_eq(memcmp(value, "abc", 4), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("log");
	TCase *c = tcase_create("log");
	tcase_set_timeout(c, 60);
	tcase_add_test(c, a_line_is_id_event_and_pairs);
	tcase_add_test(c, a_stranger_s_value_stays_one_value);
	tcase_add_test(c, random_octets_come_back_from_one_printable_line);
	tcase_add_test(c, a_long_line_is_cut_at_a_pair_s_end);
	tcase_add_test(c, a_sentence_that_is_too_long_keeps_its_start);
	tcase_add_test(c, lines_under_the_wanted_level_are_not_built);
	tcase_add_test(c, reading_refuses_what_writing_never_makes);
	tcase_add_test(c, reading_refuses_a_value_that_does_not_fit);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
