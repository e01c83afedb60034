/*
 * session_log: what strangers call themselves and their mail does not hide what was said to them.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemons/smtpd/smtpd.h"

static char last[LOG_LINE_MAX];
static size_t last_len;

static void keep(enum log_level level, struct slice line)
{
	(void)level;
	memcpy(last, line.ptr, line.len);
	last_len = line.len;
}

/* The value of a key in the last line; empty: it is not there. */
static struct slice value_of(const char *wanted, char value[LOG_LINE_MAX])
{
	struct slice line = slice_make(last, last_len), key;
	size_t len;
	while (log_read_pair(&line, &key, value, LOG_LINE_MAX, &len))
		if (slice_equal(key, slice_str(wanted)))
			return slice_make(value, len);
	return SLICE_EMPTY;
}

START_TEST(the_longest_names_do_not_cut_off_the_refusal)
{
	static char helo[HOST_NAME_MAX_OCTETS + 1], name[HOST_NAME_MAX_OCTETS + 1];
	static char address[ADDRESS_SIZE], text[2 * ADDRESS_SIZE], value[LOG_LINE_MAX];
	struct transaction t = {.id = 1};
	struct session s = {.transaction = &t, .helo = helo, .name = name, .esmtp = true};
	struct slice reply;
	memset(helo, '"', sizeof(helo) - 1); /* each takes two octets in the log */
	memset(name, 'n', sizeof(name) - 1);
	memset(address, '"', sizeof(address) - 1);
	t.sender = slice_str(address);
	slice_copy(SLICE("2001:db8:1111:2222:3333:4444:5555:6666"), s.address, sizeof(s.address));
	snprintf(text, sizeof(text), "<%s>: Recipient address rejected: User unknown", address);
	log_set_sink(keep, LOG_LEVEL_INFO);
	session_log_refusal(&s, "RCPT", 550, "5.1.1", slice_str(text), slice_str(address));
	reply = value_of("reply", value);
	ck_assert(slice_starts(reply, SLICE("550 5.1.1 <")));
	ck_assert(slice_ends_fold(reply, SLICE("User unknown")));
	ck_assert(slice_equal(value_of("client", value), slice_str(s.address)));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("session_log");
	TCase *t = tcase_create("lines");
	SRunner *sr;
	int failed;
	tcase_add_test(t, the_longest_names_do_not_cut_off_the_refusal);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
