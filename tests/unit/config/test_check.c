/*
 * The check: what a file that reads well may still have wrong. Each case changes one thing of a
 * configuration that is right.
 */
#include <sysexits.h>

#include "common/base/buffer.h"
#include "common/config/tree.h"
#include "tests/unit/config/folder.h"

struct found {
	int errors, warnings;
	struct buffer text; /* "place text" lines, the folder's name taken off */
};

static void note(void *arg, enum config_severity severity, const char *place, const char *text)
{
	struct found *f = arg;
	f->errors += severity == CONFIG_ERROR;
	f->warnings += severity == CONFIG_WARNING;
	if (strncmp(place, folder, strlen(folder)) == 0)
		place += strlen(folder) + 1;
	buffer_printf(&f->text, "%s %s\n", place, text);
}

static int check(const char *text, struct found *f)
{
	struct config *c = folder_load(text);
	*f = (struct found){0};
	buffer_init(&f->text, 100000);
	int code = config_check(c, note, f);
	buffer_byte(&f->text, '\0');
	config_free(&c);
	return code;
}

static void make_files(void)
{
	folder_make();
	ck_assert_int_eq(mkdir(folder_path("mail"), 0700), 0);
	ck_assert_int_eq(chmod(folder_path("mail"), 0777), 0);
	folder_write("users", "alice\nbob:{PLAIN}x:1000:1000\n");
	folder_write("aliases", "postmaster: alice\nroot: alice\n");
	folder_write("bad", "alice\nno body\n: x\n");
	folder_write("badroutes", "b@b.example smtp:[x]\na@b.example error:x\n");
	folder_write("odd",
		     "postmaster: alice\nprog: |cmd\nfile: /x\ninc: :include:/y\nroot: alice\n");
}

#define TOP	    "hostname mx.example.org\nlisten 127.0.0.1:2525 smtp\n"
#define MAILBOXES   "deliver maildir \"mail/%d/%n\" { users file:users; owner nobody }"
#define TOP_ALIASES "aliases file:aliases\n"

START_TEST(a_good_file_has_nothing_to_say)
{
	struct found f;
	ck_assert_int_eq(check(TOP TOP_ALIASES "domain a.example { " MAILBOXES " }", &f), 0);
	ck_assert_str_eq(f.text.data, "");
	buffer_free(&f.text);
}
END_TEST

/* What is said begins so; code is that of the whole. */
static const struct {
	const char *text;
	int code;
	const char *said;
} CASES[] = {
    {TOP_ALIASES "hostname mx.example.org", EX_CONFIG,
     "stagepost.conf there is no listen: a server that only sends mail is not supported yet"},
    {TOP TOP_ALIASES, EX_CONFIG,
     "stagepost.conf there is neither a domain nor an outbound: add `domain NAME"},
    {TOP TOP_ALIASES "domain a.example { }", EX_CONFIG,
     "stagepost.conf:4:1 domain a.example has neither deliver nor relay"},
    {TOP TOP_ALIASES "domain a.example { deliver maildir mail/%n { owner nobody } }", EX_CONFIG,
     "stagepost.conf:4:20 deliver must say who exists: users TABLE or users any"},
    {TOP TOP_ALIASES "domain a.example A.Example { " MAILBOXES " }", EX_CONFIG,
     "stagepost.conf:4:1 domain a.example is there twice; first at "},
    {TOP TOP_ALIASES "domain -a- { " MAILBOXES " }", EX_CONFIG,
     "stagepost.conf:4:1 `-a-` is no domain name"},
    {TOP TOP_ALIASES "listen mx:25 smtp\ndomain a.example { " MAILBOXES " }", EX_CONFIG,
     "stagepost.conf:4:1 `listen mx:25`: the host is *, an IPv4 address, or"},
    {TOP TOP_ALIASES "listen *:70000 smtp\ndomain a.example { " MAILBOXES " }", EX_CONFIG,
     "stagepost.conf:4:1 `listen *:70000`: the port is a number from 1 to 65535"},
    {TOP TOP_ALIASES "listen 127.0.0.1:2525 smtp\ndomain a.example { " MAILBOXES " }", EX_CONFIG,
     "stagepost.conf:4:1 `listen 127.0.0.1:2525` is there twice; first at line 2"},
    {TOP TOP_ALIASES "origin a..b\ndomain a.example { " MAILBOXES " }", EX_CONFIG,
     "stagepost.conf:4:1 `origin a..b`: that is no domain name"},
    {TOP "postmaster a@b@c\ndomain a.example { " MAILBOXES " }", EX_CONFIG,
     "stagepost.conf:3:1 `postmaster a@b@c`: that is no mail address"},
    {TOP TOP_ALIASES "spool x; run x\ndomain a.example { " MAILBOXES " }", EX_CONFIG,
     "stagepost.conf:4:10 spool and run are the same directory"},
    {TOP TOP_ALIASES "log file none/x\ndomain a.example { " MAILBOXES " }", EX_CONFIG,
     "stagepost.conf:4:1 directory "},
    {TOP TOP_ALIASES "log-name a/b\ndomain a.example { " MAILBOXES " }", EX_CONFIG,
     "stagepost.conf:4:1 log-name may not hold blanks or any of / [ ] :"},
    {TOP TOP_ALIASES "retry { first 1h; longest 5m }\ndomain a.example { " MAILBOXES " }",
     EX_CONFIG, "stagepost.conf:4:19 retry: longest is shorter than first"},
    {TOP TOP_ALIASES "domain a.example { deliver maildir none/%n { users any; owner nobody } }", 0,
     "stagepost.conf:4:20 directory "},
    {TOP TOP_ALIASES "domain a.example { deliver maildir users/%n { users any; owner nobody } }",
     EX_CONFIG, "stagepost.conf:4:20 directory "},
    {TOP TOP_ALIASES "domain a.example { deliver maildir mail/%d { users any; owner nobody } }",
     EX_CONFIG, "stagepost.conf:4:20 `deliver maildir "},
    {TOP TOP_ALIASES "domain a.example { deliver maildir mail/%n { users files:x; owner nobody } }",
     EX_CONFIG, "stagepost.conf:4:46 `files:x` is no table"},
    {TOP TOP_ALIASES "aliases file:none\ndomain a.example { " MAILBOXES " }", EX_DATAERR,
     "stagepost.conf:4:1 "},
    {TOP TOP_ALIASES "aliases file:mail\ndomain a.example { " MAILBOXES " }", EX_DATAERR,
     "stagepost.conf:4:1 "},
    {TOP TOP_ALIASES
     "domain a.example { deliver maildir mail/%n { users file:bad; owner nobody } }",
     EX_DATAERR, "bad:2 `no body`: "},
    {TOP "aliases file:odd\ndomain a.example { " MAILBOXES " }", 0,
     "odd:2 prog: target `|cmd` is not supported"},
    {TOP "domain a.example { " MAILBOXES " }", 0,
     "stagepost.conf:3:1 nobody reads postmaster@a.example: add `postmaster ADDRESS`"},
    {TOP TOP_ALIASES "trust 0.0.0.0/0\ndomain a.example { " MAILBOXES " }", 0,
     "stagepost.conf:4:1 trust 0.0.0.0/0 trusts everybody"},
    {TOP TOP_ALIASES "limits { recipients 99 }\ndomain a.example { " MAILBOXES " }", 0,
     "stagepost.conf:4:10 recipients: servers must take at least 100"},
    {"hostname mx\nlisten *:25 smtp\norigin a.example\n" TOP_ALIASES "domain a.example { " MAILBOXES
     " }",
     0, "stagepost.conf:1:1 `hostname mx`: a full name has a dot"},
};

#define TEN	"0123456789"
#define DELIVER "domain a.example { " MAILBOXES " }\n"

/* More of them: the way to other servers and to this machine's users. */
static const struct {
	const char *text;
	int code;
	const char *said;
} WAYS[] = {
    {DELIVER "domain b.example { relay [mx.b.example] }", EX_CONFIG,
     "stagepost.conf:5:20 relay must say who exists: users TABLE or users any"},
    {DELIVER "domain b.example { relay [mx.b.example]; users system }", EX_CONFIG,
     "stagepost.conf:5:42 `users system` is for deliver system alone"},
    {DELIVER "domain b.example { relay [mx.b.example]; users file:none }", EX_DATAERR,
     "stagepost.conf:5:42 "},
    {DELIVER "domain b.example { relay [mx.b.example]; users any }", 0, ""},
    {DELIVER "domain b.example { relay [mx.b.example] { users any } }", 0, ""},
    {DELIVER "domain b.example { relay mx { users file:users } }", 0, ""},
    {DELIVER "domain b.example { relay [127.0.0.1]:2525; users any }", EX_CONFIG,
     "stagepost.conf:5:20 `relay [127.0.0.1]:2525` leads to this server itself"},
    {DELIVER "domain b.example { relay [127.0.0.1]:2526; users any }", 0, ""},
    {DELIVER "domain b.example { relay [MX.example.org]:2525; users any }", EX_CONFIG,
     "stagepost.conf:5:20 `relay [mx.example.org]:2525` leads to this server itself"},
    {DELIVER "domain b.example { relay [::1]:26; users any }\nlisten *:26 smtp", EX_CONFIG,
     "stagepost.conf:5:20 `relay [IPv6:::1]:26` leads to this server itself"},
    {DELIVER "outbound { via [192.0.2.7]:26 }\nlisten 0.0.0.0:26 smtp\naddresses 192.0.2.7",
     EX_CONFIG, "stagepost.conf:5:12 `via [192.0.2.7]:26` leads to this server itself"},
    {DELIVER "outbound { via [192.0.2.8]:26 }\nlisten 0.0.0.0:26 smtp\naddresses 192.0.2.7", 0, ""},
    {DELIVER "outbound { }\noutbound to b.example { via c.example }", EX_CONFIG,
     "stagepost.conf:6:1 no mail comes here: the `outbound` at line 5 takes all of it"},
    {DELIVER "outbound to files:x", EX_CONFIG, "stagepost.conf:5:1 `files:x` is no table"},
    {DELIVER "auth { passwords pam ../x }", EX_CONFIG,
     "stagepost.conf:5:8 passwords pam: `../x` is no name of a file in /etc/pam.d"},
    {DELIVER "auth { passwords pam no-such-service }", 0,
     "stagepost.conf:5:8 there is no /etc/pam.d/no-such-service; PAM goes by /etc/pam.d/other"},
    {DELIVER "auth { passwords dovecot unix:/" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN " }",
     EX_CONFIG, "stagepost.conf:5:8 the path of Dovecot's socket has more than 107 octets"},
    {DELIVER "auth { passwords file:none }", EX_DATAERR, "stagepost.conf:5:8 "},
    {DELIVER "outbound to file:none", EX_DATAERR, "stagepost.conf:5:1 "},
    {"outbound", 0, ""},
    {"domain b.example { " MAILBOXES "; relay [mx.b.example] { users file:users } }", EX_CONFIG,
     "stagepost.conf:4:85 this relay never gets mail: the deliver at line 4 takes all of its "
     "users"},
    {"domain b.example { relay [mx.b.example] { users any }; " MAILBOXES " }", EX_CONFIG,
     "stagepost.conf:4:56 this deliver never gets mail: the relay at line 4 takes all of its "
     "users"},
    {"domain b.example { " MAILBOXES "; relay [mx.b.example] { users any } }", 0, ""},
    {DELIVER "domain a.example { relay [mx.b.example]; users any }", EX_CONFIG,
     "stagepost.conf:5:1 domain a.example is there twice; first at "},
    {"domain b.example { routes file:badroutes; " MAILBOXES " }", EX_DATAERR,
     "badroutes:2 `a@b.example`: the value is smtp:NEXT-HOP or local"},
    {"domain b.example { deliver system maildir; users any }", EX_CONFIG,
     "stagepost.conf:4:44 deliver system needs `users system`"},
    {"domain b.example { deliver system maildir ~/a/../b; users system }", EX_CONFIG,
     "stagepost.conf:4:20 `deliver system maildir ~/a/../b`: the path may not hold empty parts"},
    {"domain b.example { deliver system mbox ~/%n; users system }", EX_CONFIG,
     "stagepost.conf:4:20 `deliver system mbox ~/%n`: a path in the user's home takes no %"},
    {"domain b.example { deliver system mbox /var/mail/all; users system }", EX_CONFIG,
     "stagepost.conf:4:20 `deliver system mbox /var/mail/all`: the path names the same mailbox"},
    {DELIVER "resolver { anchor none }", EX_CONFIG, "stagepost.conf:5:12 "},
    {DELIVER "resolver { anchor mail }", EX_CONFIG, "stagepost.conf:5:12 "},
    {DELIVER "resolver { anchor users }", 0, ""},
    {DELIVER "retry { give-up 1d; give-up-bounces 2d }", EX_CONFIG,
     "stagepost.conf:5:21 retry: give-up-bounces is longer than give-up"},
    {DELIVER "retry { give-up 1d }", 0, ""},
    {"domain b.example { deliver maildir mail/%n { users db:users; owner nobody } }", EX_DATAERR,
     "stagepost.conf:4:46 "},
};

START_TEST(reports_of_the_way)
{
	struct found f;
	char text[2048];
	snprintf(text, sizeof(text), TOP TOP_ALIASES "%s", WAYS[_i].text);
	int code = check(text, &f);
	ck_assert_msg(WAYS[_i].said[0] != '\0'
			  ? strncmp(f.text.data, WAYS[_i].said, strlen(WAYS[_i].said)) == 0
			  : f.text.data[0] == '\0',
		      "%s\nsaid: %s", text, f.text.data);
	ck_assert_int_eq(code, WAYS[_i].code);
	ck_assert_int_eq(f.errors > 0, code != 0);
	buffer_free(&f.text);
}
END_TEST

START_TEST(names_a_database_that_is_to_be_built)
{
	struct found f;
	ck_assert_int_eq(check(TOP "aliases db:aliases\n" DELIVER, &f), EX_DATAERR);
	ck_assert_ptr_nonnull(strstr(f.text.data, "aliases.db is to be built: run stagepost table "
						  "build aliases "));
	buffer_free(&f.text);
}
END_TEST

/* S52 */
START_TEST(system_users_need_another_reader_for_root)
{
	static const struct {
		const char *text;
		bool warned;
	} cases[] = {
	    {TOP "aliases static:postmaster=alice\n"
		 "domain a.example { deliver system maildir; users system }",
	     true},
	    {TOP "aliases static:root=alice,postmaster=alice\n"
		 "domain a.example { deliver system maildir; users system }",
	     false},
	    {TOP "aliases static:postmaster=alice\n"
		 "domain a.example { aliases static:root@a.example=alice; "
		 "deliver system maildir; users system }",
	     false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct found f;
		ck_assert_int_eq(check(cases[i].text, &f), 0);
		ck_assert_msg((strstr(f.text.data, "mail for root is refused") != NULL) ==
				  cases[i].warned,
			      "%s", f.text.data);
		buffer_free(&f.text);
	}
}
END_TEST

/* The folders of two domains are there or not, and the owner's or not. */
START_TEST(an_owner_must_be_able_to_make_mailboxes)
{
	static const struct {
		int a, b; /* modes; 0: not there */
		const char *said;
	} cases[] = {
	    {0, 0, "/mail\n"},
	    {0777, 0777, NULL},
	    {0777, 0, "/mail\n"},
	    {0777, 0755, "/b.example\n"},
	    {0755, 0777, "/a.example\n"},
	};
	struct found f;
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chmod(folder_path("mail"), 0755), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int j = 0; j < 2; j++) {
			int mode = j == 0 ? cases[i].a : cases[i].b;
			const char *name =
			    folder_path(j == 0 ? "mail/a.example" : "mail/b.example");
			if (mode && mkdir(name, 0700) == 0)
				ck_assert_int_eq(chmod(name, (mode_t)mode), 0);
		}
		ck_assert_int_eq(
		    check(TOP TOP_ALIASES "domain a.example b.example { " MAILBOXES " }", &f), 0);
		ck_assert_int_eq(f.warnings, cases[i].said != NULL);
		if (cases[i].said)
			ck_assert_ptr_nonnull(strstr(f.text.data, cases[i].said));
		buffer_free(&f.text);
		rmdir(folder_path("mail/a.example"));
		rmdir(folder_path("mail/b.example"));
	}
}
END_TEST

START_TEST(what_cron_writes_needs_a_reader)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
	    {TOP "postmaster x@a.example\ndomain a.example { " MAILBOXES " }",
	     "nobody reads root@mx.example.org, to whom cron writes: add an alias at the top"},
	    {TOP "postmaster x@a.example\norigin a.example\ndomain a.example { " MAILBOXES " }",
	     "nobody reads root@a.example, to whom cron writes: add an alias for root"},
	    {TOP "postmaster x@a.example\norigin a.example\naliases static:root=alice\n"
		 "domain a.example { " MAILBOXES " }",
	     NULL},
	    {TOP "postmaster x@a.example\norigin a.example\n"
		 "domain a.example { aliases static:root=alice; " MAILBOXES " }",
	     NULL},
	    {TOP "postmaster x@a.example\norigin a.example\n"
		 "domain a.example { aliases static:@a.example=alice; " MAILBOXES " }",
	     NULL},
	    {TOP "postmaster x@a.example\norigin b.example\ndomain a.example { " MAILBOXES " }",
	     NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct found f;
		ck_assert_int_eq(check(cases[i].text, &f), 0);
		ck_assert_int_eq(f.warnings, cases[i].said != NULL);
		if (cases[i].said)
			ck_assert_msg(strstr(f.text.data, cases[i].said) != NULL, "%s",
				      f.text.data);
		buffer_free(&f.text);
	}
}
END_TEST

START_TEST(reports)
{
	struct found f;
	int code = check(CASES[_i].text, &f);
	ck_assert_msg(strncmp(f.text.data, CASES[_i].said, strlen(CASES[_i].said)) == 0,
		      "%s\nsaid: %s", CASES[_i].text, f.text.data);
	ck_assert_int_eq(code, CASES[_i].code);
	ck_assert_int_eq(f.errors > 0, code != 0);
	buffer_free(&f.text);
}
END_TEST

START_TEST(reports_all_faults_at_once)
{
	struct found f;
	ck_assert_int_eq(check("hostname -\norigin -\nlisten x smtp\ndomain a.example { "
			       "deliver maildir mail/%n { users file:bad; owner nobody } }",
			       &f),
			 EX_CONFIG);
	ck_assert_int_eq(f.errors, 5);
	buffer_free(&f.text);
}
END_TEST

START_TEST(names_each_target_that_is_not_supported)
{
	struct found f;
	ck_assert_int_eq(check(TOP "aliases file:odd\ndomain a.example { " MAILBOXES " }", &f), 0);
	ck_assert_int_eq(f.warnings, 3);
	ck_assert_ptr_nonnull(strstr(f.text.data, "odd:3 file: target `/x`"));
	ck_assert_ptr_nonnull(strstr(f.text.data, "odd:4 inc: target `:include:/y`"));
	buffer_free(&f.text);
}
END_TEST

/* S52 */
START_TEST(root_must_name_an_owner_that_exists)
{
	static const struct {
		const char *owner, *said;
	} cases[] = {
	    {"", "deliver needs the mailboxes' owner: owner USER"},
	    {"owner no-such-user-here", "no-such-user-here"},
	    {"owner root", "mailboxes may not belong to root"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512];
		struct found f;
		snprintf(text, sizeof(text),
			 TOP TOP_ALIASES
			 "domain a.example { deliver maildir mail/%%n { users any; %s } }",
			 cases[i].owner);
		ck_assert_int_eq(check(text, &f), geteuid() == 0 ? EX_CONFIG : 0);
		ck_assert(geteuid() != 0 || strstr(f.text.data, cases[i].said));
		buffer_free(&f.text);
	}
}
END_TEST

static const struct {
	const char *path, *base, *rest; /* base NULL: refused */
} TEMPLATES[] = {
    {"/var/mail/%d/%n", "/var/mail", "%d/%n"},
    {"/var/mail/x%n/y", "/var/mail", "x%n/y"},
    {"/m/%u", "/m", "%u"},
    {"/m/%n", "/m", "%n"},
    {"/m/%d", NULL, NULL},
    {"/m/all", NULL, NULL},
    {"/%d/%n", NULL, NULL},
    {"/m/../%n", NULL, NULL},
    {"/m/%n/..", NULL, NULL},
    {"/m/%n/./x", NULL, NULL},
    {"/m//%n", NULL, NULL},
    {"/m/%n/", NULL, NULL},
    {"/m/%h", NULL, NULL},
    {"/m/%n%", NULL, NULL},
    {"/m/%%n", NULL, NULL},
};

START_TEST(mailbox_paths_stay_below_their_directory)
{
	struct slice base, rest;
	const char *fault = template_split(slice_str(TEMPLATES[_i].path), &base, &rest);
	ck_assert_msg((fault == NULL) == (TEMPLATES[_i].base != NULL), "%s: %s", TEMPLATES[_i].path,
		      fault ? fault : "taken");
	if (fault)
		return;
	ck_assert(slice_equal(base, slice_str(TEMPLATES[_i].base)));
	ck_assert(slice_equal(rest, slice_str(TEMPLATES[_i].rest)));
}
END_TEST

static const struct {
	const char *text;
	bool good;
} LISTENS[] = {
    {"*:25", true},	    {"127.0.0.1:2525", true},
    {"[::1]:25", true},	    {"[::]:65535", true},
    {"25", false},	    {"*", false},
    {"*:0", false},	    {"*:65536", false},
    {"*:+5", false},	    {"localhost:25", false},
    {"::1:25", false},	    {"[::1]", false},
    {"127.0.0.1", false},   {"1.2.3:25", false},
    {":25", false},	    {"[127.0.0.1]:25", false},
    {"[::1%lo]:25", false},
};

START_TEST(listen_addresses)
{
	ck_assert_int_eq(listen_fault(slice_str(LISTENS[_i].text)) == NULL, LISTENS[_i].good);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("check");
	TCase *cases = tcase_create("check");
	tcase_add_checked_fixture(cases, make_files, folder_remove);
	tcase_add_test(cases, a_good_file_has_nothing_to_say);
	tcase_add_loop_test(cases, reports, 0, sizeof(CASES) / sizeof(CASES[0]));
	tcase_add_loop_test(cases, reports_of_the_way, 0, sizeof(WAYS) / sizeof(WAYS[0]));
	tcase_add_test(cases, names_a_database_that_is_to_be_built);
	tcase_add_test(cases, system_users_need_another_reader_for_root);
	tcase_add_test(cases, an_owner_must_be_able_to_make_mailboxes);
	tcase_add_test(cases, what_cron_writes_needs_a_reader);
	tcase_add_test(cases, reports_all_faults_at_once);
	tcase_add_test(cases, names_each_target_that_is_not_supported);
	tcase_add_test(cases, root_must_name_an_owner_that_exists);
	tcase_add_loop_test(cases, mailbox_paths_stay_below_their_directory, 0,
			    sizeof(TEMPLATES) / sizeof(TEMPLATES[0]));
	tcase_add_loop_test(cases, listen_addresses, 0, sizeof(LISTENS) / sizeof(LISTENS[0]));
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
