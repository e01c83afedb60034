/*
 * keys between processes that speak TLS, all on one loop.
 */
#include <check.h>
#include <stdlib.h>

#include "common/dialogue/keys.h"
#include "common/os/loop.h"
#include "daemons/keys/askers.h"
#include "daemons/keys/ring.h"
#include "daemons/keys/tickets.h"
#include "tests/unit/net/certificates.h"

/* A loop until something has come true. */

static bool (*wanted)(void);

static void look(void *arg)
{
	(void)arg;
	if (wanted())
		loop_stop();
	else
		loop_turn_again();
}

static void late(void *arg)
{
	(void)arg;
	ck_abort_msg("it did not come true within 30 seconds");
}

static void run_until(bool (*come_true)(void))
{
	struct loop_turn turn = {0};
	struct loop_timer timer = {0};
	wanted = come_true;
	loop_turn_add(&turn, look, NULL);
	loop_timer_start(&timer, 30000000, late, NULL);
	loop_run();
	loop_timer_stop(&timer);
	loop_turn_remove(&turn);
}

/* The askers' end */

struct end {
	struct channel *here, *there;
	unsigned tickets, present, absent, answered, refused;
	unsigned char ticket_name[KEYS_TICKET_NAME], ticket_secret[KEYS_TICKET_SECRET];
	unsigned char old_name[KEYS_TICKET_NAME], old_secret[KEYS_TICKET_SECRET];
	unsigned char signature[KEYS_SIGNATURE_MAX];
	size_t len;
	uint64_t last;
	char text[201];
};

enum { A, B, OTHER, ENDS };
static struct end ends[ENDS];
static unsigned b_at; /* how many of A's were answered when the first of B's was */

static void got_tickets(struct channel *c, const void *record)
{
	struct end *e = channel_owner(c);
	const struct keys_tickets *m = record;
	e->tickets++;
	ck_assert_uint_eq(m->name.len, KEYS_TICKET_NAME);
	ck_assert_uint_eq(m->secret.len, KEYS_TICKET_SECRET);
	if (e->tickets == 1) {
		ck_assert_uint_eq(m->old_name.len, 0);
	} else {
		ck_assert_uint_eq(m->old_name.len, KEYS_TICKET_NAME);
		ck_assert_uint_eq(m->old_secret.len, KEYS_TICKET_SECRET);
		memcpy(e->old_name, m->old_name.ptr, m->old_name.len);
		memcpy(e->old_secret, m->old_secret.ptr, m->old_secret.len);
	}
	memcpy(e->ticket_name, m->name.ptr, m->name.len);
	memcpy(e->ticket_secret, m->secret.ptr, m->secret.len);
}

static void got_present(struct channel *c, const void *record)
{
	struct end *e = channel_owner(c);
	const struct keys_present *m = record;
	e->present += m->present;
	e->absent += !m->present;
}

static void got_signed(struct channel *c, const void *record)
{
	struct end *e = channel_owner(c);
	const struct keys_signed *m = record;
	e->answered++;
	e->refused += m->signature.len == 0;
	ck_assert((m->signature.len == 0) == (m->text.len > 0));
	e->last = m->request;
	e->len = m->signature.len;
	if (e->len > 0)
		memcpy(e->signature, m->signature.ptr, e->len);
	slice_copy(m->text, e->text, sizeof(e->text));
	if (e == &ends[B] && e->answered == 1)
		b_at = ends[A].answered;
}

static const struct route end_routes[] = {
    {KEYS_TICKETS, ROUTE_ALWAYS, got_tickets},
    {KEYS_PRESENT, ROUTE_ALWAYS, got_present},
    {KEYS_SIGNED, ROUTE_ALWAYS, got_signed},
    {0, 0, NULL},
};

static void closed(struct channel *c)
{
	(void)c;
	ck_abort_msg("a channel was closed");
}

static void end_open(struct end *e, void (*up)(struct channel *c, unsigned instance))
{
	int fds[2];
	ck_assert(channel_pair(fds));
	e->there = channel_open(fds[0], &keys_dialogue, end_routes, closed, e);
	e->here = channel_open(fds[1], &keys_dialogue, askers_routes, closed, NULL);
	up(e->here, 0);
}

static bool all_have_tickets(void)
{
	return ends[A].tickets > 0 && ends[B].tickets > 0 && ends[OTHER].tickets > 0;
}

static void setup(void)
{
	ring_begin(askers_present);
	askers_start();
	memset(ends, 0, sizeof(ends));
	end_open(&ends[A], askers_smtpd_up);
	end_open(&ends[B], askers_smtpd_up);
	end_open(&ends[OTHER], askers_pop3d_up);
	run_until(all_have_tickets);
}

static EVP_PKEY *key;
static unsigned char name[KEYS_NAME_SIZE];

static void have_key(const char *kind)
{
	struct slice pem;
	struct tls_private *k;
	key = key_make(kind);
	pem = key_pem(key);
	k = tls_private_read(pem, NULL);
	memcpy(name, tls_private_name(k), sizeof(name));
	ring_add(k);
	free((char *)pem.ptr);
}

static const char proof[] = "                                                                "
			    "TLS 1.3, server CertificateVerify\0"
			    "0123456789abcdef0123456789abcdef";

static void ask(unsigned end, uint64_t request, uint32_t scheme, struct slice text)
{
	struct keys_sign m = {.request = request,
			      .name = slice_make(name, sizeof(name)),
			      .purpose = KEYS_TLS13_SERVER,
			      .scheme = scheme,
			      .text = text};
	ck_assert(channel_send(ends[end].there, KEYS_SIGN, &m));
}

static bool a_has_one(void)
{
	return ends[A].answered >= 1;
}

START_TEST(tickets_are_one_services_and_all_its_processes)
{
	ck_assert_mem_eq(ends[A].ticket_name, ends[B].ticket_name, KEYS_TICKET_NAME);
	ck_assert_mem_eq(ends[A].ticket_secret, ends[B].ticket_secret, KEYS_TICKET_SECRET);
	ck_assert_mem_ne(ends[A].ticket_name, ends[OTHER].ticket_name, KEYS_TICKET_NAME);
	ck_assert_mem_ne(ends[A].ticket_secret, ends[OTHER].ticket_secret, KEYS_TICKET_SECRET);
}
END_TEST

static bool all_have_tickets_again(void)
{
	return ends[A].tickets > 1 && ends[B].tickets > 1 && ends[OTHER].tickets > 1;
}

START_TEST(tickets_change_and_the_ones_before_still_open)
{
	struct end before = ends[A];
	tickets_turn();
	run_until(all_have_tickets_again);
	ck_assert_mem_ne(ends[A].ticket_name, before.ticket_name, KEYS_TICKET_NAME);
	ck_assert_mem_ne(ends[A].ticket_secret, before.ticket_secret, KEYS_TICKET_SECRET);
	ck_assert_mem_eq(ends[A].old_name, before.ticket_name, KEYS_TICKET_NAME);
	ck_assert_mem_eq(ends[A].old_secret, before.ticket_secret, KEYS_TICKET_SECRET);
	ck_assert_mem_eq(ends[A].ticket_secret, ends[B].ticket_secret, KEYS_TICKET_SECRET);
}
END_TEST

static bool a_heard_of_absence(void)
{
	return ends[A].absent > 0;
}

static bool all_heard_of_presence(void)
{
	return ends[A].present > 0 && ends[B].present > 0 && ends[OTHER].present > 0;
}

START_TEST(who_asks_for_a_key_hears_of_it_when_it_comes)
{
	struct keys_ask m = {.name = slice_make(name, sizeof(name))};
	ck_assert(channel_send(ends[A].there, KEYS_ASK, &m));
	run_until(a_heard_of_absence);
	have_key("ED25519");
	run_until(all_heard_of_presence);
	ck_assert_uint_eq(ends[A].absent, 1);
	EVP_PKEY_free(key);
}
END_TEST

START_TEST(a_handshakes_proof_is_signed)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	have_key("ED25519");
	ask(A, 77, 0x0807, slice_make(proof, sizeof(proof) - 1));
	run_until(a_has_one);
	ck_assert_uint_eq(ends[A].last, 77);
	ck_assert_int_eq(EVP_DigestVerifyInit_ex(md, NULL, NULL, NULL, NULL, key, NULL), 1);
	ck_assert_int_eq(EVP_DigestVerify(md, ends[A].signature, ends[A].len,
					  (const unsigned char *)proof, sizeof(proof) - 1),
			 1);
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(key);
}
END_TEST

static bool a_has_four(void)
{
	return ends[A].answered >= 4;
}

START_TEST(all_else_is_refused)
{
	have_key("ED25519");
	ask(A, 1, 0x0403, slice_make(proof, sizeof(proof) - 1)); /* another kind's scheme */
	ask(A, 2, 0x0807, SLICE("From: president@example.com")); /* not of TLS */
	ask(A, 3, 0x0807, SLICE_EMPTY);
	name[0] ^= 1; /* there is no such key */
	ask(A, 4, 0x0807, slice_make(proof, sizeof(proof) - 1));
	run_until(a_has_four);
	ck_assert_uint_eq(ends[A].refused, 4);
	EVP_PKEY_free(key);
}
END_TEST

static bool both_are_done(void)
{
	return ends[A].answered == 300 && ends[B].answered == 1;
}

START_TEST(who_asks_for_much_makes_the_others_wait_for_little)
{
	have_key("RSA");
	for (unsigned i = 1; i <= 300; i++)
		ask(A, i, 0x0804, slice_make(proof, sizeof(proof) - 1));
	ask(B, 1, 0x0804, slice_make(proof, sizeof(proof) - 1));
	run_until(both_are_done);
	ck_assert_uint_eq(ends[A].refused, 0);
	ck_assert_uint_le(b_at, 2 * SIGNATURES_A_TURN);
	EVP_PKEY_free(key);
}
END_TEST

static bool a_has_too_many(void)
{
	return ends[A].answered >= 10;
}

START_TEST(what_waits_is_bounded)
{
	have_key("RSA");
	for (unsigned i = 1; i <= ASKER_WAITING_MAX + 10; i++)
		ask(A, i, 0x0804, slice_make(proof, sizeof(proof) - 1));
	run_until(a_has_too_many);
	ck_assert_uint_ge(ends[A].refused, 10 - SIGNATURES_A_TURN);
	ck_assert_ptr_nonnull(strstr("too many handshakes at once", ends[A].text));
	askers_down(ends[A].here); /* with all that waits */
	EVP_PKEY_free(key);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keys askers");
	TCase *t = tcase_create("askers");
	int failed;
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, tickets_are_one_services_and_all_its_processes);
	tcase_add_test(t, tickets_change_and_the_ones_before_still_open);
	tcase_add_test(t, who_asks_for_a_key_hears_of_it_when_it_comes);
	tcase_add_test(t, a_handshakes_proof_is_signed);
	tcase_add_test(t, all_else_is_refused);
	tcase_add_test(t, who_asks_for_much_makes_the_others_wait_for_little);
	tcase_add_test(t, what_waits_is_bounded);
	suite_add_tcase(s, t);
	SRunner *runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
