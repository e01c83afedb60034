/*
 * Whether the machine knows the user is asked first: only then PAM decides, and no later source.
 */
#include "daemons/accounts/pam.h"

#include "daemons/accounts/machine.h"

static void said(void *arg, const struct accounts_answer *a)
{
	struct login *l = arg;

	if (a->result == ACCOUNTS_KNOWN)
		login_holds(l);
	else if (a->result == ACCOUNTS_MISSING)
		login_fails(l, "PAM refuses the password");
	else
		login_trouble(l, "%.*s", SLICE_FMT(slice_sub(a->text, 0, LOGIN_TEXT_MAX)));
}

static void known(void *arg, const struct accounts_answer *a)
{
	struct login *l = arg;
	struct accounts_password m = {
	    .pam = slice_str(l->sources->list[l->source].text),
	    .user = slice_str(l->name.user),
	    .client = slice_str(l->client_len > 0 ? l->client : ""),
	    .password = slice_make(l->password, l->password_len),
	};

	m.turn = login_turn(l, &m.known);
	if (a->result == ACCOUNTS_MISSING)
		login_unknown(l);
	else if (a->result == ACCOUNTS_KNOWN && l->scram)
		login_keyless(l);
	else if (a->result == ACCOUNTS_KNOWN)
		machine_password(&m, said, l);
	else
		login_trouble(l, "%.*s", SLICE_FMT(slice_sub(a->text, 0, LOGIN_TEXT_MAX)));
}

void login_ask_pam(struct login *l, const struct source *s)
{
	(void)s;
	if (!ours_machine(&l->name))
		login_unknown(l);
	else
		machine_ask(slice_str(l->name.user), known, l);
}
