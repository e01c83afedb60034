/*
 * login: what submission, pop3d and control hear of who says he is somebody. The modules of the
 * daemon, with threads and all; the test speaks as the daemons that ask.
 */
#include <check.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/dialogue/usage.h"
#include "common/os/clock.h"
#include "daemons/accounts/askers.h"
#include "daemons/accounts/blocked.h"
#include "daemons/accounts/failures.h"
#include "daemons/accounts/hasher.h"
#include "daemons/accounts/login.h"
#include "daemons/accounts/mailbox.h"
#include "daemons/accounts/offer.h"
#include "daemons/accounts/ours.h"
#include "daemons/accounts/sessions.h"
#include "daemons/accounts/shelf.h"
#include "daemons/accounts/sources.h"

enum { ANSWERS_MAX = 8192, WAIT_US = 40000000 };

#define SECRET                                                     \
	"{SCRAM-SHA-256}4096,5DUOdg+gBTBrNP+Q2WVTgw==,Di6kkpp8xRr" \
	"/cZ04iZ4EY51HDrw56iIU3DFoS7BUo90=,rNOoaDugvESWuwWwlBRJbj8QrgpmtP/ceBIZIs3rMWI="

#define AUTH_MESSAGE "n=alice,r=x,r=xy,s=z,i=1,c=biws,r=xy"

static struct answer {
	enum login_result result; /* 0: none yet */
	char user[LOGIN_USER_MAX + 1], text[LOGIN_TEXT_MAX + 1];
	uint8_t signature[SCRAM_KEY_SIZE];
	size_t signature_len;
	struct scram_keys salt;
	char ticket[MAILDROP_TICKET_SIZE];
	size_t ticket_len;
	bool salted;
	uint64_t took; /* us */
} answers[ANSWERS_MAX];
static uint64_t asked_at[ANSWERS_MAX];
static uint64_t waits_for, last;
static uint32_t mechanisms;
static char revoked[LOGIN_USER_MAX + 1];
static struct channel *submission, *control, *theirs[2], *usage_link, *maildrop;
static struct granted {
	char ticket[MAILDROP_TICKET_SIZE], user[321], kind[33], owner[33], base[256], path[256];
} granted;

static void on_mechanisms(struct channel *c, const void *record)
{
	const struct login_mechanisms *m = record;

	(void)c;
	mechanisms = m->mechanisms;
	loop_stop();
}

static void on_salt(struct channel *c, const void *record)
{
	const struct login_salt *m = record;
	struct answer *a = &answers[m->request];

	(void)c;
	a->salted = true;
	a->salt = (struct scram_keys){.iterations = m->iterations, .salt_len = m->salt.len};
	memcpy(a->salt.salt, m->salt.ptr, m->salt.len);
	loop_stop();
}

static void on_done(struct channel *c, const void *record)
{
	const struct login_done *m = record;
	struct answer *a = &answers[m->request];

	(void)c;
	ck_assert_uint_eq(a->result, 0);
	a->result = m->result;
	a->took = clock_boot_us() - asked_at[m->request];
	ck_assert(slice_copy(m->user, a->user, sizeof(a->user)));
	ck_assert(slice_copy(m->text, a->text, sizeof(a->text)));
	a->ticket_len = m->ticket.len;
	memcpy(a->ticket, m->ticket.ptr, m->ticket.len);
	a->signature_len = m->signature.len;
	memcpy(a->signature, m->signature.ptr, m->signature.len);
	if (m->request == waits_for)
		loop_stop();
}

static void on_revoked(struct channel *c, const void *record)
{
	const struct login_revoked *m = record;

	(void)c;
	ck_assert(slice_copy(m->user, revoked, sizeof(revoked)));
	loop_stop();
}

static const struct route asker_routes[] = {
    {LOGIN_MECHANISMS, ROUTE_ALWAYS, on_mechanisms},
    {LOGIN_SALT, ROUTE_ALWAYS, on_salt},
    {LOGIN_DONE, ROUTE_ALWAYS, on_done},
    {LOGIN_REVOKED, ROUTE_ALWAYS, on_revoked},
    {0, 0, NULL},
};
static void on_grant(struct channel *c, const void *record)
{
	const struct maildrop_grant *m = record;

	(void)c;
	ck_assert_uint_eq(m->ticket.len, sizeof(granted.ticket));
	memcpy(granted.ticket, m->ticket.ptr, sizeof(granted.ticket));
	ck_assert(slice_copy(m->user, granted.user, sizeof(granted.user)));
	ck_assert(slice_copy(m->kind, granted.kind, sizeof(granted.kind)));
	ck_assert(slice_copy(m->owner, granted.owner, sizeof(granted.owner)));
	ck_assert(slice_copy(m->base, granted.base, sizeof(granted.base)));
	ck_assert(slice_copy(m->path, granted.path, sizeof(granted.path)));
	ck_assert_uint_eq(m->uid, 0);
	loop_stop();
}

static const struct route maildrop_routes[] = {
    {MAILDROP_GRANT, ROUTE_ALWAYS, on_grant},
    {0, 0, NULL},
};
static const struct route usage_routes[] = {{0, 0, NULL}};

static void closed(struct channel *c)
{
	(void)c;
	loop_stop();
}

static void late(void *arg)
{
	(void)arg;
	ck_abort_msg("it did not come about");
}

static void run(void)
{
	struct loop_timer timer = {0};

	loop_timer_start(&timer, WAIT_US, late, NULL);
	loop_run();
	loop_timer_stop(&timer);
}

static struct channel *pair(const struct dialogue *d, const struct route *ours,
			    const struct route *its, struct channel **its_end)
{
	int fds[2];

	ck_assert(channel_pair(fds));
	*its_end = channel_open(fds[1], d, its, closed, NULL);
	return channel_open(fds[0], d, ours, closed, NULL);
}

static void load(const char *spec, const char *text)
{
	int fd = memfd_create("users", MFD_CLOEXEC);

	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert(shelf_load(slice_str(spec), fd));
	close(fd);
	offer_look();
	sessions_look();
}

/* Settings: example.org is ours and the origin; one or two tables. */
static void configure(const char *first, const char *second, const struct settings_auth *auth)
{
	struct settings_server server = {.origin = SLICE("example.org")};
	struct settings_domain domain = {.number = 1, .name = SLICE("example.org")};
	struct settings_passwords p = {.kind = SLICE("table")};
	struct settings_deliver delivers[] = {
	    {.number = 1,
	     .domain = 1,
	     .kind = SLICE("relay"),
	     .users = SLICE("static:bob"),
	     .next_hop = SLICE("mx")},
	    {.number = 2,
	     .domain = 1,
	     .kind = SLICE("maildir"),
	     .base = SLICE("/var/mail"),
	     .path = SLICE("%d/%n"),
	     .users = SLICE("static:alice,bob"),
	     .owner = SLICE("vmail")},
	};

	shelf_begin();
	ours_begin();
	sources_begin();
	offer_begin();
	ours_setting(&settings_server_record, &server);
	ours_setting(&settings_domain_record, &domain);
	for (unsigned i = 0; i < 2; i++) {
		ours_setting(&settings_deliver_record, &delivers[i]);
		shelf_name(delivers[i].users);
	}
	offer_setting(auth);
	failures_settings(auth->ban_after, auth->ban);
	for (unsigned i = 0; i < 2; i++) {
		p.source = slice_str(i == 0 ? first : second);
		if (p.source.len == 0)
			continue;
		shelf_name(p.source);
		sources_setting(&p);
	}
	shelf_end();
	ours_end();
	sources_end();
	offer_end();
	offer_look();
	sessions_look();
}

static const struct settings_auth usual = {.ban_after = 1000, .ban = 3600 * CLOCK_SECOND};

static void nobody_is_blocked(void)
{
	struct usage_blocked_end m = {0};

	ck_assert(channel_send(usage_link, USAGE_BLOCKED_END, &m));
}

static void setup(void)
{
	login_warm();
	hasher_start();
	submission = pair(&login_dialogue, asker_routes, askers_routes, &theirs[0]);
	control = pair(&login_dialogue, asker_routes, askers_control_routes, &theirs[1]);
	askers_up(theirs[0], 0);
	askers_control_up(theirs[1], 0);
	struct channel *usage, *mailboxes;
	maildrop = pair(&maildrop_dialogue, maildrop_routes, mailbox_routes, &mailboxes);
	mailbox_up(mailboxes, 0);
	usage_link = pair(&usage_dialogue, usage_routes, blocked_routes, &usage);
	blocked_up(usage, 0);
	nobody_is_blocked();
	configure("file:/users", "", &usual);
	load("file:/users", "alice:" SECRET "\nbob@example.org:{PLAIN}geheim\nlist\n"
			    "dave:{ARGON2ID}$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA\n"
			    "j\xc3\xb6rg:{PLAIN}geheim\nlocked:!\n"
			    "\xd7\x90\xd7\x91:{PLAIN}geheim\n");
	while (!blocked_known() || mechanisms == 0)
		run();
}

/* Numbers of questions. */
static uint64_t ask_from(struct channel *c, const char *service, const char *client,
			 const char *user, const char *password)
{
	struct login_check m = {.request = ++last,
				.service = slice_str(service),
				.mechanism = SLICE("PLAIN"),
				.client = slice_str(client),
				.user = slice_str(user),
				.password = slice_str(password)};

	asked_at[last] = clock_boot_us();
	ck_assert(channel_send(c, LOGIN_CHECK, &m));
	return last;
}

static const struct answer *answer_of(uint64_t request)
{
	waits_for = request;
	while (answers[request].result == 0)
		run();
	return &answers[request];
}

static const struct answer *check(const char *client, const char *user, const char *password)
{
	return answer_of(ask_from(submission, "smtp", client, user, password));
}

/* An administrator's: at once, not counted. */
static enum login_result test(const char *user, const char *password)
{
	return answer_of(ask_from(control, "test", "", user, password))->result;
}

START_TEST(the_password_decides_who_somebody_is)
{
	static const struct {
		const char *user, *password;
		enum login_result result;
		const char *canonical;
	} cases[] = {
	    {"alice@example.org", "geheim", LOGIN_HOLDS, "alice@example.org"},
	    {"ALICE@Example.ORG", "geheim", LOGIN_HOLDS, "alice@example.org"},
	    {"alice", "geheim", LOGIN_HOLDS, "alice@example.org"}, /* NAME@origin */
	    {"bob", "geheim", LOGIN_HOLDS, "bob@example.org"},
	    {"j\xc3\xb6rg", "geheim", LOGIN_HOLDS, "j\xc3\xb6rg@example.org"},
	    {"jo\xcc\x88rg", "geheim", LOGIN_HOLDS, "j\xc3\xb6rg@example.org"}, /* RFC 4013 */
	    {"\xd7\x90\xd7\x91@example.org", "geheim", LOGIN_HOLDS,
	     "\xd7\x90\xd7\x91@example.org"}, /* written from right to left */
	    {"alice", "Geheim", LOGIN_DENIED, ""},
	    {"alice", "", LOGIN_DENIED, ""},
	    {"alice@elsewhere.example", "geheim", LOGIN_DENIED, ""}, /* not ours */
	    {"alice+x", "geheim", LOGIN_DENIED, ""},		     /* not an extension */
	    {"nobody", "geheim", LOGIN_DENIED, ""},
	    {"list", "", LOGIN_DENIED, ""}, /* has no password */
	    {"list", "geheim", LOGIN_DENIED, ""},
	    {"locked", "!", LOGIN_DENIED, ""},
	    {"", "geheim", LOGIN_DENIED, ""},
	    {"@example.org", "geheim", LOGIN_DENIED, ""},
	    {"al\nice", "geheim", LOGIN_DENIED, ""},
	    {"alice\x7f", "geheim", LOGIN_DENIED, ""},
	    {"\xff\xfe", "geheim", LOGIN_DENIED, ""},
	    {"../alice", "geheim", LOGIN_DENIED, ""},
	    {"dave", "geheim", LOGIN_TROUBLE, ""}, /* libcrypt has no argon2 */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct answer *a =
		    answer_of(ask_from(control, "test", "", cases[i].user, cases[i].password));

		ck_assert_msg(a->result == cases[i].result, "%s: %u %s", cases[i].user, a->result,
			      a->text);
		ck_assert_str_eq(a->user, cases[i].canonical);
		ck_assert_msg((a->result == LOGIN_HOLDS) == (a->text[0] == '\0'), "%s", a->text);
	}
}
END_TEST

START_TEST(the_first_source_that_knows_the_user_decides)
{
	configure("file:/first", "file:/users", &usual);
	load("file:/first", "bob:{PLAIN}other\nalice\n");
	ck_assert_int_eq(test("bob", "other"), LOGIN_HOLDS);
	ck_assert_int_eq(test("bob", "geheim"), LOGIN_DENIED);
	/* a name without a password says nothing about it */
	ck_assert_int_eq(test("alice", "geheim"), LOGIN_HOLDS);
}
END_TEST

START_TEST(S55_a_source_in_trouble_is_no_refusal)
{
	configure("file:/absent", "file:/users", &usual);
	ck_assert_int_eq(test("alice", "geheim"), LOGIN_TROUBLE);
	ck_assert_int_eq(test("nobody", "geheim"), LOGIN_TROUBLE);
}
END_TEST

START_TEST(a_refusal_comes_late_and_others_do_not_wait_for_it)
{
	uint64_t first = ask_from(submission, "smtp", "192.0.2.1", "alice", "wrong");
	uint64_t second = ask_from(submission, "smtp", "192.0.2.2", "alice", "geheim");

	ck_assert_int_eq(answer_of(second)->result, LOGIN_HOLDS);
	ck_assert_int_eq(answers[first].result, 0);
	ck_assert_int_eq(answer_of(first)->result, LOGIN_DENIED);
	ck_assert_uint_ge(answers[first].took, FAILURES_DELAY_US);
	ck_assert_uint_ge(check("192.0.2.1", "nobody", "wrong")->took, 2 * FAILURES_DELAY_US);
	/* an administrator waits for nothing */
	ck_assert_uint_lt(answer_of(ask_from(control, "test", "192.0.2.1", "alice", "wrong"))->took,
			  FAILURES_DELAY_US);
}
END_TEST

START_TEST(failures_ban_a_client_whoever_it_says_it_is)
{
	struct settings_auth auth = {.ban_after = 2, .ban = 3600 * CLOCK_SECOND};

	configure("file:/users", "", &auth);
	ck_assert_int_eq(check("2001:db8::1", "nobody", "x")->result, LOGIN_DENIED);
	ck_assert_int_eq(check("2001:db8::2", "somebody", "x")->result, LOGIN_DENIED);
	/* the /64 is one client; all its accounts are meant */
	ck_assert_int_eq(check("2001:db8::3", "alice", "geheim")->result, LOGIN_BANNED);
	ck_assert_int_eq(check("2001:db8:0:1::3", "alice", "geheim")->result, LOGIN_HOLDS);
}
END_TEST

/* All come before the first of them has failed. */
START_TEST(who_asks_many_at_once_has_no_more_guesses_than_others)
{
	struct settings_auth auth = {.ban_after = 3, .ban = 3600 * CLOCK_SECOND};
	uint64_t wrong[4], right;
	unsigned denied = 0, banned = 0;

	configure("file:/users", "", &auth);
	for (int i = 0; i < 4; i++)
		wrong[i] = ask_from(submission, "smtp", "192.0.2.1", "alice", "guess");
	right = ask_from(submission, "smtp", "192.0.2.1", "alice", "geheim");
	ck_assert_int_eq(answer_of(right)->result, LOGIN_BANNED);
	for (int i = 0; i < 4; i++) /* two threads: any of them may be the last */
		(answer_of(wrong[i])->result == LOGIN_DENIED ? &denied : &banned)[0]++;
	ck_assert_uint_eq(denied, 3);
	ck_assert_uint_eq(banned, 1);
	ck_assert_int_eq(check("192.0.2.2", "bob", "geheim")->result, LOGIN_HOLDS);
}
END_TEST

START_TEST(users_are_blocked_and_their_sessions_end)
{
	struct usage_blocked m = {.user = SLICE("alice@example.org"), .blocked = true};

	ck_assert(channel_send(usage_link, USAGE_BLOCKED, &m));
	while (revoked[0] == '\0')
		run();
	ck_assert_str_eq(revoked, "alice@example.org");
	ck_assert_int_eq(test("alice", "geheim"), LOGIN_DENIED);
	ck_assert_int_eq(test("bob", "geheim"), LOGIN_HOLDS);
	m.blocked = false;
	ck_assert(channel_send(usage_link, USAGE_BLOCKED, &m));
	while (blocked_is("alice@example.org"))
		test("bob", "geheim");
	ck_assert_int_eq(test("alice", "geheim"), LOGIN_HOLDS);
}
END_TEST

static const char *until_revoked(void)
{
	revoked[0] = '\0';
	while (revoked[0] == '\0')
		run();
	return revoked;
}

START_TEST(sessions_end_when_the_password_or_the_user_goes)
{
	load("file:/users", "alice:{PLAIN}geheim\nbob:{PLAIN}geheim\ncarol:{PLAIN}geheim\n");
	ck_assert_int_eq(check("192.0.2.1", "alice", "geheim")->result, LOGIN_HOLDS);
	ck_assert_int_eq(check("192.0.2.1", "bob", "geheim")->result, LOGIN_HOLDS);
	ck_assert_int_eq(check("192.0.2.1", "carol", "geheim")->result, LOGIN_HOLDS);
	/* nothing has changed for carol */
	load("file:/users", "alice:{PLAIN}other\nbob:{PLAIN}geheim\ncarol:{PLAIN}geheim:1:1\n");
	ck_assert_str_eq(until_revoked(), "alice@example.org");
	load("file:/users", "alice:{PLAIN}other\ncarol:{PLAIN}geheim\n");
	ck_assert_str_eq(until_revoked(), "bob@example.org");
	configure("static:carol={PLAIN}geheim", "", &usual);
	ck_assert_str_eq(until_revoked(), "carol@example.org");
}
END_TEST

START_TEST(who_logs_in_with_a_new_password_ends_sessions_of_the_old_one)
{
	load("file:/users", "alice:{PLAIN}geheim\n");
	ck_assert_int_eq(check("192.0.2.1", "alice", "geheim")->result, LOGIN_HOLDS);
	load("file:/users", "alice:{PLAIN}other\n");
	ask_from(submission, "smtp", "192.0.2.1", "alice", "other");
	ck_assert_str_eq(until_revoked(), "alice@example.org");
	ck_assert_int_eq(answer_of(last)->result, LOGIN_HOLDS);
}
END_TEST

START_TEST(fetching_mail_needs_a_mailbox_and_gets_a_ticket)
{
	const struct answer *a =
	    answer_of(ask_from(submission, "pop3", "192.0.2.1", "Alice", "geheim"));

	ck_assert_int_eq(a->result, LOGIN_HOLDS);
	while (granted.user[0] == '\0')
		run();
	ck_assert_uint_eq(a->ticket_len, MAILDROP_TICKET_SIZE);
	ck_assert_mem_eq(a->ticket, granted.ticket, MAILDROP_TICKET_SIZE);
	ck_assert_str_eq(granted.user, "alice@example.org");
	ck_assert_str_eq(granted.kind, "maildir");
	ck_assert_str_eq(granted.owner, "vmail");
	ck_assert_str_eq(granted.base, "/var/mail");
	ck_assert_str_eq(granted.path, "example.org/alice");
	/* the first statement that knows bob sends his mail elsewhere */
	a = answer_of(ask_from(submission, "pop3", "192.0.2.1", "bob", "geheim"));
	ck_assert_int_eq(a->result, LOGIN_DENIED);
	ck_assert_uint_eq(a->ticket_len, 0);
	ck_assert_int_eq(check("192.0.2.1", "bob", "geheim")->result, LOGIN_HOLDS);
	a = answer_of(ask_from(submission, "pop3", "192.0.2.1", "alice", "wrong"));
	ck_assert_int_eq(a->result, LOGIN_DENIED);
	ck_assert_uint_eq(a->ticket_len, 0);
}
END_TEST

static uint64_t scram_for(const char *service, const char *user)
{
	struct login_scram m = {.request = ++last,
				.service = slice_str(service),
				.client = SLICE("192.0.2.1"),
				.mechanism = SLICE("SCRAM-SHA-256"),
				.user = slice_str(user)};

	asked_at[last] = clock_boot_us();
	ck_assert(channel_send(submission, LOGIN_SCRAM_ASK, &m));
	while (!answers[last].salted && answers[last].result == 0)
		run();
	return last;
}

static uint64_t scram(const char *user)
{
	return scram_for("smtp", user);
}

/* As a client would. */
static const struct answer *prove(uint64_t request, const char *password)
{
	struct scram_keys keys = answers[request].salt;
	uint8_t salted[32], client[32], stored[32], proof[32];
	struct login_proof m = {.request = request,
				.auth_message = SLICE(AUTH_MESSAGE),
				.proof = slice_make(proof, sizeof(proof))};

	PKCS5_PBKDF2_HMAC(password, (int)strlen(password), keys.salt, (int)keys.salt_len,
			  (int)keys.iterations, EVP_sha256(), sizeof(salted), salted);
	HMAC(EVP_sha256(), salted, sizeof(salted), (const uint8_t *)"Client Key", 10, client, NULL);
	EVP_Digest(client, sizeof(client), stored, NULL, EVP_sha256(), NULL);
	HMAC(EVP_sha256(), stored, sizeof(stored), (const uint8_t *)m.auth_message.ptr,
	     m.auth_message.len, proof, NULL);
	for (size_t i = 0; i < sizeof(proof); i++)
		proof[i] ^= client[i];
	ck_assert(channel_send(submission, LOGIN_PROOF, &m));
	return answer_of(request);
}

/* A domain more, before ours: whose deliver statement is number 1 now. */
static void renumber(void)
{
	struct settings_server server = {.origin = SLICE("example.org")};
	struct settings_domain domains[] = {{.number = 1, .name = SLICE("example.net")},
					    {.number = 2, .name = SLICE("example.org")}};
	struct settings_deliver deliver = {.kind = SLICE("maildir"),
					   .base = SLICE("/srv/net"),
					   .path = SLICE("%n"),
					   .users = SLICE("static:alice,bob"),
					   .owner = SLICE("vmail")};

	ours_begin();
	ours_setting(&settings_server_record, &server);
	for (unsigned i = 0; i < 2; i++) {
		ours_setting(&settings_domain_record, &domains[i]);
		deliver.number = deliver.domain = i + 1;
		ours_setting(&settings_deliver_record, &deliver);
	}
	ours_end();
}

START_TEST(a_reload_in_the_middle_of_a_login_gives_nobody_another_mailbox)
{
	uint64_t request = scram_for("pop3", "alice");
	const struct answer *a;

	ck_assert(answers[request].salted);
	renumber();
	a = prove(request, "geheim");
	ck_assert_int_eq(a->result, LOGIN_TROUBLE);
	ck_assert_uint_eq(a->ticket_len, 0);
	ck_assert_str_eq(granted.user, "");
	a = prove(scram_for("pop3", "alice"), "geheim");
	ck_assert_int_eq(a->result, LOGIN_HOLDS);
}
END_TEST

START_TEST(scram_proves_a_password_without_sending_it)
{
	uint64_t request = scram("alice");
	uint8_t signature[32], key[32], salted[32];
	struct scram_keys keys = answers[request].salt;

	ck_assert_uint_eq(keys.iterations, 4096);
	ck_assert_int_eq(prove(request, "geheim")->result, LOGIN_HOLDS);
	ck_assert_str_eq(answers[request].user, "alice@example.org");
	/* and the server knows it too (RFC 5802 3) */
	PKCS5_PBKDF2_HMAC("geheim", 6, keys.salt, (int)keys.salt_len, (int)keys.iterations,
			  EVP_sha256(), sizeof(salted), salted);
	HMAC(EVP_sha256(), salted, sizeof(salted), (const uint8_t *)"Server Key", 10, key, NULL);
	HMAC(EVP_sha256(), key, sizeof(key), (const uint8_t *)AUTH_MESSAGE, strlen(AUTH_MESSAGE),
	     signature, NULL);
	ck_assert_uint_eq(answers[request].signature_len, 32);
	ck_assert_mem_eq(signature, answers[request].signature, 32);
	ck_assert_int_eq(prove(scram("alice"), "Geheim")->result, LOGIN_DENIED);
}
END_TEST

START_TEST(scram_begun_before_a_ban_ends_with_it)
{
	struct settings_auth auth = {.ban_after = 1, .ban = 3600 * CLOCK_SECOND};
	uint64_t right = scram("alice");

	configure("file:/users", "", &auth);
	ck_assert_int_eq(check("192.0.2.1", "nobody", "x")->result, LOGIN_DENIED);
	ck_assert_int_eq(prove(right, "geheim")->result, LOGIN_BANNED);
	ck_assert_uint_eq(answers[right].signature_len, 0);
}
END_TEST

START_TEST(scram_tells_nobody_who_is_there)
{
	uint64_t one = scram("nobody"), two = scram("nobody"), three = scram("somebody");

	ck_assert_uint_eq(answers[one].salt.iterations, 4096);
	ck_assert_uint_eq(answers[one].salt.salt_len, 16);
	ck_assert_mem_eq(answers[one].salt.salt, answers[two].salt.salt, 16);
	ck_assert(memcmp(answers[one].salt.salt, answers[three].salt.salt, 16) != 0);
	ck_assert_int_eq(prove(one, "geheim")->result, LOGIN_DENIED);
	ck_assert_int_eq(prove(scram("bob"), "geheim")->result, LOGIN_DENIED); /* has no key */
	ck_assert_int_eq(prove(scram("alice@elsewhere.example"), "geheim")->result, LOGIN_DENIED);
}
END_TEST

START_TEST(what_is_offered_goes_by_the_passwords_and_the_configuration)
{
	struct settings_auth scram_alone = usual;

	ck_assert_uint_eq(mechanisms, LOGIN_PLAIN | LOGIN_LOGIN); /* bob has no key */
	load("file:/users", "alice:" SECRET "\nlist\n");
	while (!(mechanisms & LOGIN_SCRAM))
		run();
	load("file:/users", "alice:" SECRET "\nbob:{PLAIN}x\n");
	while (mechanisms & LOGIN_SCRAM)
		run();
	scram_alone.mechanisms = AUTH_SCRAM;
	configure("file:/users", "", &scram_alone);
	while (mechanisms != LOGIN_SCRAM)
		run();
}
END_TEST

START_TEST(who_hashes_a_lot_waits_for_himself)
{
	uint64_t last_of_many = 0, single;

	for (int i = 0; i < HASHER_CLIENT_MAX; i++)
		last_of_many = ask_from(submission, "smtp", "192.0.2.1", "alice", "geheim");
	single = ask_from(submission, "smtp", "192.0.2.2", "alice", "geheim");
	ck_assert_int_eq(answer_of(single)->result, LOGIN_HOLDS);
	ck_assert_int_eq(answers[last_of_many].result, 0);
	ck_assert_int_eq(answer_of(last_of_many)->result, LOGIN_HOLDS);
}
END_TEST

START_TEST(who_was_right_before_is_hashed_before_a_crowd_of_strangers)
{
	char client[64];
	uint64_t stranger = 0, turned_away = 0;

	ck_assert_int_eq(check("2001:db8:1::1", "alice", "geheim")->result, LOGIN_HOLDS);
	for (unsigned i = 0; i < HASHER_STRANGERS_MAX + 10; i++) {
		snprintf(client, sizeof(client), "198.51.%u.%u", i / 200, i % 200);
		stranger = ask_from(submission, "smtp", client, "alice", "guess");
	}
	for (unsigned i = 0; i < 2 * HASHER_CLIENT_MAX; i++) { /* one /48 */
		snprintf(client, sizeof(client), "2001:db8:2:%x::1", i);
		turned_away = ask_from(submission, "smtp", client, "alice", "guess");
	}
	ck_assert_int_eq(check("2001:db8:1::1", "alice", "geheim")->result, LOGIN_HOLDS);
	ck_assert_int_ne(answers[stranger].result, LOGIN_DENIED); /* waits, or found no place */
	ck_assert_int_eq(answers[turned_away].result, LOGIN_TROUBLE);
}
END_TEST

START_TEST(control_may_only_test_and_others_may_not)
{
	ask_from(submission, "test", "192.0.2.1", "alice", "geheim");
	while (channel_alive(theirs[0]))
		run();
	ask_from(control, "smtp", "192.0.2.1", "alice", "geheim");
	while (channel_alive(theirs[1]))
		run();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("login");
	TCase *t = tcase_create("login");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, the_password_decides_who_somebody_is);
	tcase_add_test(t, the_first_source_that_knows_the_user_decides);
	tcase_add_test(t, S55_a_source_in_trouble_is_no_refusal);
	tcase_add_test(t, a_refusal_comes_late_and_others_do_not_wait_for_it);
	tcase_add_test(t, failures_ban_a_client_whoever_it_says_it_is);
	tcase_add_test(t, who_asks_many_at_once_has_no_more_guesses_than_others);
	tcase_add_test(t, users_are_blocked_and_their_sessions_end);
	tcase_add_test(t, sessions_end_when_the_password_or_the_user_goes);
	tcase_add_test(t, who_logs_in_with_a_new_password_ends_sessions_of_the_old_one);
	tcase_add_test(t, fetching_mail_needs_a_mailbox_and_gets_a_ticket);
	tcase_add_test(t, a_reload_in_the_middle_of_a_login_gives_nobody_another_mailbox);
	tcase_add_test(t, scram_proves_a_password_without_sending_it);
	tcase_add_test(t, scram_begun_before_a_ban_ends_with_it);
	tcase_add_test(t, scram_tells_nobody_who_is_there);
	tcase_add_test(t, what_is_offered_goes_by_the_passwords_and_the_configuration);
	tcase_add_test(t, who_hashes_a_lot_waits_for_himself);
	tcase_add_test(t, who_was_right_before_is_hashed_before_a_crowd_of_strangers);
	tcase_add_test(t, control_may_only_test_and_others_may_not);
	suite_add_tcase(s, t);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
