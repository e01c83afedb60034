/*
 * The way of a recipient through aliases and users, with tables in memory and an accounts that is
 * made up. Rules are named by their number in semantics.md.
 */
#include <check.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/os/loop.h"
#include "common/table/database.h"
#include "daemons/router/walk.h"

enum { USERS_MAX = 2000, LATE_MAX = 64 };

/* The made-up accounts: the users of every table but "file:/broken". */
static char known[USERS_MAX][ADDRESS_MAX_OCTETS];
static size_t known_count, asked;
static bool slow;
static struct {
	users_done *done;
	void *arg;
	enum accounts_result result;
} late[LATE_MAX];
static size_t late_count;

static void lookup(struct slice table, struct slice user, struct slice domain, users_done *done,
		   void *arg)
{
	char name[ADDRESS_MAX_OCTETS];
	enum accounts_result result = ACCOUNTS_MISSING;

	asked++;
	snprintf(name, sizeof(name), "%.*s@%.*s", SLICE_FMT(user), SLICE_FMT(domain));
	for (size_t i = 0; i < known_count; i++)
		if (strcmp(known[i], name) == 0)
			result = ACCOUNTS_KNOWN;
	if (slice_equal(table, SLICE("file:/broken")))
		result = ACCOUNTS_TROUBLE;
	if (!slow) {
		done(arg, result, SLICE("it is broken"));
		return;
	}
	ck_assert_uint_lt(late_count, LATE_MAX);
	late[late_count].done = done;
	late[late_count].arg = arg;
	late[late_count++].result = result;
}

static void answer_late(void)
{
	while (late_count > 0) {
		late_count--;
		late[late_count].done(late[late_count].arg, late[late_count].result,
				      SLICE("it is broken"));
	}
}

static void add_user(const char *name)
{
	ck_assert_uint_lt(known_count, USERS_MAX);
	ck_assert(slice_copy(slice_str(name), known[known_count++], ADDRESS_MAX_OCTETS));
}

/* The book of the tests: origin example.org, its users in a table; any.example takes every name;
 * sick.example's users table is in trouble. */
static struct book *book;
static char postmaster[ADDRESS_MAX_OCTETS];

static void add_domain(uint32_t number, const char *name, const char *users)
{
	struct settings_domain d = {.number = number, .name = slice_str(name)};
	struct settings_deliver v = {
	    .number = number * 10, .domain = number, .users = slice_str(users)};

	book_setting(book, &settings_domain_record, &d);
	if (users != NULL)
		book_setting(book, &settings_deliver_record, &v);
}

static void add_aliases(uint32_t domain, const char *spec, const char *text)
{
	struct settings_aliases a = {.domain = domain, .table = slice_str(spec)};
	struct shelf_table *t;
	struct error e;

	book_setting(book, &settings_aliases_record, &a);
	t = shelf_take(slice_str(spec), TABLE_ALIASES);
	if (text != NULL)
		ck_assert_msg(table_load_text(t->table, slice_str(text), NULL, NULL, &e), "%s",
			      e.text);
	shelf_release(t);
}

static void load(const char *spec, enum table_use use, const char *text)
{
	struct shelf_table *t = shelf_take(slice_str(spec), use);
	struct error e;

	ck_assert_msg(table_load_text(t->table, slice_str(text), NULL, NULL, &e), "%s", e.text);
	shelf_release(t);
}

/* text NULL: the table has no content yet. */
static void add_routes(uint32_t domain, const char *spec, const char *text)
{
	struct settings_routes r = {.domain = domain, .table = slice_str(spec)};

	book_setting(book, &settings_routes_record, &r);
	if (text != NULL)
		load(spec, TABLE_ROUTES, text);
}

static void add_deliver(uint32_t number, uint32_t domain, const char *kind, const char *users,
			const char *next_hop)
{
	struct settings_deliver v = {
	    .number = number,
	    .domain = domain,
	    .kind = slice_str(kind),
	    .users = slice_str(users),
	    .next_hop = slice_str(next_hop),
	};

	book_setting(book, &settings_deliver_record, &v);
}

/* patterns: separated by blanks. */
static void add_outbound(uint32_t number, const char *direction, const char *patterns,
			 const char *via)
{
	struct settings_outbound o = {
	    .number = number, .direction = slice_str(direction), .via = slice_str(via)};
	struct slice rest = slice_str(patterns);

	do {
		o.pattern = slice_word(&rest);
		book_setting(book, &settings_outbound_record, &o);
	} while (rest.len > 0);
}

static void setup(void)
{
	struct settings_server s = {
	    .hostname = SLICE("mx.example.org"),
	    .origin = SLICE("example.org"),
	    .postmaster = slice_str(postmaster),
	};

	book = book_new();
	book_setting(book, &settings_server_record, &s);
	add_domain(1, "example.org", "file:/users");
	add_domain(1, "example.com", NULL);
	add_domain(2, "any.example", "any");
	add_domain(3, "sick.example", "file:/broken");
	add_user("alice@example.org");
	add_user("bob@example.org");
	add_user("carol@example.com");
}

static bool trusted;
static const char *sender = "", *login = "";

static void teardown(void)
{
	book_release(&book);
	known_count = asked = late_count = 0;
	slow = trusted = false;
	sender = login = "";
	postmaster[0] = '\0';
}

/* What came out: "address>user@domain/deliver", one a line, then the code. */
static char heard[512 * 1024];
static size_t heard_len;
static unsigned done_count, code;
static char enhanced[16], text[ROUTER_TEXT_MAX + 1];
static struct walk *walk;
static bool looping;

static void __attribute__((format(printf, 1, 2))) hear(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	heard_len += (size_t)vsnprintf(heard + heard_len, sizeof(heard) - heard_len, format, ap);
	va_end(ap);
	ck_assert_uint_lt(heard_len, sizeof(heard));
}

static void on_step(void *arg, const struct walk_step *s)
{
	(void)arg;
	hear("%u %.*s %s: %.*s\n", s->depth, SLICE_FMT(s->address), s->what, SLICE_FMT(s->text));
}

static void on_delivery(void *arg, const struct walk_delivery *d)
{
	(void)arg;
	if (d->transport == WALK_NONE)
		hear("%.*s>none\n", SLICE_FMT(d->address));
	else if (d->transport == WALK_SMTP)
		hear("%.*s>smtp %.*s\n", SLICE_FMT(d->address), SLICE_FMT(d->next_hop));
	else
		hear("%.*s>%s%.*s@%.*s/%u\n", SLICE_FMT(d->address),
		     d->transport == WALK_SYSTEM ? "system " : "", SLICE_FMT(d->user),
		     SLICE_FMT(d->domain), d->deliver);
}

static void on_done(void *arg, const struct walk_result *r)
{
	(void)arg;
	done_count++;
	code = r->code;
	snprintf(enhanced, sizeof(enhanced), "%s", r->enhanced);
	snprintf(text, sizeof(text), "%s", r->text);
	walk_free(&walk);
	if (looping)
		loop_stop();
}

static const struct walk_hooks plain = {NULL, on_delivery, on_done};
static const struct walk_hooks talking = {on_step, on_delivery, on_done};

static void begin(enum walk_kind kind, const char *recipient, bool expanded)
{
	struct walk_question question = {
	    .kind = kind,
	    .recipient = slice_str(recipient),
	    .sender = slice_str(sender),
	    .login = slice_str(login),
	    .expanded = expanded,
	    .trusted = trusted,
	};

	heard_len = done_count = 0;
	heard[0] = '\0';
	walk = walk_new(book, &question, kind == WALK_EXPLAIN ? &talking : &plain, lookup, NULL);
	walk_start(walk);
}

static void go(enum walk_kind kind, const char *recipient, bool expanded)
{
	begin(kind, recipient, expanded);
	while (done_count == 0 && late_count == 0) {
		looping = true; /* a long one takes several turns */
		loop_run();
		looping = false;
	}
	ck_assert_uint_eq(done_count, 1);
	ck_assert_ptr_null(walk);
}

static void expect_check(const char *recipient, unsigned want, const char *want_enhanced)
{
	go(WALK_CHECK, recipient, false);
	ck_assert_msg(code == want && strcmp(enhanced, want_enhanced) == 0, "%s: %u %s %s",
		      recipient, code, enhanced, text);
	ck_assert_str_eq(heard, "");
}

static void expect_route(const char *recipient, const char *deliveries)
{
	go(WALK_ROUTE, recipient, false);
	ck_assert_msg(code == 0, "%s: %u %s %s", recipient, code, enhanced, text);
	ck_assert_str_eq(heard, deliveries);
}

static void expect_expanded(const char *recipient, unsigned want, const char *deliveries)
{
	go(WALK_ROUTE, recipient, true);
	ck_assert_msg(code == want, "%s: %u %s %s", recipient, code, enhanced, text);
	ck_assert_str_eq(heard, deliveries);
}

static void expect_failure(const char *recipient, unsigned want, const char *want_enhanced)
{
	go(WALK_ROUTE, recipient, false);
	ck_assert_msg(code == want && strcmp(enhanced, want_enhanced) == 0, "%s: %u %s %s\n%s",
		      recipient, code, enhanced, text, heard);
	ck_assert_str_eq(heard, "");
}

START_TEST(rcpt_takes_users_and_refuses_relaying_and_strangers)
{
	static const struct {
		const char *recipient;
		unsigned code;
		const char *enhanced;
	} cases[] = {
	    {"alice@example.org", 0, ""},
	    {"ALICE@Example.ORG", 0, ""},
	    {"alice+list@example.org", 0, ""},
	    {"carol@example.com", 0, ""},
	    {"alice@example.com", 550, "5.1.1"},
	    {"nobody@example.org", 550, "5.1.1"},
	    {"nobody+alice@example.org", 550, "5.1.1"},
	    {"whoever@any.example", 0, ""},
	    {"alice@elsewhere.example", 554, "5.7.1"},
	    {"alice@[192.0.2.1]", 554, "5.7.1"},
	    {"alice%elsewhere.example@elsewhere.example", 554, "5.7.1"},
	    {"alice@mx.example.org", 550, "5.1.1"},
	    {"alice@", 553, "5.1.3"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_check(cases[i].recipient, cases[i].code, cases[i].enhanced);
}
END_TEST

START_TEST(refusals_have_the_words_that_log_parsers_know)
{
	expect_check("no.body@example.org", 550, "5.1.1");
	ck_assert_str_eq(text, "<no.body@example.org>: Recipient address rejected: User unknown");
	expect_check("x@elsewhere.example", 554, "5.7.1");
	ck_assert_str_eq(text, "<x@elsewhere.example>: Relay access denied");
}
END_TEST

START_TEST(a_plain_rcpt_check_costs_one_question)
{
	expect_check("alice@example.org", 0, "");
	ck_assert_uint_eq(asked, 1);
}
END_TEST

START_TEST(S55_a_look_up_that_errs_is_temporary_and_only_a_miss_is_permanent)
{
	expect_check("alice@sick.example", 451, "4.3.0");
	ck_assert_ptr_null(strstr(text, "/broken"));
	expect_failure("alice@sick.example", 451, "4.3.0");
	ck_assert_ptr_nonnull(strstr(text, "it is broken"));
	add_aliases(1, "file:/never-loaded", NULL);
	expect_check("alice@example.org", 451, "4.3.0");
	expect_failure("alice@example.org", 451, "4.3.0");
}
END_TEST

START_TEST(S19_postmaster_is_always_accepted)
{
	expect_check("postmaster", 0, "");
	expect_check("PostMaster@example.org", 0, "");
	expect_check("postmaster@example.com", 0, "");
	expect_check("postmaster@mx.example.org", 0, "");
	expect_check("postmaster@sick.example", 0, "");
	expect_check("postmaster@elsewhere.example", 554, "5.7.1");
	/* nobody reads it: it waits, it is not returned */
	expect_failure("postmaster@example.org", 451, "4.3.5");
	ck_assert_ptr_nonnull(strstr(text, "set `postmaster ADDRESS`"));
	expect_failure("postmaster", 451, "4.3.5");
}
END_TEST

START_TEST(mail_for_postmaster_goes_to_alias_user_configured_address_in_this_order)
{
	expect_route("postmaster@example.org", "bob@example.org>bob@example.org/10\n");
	expect_route("postmaster@mx.example.org", "bob@example.org>bob@example.org/10\n");
	expect_route("postmaster", "bob@example.org>bob@example.org/10\n");
	add_user("postmaster@example.org");
	expect_route("Postmaster@example.org",
		     "Postmaster@example.org>postmaster@example.org/10\n");
	add_aliases(1, "file:/postmaster", "postmaster: alice\n");
	expect_route("postmaster@example.org", "alice@example.org>alice@example.org/10\n");
	expect_route("postmaster", "alice@example.org>alice@example.org/10\n");
}
END_TEST

static void setup_postmaster(void)
{
	ck_assert(slice_copy(SLICE("bob@example.org"), postmaster, sizeof(postmaster)));
	setup();
}

START_TEST(the_top_level_postmaster_serves_a_domain_without_one)
{
	add_domain(4, "quiet.example", "file:/users");
	add_aliases(0, "file:/etc", "postmaster: root\nroot: alice@example.org\n");
	expect_route("postmaster@quiet.example", "alice@example.org>alice@example.org/10\n");
	expect_route("postmaster", "alice@example.org>alice@example.org/10\n");
	expect_route("postmaster@mx.example.org", "alice@example.org>alice@example.org/10\n");
}
END_TEST

START_TEST(S32_exact_then_without_extension_then_catch_all)
{
	add_aliases(1, "file:/order",
		    "alice+vip: bob\n"
		    "sales: carol@example.com\n"
		    "sales+eu: alice\n"
		    "@example.org: bob\n");
	expect_route("alice@example.org", "alice@example.org>alice@example.org/10\n");
	expect_route("alice+vip@example.org", "bob@example.org>bob@example.org/10\n");
	expect_route("alice+x@example.org", "alice+x@example.org>alice@example.org/10\n");
	expect_route("sales+eu@example.org", "alice@example.org>alice@example.org/10\n");
	expect_route("sales+us@example.org", "carol@example.com>carol@example.com/10\n");
	expect_route("who@example.org", "bob@example.org>bob@example.org/10\n");
	expect_failure("who@example.com", 550, "5.1.1"); /* that catch-all is another domain's */
	add_user("alice+own@example.org");
	expect_route("alice+own@example.org", "alice+own@example.org>alice+own@example.org/10\n");
}
END_TEST

START_TEST(S32_an_extension_with_a_slash_reaches_no_path)
{
	expect_route("alice+../../etc@example.org",
		     "\"alice+../../etc\"@example.org>alice@example.org/10\n");
	expect_check("a/b@any.example", 550, "5.1.1");
	expect_check("\".alice\"@any.example", 550, "5.1.1");
	expect_check("\"\"@any.example", 550, "5.1.1");
	expect_check(
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@any.example", 550,
	    "5.1.1");
}
END_TEST

START_TEST(any_takes_every_name_without_its_extension)
{
	expect_route("Eve+x@any.example", "Eve+x@any.example>eve@any.example/20\n");
	expect_route("+x@any.example", "+x@any.example>+x@any.example/20\n");
}
END_TEST

START_TEST(the_first_deliver_that_knows_the_user_takes_it)
{
	struct settings_deliver more = {.number = 77, .domain = 1, .users = SLICE("any")};

	book_setting(book, &settings_deliver_record, &more);
	expect_route("alice@example.org", "alice@example.org>alice@example.org/10\n");
	expect_route("zoe@example.org", "zoe@example.org>zoe@example.org/77\n");
	expect_route("alice+x@example.org", "alice+x@example.org>alice@example.org/10\n");
}
END_TEST

START_TEST(S33_look_ups_are_folded_and_the_local_part_keeps_its_case)
{
	add_aliases(1, "file:/case", "Sales: BOB\n");
	expect_route("Alice@EXAMPLE.org", "Alice@EXAMPLE.org>alice@example.org/10\n");
	expect_route("sALES@example.org", "BOB@example.org>bob@example.org/10\n");
}
END_TEST

START_TEST(S29_S33_an_alias_that_names_itself_delivers_to_the_user)
{
	add_aliases(1, "file:/self",
		    "alice: alice, bob\n"
		    "bob: BOB@example.org\n"
		    "ghost: ghost\n");
	expect_route("alice@example.org", "alice@example.org>alice@example.org/10\n"
					  "BOB@example.org>bob@example.org/10\n");
	expect_route("alice+x@example.org", "alice@example.org>alice@example.org/10\n"
					    "BOB@example.org>bob@example.org/10\n");
	expect_route("bob@example.org", "BOB@example.org>bob@example.org/10\n");
	expect_failure("ghost@example.org", 550, "5.1.1");
}
END_TEST

START_TEST(S29_aliases_that_lead_back_are_a_loop)
{
	add_aliases(1, "file:/loop",
		    "a: b\nb: c\nc: a\n"
		    "list: alice, a\n"
		    "ring: gnir\ngnir: ring, alice\n"
		    "@example.com: x@example.com\n");
	expect_failure("a@example.org", 554, "5.4.6");
	expect_failure("b@example.org", 554, "5.4.6");
	/* only that address fails, and says so when it is asked alone */
	expect_route("list@example.org", "alice@example.org>alice@example.org/10\n"
					 "a@example.org>none\n");
	expect_expanded("a@example.org", 554, "");
	ck_assert_str_eq(enhanced, "5.4.6");
	expect_failure("x@example.com", 550, "5.1.1");
	/* who is named beside the loop has the mail once, not each time round */
	expect_route("ring@example.org", "ring@example.org>none\n"
					 "alice@example.org>alice@example.org/10\n");
	expect_expanded("ring@example.org", 554, "");
	ck_assert_str_eq(enhanced, "5.4.6");
}
END_TEST

START_TEST(S29_nesting_over_100_is_a_loop)
{
	static char nested[8192];
	size_t len = 0;

	for (int i = 0; i < 120; i++)
		len += (size_t)snprintf(nested + len, sizeof(nested) - len, "n%d: n%d\n", i, i + 1);
	snprintf(nested + len, sizeof(nested) - len, "n120: alice\n");
	add_aliases(1, "file:/nested", nested);
	expect_route("n21@example.org", "alice@example.org>alice@example.org/10\n");
	expect_failure("n20@example.org", 554, "5.4.6");
	expect_failure("n0@example.org", 554, "5.4.6");
}
END_TEST

static void add_list(int count, int spread)
{
	static char list[1024 * 1024];
	char name[64];
	size_t len = (size_t)snprintf(list, sizeof(list), "list: x0");

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "u%d@example.org", i % spread);
		if (i < spread && known_count < USERS_MAX)
			add_user(name);
		if (i > 0)
			len +=
			    (size_t)snprintf(list + len, sizeof(list) - len, ", u%d", i % spread);
	}
	snprintf(list + len, sizeof(list) - len, "\nx0: u1\n");
	add_aliases(1, "file:/list", list);
}

static size_t lines(void)
{
	size_t n = 0;

	for (const char *p = heard; *p; p++)
		n += *p == '\n';
	return n;
}

START_TEST(S34_10000_addresses_are_delivered)
{
	add_list(10001, 10001);
	go(WALK_ROUTE, "list@example.org", false);
	ck_assert_uint_eq(code, 0);
	ck_assert_uint_eq(lines(), 10000);
}
END_TEST

static void turn_over(void *arg)
{
	(void)arg;
	loop_stop();
}

START_TEST(a_long_walk_lets_others_come_first)
{
	struct loop_timer end = {0};

	add_list(10001, 10001);
	begin(WALK_ROUTE, "list@example.org", false);
	ck_assert_uint_eq(done_count, 0);
	loop_timer_start(&end, 0, turn_over, NULL);
	loop_run();
	ck_assert_uint_eq(done_count, 0);
	walk_free(&walk); /* nobody wants to know any more */
	loop_timer_start(&end, 10000, turn_over, NULL);
	loop_run();
	ck_assert_uint_eq(done_count, 0);
	ck_assert_uint_eq(walk_addresses(), 0);
}
END_TEST

START_TEST(S34_more_than_10000_addresses_is_temporary_and_never_cut)
{
	add_list(10002, 10002);
	expect_failure("list@example.org", 451, "4.6.0");
}
END_TEST

START_TEST(S34_a_list_larger_than_memory_allows_is_temporary)
{
	add_list(60000, 60000);
	expect_failure("list@example.org", 451, "4.6.0");
	expect_check("list@example.org", 0, "");
}
END_TEST

START_TEST(an_address_that_is_named_twice_gets_it_once)
{
	add_list(60000, 7);
	expect_route("list@example.org", "u1@example.org>u1@example.org/10\n"
					 "u2@example.org>u2@example.org/10\n"
					 "u3@example.org>u3@example.org/10\n"
					 "u4@example.org>u4@example.org/10\n"
					 "u5@example.org>u5@example.org/10\n"
					 "u6@example.org>u6@example.org/10\n"
					 "u0@example.org>u0@example.org/10\n");
}
END_TEST

START_TEST(aliases_that_branch_into_themselves_end)
{
	add_aliases(1, "file:/branch", "a: b, c\nb: a, c\nc: a, b, alice\n");
	go(WALK_ROUTE, "a@example.org", false);
	ck_assert_uint_eq(code, 0);
	ck_assert_ptr_nonnull(strstr(heard, "alice@example.org>alice@example.org/10\n"));
}
END_TEST

START_TEST(an_alias_with_a_command_waits_alone)
{
	add_aliases(1, "file:/command",
		    "robot: |/usr/bin/robot\n"
		    "bob: bob, |/usr/bin/vacation\n"
		    "file: /var/mail/x\n"
		    "incl: :include:/etc/list\n"
		    "list: alice, bob\n");
	expect_check("robot@example.org", 451, "4.3.5");
	expect_check("bob@example.org", 451, "4.3.5");
	expect_failure("robot@example.org", 451, "4.3.5");
	expect_failure("file@example.org", 451, "4.3.5");
	expect_failure("incl@example.org", 451, "4.3.5");
	expect_route("list@example.org", "alice@example.org>alice@example.org/10\n"
					 "bob@example.org>none\n");
	/* asked alone it still waits, though there is a user of that name */
	expect_expanded("bob@example.org", 451, "");
	expect_check("list@example.org", 0, "");
}
END_TEST

START_TEST(an_alias_leads_to_other_servers)
{
	add_aliases(1, "file:/away",
		    "away: Jo.Doe@Elsewhere.Example\n"
		    "both: x@elsewhere.example, alice, y@[192.0.2.1]\n"
		    "@example.com: all@elsewhere.example\n");
	expect_check("away@example.org", 0, "");
	expect_route("away@example.org", "Jo.Doe@Elsewhere.Example>smtp elsewhere.example\n");
	expect_route("both@example.org", "x@elsewhere.example>smtp elsewhere.example\n"
					 "alice@example.org>alice@example.org/10\n"
					 "y@[192.0.2.1]>smtp [192.0.2.1]:25\n");
	expect_route("who@example.com", "all@elsewhere.example>smtp elsewhere.example\n");
	expect_expanded("x@elsewhere.example", 0, "x@elsewhere.example>smtp elsewhere.example\n");
	/* a client that may not relay is refused there all the same */
	expect_check("x@elsewhere.example", 554, "5.7.1");
}
END_TEST

START_TEST(an_alias_with_itself_and_another_server_does_both)
{
	add_aliases(1, "file:/copy",
		    "alice: alice, alice@elsewhere.example\n"
		    "ghost: ghost, bob\n");
	expect_route("alice@example.org", "alice@example.org>alice@example.org/10\n"
					  "alice@elsewhere.example>smtp elsewhere.example\n");
	expect_expanded("alice@example.org", 0, "alice@example.org>alice@example.org/10\n");
	/* what it names beside itself has its mail already */
	expect_expanded("ghost@example.org", 550, "");
}
END_TEST

START_TEST(a_trusted_client_may_relay_to_any_domain)
{
	trusted = true;
	expect_check("x@elsewhere.example", 0, "");
	expect_check("x@[192.0.2.1]", 0, "");
	expect_check("postmaster@elsewhere.example", 0, "");
	ck_assert_uint_eq(asked, 0);
	/* who exists in our domains is not a question of trust */
	expect_check("nobody@example.org", 550, "5.1.1");
	expect_check("alice@sick.example", 451, "4.3.0");
	expect_check("x@\xe2\x80\xae.example", 550, "5.1.2");
}
END_TEST

START_TEST(relay_domains_check_their_users)
{
	add_domain(5, "branch.example", NULL);
	add_deliver(50, 5, "relay", "file:/users", "[mail.branch.example]:25");
	add_domain(6, "open.example", NULL);
	add_deliver(60, 6, "relay", "any", "mx");
	add_domain(7, "down.example", NULL);
	add_deliver(70, 7, "relay", "file:/broken", "mx");
	add_user("dora@branch.example");
	expect_check("dora@branch.example", 0, "");
	expect_check("nobody@branch.example", 550, "5.1.1");
	expect_check("who@open.example", 0, "");
	expect_check("who@down.example", 451, "4.3.0"); /* S55 */
	expect_route("Dora@Branch.example", "Dora@Branch.example>smtp [mail.branch.example]:25\n");
	expect_route("dora+x@branch.example",
		     "dora+x@branch.example>smtp [mail.branch.example]:25\n");
	expect_route("Who+x@Open.example", "Who+x@Open.example>smtp open.example\n");
	expect_failure("who@down.example", 451, "4.3.0");
}
END_TEST

START_TEST(what_is_relayed_needs_no_mailbox_name)
{
	add_domain(6, "open.example", NULL);
	add_deliver(60, 6, "relay", "any", "mx");
	expect_route("a/b@open.example", "a/b@open.example>smtp open.example\n");
	expect_route(
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@open.example",
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@open.example>"
	    "smtp open.example\n");
}
END_TEST

START_TEST(an_alias_leads_to_a_relay_domain_and_from_one)
{
	add_domain(5, "branch.example", NULL);
	add_deliver(50, 5, "relay", "file:/users", "[mail.branch.example]:25");
	add_user("dora@branch.example");
	add_aliases(1, "file:/to", "out: dora@branch.example, gone@branch.example\n");
	add_aliases(5, "file:/from", "boss: alice@example.org, dora\n@branch.example: dora\n");
	expect_route("out@example.org", "dora@branch.example>smtp [mail.branch.example]:25\n");
	expect_route("boss@branch.example", "alice@example.org>alice@example.org/10\n"
					    "dora@branch.example>smtp [mail.branch.example]:25\n");
	expect_route("zoe@branch.example", "dora@branch.example>smtp [mail.branch.example]:25\n");
}
END_TEST

START_TEST(S32_order_is_alias_route_user_then_without_extension_then_the_domain)
{
	add_aliases(1, "file:/order", "a: alice\nb+x: alice\n");
	add_routes(1, "file:/routes",
		   "# comment\n"
		   "a@example.org smtp:[a.example]\n"
		   "b@example.org smtp:[b.example]:2525\n"
		   "bob@example.org smtp:[bob.example]\n"
		   "alice+x@example.org smtp:[x.example]\n"
		   "@example.org smtp:[rest.example]\n");
	expect_route("a@example.org", "alice@example.org>alice@example.org/10\n");
	expect_route("b@example.org", "b@example.org>smtp [b.example]:2525\n");
	expect_route("b+x@example.org", "alice@example.org>alice@example.org/10\n");
	expect_route("b+y@example.org", "b+y@example.org>smtp [b.example]:2525\n");
	expect_route("Bob@example.org", "Bob@example.org>smtp [bob.example]:25\n");
	expect_route("alice+x@example.org", "alice+x@example.org>smtp [x.example]:25\n");
	expect_route("alice+y@example.org", "alice+y@example.org>alice@example.org/10\n");
	expect_route("zoe@example.org", "zoe@example.org>smtp [rest.example]:25\n");
	expect_check("zoe@example.org", 0, "");
	expect_check("b@example.org", 0, "");
	/* that @domain is another domain's */
	expect_failure("zoe@example.com", 550, "5.1.1");
	/* the aliases' @domain goes before the routes' */
	add_aliases(1, "file:/all", "@example.org: alice\n");
	expect_route("zoe@example.org", "alice@example.org>alice@example.org/10\n");
}
END_TEST

START_TEST(routes_say_where)
{
	static const struct {
		const char *value, *hop;
	} cases[] = {
	    {"smtp:[Mail.Example]:25", "[mail.example]:25"},
	    {"smtp:[mail.example]", "[mail.example]:25"},
	    {"smtp:mail.example", "mail.example"},
	    {"smtp:mail.example:587", "mail.example:587"},
	    {"smtp:[192.0.2.7]:25", "[192.0.2.7]:25"},
	    {"smtp:[2001:DB8::7]:26", "[IPv6:2001:db8::7]:26"},
	    {"smtp:[one.example] [two.example]", "[one.example]:25 [two.example]:25"},
	    {"smtp:", "example.org"},
	    {"smtp:m\xc3\xbcller.example", "xn--mller-kva.example"},
	};
	char text_of[256], want[256];

	add_routes(1, "file:/say", NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text_of, sizeof(text_of), "list@example.org  %s\n", cases[i].value);
		load("file:/say", TABLE_ROUTES, text_of);
		snprintf(want, sizeof(want), "list@example.org>smtp %s\n", cases[i].hop);
		expect_route("list@example.org", want);
	}
	load("file:/say", TABLE_ROUTES,
	     "alice@example.org local\nghost@example.org local\n"
	     "@example.org local\n");
	expect_route("alice@example.org", "alice@example.org>alice@example.org/10\n");
	expect_failure("ghost@example.org", 550, "5.1.1");
	expect_check("ghost@example.org", 550, "5.1.1");
	expect_check("zoe@example.org", 550, "5.1.1");
}
END_TEST

START_TEST(routes_by_lmtp_wait)
{
	/* as Mailman writes it */
	add_routes(1, "file:/mailman",
		   "# AUTOMATICALLY GENERATED BY MAILMAN\n"
		   "# Aliases which are visible only in the @example.org domain.\n"
		   "list@example.org               lmtp:[127.0.0.1]:8024\n"
		   "list-bounces@example.org       lmtp:[127.0.0.1]:8024\n"
		   "\n");
	expect_failure("list@example.org", 451, "4.3.5");
	ck_assert_ptr_nonnull(strstr(text, "routed by LMTP"));
	expect_check("list@example.org", 451, "4.3.5");
	expect_failure("list-bounces+1@example.org", 451, "4.3.5");
	expect_route("alice@example.org", "alice@example.org>alice@example.org/10\n");
	add_routes(1, "file:/not-loaded", NULL);
	expect_failure("alice@example.org", 451, "4.3.0"); /* S55 */
}
END_TEST

/* As whoever may write the file could have made it. */
static void load_routes_database(const char *spec, const char *key, const char *value)
{
	char folder[] = "/tmp/stagepost-test-walk-XXXXXX";
	struct content *content = content_new();
	struct error e;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
	ck_assert_int_eq(content_add(content, slice_str(key), slice_str(value)), CONTENT_ADDED);
	ck_assert_msg(database_make("t.db", TABLE_ROUTES, content, &e), "%s", e.text);
	content_release(&content);
	int fd = open("t.db", O_RDONLY);
	ck_assert(shelf_load(slice_str(spec), fd));
	close(fd);
	ck_assert_int_eq(unlink("t.db"), 0);
	ck_assert_int_eq(rmdir(folder), 0);
	ck_assert_int_eq(chdir("/"), 0);
}

START_TEST(a_route_that_is_no_next_hop_waits)
{
	static const char *const bad[] = {
	    "smtp: ", "smtp:[mail.example", "smtp:a\001b", "smtp:../x", "uucp:x", ""};
	char hosts[2000] = "smtp:";

	add_routes(1, "db:/say.db", NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		load_routes_database("db:/say.db", "list@example.org", bad[i]);
		expect_failure("list@example.org", 451, "4.3.5");
		expect_check("list@example.org", 451, "4.3.5");
	}
	while (strlen(hosts) < 1500)
		strncat(hosts, "[mail.example]:25 ", sizeof(hosts) - strlen(hosts) - 1);
	load_routes_database("db:/say.db", "list@example.org", hosts);
	expect_failure("list@example.org", 451, "4.3.5");
	load_routes_database("db:/say.db", "list@example.org", "smtp:[Mail.Example]");
	expect_route("list@example.org", "list@example.org>smtp [mail.example]:25\n");
}
END_TEST

START_TEST(what_is_expanded_still_has_its_route)
{
	add_aliases(1, "file:/team", "team: list, alice\nlist: list, bob\n");
	add_routes(1, "file:/list", "list@example.org smtp:[lists.example]\n");
	expect_route("team@example.org", "list@example.org>smtp [lists.example]:25\n"
					 "bob@example.org>bob@example.org/10\n"
					 "alice@example.org>alice@example.org/10\n");
	expect_expanded("list@example.org", 0, "list@example.org>smtp [lists.example]:25\n");
	add_routes(2, "file:/all", "@any.example smtp:[x.example]\n");
	expect_expanded("x@any.example", 0, "x@any.example>x@any.example/20\n");
}
END_TEST

START_TEST(outbound_statements_are_tried_in_the_order_of_the_file)
{
	static const struct {
		const char *sender, *recipient, *hop;
	} cases[] = {
	    {"a@example.com", "x@elsewhere.example", "[from.example]:587 [other.example]:587"},
	    {"A@Example.COM", "x@to.example", "[from.example]:587 [other.example]:587"},
	    {"vip@shop.example", "x@to.example", "[vip.example]:25"},
	    {"other@shop.example", "x@elsewhere.example", "[rest.example]:25"},
	    {"", "x@to.example", "[to.example]:25"},
	    {"b@example.org", "X@TO.example", "[to.example]:25"},
	    {"b@example.org", "x@sub.to.example", "[rest.example]:25"},
	    {"b@example.org", "x@below.example", "[rest.example]:25"},
	    {"b@example.org", "x@a.below.example", "a.below.example"},
	    {"b@example.org", "x@b.a.below.example", "b.a.below.example"},
	    {"b@example.org", "x@xbelow.example", "[rest.example]:25"},
	    {"b@example.org", "one@single.example", "[to.example]:25"},
	    {"b@example.org", "two@single.example", "[rest.example]:25"},
	    {"b@example.org", "x@m\xc3\xbcller.example", "[idn.example]:25"},
	    {"b@example.org", "x@xn--mller-kva.example", "[idn.example]:25"},
	    {"b@example.org", "x@[192.0.2.1]", "[rest.example]:25"},
	};
	char want[256];

	add_outbound(1, "from", "example.com vip@shop.example-no",
		     "[from.example]:587 [other.example]:587");
	add_outbound(2, "from", "vip@shop.example", "[vip.example]:25");
	add_outbound(3, "to", "to.example one@single.example", "[to.example]:25");
	add_outbound(4, "to", ".below.example", "");
	add_outbound(5, "to", "M\xc3\x9cLLER.example", "[idn.example]:25");
	add_outbound(6, "", "", "[rest.example]:25");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		sender = cases[i].sender;
		snprintf(want, sizeof(want), "%s>smtp %s\n", cases[i].recipient, cases[i].hop);
		expect_route(cases[i].recipient, want);
	}
}
END_TEST

START_TEST(outbound_patterns_stand_in_tables)
{
	add_outbound(1, "to",
		     "file:/to static:.deep.example=,x@one.example=", "[table.example]:25");
	add_outbound(2, "from", "file:/from", "[sender.example]:25");
	load("file:/to", TABLE_PLAIN, "to.example\n.below.example yes\n");
	load("file:/from", TABLE_PLAIN, "alice@example.org\n");
	expect_route("a@to.example", "a@to.example>smtp [table.example]:25\n");
	expect_route("a@x.below.example", "a@x.below.example>smtp [table.example]:25\n");
	expect_route("a@b.c.deep.example", "a@b.c.deep.example>smtp [table.example]:25\n");
	expect_route("x@one.example", "x@one.example>smtp [table.example]:25\n");
	expect_route("y@one.example", "y@one.example>smtp one.example\n");
	sender = "Alice@example.org";
	expect_route("y@one.example", "y@one.example>smtp [sender.example]:25\n");
	add_outbound(3, "to", "file:/not-loaded", "");
	expect_route("y@one.example", "y@one.example>smtp [sender.example]:25\n");
	sender = "";
	expect_failure("y@one.example", 451, "4.3.0"); /* S55 */
}
END_TEST

START_TEST(S42_literals_have_no_mx)
{
	expect_route("a@[192.0.2.1]", "a@[192.0.2.1]>smtp [192.0.2.1]:25\n");
	expect_route("a@[IPv6:2001:DB8::1]", "a@[IPv6:2001:DB8::1]>smtp [IPv6:2001:db8::1]:25\n");
}
END_TEST

START_TEST(S41_the_address_is_not_rewritten)
{
	expect_route("J\xc3\xbcrgen@M\xc3\xbcller.Example",
		     "J\xc3\xbcrgen@M\xc3\xbcller.Example>smtp xn--mller-kva.example\n");
	expect_route("Bob@Elsewhere.EXAMPLE", "Bob@Elsewhere.EXAMPLE>smtp elsewhere.example\n");
	expect_failure("a@\xe2\x80\xae.example", 550, "5.1.2");
}
END_TEST

START_TEST(a_domain_of_ours_is_found_by_both_spellings)
{
	add_domain(8, "m\xc3\xbcller.example", "file:/users");
	add_user("max@m\xc3\xbcller.example");
	add_user("own@m\xc3\xbcller.example");
	add_aliases(8, "file:/both", "sales: max\nown: own\n");
	expect_check("max@M\xc3\x9cLLER.example", 0, "");
	expect_route("max@xn--mller-kva.Example",
		     "max@xn--mller-kva.Example>max@m\xc3\xbcller.example/80\n");
	expect_route("sales@xn--mller-kva.example",
		     "max@m\xc3\xbcller.example>max@m\xc3\xbcller.example/80\n");
	expect_route("own@xn--mller-kva.example",
		     "own@m\xc3\xbcller.example>own@m\xc3\xbcller.example/80\n");
	expect_check("zoe@m\xc3\xbcller.example", 550, "5.1.1");
}
END_TEST

START_TEST(users_of_the_machine_go_to_their_own_transport)
{
	add_domain(9, "host.example", NULL);
	add_deliver(90, 9, "system-mbox", "system", "");
	add_user("daemon@host.example");
	expect_check("Daemon@host.example", 0, "");
	expect_route("Daemon+x@host.example",
		     "Daemon+x@host.example>system daemon@host.example/90\n");
	expect_check("nobody.here@host.example", 550, "5.1.1");
	expect_check("../x@host.example", 550, "5.1.1");
}
END_TEST

START_TEST(roots_mail_goes_by_an_alias_alone)
{
	add_domain(9, "host.example", NULL);
	add_deliver(90, 9, "system-mbox", "system", "");
	add_user("daemon@host.example");
	expect_check("root@host.example", 550, "5.1.1");
	ck_assert_str_eq(text, "<root@host.example>: Recipient address rejected: User unknown");
	expect_failure("root@host.example", 550, "5.1.1");
	ck_assert_ptr_nonnull(strstr(text, "set `root: NAME`"));
	go(WALK_EXPLAIN, "root@host.example", false);
	ck_assert_ptr_nonnull(strstr(heard, "set `root: NAME`"));
	expect_failure("zoe@host.example", 550, "5.1.1");
	ck_assert_ptr_null(strstr(text, "set `root"));
	add_aliases(9, "file:/root", "root: daemon, x@elsewhere.example\n");
	expect_route("root@host.example", "daemon@host.example>system daemon@host.example/90\n"
					  "x@elsewhere.example>smtp elsewhere.example\n");
}
END_TEST

static void setup_null_client(void)
{
	struct settings_server s = {.hostname = SLICE("web7.example.net"),
				    .origin = SLICE("example.net")};

	book = book_new();
	book_setting(book, &settings_server_record, &s);
	add_outbound(1, "", "", "[hub.example.net]:25");
	add_aliases(0, "file:/etc", "root: admin@example.net\nlocal: root\n");
	trusted = true;
}

START_TEST(a_null_client_sends_all_to_its_relay)
{
	expect_check("alice", 0, "");
	expect_route("alice", "alice@example.net>smtp [hub.example.net]:25\n");
	expect_route("root", "admin@example.net>smtp [hub.example.net]:25\n");
	expect_route("local", "admin@example.net>smtp [hub.example.net]:25\n");
	expect_route("postmaster", "postmaster@example.net>smtp [hub.example.net]:25\n");
	expect_route("root@web7.example.net", "admin@example.net>smtp [hub.example.net]:25\n");
	trusted = false;
	expect_check("x@example.net", 554, "5.7.1");
}
END_TEST

START_TEST(a_dead_member_of_a_list_fails_alone)
{
	add_aliases(1, "file:/dead", "list: alice, gone, bob\n");
	expect_route("list@example.org", "alice@example.org>alice@example.org/10\n"
					 "gone@example.org>none\n"
					 "bob@example.org>bob@example.org/10\n");
	expect_expanded("gone@example.org", 550, "");
	ck_assert_str_eq(enhanced, "5.1.1");
}
END_TEST

START_TEST(a_look_up_error_in_a_list_settles_nothing)
{
	add_aliases(1, "file:/sick", "list: alice, x@sick.example, gone\n");
	expect_failure("list@example.org", 451, "4.3.0");
}
END_TEST

START_TEST(what_is_expanded_goes_to_the_user)
{
	add_aliases(1, "file:/expanded", "alice: alice, bob\nteam: alice, bob\n");
	expect_expanded("alice@example.org", 0, "alice@example.org>alice@example.org/10\n");
	expect_expanded("alice+x@example.org", 0, "alice+x@example.org>alice@example.org/10\n");
	/* no such user: the alias that it is counts */
	expect_expanded("team@example.org", 0,
			"alice@example.org>alice@example.org/10\n"
			"bob@example.org>bob@example.org/10\n");
}
END_TEST

START_TEST(bare_names_ask_the_top_level_tables_first_then_origin)
{
	add_aliases(0, "file:/etc",
		    "root: admin\nadmin: alice@example.org\nweb: bob@example.org\n");
	add_aliases(1, "file:/own", "web: carol@example.com\nown: web\n");
	expect_route("root", "alice@example.org>alice@example.org/10\n");
	expect_route("root@example.org", "alice@example.org>alice@example.org/10\n");
	expect_route("root@mx.example.org", "alice@example.org>alice@example.org/10\n");
	expect_route("bob", "bob@example.org>bob@example.org/10\n");
	expect_route("web", "bob@example.org>bob@example.org/10\n");
	/* with the domain written the domain's own table goes first */
	expect_route("web@example.org", "carol@example.com>carol@example.com/10\n");
	expect_route("own@example.org", "carol@example.com>carol@example.com/10\n");
}
END_TEST

START_TEST(top_level_names_do_not_count_in_other_domains)
{
	add_aliases(0, "file:/etc", "root: alice@example.org\n");
	expect_failure("root@example.com", 550, "5.1.1");
	expect_check("root@example.com", 550, "5.1.1");
	expect_check("root@example.org", 0, "");
}
END_TEST

START_TEST(bare_targets_belong_to_the_domain_of_the_alias)
{
	add_aliases(1, "file:/bare", "team: carol\n");
	expect_route("team@example.com", "carol@example.com>carol@example.com/10\n");
	expect_failure("team@example.org", 550, "5.1.1");
}
END_TEST

START_TEST(a_bare_name_whose_alias_names_origin_goes_on_to_origins_table)
{
	add_aliases(0, "file:/etc", "root: root@example.org\nbob: bob@example.org\n");
	add_aliases(1, "file:/own", "root: alice\n");
	expect_route("root", "alice@example.org>alice@example.org/10\n");
	expect_route("bob", "bob@example.org>bob@example.org/10\n");
	expect_route("bob@example.org", "bob@example.org>bob@example.org/10\n");
}
END_TEST

START_TEST(several_tables_add_up_in_order)
{
	add_aliases(1, "file:/one", "x: alice\n");
	add_aliases(1, "file:/two", "x: bob\ny: bob\n");
	expect_route("x@example.org", "alice@example.org>alice@example.org/10\n");
	expect_route("y@example.org", "bob@example.org>bob@example.org/10\n");
}
END_TEST

START_TEST(answers_that_come_later_change_nothing)
{
	add_aliases(1, "file:/slow", "list: alice, gone, bob+x\n");
	slow = true;
	begin(WALK_ROUTE, "list@example.org", false);
	ck_assert_uint_eq(done_count, 0);
	answer_late();
	ck_assert_uint_eq(done_count, 1);
	ck_assert_str_eq(heard, "alice@example.org>alice@example.org/10\n"
				"gone@example.org>none\n"
				"bob+x@example.org>bob@example.org/10\n");
}
END_TEST

START_TEST(a_walk_that_is_freed_hears_nothing)
{
	slow = true;
	begin(WALK_ROUTE, "alice@example.org", false);
	walk_free(&walk);
	answer_late();
	ck_assert_uint_eq(done_count, 0);
}
END_TEST

START_TEST(a_walk_keeps_the_rules_that_it_began_with)
{
	add_aliases(1, "file:/old", "list: gone, alice\n");
	slow = true;
	begin(WALK_ROUTE, "list@example.org", false);
	book_release(&book);
	answer_late();
	ck_assert_uint_eq(done_count, 1);
	ck_assert_str_eq(heard, "gone@example.org>none\nalice@example.org>alice@example.org/10\n");
}
END_TEST

/* Whose an address is */

static void may_send(const char *user, const char *as, unsigned want)
{
	login = user;
	sender = as;
	go(WALK_OWNER, as, false);
	ck_assert_msg(code == want, "%s as %s: %u %s %s", user, as, code, enhanced, text);
	ck_assert_str_eq(heard, "");
}

static void add_senders(const char *spec, const char *content)
{
	struct settings_senders s = {.table = slice_str(spec)};

	book_setting(book, &settings_senders_record, &s);
	if (content)
		load(spec, TABLE_PLAIN, content);
}

START_TEST(a_user_sends_as_what_is_his)
{
	static const struct {
		const char *login, *as;
		bool his;
	} cases[] = {
	    {"alice@example.org", "alice@example.org", true},
	    {"alice@example.org", "Alice@Example.ORG", true},
	    {"alice@example.org", "alice+list@example.org", true},
	    {"alice@example.org", "alice+a+b@example.org", true},
	    {"alice@example.org", "bob@example.org", false},
	    {"alice@example.org", "bob+alice@example.org", false},
	    {"alice@example.org", "alice@example.com", false},
	    {"alice@example.org", "nobody@example.org", false},
	    {"alice@example.org", "alice@elsewhere.example", false},
	    {"alice@example.org", "alicex@example.org", false},
	    {"alice@example.org", "alice@[192.0.2.1]", false},
	    /* another's own address, though it looks like one of his */
	    {"alice@example.org", "alice+taken@example.org", false},
	    {"alice+taken@example.org", "alice+taken@example.org", true},
	    {"alice+taken@example.org", "alice+taken+x@example.org", false},
	    {"alice@example.org", "alice+alias@example.org", false},
	    {"bob@example.org", "alice+alias@example.org", true},
	    /* by aliases, also through others and with an extension */
	    {"alice@example.org", "info@example.org", true},
	    {"alice@example.org", "info+x@example.org", true},
	    {"bob@example.org", "info@example.org", true},
	    {"carol@example.com", "info@example.org", false},
	    {"alice@example.org", "deep@example.org", true},
	    {"alice@example.org", "tagged@example.org", true},
	    /* only downwards: who is in a list is not the list's other members */
	    {"info@example.org", "alice@example.org", false},
	    {"alice@example.org", "both@example.org", true},
	    {"alice@example.org", "command@example.org", true},
	    {"alice@example.org", "loop@example.org", false},
	    {"alice@example.org", "outside@example.org", false},
	    {"me@elsewhere.example", "outside@example.org", true},
	    {"me@elsewhere.example", "me@elsewhere.example", true},
	    {"me@elsewhere.example", "me+x@elsewhere.example", true},
	    {"me@elsewhere.example", "you@elsewhere.example", false},
	    /* names without a domain are at origin */
	    {"alice@example.org", "root", true},
	    {"alice@example.org", "root@example.org", true},
	    {"alice@example.org", "alice", true},
	    /* a catch-all is of what nobody else has */
	    {"carol@example.com", "whoever@example.com", true},
	    {"carol@example.com", "whoever+x@example.com", true},
	    {"alice@example.org", "whoever@example.com", false},
	    {"carol@example.com", "whoever@example.org", false},
	    {"dave@any.example", "dave+x@any.example", true},
	    {"dave@any.example", "erin@any.example", false},
	    {"alice@example.org", "postmaster@example.org", false},
	    {"", "alice@example.org", false},
	    {"alice", "alice@example.org", false},
	    {"not an address", "alice@example.org", false},
	};

	add_user("alice+taken@example.org");
	add_aliases(1, "file:/aliases",
		    "info: alice, bob\n"
		    "alice+alias: bob\n"
		    "deep: deeper\ndeeper: deepest+x\ndeepest: alice\n"
		    "tagged: alice+tag\n"
		    "both: both, alice\n"
		    "command: \"|/bin/true\", alice\n"
		    "loop: loop2\nloop2: loop\n"
		    "outside: me@elsewhere.example\n"
		    "@example.com: carol@example.com\n");
	add_aliases(0, "file:/top", "root: alice\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		may_send(cases[i].login, cases[i].as, cases[i].his ? 0 : 553);
	may_send("alice@example.org", "Bob@example.org", 553);
	ck_assert_str_eq(enhanced, "5.7.1");
	ck_assert_str_eq(
	    text,
	    "<Bob@example.org>: Sender address rejected: not owned by user alice@example.org");
}
END_TEST

START_TEST(who_reads_postmasters_mail_sends_as_postmaster)
{
	snprintf(postmaster, sizeof(postmaster), "bob@example.org");
	book_release(&book);
	setup();
	may_send("bob@example.org", "postmaster@example.org", 0);
	may_send("alice@example.org", "postmaster@example.org", 553);
}
END_TEST

START_TEST(tables_of_senders_let_users_send_as_others)
{
	static const struct {
		const char *login, *as;
		bool may;
	} cases[] = {
	    {"alice@example.org", "sales@other.example", true},
	    {"bob@example.org", "Sales@Other.example", true},
	    {"bob@example.org", "sales+x@other.example", true},
	    {"carol@example.com", "sales@other.example", false},
	    {"carol@example.com", "any@all.example", true},
	    {"bob@example.org", "any@all.example", false},
	    {"bob@example.org", "bob@example.org", true},
	    {"bob@example.org", "alice@example.org", true},
	    {"alice@example.org", "bob@example.org", false},
	    {"carol@example.com", "second@other.example", true},
	};

	add_senders("file:/senders", "sales@other.example alice,bob@example.org\n"
				     "@all.example carol@example.com\n"
				     "alice@example.org , Bob ,\n");
	add_senders("file:/senders2", "second@other.example carol@example.com\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		may_send(cases[i].login, cases[i].as, cases[i].may ? 0 : 553);
}
END_TEST

START_TEST(S55_whose_an_address_is_may_be_unknown_for_now)
{
	may_send("alice@example.org", "alice@sick.example", 451);
	ck_assert_str_eq(enhanced, "4.3.0");
	may_send("alice@sick.example", "alice@sick.example", 0);
	add_senders("file:/not-loaded", NULL);
	may_send("alice@example.org", "alice@example.org", 451);
}
END_TEST

START_TEST(S34_a_list_that_is_too_long_is_nobodys_own)
{
	static char lines[64 * 1024];

	for (int over = 0; over < 2; over++) {
		size_t len = (size_t)snprintf(lines, sizeof(lines), "list: ");
		for (int i = 0; i < WALK_OWNER_NODES_MAX - 2 + over; i++)
			len += (size_t)snprintf(lines + len, sizeof(lines) - len,
						"m%d@elsewhere.example, ", i);
		snprintf(lines + len, sizeof(lines) - len, "alice@example.org\n");
		if (over == 0)
			add_aliases(1, "file:/list", lines);
		else
			load("file:/list", TABLE_ALIASES, lines);
		may_send("alice@example.org", "list@example.org", over ? 553 : 0);
	}
}
END_TEST

START_TEST(explain_names_every_step)
{
	add_aliases(1, "file:/talk", "team: alice, gone\n");
	go(WALK_EXPLAIN, "team+x@example.org", false);
	ck_assert_str_eq(
	    heard,
	    "0 team+x@example.org missing: team+x@example.org is not in file:/talk\n"
	    "0 team+x@example.org missing: team+x@example.org is no user of file:/users\n"
	    "0 team+x@example.org extension: team@example.org is looked up without it\n"
	    "0 team+x@example.org alias: team@example.org in file:/talk: alice gone\n"
	    "1 alice@example.org missing: alice@example.org is not in file:/talk\n"
	    "1 alice@example.org user: alice@example.org is a user of file:/users\n"
	    "1 alice@example.org deliver: to the mailbox, by deliver statement 10\n"
	    "1 gone@example.org missing: gone@example.org is not in file:/talk\n"
	    "1 gone@example.org missing: gone@example.org is no user of file:/users\n"
	    "1 gone@example.org missing: @example.org is not in file:/talk\n"
	    "1 gone@example.org refuse: 550 5.1.1 <gone@example.org>: Recipient address rejected: "
	    "User unknown\n"
	    "alice@example.org>alice@example.org/10\n"
	    "gone@example.org>none\n");
	go(WALK_EXPLAIN, "x@elsewhere.example", false);
	ck_assert_uint_eq(code, 554);
	ck_assert_ptr_nonnull(strstr(heard, "refuse: 554 5.7.1"));
	trusted = true;
	add_outbound(4, "to", "elsewhere.example", "[relay.example]:25");
	go(WALK_EXPLAIN, "x@elsewhere.example", false);
	ck_assert_str_eq(heard, "0 x@elsewhere.example outbound: statement 4 takes it\n"
				"0 x@elsewhere.example smtp: to [relay.example]:25\n"
				"x@elsewhere.example>smtp [relay.example]:25\n");
	go(WALK_EXPLAIN, "x@third.example", false);
	ck_assert_str_eq(heard, "0 x@third.example smtp: to the MX hosts of third.example\n"
				"x@third.example>smtp third.example\n");
}
END_TEST

static TCase *walks(void)
{
	const TTest *const tests[] = {
	    rcpt_takes_users_and_refuses_relaying_and_strangers,
	    refusals_have_the_words_that_log_parsers_know,
	    a_plain_rcpt_check_costs_one_question,
	    S55_a_look_up_that_errs_is_temporary_and_only_a_miss_is_permanent,
	    S19_postmaster_is_always_accepted,
	    the_top_level_postmaster_serves_a_domain_without_one,
	    S32_exact_then_without_extension_then_catch_all,
	    S32_an_extension_with_a_slash_reaches_no_path,
	    any_takes_every_name_without_its_extension,
	    the_first_deliver_that_knows_the_user_takes_it,
	    S33_look_ups_are_folded_and_the_local_part_keeps_its_case,
	    S29_S33_an_alias_that_names_itself_delivers_to_the_user,
	    S29_aliases_that_lead_back_are_a_loop,
	    S29_nesting_over_100_is_a_loop,
	    S34_10000_addresses_are_delivered,
	    a_long_walk_lets_others_come_first,
	    S34_more_than_10000_addresses_is_temporary_and_never_cut,
	    S34_a_list_larger_than_memory_allows_is_temporary,
	    an_address_that_is_named_twice_gets_it_once,
	    aliases_that_branch_into_themselves_end,
	    an_alias_with_a_command_waits_alone,
	    an_alias_leads_to_other_servers,
	    an_alias_with_itself_and_another_server_does_both,
	    a_trusted_client_may_relay_to_any_domain,
	    relay_domains_check_their_users,
	    what_is_relayed_needs_no_mailbox_name,
	    an_alias_leads_to_a_relay_domain_and_from_one,
	    S32_order_is_alias_route_user_then_without_extension_then_the_domain,
	    routes_say_where,
	    routes_by_lmtp_wait,
	    a_route_that_is_no_next_hop_waits,
	    what_is_expanded_still_has_its_route,
	    outbound_statements_are_tried_in_the_order_of_the_file,
	    outbound_patterns_stand_in_tables,
	    S42_literals_have_no_mx,
	    S41_the_address_is_not_rewritten,
	    a_domain_of_ours_is_found_by_both_spellings,
	    users_of_the_machine_go_to_their_own_transport,
	    roots_mail_goes_by_an_alias_alone,
	    a_dead_member_of_a_list_fails_alone,
	    a_look_up_error_in_a_list_settles_nothing,
	    what_is_expanded_goes_to_the_user,
	    bare_names_ask_the_top_level_tables_first_then_origin,
	    top_level_names_do_not_count_in_other_domains,
	    bare_targets_belong_to_the_domain_of_the_alias,
	    a_bare_name_whose_alias_names_origin_goes_on_to_origins_table,
	    several_tables_add_up_in_order,
	    answers_that_come_later_change_nothing,
	    a_walk_that_is_freed_hears_nothing,
	    a_walk_keeps_the_rules_that_it_began_with,
	    explain_names_every_step,
	};
	TCase *t = tcase_create("walk");
	tcase_add_checked_fixture(t, setup, teardown);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(t, tests[i]);
	return t;
}

int main(void)
{
	Suite *s = suite_create("walk");
	TCase *p = tcase_create("postmaster"), *n = tcase_create("null client");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, walks());
	tcase_add_checked_fixture(p, setup_postmaster, teardown);
	tcase_add_test(p, a_user_sends_as_what_is_his);
	tcase_add_test(p, who_reads_postmasters_mail_sends_as_postmaster);
	tcase_add_test(p, tables_of_senders_let_users_send_as_others);
	tcase_add_test(p, S55_whose_an_address_is_may_be_unknown_for_now);
	tcase_add_test(p, S34_a_list_that_is_too_long_is_nobodys_own);
	tcase_add_test(p, mail_for_postmaster_goes_to_alias_user_configured_address_in_this_order);
	tcase_add_checked_fixture(n, setup_null_client, teardown);
	tcase_add_test(n, a_null_client_sends_all_to_its_relay);
	suite_add_tcase(s, p);
	suite_add_tcase(s, n);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
