/*
 * records_login: TLS, passwords and what users may send, as settings records.
 */
#include "common/config/records.h"

static bool add_pairs(struct building *b, const struct node *block)
{
	const struct node *certificate, *key = TAILQ_FIRST(&block->block);
	uint32_t number = 0;
	TAILQ_FOREACH (certificate, &block->block, link) {
		if (!node_is(certificate, "certificate"))
			continue;
		while (key && !node_is(key, "key"))
			key = TAILQ_NEXT(key, link);
		if (!key)
			return true; /* check says so */
		struct settings_certificate *pair = records_add(b, &settings_certificate_record);
		if (!pair)
			return false;
		pair->number = ++number;
		pair->certificate = certificate->texts[0];
		pair->key = key->texts[0];
		key = TAILQ_NEXT(key, link);
	}
	return true;
}

bool records_tls(struct building *b, const struct node *block)
{
	struct settings_tls *tls = records_add(b, &settings_tls_record);
	const struct node *minimum = node_find(&block->block, "minimum");
	if (!tls)
		return false;
	tls->minimum = minimum && slice_equal(minimum->texts[0], SLICE("1.3")) ? 13 : 12;
	return add_pairs(b, block);
}

static bool add_source(struct building *b, uint32_t *number, const char *kind, struct slice source)
{
	struct settings_passwords *p = records_add(b, &settings_passwords_record);
	if (!p)
		return false;
	p->number = ++*number;
	p->kind = slice_str(kind);
	p->source = source;
	return true;
}

static bool add_sources(struct building *b, const struct node *n, uint32_t *number)
{
	if (slice_equal(n->texts[0], SLICE("pam")))
		return add_source(b, number, "pam", n->texts[1]);
	if (slice_equal(n->texts[0], SLICE("dovecot")))
		return add_source(b, number, "dovecot", n->texts[1]);
	for (size_t i = 0; i < n->text_count; i++)
		if (!add_source(b, number, "table", n->texts[i]))
			return false;
	return true;
}

static uint32_t mechanisms(const struct node *n)
{
	uint32_t all = 0;
	for (size_t i = 0; i < n->text_count; i++)
		all |= slice_equal(n->texts[i], SLICE("plain"))		  ? AUTH_PLAIN
		       : slice_equal(n->texts[i], SLICE("login"))	  ? AUTH_LOGIN
		       : slice_equal(n->texts[i], SLICE("scram-sha-256")) ? AUTH_SCRAM
									  : AUTH_SCRAM_PLUS;
	return all;
}

bool records_auth(struct building *b, const struct node *block, struct settings_auth *auth)
{
	const struct node *n;
	uint32_t number = 0;
	TAILQ_FOREACH (n, &block->block, link) {
		if (node_is(n, "mechanisms"))
			auth->mechanisms = mechanisms(n);
		else if (node_is(n, "passwords") && !add_sources(b, n, &number))
			return false;
	}
	return true;
}

static void set_rates(const struct node *n, uint32_t *hour, uint32_t *day)
{
	*hour = (uint32_t)(n->number >> 32);
	*day = (uint32_t)n->number;
}

bool records_submission(struct building *b, const struct node *block,
			struct settings_submission *submission)
{
	const struct node *n;
	uint32_t unused;
	TAILQ_FOREACH (n, &block->block, link) {
		if (node_is(n, "messages"))
			set_rates(n, &submission->messages_hour, &submission->messages_day);
		else if (node_is(n, "recipients"))
			set_rates(n, &submission->recipients_hour, &submission->recipients_day);
		else if (node_is(n, "new-recipients"))
			set_rates(n, &unused, &submission->new_recipients_day);
		for (size_t i = 0; node_is(n, "senders") && i < n->text_count; i++) {
			struct settings_senders *s = records_add(b, &settings_senders_record);
			if (!s)
				return false;
			s->table = n->texts[i];
		}
	}
	return true;
}
