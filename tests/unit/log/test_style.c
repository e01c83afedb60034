/*
 * What becomes of an event in each style: Postfix's lines as their readers know them, and JSON.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemons/log/style.h"

static char said[16 * 1024];

static bool keep(void *arg, struct slice role, struct slice text)
{
	size_t len = strlen(said);
	(void)arg;
	snprintf(said + len, sizeof(said) - len, "%.*s|%.*s\n", SLICE_FMT(role), SLICE_FMT(text));
	return true;
}

static void write_as(enum style style, enum log_level level, const char *role, const char *text)
{
	struct log_entry entry = {.level = level, .text = slice_str(text)};
	said[0] = '\0';
	ck_assert(style_write(style, &entry, slice_str(role), 7, keep, NULL));
}

static const struct {
	enum log_level level;
	const char *role, *ours, *theirs;
} lines[] = {
    {LOG_LEVEL_INFO, "smtpd", "- connected client=192.0.2.1 name=mx.example.org",
     "smtpd|connect from mx.example.org[192.0.2.1]\n"},
    {LOG_LEVEL_INFO, "smtpd", "- connected client=192.0.2.1",
     "smtpd|connect from unknown[192.0.2.1]\n"},
    {LOG_LEVEL_INFO, "smtpd",
     "- disconnected client=192.0.2.1 how=quit after=QUIT ehlo=1 mail=1 rcpt=0/1 quit=1 "
     "commands=3/4 "
     "messages=0",
     "smtpd|disconnect from unknown[192.0.2.1] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4\n"},
    {LOG_LEVEL_INFO, "smtpd",
     "- disconnected client=192.0.2.1 how=closed after=DATA content=1234 ehlo=1 data=1 commands=2 "
     "messages=0",
     "smtpd|lost connection after DATA (1234 bytes) from unknown[192.0.2.1]\n"
     "smtpd|disconnect from unknown[192.0.2.1] ehlo=1 data=1 commands=2\n"},
    {LOG_LEVEL_INFO, "smtpd",
     "- disconnected client=192.0.2.1 how=late after=CONNECT commands=0 messages=0",
     "smtpd|timeout after CONNECT from unknown[192.0.2.1]\n"
     "smtpd|disconnect from unknown[192.0.2.1] commands=0\n"},
    {LOG_LEVEL_INFO, "smtpd",
     "- disconnected client=192.0.2.1 how=errors after=RCPT rcpt=0/20 commands=0/20 messages=0",
     "smtpd|too many errors after RCPT from unknown[192.0.2.1]\n"
     "smtpd|disconnect from unknown[192.0.2.1] rcpt=0/20 commands=0/20\n"},
    {LOG_LEVEL_INFO, "smtpd",
     "0123456789BC accepted client=192.0.2.1 name=mx.example.org helo=h proto=ESMTP from=a@b "
     "recipients=2 size=400 message-id=<x@y>",
     "smtpd|0123456789BC: client=mx.example.org[192.0.2.1]\n"
     "cleanup|0123456789BC: message-id=<x@y>\n"
     "qmgr|0123456789BC: from=<a@b>, size=400, nrcpt=2 (queue active)\n"},
    {LOG_LEVEL_INFO, "smtpd",
     "0123456789BC accepted client=local uid=1000 helo=h proto=ESMTP from=a@b recipients=1 size=4 "
     "message-id=\"\"",
     "pickup|0123456789BC: uid=1000 from=<a@b>\n"
     "cleanup|0123456789BC: message-id=\n"
     "qmgr|0123456789BC: from=<a@b>, size=4, nrcpt=1 (queue active)\n"},
    {LOG_LEVEL_INFO, "smtpd",
     "0123456789BC refused step=RCPT client=192.0.2.1 helo=h proto=ESMTP from=a@b to=c@d "
     "reply=\"554 5.7.1 <c@d>: Relay access denied\"",
     "smtpd|NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 <c@d>: Relay access denied; "
     "from=<a@b> to=<c@d> proto=ESMTP helo=<h>\n"},
    {LOG_LEVEL_INFO, "queue",
     "0123456789BC delivered to=c@d orig-to=x@y relay=\"mx.d[198.51.100.1]:25\" tls=yes "
     "delay=1.200 "
     "setup=0.400 transfer=0.700 dsn=2.0.0 reply=\"250 Ok\"",
     "smtp|0123456789BC: to=<c@d>, orig_to=<x@y>, relay=mx.d[198.51.100.1]:25, delay=1.20, "
     "delays=0.10/0/0.40/0.70, dsn=2.0.0, status=sent (250 Ok)\n"},
    {LOG_LEVEL_INFO, "queue",
     "0123456789BC deferred to=c@d relay=none delay=1.000 dsn=4.4.1 reply=\"451 no one answers\" "
     "next=300",
     "smtp|0123456789BC: to=<c@d>, relay=none, delay=1.00, delays=1.00/0/0.00/0.00, dsn=4.4.1, "
     "status=deferred (451 no one answers)\n"},
    {LOG_LEVEL_INFO, "queue",
     "0123456789BC failed to=c@d relay=local delay=0.001 dsn=5.1.1 reply=\"550 no\"",
     "local|0123456789BC: to=<c@d>, relay=local, delay=0.00, delays=0.00/0/0.00/0.00, dsn=5.1.1, "
     "status=bounced (550 no)\n"},
    {LOG_LEVEL_INFO, "submission", "- connected client=192.0.2.1 listener=submission",
     "submission/smtpd|connect from unknown[192.0.2.1]\n"},
    {LOG_LEVEL_INFO, "submission", "- connected client=192.0.2.1 listener=submissions",
     "smtps/smtpd|connect from unknown[192.0.2.1]\n"},
    {LOG_LEVEL_INFO, "submission", "- connected client=local uid=0",
     "smtpd|connect from localhost[127.0.0.1]\n"},
    {LOG_LEVEL_INFO, "submission",
     "- secured client=192.0.2.1 name=a.example listener=submission version=TLSv1.3 "
     "cipher=TLS_AES_256_GCM_SHA384 bits=256 resumed=no",
     "submission/smtpd|Anonymous TLS connection established from a.example[192.0.2.1]: TLSv1.3 "
     "with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\n"},
    {LOG_LEVEL_INFO, "smtpd", "- unsecured client=192.0.2.1 text=\"no shared cipher\"",
     "smtpd|SSL_accept error from unknown[192.0.2.1]: no shared cipher\n"},
    {LOG_LEVEL_WARNING, "submission",
     "- login-failed client=192.0.2.1 listener=submission mechanism=PLAIN result=denied "
     "text=\"wrong password\" user=alice@x.example",
     "submission/smtpd|warning: unknown[192.0.2.1]: SASL PLAIN authentication failed: wrong "
     "password, sasl_username=alice@x.example\n"},
    {LOG_LEVEL_WARNING, "submission",
     "- login-failed client=192.0.2.1 listener=submissions mechanism=SCRAM-SHA-256 result=trouble "
     "text=\"the table can't be read\" user=alice",
     "smtps/smtpd|warning: unknown[192.0.2.1]: SASL SCRAM-SHA-256 authentication failed: "
     "Connection lost to authentication server: the table can't be read, sasl_username=alice\n"},
    {LOG_LEVEL_WARNING, "pop3d",
     "- login-failed client=192.0.2.1 mechanism=USER result=denied text=\"no such user\" user=a",
     "pop3d|warning: unknown[192.0.2.1]: SASL LOGIN authentication failed: no such user, "
     "sasl_username=a\n"},
    {LOG_LEVEL_WARNING, "submission",
     "- login-failed client=192.0.2.1 listener=submission mechanism=LOGIN result=malformed "
     "text=\"that is no base64\"",
     "submission/smtpd|warning: unknown[192.0.2.1]: SASL LOGIN authentication failed: that is no "
     "base64\n"},
    {LOG_LEVEL_INFO, "submission",
     "0123456789BC accepted client=192.0.2.1 listener=submission mechanism=PLAIN "
     "user=alice@x.example helo=h proto=ESMTPSA from=a@b recipients=1 size=4 message-id=<x@y>",
     "submission/smtpd|0123456789BC: client=unknown[192.0.2.1], sasl_method=PLAIN, "
     "sasl_username=alice@x.example\n"
     "cleanup|0123456789BC: message-id=<x@y>\n"
     "qmgr|0123456789BC: from=<a@b>, size=4, nrcpt=1 (queue active)\n"},
    {LOG_LEVEL_INFO, "submission",
     "- refused step=MAIL client=192.0.2.1 listener=submission user=alice@x.example helo=h "
     "proto=ESMTP reply=\"553 5.7.1 <b@c>: Sender address rejected: not owned by user "
     "alice@x.example\"",
     "submission/smtpd|NOQUEUE: reject: MAIL from unknown[192.0.2.1]: 553 5.7.1 <b@c>: Sender "
     "address rejected: not owned by user alice@x.example; proto=ESMTP helo=<h> "
     "sasl_username=<alice@x.example>\n"},
    {LOG_LEVEL_INFO, "submission",
     "- disconnected client=192.0.2.1 listener=submission how=quit after=QUIT ehlo=2 starttls=1 "
     "auth=0/1 quit=1 commands=4/5 messages=0",
     "submission/smtpd|disconnect from unknown[192.0.2.1] ehlo=2 starttls=1 auth=0/1 quit=1 "
     "commands=4/5\n"},
    {LOG_LEVEL_INFO, "pop3d",
     "- login client=192.0.2.1 listener=pop3 mechanism=USER user=alice@x.example",
     "pop3d|login client=192.0.2.1 listener=pop3 mechanism=USER user=alice@x.example\n"},
    {LOG_LEVEL_INFO, "queue", "0123456789BC removed", "qmgr|0123456789BC: removed\n"},
    {LOG_LEVEL_WARNING, "master", "- notice text=\"the disk is slow\"",
     "master|warning: the disk is slow\n"},
    {LOG_LEVEL_INFO, "queue", "0123456789BC held by=administrator",
     "queue|0123456789BC: held by=administrator\n"},
    {LOG_LEVEL_INFO, "x", "no line of ours \"", "x|no line of ours \"\n"},
};

START_TEST(an_event_is_said_in_postfix_words)
{
	write_as(STYLE_POSTFIX, lines[_i].level, lines[_i].role, lines[_i].ours);
	ck_assert_str_eq(said, lines[_i].theirs);
}
END_TEST

/* Postfix's words around them make the line longer than ours may be. */
START_TEST(a_refusal_with_the_longest_values_is_said)
{
	char ours[LOG_LINE_MAX + 1], filler[LOG_LINE_MAX];
	memset(filler, 'x', sizeof(filler));
	int len = snprintf(
	    ours, sizeof(ours),
	    "- refused step=RCPT client=192.0.2.1 reply=\"550 5.1.1 no\" from=%.*s to=%.*s", 990,
	    filler, 960, filler);
	ck_assert_int_le(len, LOG_LINE_MAX);
	write_as(STYLE_POSTFIX, LOG_LEVEL_INFO, "smtpd", ours);
	ck_assert(
	    slice_starts(slice_str(said), SLICE("smtpd|NOQUEUE: reject: RCPT from "
						"unknown[192.0.2.1]: 550 5.1.1 no; from=<x")));
	snprintf(ours, sizeof(ours), "0123456789BC delivered to=%.*s relay=mx reply=\"250 %.*s\"",
		 990, filler, 980, filler);
	write_as(STYLE_POSTFIX, LOG_LEVEL_INFO, "smtp", ours);
	ck_assert_ptr_nonnull(strstr(said, "status=sent (250 x"));
}
END_TEST

/* Behind the time, which is the machine's. */
static const char *behind_time(void)
{
	const char *rest = strstr(said, ",\"role\"");
	ck_assert_msg(strncmp(said, "smtpd|{\"time\":\"19", 17) == 0 && rest, "%s", said);
	return rest;
}

START_TEST(an_event_is_a_json_object)
{
	write_as(STYLE_JSON, LOG_LEVEL_WARNING, "smtpd",
		 "0123456789BC accepted from=\"a\\\"b\" size=400 odd=\"\\xff\\x01\" zero=007 "
		 "text=\"gr\xc3\xbcn\"");
	ck_assert_str_eq(
	    behind_time(),
	    ",\"role\":\"smtpd\",\"pid\":7,\"level\":\"warning\",\"id\":\"0123456789BC\","
	    "\"event\":\"accepted\",\"from\":\"a\\\"b\",\"size\":400,\"odd\":\"?\\u0001\","
	    "\"zero\":\"007\",\"text\":\"gr\xc3\xbcn\"}\n");
}
END_TEST

START_TEST(what_is_no_event_is_json_all_the_same)
{
	write_as(STYLE_JSON, LOG_LEVEL_INFO, "smtpd", "what \"is this");
	ck_assert_str_eq(behind_time(), ",\"role\":\"smtpd\",\"pid\":7,\"level\":\"info\","
					"\"text\":\"what \\\"is this\"}\n");
}
END_TEST

/* The process is not believed about whose line it is, whichever of two names a reader takes. */
START_TEST(no_pair_says_anew_what_is_known_of_a_json_line)
{
	write_as(STYLE_JSON, LOG_LEVEL_INFO, "smtpd", "- started role=queue pid=8 pid=9 pid_=1");
	ck_assert_str_eq(behind_time(),
			 ",\"role\":\"smtpd\",\"pid\":7,\"level\":\"info\","
			 "\"event\":\"started\",\"role_\":\"queue\",\"pid_\":8,\"pid__\":9,"
			 "\"pid___\":1}\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("style");
	TCase *t = tcase_create("style");
	SRunner *sr;
	int failed;
	tcase_add_loop_test(t, an_event_is_said_in_postfix_words, 0,
			    sizeof(lines) / sizeof(lines[0]));
	tcase_add_test(t, a_refusal_with_the_longest_values_is_said);
	tcase_add_test(t, an_event_is_a_json_object);
	tcase_add_test(t, what_is_no_event_is_json_all_the_same);
	tcase_add_test(t, no_pair_says_anew_what_is_known_of_a_json_line);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
