/*
 * parameters: KEY=VALUE words, and the ones that MAIL and RCPT know. A parameter that was not
 * offered is refused (RFC 5321 4.1.1.11: 555).
 */
#include "common/smtp/parameters.h"

#include "common/mail/xtext.h"

enum { SIZE_DIGITS_MAX = 20 }; /* RFC 1870 3 */

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

static bool key_valid(struct slice key)
{
	if (key.len == 0 || !is_alnum(key.ptr[0]))
		return false;
	for (size_t i = 1; i < key.len; i++) {
		if (!is_alnum(key.ptr[i]) && key.ptr[i] != '-')
			return false;
	}
	return true;
}

static bool value_valid(struct slice value)
{
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] < 33 || value.ptr[i] > 126 || value.ptr[i] == '=')
			return false;
	}
	return value.len > 0;
}

int parameter_next(struct slice *rest, struct parameter *p, struct refusal *why)
{
	struct slice word = slice_word(rest);

	if (word.len == 0)
		return 0;
	p->has_value = slice_split(word, '=', &p->key, &p->value);
	if (!key_valid(p->key) || (p->has_value && !value_valid(p->value))) {
		(void)refuse(why, 501, "5.5.4", "Bad parameter syntax");
		return -1;
	}
	return 1;
}

static bool read_size(const struct parameter *p, struct mail_parameters *m, struct refusal *why)
{
	if (m->has_size)
		return refuse(why, 501, "5.5.4", "SIZE given twice");
	if (!p->has_value || p->value.len > SIZE_DIGITS_MAX)
		return refuse(why, 501, "5.5.4", "Bad SIZE value");
	for (size_t i = 0; i < p->value.len; i++) {
		if (p->value.ptr[i] < '0' || p->value.ptr[i] > '9')
			return refuse(why, 501, "5.5.4", "Bad SIZE value");
	}
	m->has_size = true;
	if (!slice_number(p->value, UINT64_MAX, &m->size))
		m->size = UINT64_MAX;
	return true;
}

static bool read_body(const struct parameter *p, struct mail_parameters *m, struct refusal *why)
{
	if (m->body != MAIL_BODY_UNSAID)
		return refuse(why, 501, "5.5.4", "BODY given twice");
	if (p->has_value && slice_equal_fold(p->value, SLICE("7BIT")))
		m->body = MAIL_BODY_7BIT;
	else if (p->has_value && slice_equal_fold(p->value, SLICE("8BITMIME")))
		m->body = MAIL_BODY_8BITMIME;
	else
		return refuse(why, 501, "5.5.4", "Bad BODY value");
	return true;
}

static bool read_utf8(const struct parameter *p, struct mail_parameters *m, struct refusal *why)
{
	if (m->utf8)
		return refuse(why, 501, "5.5.4", "SMTPUTF8 given twice");
	if (p->has_value)
		return refuse(why, 501, "5.5.4", "SMTPUTF8 takes no value");
	m->utf8 = true;
	return true;
}

static bool read_ret(const struct parameter *p, struct mail_parameters *m, struct refusal *why)
{
	if (m->ret != MAIL_RET_UNSAID)
		return refuse(why, 501, "5.5.4", "RET given twice");
	if (slice_equal_fold(p->value, SLICE("FULL")))
		m->ret = MAIL_RET_FULL;
	else if (slice_equal_fold(p->value, SLICE("HDRS")))
		m->ret = MAIL_RET_HDRS;
	else
		return refuse(why, 501, "5.5.4", "Bad RET value");
	return true;
}

static bool read_envid(const struct parameter *p, struct mail_parameters *m, struct refusal *why)
{
	if (m->envid.len > 0)
		return refuse(why, 501, "5.5.4", "ENVID given twice");
	if (p->value.len == 0 || p->value.len > PARAMETER_ENVID_MAX || !xtext_valid(p->value))
		return refuse(why, 501, "5.5.4", "Bad ENVID value");
	m->envid = p->value;
	return true;
}

/* RFC 4954 5: `<>`, or an address. */
static bool read_auth(const struct parameter *p, struct mail_parameters *m, struct refusal *why)
{
	if (m->auth)
		return refuse(why, 501, "5.5.4", "AUTH given twice");
	if (p->value.len == 0 || p->value.len > PARAMETER_AUTH_MAX ||
	    (!slice_equal(p->value, SLICE("<>")) && !xtext_valid(p->value)))
		return refuse(why, 501, "5.5.4", "Bad AUTH value");
	m->auth = true;
	return true;
}

bool parameters_parse_mail(struct slice parameters, struct mail_parameters *m, struct refusal *why)
{
	static const struct {
		struct slice key;
		bool (*read)(const struct parameter *, struct mail_parameters *, struct refusal *);
	} known[] = {
	    {{"SIZE", 4}, read_size}, {{"BODY", 4}, read_body},	  {{"SMTPUTF8", 8}, read_utf8},
	    {{"RET", 3}, read_ret},   {{"ENVID", 5}, read_envid}, {{"AUTH", 4}, read_auth},
	};
	enum { KNOWN_COUNT = sizeof(known) / sizeof(known[0]) };
	struct parameter p;
	int more;

	*m = (struct mail_parameters){0};
	while ((more = parameter_next(&parameters, &p, why)) > 0) {
		size_t i = 0;
		while (i < KNOWN_COUNT && !slice_equal_fold(p.key, known[i].key))
			i++;
		if (i == KNOWN_COUNT)
			return refuse(why, 555, "5.5.4", "Unsupported parameter");
		if (!known[i].read(&p, m, why))
			return false;
	}
	return more == 0;
}

/* NEVER stands alone (S21); a word that is said twice says nothing new. */
static bool read_notify(const struct parameter *p, struct rcpt_parameters *r, struct refusal *why)
{
	static const struct {
		struct slice word;
		unsigned flag;
	} words[] = {
	    {{"NEVER", 5}, RCPT_NOTIFY_NEVER},
	    {{"SUCCESS", 7}, RCPT_NOTIFY_SUCCESS},
	    {{"FAILURE", 7}, RCPT_NOTIFY_FAILURE},
	    {{"DELAY", 5}, RCPT_NOTIFY_DELAY},
	};
	enum { WORD_COUNT = sizeof(words) / sizeof(words[0]) };
	struct slice word, rest = p->value;
	bool more;

	if (r->notify != 0)
		return refuse(why, 501, "5.5.4", "NOTIFY given twice");
	do {
		size_t i = 0;
		more = slice_split(rest, ',', &word, &rest);
		while (i < WORD_COUNT && !slice_equal_fold(word, words[i].word))
			i++;
		if (i == WORD_COUNT)
			return refuse(why, 501, "5.5.4", "Bad NOTIFY value");
		r->notify |= words[i].flag;
	} while (more);
	if ((r->notify & RCPT_NOTIFY_NEVER) != 0 && slice_find(p->value, ',') < p->value.len)
		return refuse(why, 501, "5.5.4", "NOTIFY=NEVER stands alone");
	return true;
}

/* An addr-type is an atom (RFC 3461 4.2, RFC 5322 3.2.3). */
static bool type_valid(struct slice type)
{
	for (size_t i = 0; i < type.len; i++)
		if (!is_alnum(type.ptr[i]) && strchr("!#$%&'*+-/=?^_`{|}~", type.ptr[i]) == NULL)
			return false;
	return type.len > 0;
}

static bool read_orcpt(const struct parameter *p, struct rcpt_parameters *r, struct refusal *why)
{
	struct slice type, address;

	if (r->orcpt.len > 0)
		return refuse(why, 501, "5.5.4", "ORCPT given twice");
	if (p->value.len > PARAMETER_ORCPT_MAX || !slice_split(p->value, ';', &type, &address) ||
	    !type_valid(type) || address.len == 0 || !xtext_valid(address))
		return refuse(why, 501, "5.5.4", "Bad ORCPT value");
	r->orcpt = p->value;
	return true;
}

bool parameters_parse_rcpt(struct slice parameters, struct rcpt_parameters *r, struct refusal *why)
{
	struct parameter p;
	int more;

	*r = (struct rcpt_parameters){0};
	while ((more = parameter_next(&parameters, &p, why)) > 0) {
		bool fine;

		if (slice_equal_fold(p.key, SLICE("NOTIFY")))
			fine = read_notify(&p, r, why);
		else if (slice_equal_fold(p.key, SLICE("ORCPT")))
			fine = read_orcpt(&p, r, why);
		else
			return refuse(why, 555, "5.5.4", "Unsupported parameter");
		if (!fine)
			return false;
	}
	return more == 0;
}
