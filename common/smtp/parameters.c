/*
 * parameters: KEY=VALUE words, and the ones that MAIL knows. A parameter that was not offered is
 * refused (RFC 5321 4.1.1.11: 555).
 */
#include "common/smtp/parameters.h"

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

bool parameters_parse_mail(struct slice parameters, struct mail_parameters *m, struct refusal *why)
{
	static const struct {
		struct slice key;
		bool (*read)(const struct parameter *, struct mail_parameters *, struct refusal *);
	} known[] = {
	    {{"SIZE", 4}, read_size},
	    {{"BODY", 4}, read_body},
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

bool parameters_parse_rcpt(struct slice parameters, struct refusal *why)
{
	struct parameter p;
	int more = parameter_next(&parameters, &p, why);

	if (more > 0)
		return refuse(why, 555, "5.5.4", "Unsupported parameter");
	return more == 0;
}
