/*
 * The configuration as loaded: values, defaults, records, tables, errors, and as text again.
 */
#include <sysexits.h>

#include "common/base/buffer.h"
#include "common/config/schema.h"
#include "common/config/tree.h"
#include "tests/unit/config/folder.h"

static const char FULL[] = "hostname mx.example.org\n"
			   "spool sub/../spool; run ./run\n"
			   "log file log/mail text\n"
			   "trust 127.0.0.0/8 ::1\n"
			   "trust 10.0.0.0/8\n"
			   "listen *:25 smtp\n"
			   "listen [::1]:2525 smtp { bare-newline normalize }\n"
			   "aliases file:aliases static:root=alice\n"
			   "domain Example.ORG example.com {\n"
			   "  aliases file:a2 \\\n    file:aliases\n"
			   "  deliver maildir \"mail/%d/x%n\" { users file:users; owner vmail }\n"
			   "  deliver maildir /rest/%u { users any }\n"
			   "}\n"
			   "domain third.example { deliver maildir /m/%u { users file:users } }\n"
			   "retry { first 1m }\n"
			   "timeouts { greeting 7s }\n"
			   "limits { message-size 10M; idle 30s; spool-size 1G }\n"
			   "processes { smtpd 2 }\n";

START_TEST(values_are_canonical)
{
	struct config *c = folder_load(FULL);
	ck_assert_str_eq(config_string(c, "hostname"), "mx.example.org");
	ck_assert_str_eq(config_string(c, "origin"), "mx.example.org");
	ck_assert_str_eq(config_string(c, "spool"), folder_path("sub/../spool"));
	ck_assert_str_eq(config_string(c, "run"), folder_path("run"));
	ck_assert_uint_eq(config_number(c, "limits.message-size"), 10 * 1024 * 1024);
	ck_assert_uint_eq(config_number(c, "limits.idle"), 30000000);
	ck_assert_uint_eq(config_number(c, "limits.errors"), 20);
	ck_assert_uint_eq(config_number(c, "retry.first"), 60000000);
	ck_assert_uint_eq(config_number(c, "retry.longest"), 3600000000);
	ck_assert_uint_eq(config_number(c, "processes.smtpd"), 2);
	ck_assert_str_eq(config_path(c), folder_path("stagepost.conf"));
	ck_assert_str_eq(config_directory(c), folder_path(""));
	config_free(&c);
	ck_assert_ptr_null(c);
}
END_TEST

START_TEST(an_empty_file_has_all_defaults)
{
	static const struct {
		const char *key;
		uint64_t number;
	} numbers[] = {
	    {"limits.message-size", 50 << 20},
	    {"limits.recipients", 1000},
	    {"limits.connections", 10000},
	    {"limits.per-client", 50},
	    {"limits.errors", 20},
	    {"limits.unknown-recipients", 10},
	    {"limits.idle", 300000000},
	    {"limits.min-rate", 500},
	    {"limits.queue-messages", 2000000},
	    {"limits.spool-size", 0},
	    {"limits.spool-free", 64 << 20},
	    {"retry.first", 300000000},
	    {"retry.longest", 3600000000},
	    {"retry.give-up", 5 * 86400 * UINT64_C(1000000)},
	    {"processes.smtpd", 1},
	};
	struct config *c = folder_load("");
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		ck_assert_uint_eq(config_number(c, numbers[i].key), numbers[i].number);
	ck_assert_str_eq(config_string(c, "hostname"), "mx.test.example");
	ck_assert_str_eq(config_string(c, "origin"), "mx.test.example");
	ck_assert_str_eq(config_string(c, "postmaster"), "");
	ck_assert_str_eq(config_string(c, "spool"), "/var/spool/stagepost");
	ck_assert_str_eq(config_string(c, "run"), "/run/stagepost");
	ck_assert_str_eq(config_string(c, "log-name"), "stagepost");
	ck_assert_str_eq(config_string(c, "bare-newline"), "refuse");
	config_free(&c);
}
END_TEST

START_TEST(origin_is_what_mailname_says)
{
	struct error e = {0};
	char mailname[256];
	snprintf(mailname, sizeof(mailname), "%s", folder_path("mailname"));
	struct config_host host = {"mx.test.example", mailname};
	struct config *c;
	folder_write("mailname", "example.net\n");
	folder_write("stagepost.conf", "hostname a.example");
	ck_assert(config_load_for(&host, folder_path("stagepost.conf"), &c, &e));
	ck_assert_str_eq(config_string(c, "origin"), "example.net");
	config_free(&c);
}
END_TEST

static void show_record(void *arg, const struct record *record, const void *value)
{
	struct buffer *out = arg;
	buffer_printf(out, "%s", record->name + strlen("settings_"));
	for (size_t i = 0; i < record->field_count; i++) {
		const struct record_field *f = &record->fields[i];
		const char *at = (const char *)value + f->offset;
		const struct slice *s = (const void *)at;
		uint64_t number = f->kind == RECORD_BOOL  ? *(const bool *)at
				  : f->kind == RECORD_U32 ? *(const uint32_t *)(const void *)at
				  : f->kind == RECORD_U64 ? *(const uint64_t *)(const void *)at
							  : 0;
		if (f->kind == RECORD_STRING)
			buffer_printf(out, " %.*s", SLICE_FMT(*s));
		else
			buffer_printf(out, " %llu", (unsigned long long)number);
	}
	buffer_byte(out, '\n');
}

START_TEST(settings_records_carry_it_all)
{
	struct config *c = folder_load(FULL);
	struct buffer out;
	buffer_init(&out, 100000);
	config_each(c, NULL, show_record, &out);
	buffer_byte(&out, '\0');
	ck_assert_str_eq(out.data,
			 folder_text("server mx.example.org mx.example.org \n"
				     "log file F/log/mail text stagepost\n"
				     "listen *:25 smtp 0\n"
				     "listen [::1]:2525 smtp 1\n"
				     "network trust 127.0.0.0/8\n"
				     "network trust ::1/128\n"
				     "network trust 10.0.0.0/8\n"
				     "limits 10485760 1000 10000 50 20 10 30000000 500 0 0 0 "
				     "2000000 1073741824 67108864\n"
				     "retry 60000000 3600000000 432000000000 172800000000\n"
				     "timeouts 30000000 7000000 300000000 120000000 300000000 "
				     "300000000 120000000 180000000 600000000 60000000\n"
				     "aliases 0 file:F/aliases\n"
				     "aliases 0 static:root=alice\n"
				     "aliases 1 file:F/a2\n"
				     "aliases 1 file:F/aliases\n"
				     "domain 1 example.org\n"
				     "domain 1 example.com\n"
				     "domain 2 third.example\n"
				     "deliver 1 1 maildir F/mail %d/x%n file:F/users vmail \n"
				     "deliver 2 1 maildir /rest %u any  \n"
				     "deliver 3 2 maildir /m %u file:F/users  \n"
				     "resolver    0\n"
				     "submission 0 0 0 0 0 0\n"));
	buffer_reset(&out);
	config_each(c, &settings_retry_record, show_record, &out);
	buffer_byte(&out, '\0');
	ck_assert_str_eq(out.data, "retry 60000000 3600000000 432000000000 172800000000\n");
	buffer_free(&out);
	config_free(&c);
}
END_TEST

/* What the plan of the configuration writes, as far as it is about the way of mail. */
static const char WHOLE_WAY[] =
    "addresses 203.0.113.5 2001:DB8::5\n"
    "domain example.org {\n"
    "  aliases db:aliases\n"
    "  routes  file:/var/lib/mailman3/data/postfix_lmtp\n"
    "  deliver system maildir \"~/Maildir\" { users system }\n"
    "  deliver system mbox { users system }\n"
    "  deliver system maildir \"/srv/%n\" { users system }\n"
    "  deliver maildir \"/var/mail/%d/%n\" { users file:users; owner vmail }\n"
    "}\n"
    "domain branch.example { users file:branch-addresses; relay [mail.Branch.example]:25 }\n"
    "domain backup.example { relay mx { users any } }\n"
    "domain two.example { relay a.example [192.0.2.1] { users db:two.db }; users any }\n"
    "outbound from Example.com a@B.example .sub.example file:list { via "
    "[smarthost.example.net]:587 [other]:587 }\n"
    "outbound to C.example\n"
    "outbound { }\n"
    "resolver { server 127.0.0.1:53 [::1]; server 192.0.2.53; anchor root.key\n"
    "  insecure corp.example lan; peer-names yes }\n"
    "retry { give-up 1d }\n"
    "limits { client-connections 1; client-messages 2; client-recipients 3 }\n";

START_TEST(the_whole_way_has_its_records)
{
	static const struct record *const shown[] = {
	    &settings_network_record,  &settings_retry_record,	&settings_aliases_record,
	    &settings_deliver_record,  &settings_routes_record, &settings_outbound_record,
	    &settings_resolver_record,
	};
	struct config *c = folder_load(WHOLE_WAY);
	struct buffer out;
	buffer_init(&out, 100000);
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		config_each(c, shown[i], show_record, &out);
	buffer_byte(&out, '\0');
	ck_assert_str_eq(
	    out.data,
	    folder_text(
		"network addresses 203.0.113.5/32\n"
		"network addresses 2001:db8::5/128\n"
		"retry 300000000 3600000000 86400000000 86400000000\n"
		"aliases 1 db:F/aliases.db\n"
		"deliver 1 1 system-maildir  ~/Maildir system  \n"
		"deliver 2 1 system-mbox  /var/mail/%n system  \n"
		"deliver 3 1 system-maildir  /srv/%n system  \n"
		"deliver 4 1 maildir /var/mail %d/%n file:F/users vmail \n"
		"deliver 5 2 relay   file:F/branch-addresses  [mail.branch.example]:25\n"
		"deliver 6 3 relay   any  mx\n"
		"deliver 7 4 relay   db:F/two.db  a.example [192.0.2.1]:25\n"
		"routes 1 file:/var/lib/mailman3/data/postfix_lmtp\n"
		"outbound 1 from example.com [smarthost.example.net]:587 [other]:587\n"
		"outbound 1 from a@b.example [smarthost.example.net]:587 [other]:587\n"
		"outbound 1 from .sub.example [smarthost.example.net]:587 [other]:587\n"
		"outbound 1 from file:F/list [smarthost.example.net]:587 [other]:587\n"
		"outbound 2 to c.example \n"
		"outbound 3   \n"
		"resolver 127.0.0.1:53 [::1]:53 192.0.2.53:53 F/root.key corp.example lan 1\n"));
	ck_assert_str_eq(config_string(c, "resolver.anchor"), folder_path("root.key"));
	buffer_free(&out);
	config_free(&c);
	c = folder_load("");
	ck_assert_str_eq(config_string(c, "resolver.anchor"), "");
	ck_assert_str_eq(config_string(c, "resolver.peer-names"), "no");
	ck_assert_uint_eq(config_number(c, "retry.give-up-bounces"), 2 * 86400 * UINT64_C(1000000));
	ck_assert_uint_eq(config_number(c, "limits.client-messages"), 0);
	config_free(&c);
}
END_TEST

static void show_table(void *arg, const struct config_table *t)
{
	buffer_printf(arg, "%s %s %s\n", table_use_word(t->use), t->spec, t->path ? t->path : "-");
}

START_TEST(the_whole_way_has_its_tables)
{
	struct config *c = folder_load(WHOLE_WAY);
	struct buffer out;
	buffer_init(&out, 100000);
	config_tables(c, show_table, &out);
	buffer_byte(&out, '\0');
	ck_assert_str_eq(out.data, folder_text("aliases db:F/aliases.db F/aliases.db\n"
					       "routes file:/var/lib/mailman3/data/postfix_lmtp "
					       "/var/lib/mailman3/data/postfix_lmtp\n"
					       "users file:F/users F/users\n"
					       "users file:F/branch-addresses F/branch-addresses\n"
					       "users db:F/two.db F/two.db\n"
					       "plain file:F/list F/list\n"));
	buffer_free(&out);
	config_free(&c);
}
END_TEST

START_TEST(each_table_is_named_once_for_each_use)
{
	struct config *c = folder_load(FULL);
	struct buffer out;
	buffer_init(&out, 100000);
	config_tables(c, show_table, &out);
	buffer_byte(&out, '\0');
	ck_assert_str_eq(out.data, folder_text("aliases file:F/aliases F/aliases\n"
					       "aliases static:root=alice -\n"
					       "aliases file:F/a2 F/a2\n"
					       "users file:F/users F/users\n"));
	buffer_free(&out);
	config_free(&c);
}
END_TEST

static const struct {
	const char *text, *error;
} BAD[] = {
    {"spol /x", ":1:1: unknown directive `spol`; did you mean `spool`?"},
    {"limts { }", ":1:1: unknown directive `limts`; did you mean `limits`?"},
    {"\n  frobnicate", ":2:3: unknown directive `frobnicate`; see stagepost.conf(5)"},
    {"users any", ":1:1: `users` stands inside `domain { }`"},
    {"limits { listen *:25 smtp }", ":1:10: `listen` stands outside of all blocks"},
    {"domain a.example { alises file:x }",
     ":1:20: unknown directive `alises`; did you mean `aliases`?"},
    {"spool /a\nspool /b", ":2:1: `spool` is given twice; first at F/:1:1"},
    {"retry { }\nretry { }", ":2:1: `retry` is given twice; first at F/:1:1"},
    {"spool", ":1:1: `spool` is written: spool PATH"},
    {"spool /a /b", ":1:10: `spool` is written: spool PATH"},
    {"spool \"\"", ":1:7: the path is empty"},
    {"spool /a { }", ":1:1: `spool` takes no block"},
    {"limits", ":1:1: `limits` needs a block: limits { ... }"},
    {"limits x { }", ":1:8: `limits` is written: limits "},
    {"limits { errors many }", ":1:17: `many` is no number"},
    {"limits { errors 0 }", ":1:17: `errors` must be from 1 to 10000"},
    {"limits { idle 5 }", ":1:15: `5` is no time: 30s, 5m, 1h, 5d, 1w"},
    {"limits { idle 2d }", ":1:15: `idle` must be from 1s to 1d"},
    {"limits { message-size 5x }", ":1:23: `5x` is no size: 100, 10K, 50M, 1G"},
    {"limits { message-size 99999999999999999999G }", ":1:23: `99999999999999999999G` is no size"},
    {"limits { message-size 18014398509481984M }", ":1:23: `18014398509481984M` is no size"},
    {"limits { message-size 5G }", ":1:23: `message-size` must be from 1K to 4G"},
    {"bare-newline normalize", ":1:14: `normalize`; it must be one of: refuse"},
    {"bare-newline refus", ":1:14: `refus`; did you mean `refuse`?"},
    {"listen *:25", ":1:1: `listen` is written: listen HOST:PORT smtp"},
    {"listen *:25 stmp", ":1:13: `stmp`; did you mean `smtp`?"},
    {"listen *:25 lmtp", ":1:13: `lmtp`; did you mean `smtp`?"},
    {"trust 10.0.0.1/8", ":1:7: `10.0.0.1/8`: the address goes on behind"},
    {"trust 10.0.0.0/33", ":1:7: `10.0.0.0/33`: behind the / stands a number from 0 to 32"},
    {"trust ten", ":1:7: `ten`: no network"},
    {"log", ":1:1: `log` is written: log syslog | stderr | file PATH [text | postfix | json]"},
    {"log file", ":1:1: `log` is written: log syslog | stderr | file PATH [text | postfix | json]"},
    {"log stderr xml", ":1:12: `xml`; it must be one of: text postfix json"},
    {"log-name a123456789012345678901234567890123", ":1:10: at most 32 octets"},
    {"deliver maildir /x", ":1:1: `deliver` stands inside `domain { }`"},
    {"domain", ":1:1: `domain` is written: domain NAME ..."},
    {"log syslog json x", ":1:17: `log` is written: log "},
    {"addresses 10.0.0.0/8", ":1:11: `10.0.0.0/8`: an address without /BITS is wanted"},
    {"adresses ::1", ":1:1: unknown directive `adresses`; did you mean `addresses`?"},
    {"domain a.example { relay }", ":1:20: `relay` is written: relay HOST ..."},
    {"domain a.example { relay [mx }", ":1:26: `[mx`: the bracket is not closed"},
    {"domain a.example { relay b.example:99999 }", ":1:26: `b.example:99999`: behind the host"},
    {"domain a.example { relay 2001:db8::1 }", ":1:26: `2001:db8::1`: an IPv6 address stands in"},
    {"domain a.example { relay mx b.example }", ":1:26: `mx`: mx stands alone"},
    {"domain a.example { relay b.example { via c } }", ":1:38: `via` stands inside `outbound { }`"},
    {"domain a.example { relay b.example { user any } }",
     ":1:38: unknown directive `user`; did you mean `users`?"},
    {"domain a.example { deliver mbox /x }", ":1:28: `mbox`; it must be one of: maildir system"},
    {"domain a.example { deliver system }", ":1:20: `deliver` is written: deliver "},
    {"domain a.example { deliver system mdir }", ":1:35: `mdir`; it must be one of: maildir mbox"},
    {"domain a.example { deliver system maildir Mail }",
     ":1:43: the path of system users' mailboxes begins with ~/ or with /"},
    {"domain a.example { deliver maildir /m/%n x }", ":1:42: `deliver` is written: deliver "},
    {"domain a.example { routes }", ":1:20: `routes` is written: routes TABLE ..."},
    {"outbound by a.example { }", ":1:10: `by`; it must be one of: from to"},
    {"outbound from { }", ":1:1: `outbound` is written: outbound "},
    {"outbound from @a.example { }", ":1:15: `@a.example`: for a domain write its name alone"},
    {"outbound to a..b { }", ":1:13: `a..b`: that is no address, domain, .domain or table"},
    {"outbound to a@ { }", ":1:13: `a@`: "},
    {"outbound { via mx }", ":1:16: `mx`: to go by MX, leave `via` out; for a host, write [mx]"},
    {"outbound { via a b; via c }", ":1:21: `via` is given twice; first at F/:1:12"},
    {"resolver { server localhost:53 }", ":1:19: `localhost:53`: no address of a server"},
    {"resolver { server *:53 }", ":1:19: `*:53`: no address of a server"},
    {"resolver { peer-names maybe }", ":1:23: `maybe`; it must be one of: yes no"},
    {"resolver { anchor }", ":1:12: `anchor` is written: anchor PATH"},
    {"retry { give-up-bounces 0s }", ":1:25: `give-up-bounces` must be from 1s to 366d"},
};

START_TEST(names_what_is_wrong_and_where)
{
	struct error e = {0};
	char wanted[1024], file[256];
	ck_assert_ptr_null(folder_try(BAD[_i].text, &e));
	snprintf(file, sizeof(file), "%s", folder_path("stagepost.conf"));
	const char *first = strstr(BAD[_i].error, "F/");
	if (first)
		snprintf(wanted, sizeof(wanted), "%s%.*s%s%s", file, (int)(first - BAD[_i].error),
			 BAD[_i].error, file, first + 2);
	else
		snprintf(wanted, sizeof(wanted), "%s%s", file, BAD[_i].error);
	ck_assert_msg(strncmp(e.text, wanted, strlen(wanted)) == 0, "%s: %s", BAD[_i].text, e.text);
	ck_assert_int_eq(e.code, EX_CONFIG);
}
END_TEST

static void note_fault(void *arg, enum config_severity severity, const char *place,
		       const char *text)
{
	ck_assert_int_eq(severity, CONFIG_ERROR);
	buffer_printf(arg, "%s %s\n", strrchr(place, '/') + 1, text);
}

START_TEST(reports_each_statement_that_the_schema_refuses)
{
	struct error e = {0};
	struct config *c;
	struct buffer said;
	buffer_init(&said, 100000);
	folder_write("stagepost.conf", "hostnam x\nlimits { idle 5x; recipients 7; errrors 3 }\n"
				       "trust 10.0.0.0/33\n");
	ck_assert(!config_load_reporting(folder_path("stagepost.conf"), note_fault, &said, &c, &e));
	ck_assert_ptr_null(c);
	ck_assert_int_eq(e.code, EX_CONFIG);
	buffer_byte(&said, '\0');
	ck_assert_str_eq(
	    said.data,
	    "stagepost.conf:1:1 unknown directive `hostnam`; did you mean `hostname`?\n"
	    "stagepost.conf:2:15 `5x` is no time: 30s, 5m, 1h, 5d, 1w\n"
	    "stagepost.conf:2:33 unknown directive `errrors`; did you mean `errors`?\n"
	    "stagepost.conf:3:7 `10.0.0.0/33`: behind the / stands a number from 0 to 32\n");
	buffer_reset(&said);
	folder_write("stagepost.conf", "hostname \"x\n");
	ck_assert(!config_load_reporting(folder_path("stagepost.conf"), note_fault, &said, &c, &e));
	ck_assert_uint_eq(said.len, 0);
	ck_assert_ptr_nonnull(strstr(e.text, "the quote is not closed"));
	buffer_reset(&said);
	folder_write("stagepost.conf", "hostname mx.example.org\n");
	ck_assert(config_load_reporting(folder_path("stagepost.conf"), note_fault, &said, &c, &e));
	ck_assert_uint_eq(said.len, 0);
	config_free(&c);
	buffer_free(&said);
}
END_TEST

START_TEST(where_the_server_lives_is_known_though_the_rest_is_wrong)
{
	struct config *c;
	struct error e = {0};
	folder_write("wrong", "listn *:25\nrun ./r\nlimits { message-size many }\nspool s\n");
	ck_assert(!config_load(folder_path("wrong"), &c, &e));
	ck_assert(config_load_places(folder_path("wrong"), &c, &e));
	ck_assert_str_eq(config_string(c, "run"), folder_path("r"));
	ck_assert_str_eq(config_string(c, "spool"), folder_path("s"));
	config_free(&c);
	folder_write("wrong", "run r\nrun s\n");
	ck_assert(!config_load_places(folder_path("wrong"), &c, &e));
	folder_write("wrong", "rnu r\nspool s\n");
	ck_assert(!config_load_places(folder_path("wrong"), &c, &e));
	folder_write("wrong", "limits {\nrun r\n"); /* whose is it? better no server than another */
	ck_assert(!config_load_places(folder_path("wrong"), &c, &e));
}
END_TEST

START_TEST(a_missing_file_is_no_input)
{
	struct config *c;
	struct error e = {0};
	ck_assert(!config_load(folder_path("none.conf"), &c, &e));
	ck_assert_int_eq(e.code, EX_NOINPUT);
	ck_assert_ptr_null(c);
}
END_TEST

START_TEST(a_pipe_is_no_input_and_is_not_waited_for)
{
	struct config *c;
	struct error e = {0};
	ck_assert_int_eq(mkfifo(folder_path("pipe.conf"), 0600), 0);
	ck_assert(!config_load(folder_path("pipe.conf"), &c, &e));
	ck_assert_int_eq(e.code, EX_NOINPUT);
	ck_assert_ptr_null(folder_try("include pipe.conf\n", &e));
	ck_assert_int_eq(e.code, EX_CONFIG);
}
END_TEST

START_TEST(a_percent_in_the_directory_is_no_template)
{
	struct config_host host = {"mx.test.example", NULL};
	struct config *c;
	struct error e = {0};
	ck_assert_int_eq(mkdir(folder_path("%d"), 0700), 0);
	folder_write("%d/c", "domain a.example { deliver maildir m/%n { users any } }");
	ck_assert(!config_load_for(&host, folder_path("%d/c"), &c, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "the configuration's directory has a % in its name"));
	folder_write("%d/c", "domain a.example { deliver maildir /m/%n { users any } }");
	ck_assert(config_load_for(&host, folder_path("%d/c"), &c, &e));
	config_free(&c);
}
END_TEST

START_TEST(includes_count_in_the_size_limit)
{
	static char text[CONFIG_TEXT_MAX / 2 + 1];
	struct error e = {0};
	memset(text, '\n', sizeof(text) - 1);
	folder_write("half", text);
	ck_assert_ptr_null(folder_try("include half\ninclude half\n", &e));
	ck_assert_ptr_nonnull(strstr(e.text, "the configuration has more than 1048576 octets"));
	struct config *c = folder_load("include half\n");
	config_free(&c);
}
END_TEST

static void gather(void *arg, struct slice text)
{
	buffer_append(arg, text);
}

static const char *print(struct config *c, const char *key, bool changed)
{
	static struct buffer out;
	struct error e = {0};
	buffer_free(&out);
	buffer_init(&out, 1000000);
	ck_assert_msg(config_print(c, key, changed, gather, &out, &e), "%s", e.text);
	buffer_byte(&out, '\0');
	return out.data;
}

START_TEST(prints_what_reads_back_to_the_same)
{
	char first[8192];
	struct config *c = folder_load(FULL);
	snprintf(first, sizeof(first), "%s", print(c, NULL, false));
	config_free(&c);
	c = folder_load(first);
	ck_assert_str_eq(print(c, NULL, false), first);
	config_free(&c);
}
END_TEST

START_TEST(prints_the_whole_way_too)
{
	char first[8192];
	struct config *c = folder_load(WHOLE_WAY);
	snprintf(first, sizeof(first), "%s", print(c, NULL, false));
	ck_assert_str_eq(print(c, "resolver.server", false),
			 "resolver { server 127.0.0.1:53 [::1]:53; server 192.0.2.53:53; }\n");
	ck_assert_str_eq(print(c, "resolver.peer-names", false), "resolver { peer-names yes }\n");
	ck_assert_ptr_nonnull(strstr(first, "outbound\n"));
	ck_assert_ptr_nonnull(strstr(first, "\tdeliver system mbox /var/mail/%n {\n"));
	config_free(&c);
	c = folder_load(first);
	ck_assert_str_eq(print(c, NULL, false), first);
	config_free(&c);
}
END_TEST

START_TEST(log_lines_have_three_forms)
{
	static const char *const formats[] = {"text", "postfix", "json"};
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		char text[64], printed[80];
		snprintf(text, sizeof(text), "log stderr %s", formats[i]);
		snprintf(printed, sizeof(printed), "%s\n", text);
		struct config *c = folder_load(text);
		ck_assert_str_eq(print(c, "log", false), printed);
		config_free(&c);
	}
}
END_TEST

START_TEST(prints_only_what_was_changed)
{
	struct config *c = folder_load("trust\nlimits { errors 20; idle 60s }\nlog syslog\n"
				       "log-name \"a b\"\nlisten *:25 smtp\n");
	ck_assert_str_eq(print(c, NULL, true),
			 "log-name \"a b\"\nlisten *:25 smtp\nlimits {\n\tidle 1m\n}\n");
	config_free(&c);
	c = folder_load("");
	ck_assert_str_eq(print(c, NULL, true), "");
	config_free(&c);
}
END_TEST

START_TEST(prints_one_key)
{
	struct error e = {0};
	struct config *c = folder_load(FULL);
	ck_assert_str_eq(print(c, "hostname", false), "hostname mx.example.org\n");
	ck_assert_str_eq(print(c, "limits.idle", false), "limits { idle 30s }\n");
	ck_assert_str_eq(print(c, "limits.errors", false), "limits { errors 20 }\n");
	ck_assert_str_eq(print(c, "limits.errors", true), "");
	ck_assert_str_eq(print(c, "processes", false),
			 "processes {\n\tsmtpd 2\n\tsubmission 1\n}\n");
	ck_assert_str_eq(print(c, "trust", false), "trust 127.0.0.0/8 ::1/128\ntrust 10.0.0.0/8\n");
	ck_assert(!config_print(c, "limits.idel", false, gather, NULL, &e));
	ck_assert_int_eq(e.code, EX_USAGE);
	ck_assert_str_eq(e.text,
			 "there is no directive `limits.idel`; did you mean `limits.idle`?");
	ck_assert(!config_print(c, "idle", false, gather, NULL, &e));
	ck_assert_str_eq(e.text, "there is no directive `idle`; did you mean `limits.idle`?");
	config_free(&c);
}
END_TEST

static const struct {
	const char *a, *b;
	unsigned distance;
} DISTANCES[] = {
    {"", "", 0},	  {"abc", "abc", 0},	   {"abc", "ABC", 0}, {"abc", "acb", 1},
    {"abc", "ab", 1},	  {"abc", "xabc", 1},	   {"", "abc", 3},    {"kitten", "sitting", 3},
    {"spol", "spool", 1}, {"abcdef", "uvwxyz", 5}, {"ca", "abc", 3},
};

START_TEST(edit_distances)
{
	ck_assert_uint_eq(edit_distance(slice_str(DISTANCES[_i].a), slice_str(DISTANCES[_i].b), 4),
			  DISTANCES[_i].distance);
}
END_TEST

START_TEST(relative_paths_lose_their_dots)
{
	static const struct {
		const char *path, *absolute;
	} cases[] = {
	    {"a", "/d/e/a"}, {"./a//b/.", "/d/e/a/b"}, {"../a", "/d/e/../a"}, {"/x/./y/", "/x/y"},
	    {"/", "/"},
	};
	struct arena a;
	arena_init(&a, 10000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_str_eq(path_absolute(&a, "/d/./e/", slice_str(cases[i].path)),
				 cases[i].absolute);
	arena_free(&a);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *cases = tcase_create("config");
	tcase_add_checked_fixture(cases, folder_make, folder_remove);
	tcase_add_test(cases, values_are_canonical);
	tcase_add_test(cases, an_empty_file_has_all_defaults);
	tcase_add_test(cases, origin_is_what_mailname_says);
	tcase_add_test(cases, settings_records_carry_it_all);
	tcase_add_test(cases, each_table_is_named_once_for_each_use);
	tcase_add_loop_test(cases, names_what_is_wrong_and_where, 0, sizeof(BAD) / sizeof(BAD[0]));
	tcase_add_test(cases, reports_each_statement_that_the_schema_refuses);
	tcase_add_test(cases, where_the_server_lives_is_known_though_the_rest_is_wrong);
	tcase_add_test(cases, a_missing_file_is_no_input);
	tcase_add_test(cases, a_pipe_is_no_input_and_is_not_waited_for);
	tcase_add_test(cases, a_percent_in_the_directory_is_no_template);
	tcase_add_test(cases, includes_count_in_the_size_limit);
	tcase_add_test(cases, prints_what_reads_back_to_the_same);
	tcase_add_test(cases, prints_only_what_was_changed);
	tcase_add_test(cases, prints_one_key);
	tcase_add_test(cases, prints_the_whole_way_too);
	tcase_add_test(cases, log_lines_have_three_forms);
	tcase_add_test(cases, the_whole_way_has_its_records);
	tcase_add_test(cases, the_whole_way_has_its_tables);
	tcase_add_loop_test(cases, edit_distances, 0, sizeof(DISTANCES) / sizeof(DISTANCES[0]));
	tcase_add_test(cases, relative_paths_lose_their_dots);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
