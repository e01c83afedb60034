/*
 * Only a definite miss is a miss: every error of the look-up is trouble, and mail waits (S55).
 * Nobody is root here, whatever the name: root's mail goes to whom an alias says.
 */
#include "daemons/accounts-system/lookup.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/dialogue/accounts.h"
#include "common/os/user.h"
#include "common/wire/codec.h"

_Static_assert((int)USER_GROUPS_MAX <= (int)ACCOUNTS_GROUPS_MAX, "all groups are told");

static void fill(struct accounts_answer *m, const struct user_account *account, char *groups)
{
	for (size_t i = 0; i < account->group_count; i++)
		put_u32(groups + 4 * i, account->groups[i]);
	m->result = ACCOUNTS_KNOWN;
	m->uid = account->uid;
	m->gid = account->gid;
	m->home = slice_str(account->home);
	m->groups = slice_make(groups, 4 * account->group_count);
}

static void look_up(const char *name, struct user_account *account, struct error *e,
		    struct accounts_answer *m, char *groups)
{
	if (!user_account_find(name, account, e)) {
		m->result = e->code == ENOENT ? ACCOUNTS_MISSING : ACCOUNTS_TROUBLE;
		m->text = m->result == ACCOUNTS_TROUBLE ? slice_str(e->text) : SLICE_EMPTY;
	} else if (account->uid == 0 || account->gid == 0) {
		m->result = ACCOUNTS_MISSING;
	} else {
		fill(m, account, groups);
	}
}

void lookup_child(struct slice name, int fd)
{
	struct accounts_answer m = {.result = ACCOUNTS_TROUBLE};
	struct user_account account;
	struct buffer octets;
	struct error e = {0};
	char text[USER_NAME_MAX + 1], groups[4 * USER_GROUPS_MAX];
	alarm(LOOKUP_LIFE_SECONDS);
	if (user_name_valid(name) && slice_copy(name, text, sizeof(text)))
		look_up(text, &account, &e, &m, groups);
	else
		m.result = ACCOUNTS_MISSING;
	buffer_init(&octets, LOOKUP_ANSWER_MAX);
	if (codec_encode(&accounts_answer_record, &m, &octets)) {
		struct slice s = buffer_slice(&octets);
		(void)!send(fd, s.ptr, s.len, MSG_NOSIGNAL); /* without an answer it is trouble */
	}
	buffer_free(&octets);
}
