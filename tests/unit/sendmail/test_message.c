/*
 * From what a program gives to what is sent: options, addresses, the message.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "commands/sendmail/sendmail.h"
#include "common/mail/header.h"

/* Options */

enum { WORDS_MAX = 6 };

static bool parse(struct options *o, const char *name, const char *const *words, struct error *e)
{
	static char *argv[WORDS_MAX + 2];
	int argc = 1;
	argv[0] = (char *)name;
	for (; argc <= WORDS_MAX && words[argc - 1]; argc++)
		argv[argc] = (char *)words[argc - 1];
	argv[argc] = NULL;
	return options_parse(o, argc, argv, e);
}

static const struct {
	const char *words[WORDS_MAX + 1];
	bool header, dot_ends;
	const char *sender;
	int recipients;
} good_options[] = {
    {{"-t", "-i"}, true, false, NULL, 0},					    /* PHP */
    {{"-FCronDaemon", "-i", "-odi", "-oem", "-oi", "root"}, false, false, NULL, 1}, /* cron */
    {{"-oi", "-f", "a@b", "--", "c@d", "e@f"}, false, false, "a@b", 2},		    /* mail(1) */
    {{"-bm", "-em", "-v", "-G", "x@y"}, false, true, NULL, 1},
    {{"-r", "<>", "-B", "8BITMIME", "x@y"}, false, true, "<>", 1},
    {{"-ti"}, true, false, NULL, 0},
};

START_TEST(takes_the_options_that_programs_give)
{
	struct options o;
	struct error e = {0};
	ck_assert_msg(parse(&o, "/usr/sbin/sendmail", good_options[_i].words, &e), "%s", e.text);
	ck_assert(o.from_header == good_options[_i].header);
	ck_assert(o.dot_ends == good_options[_i].dot_ends);
	ck_assert_int_eq(o.recipient_count, good_options[_i].recipients);
	if (good_options[_i].sender)
		ck_assert_str_eq(o.sender, good_options[_i].sender);
	else
		ck_assert_ptr_null(o.sender);
}
END_TEST

static const struct {
	const char *name;
	const char *words[WORDS_MAX + 1];
} bad_options[] = {
    {"sendmail", {NULL}},	 {"sendmail", {"-bd"}}, {"sendmail", {"-bx"}},
    {"sendmail", {"-q30m"}},	 {"sendmail", {"-qI"}}, {"sendmail", {"-bv"}},
    {"sendmail", {"-Z", "a@b"}}, {"sendmail", {"-N"}},	{"sendmail", {"-f"}},
};

START_TEST(refuses_what_it_does_not_do)
{
	struct options o;
	struct error e = {0};
	ck_assert(!parse(&o, bad_options[_i].name, bad_options[_i].words, &e));
	ck_assert_int_eq(e.code, EX_USAGE);
}
END_TEST

static const struct {
	const char *name;
	const char *words[WORDS_MAX + 1];
	enum mode mode;
	const char *what, *value; /* of -q */
} modes[] = {
    {"sendmail", {"-bm", "a@b"}, MODE_MESSAGE, NULL, NULL},
    {"sendmail", {"-bs"}, MODE_SMTP, NULL, NULL},
    {"sendmail", {"-bp"}, MODE_LIST, NULL, NULL},
    {"/usr/bin/mailq", {NULL}, MODE_LIST, NULL, NULL},
    {"sendmail", {"-bi"}, MODE_ALIASES, NULL, NULL},
    {"newaliases", {NULL}, MODE_ALIASES, NULL, NULL},
    {"sendmail", {"-bv", "a@b"}, MODE_VERIFY, NULL, NULL},
    {"sendmail", {"-q"}, MODE_FLUSH, NULL, NULL},
    {"sendmail", {"-qI0123456789BC"}, MODE_FLUSH, "", "0123456789BC"},
    {"sendmail", {"-qRexample.org"}, MODE_FLUSH, "--to", "example.org"},
    {"sendmail", {"-qSexample.org"}, MODE_FLUSH, "--from", "example.org"},
};

START_TEST(is_what_its_name_or_option_says)
{
	struct options o;
	struct error e = {0};
	ck_assert_msg(parse(&o, modes[_i].name, modes[_i].words, &e), "%s", e.text);
	ck_assert_int_eq(o.mode, modes[_i].mode);
	ck_assert_pstr_eq(o.flush_what, modes[_i].what);
	ck_assert_pstr_eq(o.flush_value, modes[_i].value);
}
END_TEST

static const struct {
	const char *words[WORDS_MAX + 1];
	bool good;
} notices[] = {
    {{"-N", "never", "a@b"}, true},
    {{"-Nsuccess,failure,delay", "a@b"}, true},
    {{"-N", "success,", "a@b"}, false},
    {{"-N", "never,success", "a@b"}, false},
    {{"-N", "sometimes", "a@b"}, false},
    {{"-R", "hdrs", "a@b"}, true},
    {{"-R", "FULL", "a@b"}, true},
    {{"-R", "half", "a@b"}, false},
    {{"-V", "id-1", "a@b"}, true},
    {{"-V", "a b", "a@b"}, false},
    {{"-V", "a\r\nRCPT TO:<x>", "a@b"}, false},
    {{"-V", "a+41", "a@b"}, false},
};

START_TEST(S21_takes_what_RFC_3461_knows_of_notices)
{
	struct options o;
	struct error e = {0};
	ck_assert(parse(&o, "sendmail", notices[_i].words, &e) == notices[_i].good);
	ck_assert(notices[_i].good || e.code == EX_DATAERR);
}
END_TEST

/* Addresses */

static void joined(const struct recipients *r, char *text, size_t size)
{
	struct slice one;
	size_t len = 0;
	text[0] = '\0';
	for (size_t at = 0; recipients_next(r, &at, &one);)
		len += (size_t)snprintf(text + len, size - len, "%s%.*s", len ? " " : "",
					SLICE_FMT(one));
}

static const struct {
	const char *list, *addresses;
} lists[] = {
    {"a@b.org", "a@b.org"},
    {"a@b.org, c@d.org", "a@b.org c@d.org"},
    {"root", "root@example.org"},
    {"Name <a@b.org>, \"C, D\" <c@d.org>", "a@b.org c@d.org"},
    {"a@b.org (Al, the one (and only)), c@d.org", "a@b.org c@d.org"},
    {"friends: a@b.org, c@d.org;, e@f.org", "a@b.org c@d.org e@f.org"},
    {"undisclosed-recipients:;", ""},
    {"a@b.org,\r\n\tc@d.org\r\n", "a@b.org c@d.org"},
    {"\"a b\"@c.org", "\"a b\"@c.org"},
    {"a@b.org, a@b.org", "a@b.org"},
    {" , ,a@b.org, ", "a@b.org"},
    {"<@relay.org:a@b.org>", "a@b.org"},
    {"\"Quote \\\" <x@y.org>\" <a@b.org>", "a@b.org"},
    {"a@[192.0.2.1]", "a@[192.0.2.1]"},
    {"\"never ends <a@b.org>", NULL},
    {"a@", NULL},
    {"a b@c.org", NULL},
    {"a\r\nb@c.org", NULL},
    {"a@b.org\nc@d.org", NULL},
    {"\xc3\xbc@b.org", "\xc3\xbc@b.org"},
    {"\xc3@b.org", NULL},
};

START_TEST(finds_the_addresses_of_a_list)
{
	struct recipients r;
	struct error e = {0};
	char text[1000];
	recipients_init(&r, SLICE("example.org"), 10);
	if (lists[_i].addresses) {
		ck_assert_msg(recipients_add_list(&r, slice_str(lists[_i].list), &e), "%s", e.text);
		joined(&r, text, sizeof(text));
		ck_assert_str_eq(text, lists[_i].addresses);
	} else {
		ck_assert(!recipients_add_list(&r, slice_str(lists[_i].list), &e));
		ck_assert_int_eq(e.code, EX_DATAERR);
	}
	recipients_free(&r);
}
END_TEST

START_TEST(takes_no_more_recipients_than_the_limit)
{
	struct recipients r;
	struct error e = {0};
	recipients_init(&r, SLICE("example.org"), 2);
	ck_assert(recipients_add_list(&r, SLICE("a, b"), &e));
	ck_assert(!recipients_add_list(&r, SLICE("c"), &e));
	ck_assert_int_eq(e.code, EX_DATAERR);
	recipients_free(&r);
}
END_TEST

/* Messages */

static bool read_text(struct slice text, bool dot_ends, struct buffer *out, struct error *e)
{
	int fds[2];
	bool good;
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(write(fds[1], text.ptr, text.len), (ssize_t)text.len);
	close(fds[1]);
	good = message_read(fds[0], dot_ends, out, e);
	close(fds[0]);
	return good;
}

static const struct {
	const char *given;
	bool dot_ends;
	const char *read;
} messages[] = {
    {"a\nb\n", true, "a\r\nb\r\n"},
    {"a\r\nb\r\n", true, "a\r\nb\r\n"},
    {"a\nlast", true, "a\r\nlast\r\n"},
    {"", true, ""},
    {"a\n.\nb\n", true, "a\r\n"},
    {"a\r\n.\r\nb\r\n", true, "a\r\n"},
    {"a\n.", true, "a\r\n"},
    {"a\n.\nb\n", false, "a\r\n.\r\nb\r\n"},
    {"a\n..\n.x\n", true, "a\r\n..\r\n.x\r\n"},
    {"Subject: x\rBcc: evil@x.org\n", true, "Subject: x Bcc: evil@x.org\r\n"},
    {"a\r\r\nb\n", true, "a \r\nb\r\n"},
    {"\n\n", true, "\r\n\r\n"},
};

START_TEST(reads_lines_however_they_end)
{
	struct buffer b;
	struct error e = {0};
	buffer_init(&b, 1000);
	ck_assert(read_text(slice_str(messages[_i].given), messages[_i].dot_ends, &b, &e));
	ck_assert_msg(slice_equal(buffer_slice(&b), slice_str(messages[_i].read)), "%.*s",
		      SLICE_FMT(buffer_slice(&b)));
	buffer_free(&b);
}
END_TEST

START_TEST(refuses_a_message_over_the_limit)
{
	struct buffer b;
	struct error e = {0};
	buffer_init(&b, 10);
	ck_assert(!read_text(SLICE("0123456789\n"), true, &b, &e));
	ck_assert_int_eq(e.code, EX_DATAERR);
	buffer_free(&b);
}
END_TEST

static const struct author author = {
    .address = {"root@example.org", 16},
    .full_name = {"Charlie \"Root\"", 14},
    .host = {"mx.example.org", 14},
    .seconds = 1700000000,
    .offset = 3600,
    .unique = 0xabc,
};

static void complete(const char *message, struct buffer *out)
{
	struct error e = {0};
	buffer_init(out, 10000);
	ck_assert_msg(message_complete(slice_str(message), &author, out, &e), "%s", e.text);
	ck_assert(buffer_byte(out, '\0'));
}

START_TEST(adds_what_is_missing)
{
	struct buffer out;
	complete("Subject: hi\r\n\r\nbody\r\n", &out);
	ck_assert_str_eq(out.data + out.start,
			 "Subject: hi\r\n"
			 "From: \"Charlie \\\"Root\\\"\" <root@example.org>\r\n"
			 "Date: Tue, 14 Nov 2023 23:13:20 +0100\r\n"
			 "Message-ID: <20231114221320.0000000000000abc@mx.example.org>\r\n"
			 "\r\nbody\r\n");
	buffer_free(&out);
}
END_TEST

START_TEST(keeps_what_is_there_and_hides_who_was_hidden)
{
	struct buffer out;
	complete("from: a@b.org\r\ndate: now\r\nmessage-id: <x@y>\r\nBcc: c@d.org,\r\n e@f.org\r\n"
		 "Resent-Bcc: g@h.org\r\nReturn-Path: <i@j.org>\r\nX: y\r\n\r\nBcc: body\r\n",
		 &out);
	ck_assert_str_eq(out.data + out.start,
			 "from: a@b.org\r\ndate: now\r\nmessage-id: <x@y>\r\nX: y\r\n"
			 "\r\nBcc: body\r\n");
	buffer_free(&out);
}
END_TEST

static const char *const without_header[] = {"no header at all\r\nmore\r\n", "", "\r\nbody\r\n",
					     "Subject: alone\r\n"};

START_TEST(makes_a_message_of_anything)
{
	struct buffer out;
	struct slice header, body;
	struct header_field f;
	complete(without_header[_i], &out);
	header_split(slice_make(out.data + out.start, out.len - 1), &header, &body);
	ck_assert(header_find(header, SLICE("From"), &f));
	ck_assert(header_find(header, SLICE("Message-ID"), &f));
	buffer_free(&out);
}
END_TEST

static const struct {
	const char *message, *recipients;
} headers[] = {
    {"To: a@b.org\r\nCc: c@d.org\r\nBcc: e@f.org\r\nFrom: x@y.org\r\n\r\nTo: no@no.org\r\n",
     "a@b.org c@d.org e@f.org"},
    {"to: a@b.org,\r\n c@d.org\r\nTO: e@f.org\r\n\r\n", "a@b.org c@d.org e@f.org"},
    {"To: a@b.org\r\nResent-To: c@d.org\r\n\r\n", "c@d.org"},
    {"Subject: x\r\n\r\n", ""},
};

START_TEST(takes_recipients_from_the_header)
{
	struct recipients r;
	struct error e = {0};
	char text[1000];
	recipients_init(&r, SLICE("example.org"), 10);
	ck_assert_msg(message_recipients(slice_str(headers[_i].message), &r, &e), "%s", e.text);
	joined(&r, text, sizeof(text));
	ck_assert_str_eq(text, headers[_i].recipients);
	recipients_free(&r);
}
END_TEST

static void add_tests(TCase *t)
{
	tcase_add_loop_test(t, takes_the_options_that_programs_give, 0,
			    sizeof(good_options) / sizeof(good_options[0]));
	tcase_add_loop_test(t, refuses_what_it_does_not_do, 0,
			    sizeof(bad_options) / sizeof(bad_options[0]));
	tcase_add_loop_test(t, is_what_its_name_or_option_says, 0,
			    sizeof(modes) / sizeof(modes[0]));
	tcase_add_loop_test(t, S21_takes_what_RFC_3461_knows_of_notices, 0,
			    sizeof(notices) / sizeof(notices[0]));
	tcase_add_loop_test(t, finds_the_addresses_of_a_list, 0, sizeof(lists) / sizeof(lists[0]));
	tcase_add_test(t, takes_no_more_recipients_than_the_limit);
	tcase_add_loop_test(t, reads_lines_however_they_end, 0,
			    sizeof(messages) / sizeof(messages[0]));
	tcase_add_test(t, refuses_a_message_over_the_limit);
	tcase_add_test(t, adds_what_is_missing);
	tcase_add_test(t, keeps_what_is_there_and_hides_who_was_hidden);
	tcase_add_loop_test(t, makes_a_message_of_anything, 0,
			    sizeof(without_header) / sizeof(without_header[0]));
	tcase_add_loop_test(t, takes_recipients_from_the_header, 0,
			    sizeof(headers) / sizeof(headers[0]));
}

int main(void)
{
	Suite *s = suite_create("message");
	TCase *t = tcase_create("message");
	SRunner *sr = srunner_create(s);
	suite_add_tcase(s, t);
	add_tests(t);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
