/*
 * path: FROM:<...> and TO:<...>. The mailbox itself is mail/address; here are the brackets, the
 * null path and the words of refusal (codes of RFC 5321 4.2.3, RFC 3463, RFC 6531 3.5).
 */
#include "common/smtp/path.h"

enum path_side { SIDE_MAIL, SIDE_RCPT };

/* What differs between the two commands, once. */
static const struct {
	struct slice keyword;
	unsigned ascii_code;
	const char *bad_address; /* enhanced code */
	const char *syntax;
	const char *fault_text[ADDRESS_NOT_ASCII + 1];
} sides[] = {
    [SIDE_MAIL] = {{"FROM:", 5},
		   550,
		   "5.1.7",
		   "Syntax: MAIL FROM:<address>",
		   {[ADDRESS_EMPTY] = "Bad sender address syntax",
		    [ADDRESS_BAD_LOCAL] = "Bad sender address syntax",
		    [ADDRESS_BAD_DOMAIN] = "Bad domain in the sender address",
		    [ADDRESS_MISSING_DOMAIN] = "Domain name required in the sender address",
		    [ADDRESS_BAD_ROUTE] = "Bad source route in the sender address",
		    [ADDRESS_TOO_LONG] = "Sender address too long",
		    [ADDRESS_NOT_ASCII] = "Sender address must be ASCII, or UTF-8 with SMTPUTF8"}},
    [SIDE_RCPT] = {{"TO:", 3},
		   553,
		   "5.1.3",
		   "Syntax: RCPT TO:<address>",
		   {[ADDRESS_EMPTY] = "Recipient address is empty",
		    [ADDRESS_BAD_LOCAL] = "Bad recipient address syntax",
		    [ADDRESS_BAD_DOMAIN] = "Bad domain in the recipient address",
		    [ADDRESS_MISSING_DOMAIN] = "Domain name required in the recipient address",
		    [ADDRESS_BAD_ROUTE] = "Bad source route in the recipient address",
		    [ADDRESS_TOO_LONG] = "Recipient address too long",
		    [ADDRESS_NOT_ASCII] =
			"Recipient address must be ASCII, or UTF-8 with SMTPUTF8"}},
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool path_parse(enum path_side side, struct slice argument, unsigned options,
		       struct address *a, struct slice *parameters, struct refusal *why)
{
	struct slice text;
	enum address_fault fault;
	size_t end;

	address_null(a);
	*parameters = SLICE_EMPTY;
	if (!slice_starts_fold(argument, sides[side].keyword))
		return refuse(why, 501, "5.5.4", sides[side].syntax);
	/* RFC 5321 3.3 has no blank behind the colon, many senders do */
	text = slice_trim(slice_from(argument, sides[side].keyword.len));
	if (text.len == 0 || text.ptr[0] != '<')
		return refuse(why, 501, "5.5.4", sides[side].syntax);
	text = slice_from(text, 1);
	end = address_end(text);
	if (end == text.len || (end + 1 < text.len && !is_blank(text.ptr[end + 1])))
		return refuse(why, 501, "5.5.4", sides[side].syntax);
	*parameters = slice_trim(slice_from(text, end + 1));
	if (end == 0 && side == SIDE_MAIL)
		return true; /* the null reverse-path, RFC 5321 4.5.5 */
	fault = address_parse(slice_sub(text, 0, end), options, a);
	if (fault == ADDRESS_NOT_ASCII)
		return refuse(why, sides[side].ascii_code, "5.6.7", sides[side].fault_text[fault]);
	if (fault != ADDRESS_FINE)
		return refuse(why, 501, sides[side].bad_address, sides[side].fault_text[fault]);
	return true;
}

bool path_parse_mail(struct slice argument, unsigned options, struct address *reverse_path,
		     struct slice *parameters, struct refusal *why)
{
	return path_parse(SIDE_MAIL, argument, options, reverse_path, parameters, why);
}

bool path_parse_rcpt(struct slice argument, unsigned options, struct address *recipient,
		     struct slice *parameters, struct refusal *why)
{
	return path_parse(SIDE_RCPT, argument, options, recipient, parameters, why);
}
