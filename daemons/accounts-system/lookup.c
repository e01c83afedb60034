/*
 * Only a definite miss is a miss: every error of the look-up is trouble, and mail waits (S55).
 * Nobody is root here, whatever the name: root's mail goes to whom an alias says.
 */
#include "daemons/accounts-system/lookup.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/bytes.h"
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

static void look_up(const char *name, struct lookup *l, struct accounts_answer *m)
{
	if (!user_account_find(name, &l->account, &l->e)) {
		m->result = l->e.code == ENOENT ? ACCOUNTS_MISSING : ACCOUNTS_TROUBLE;
		m->text = m->result == ACCOUNTS_TROUBLE ? slice_str(l->e.text) : SLICE_EMPTY;
	} else if (l->account.uid == 0 || l->account.gid == 0) {
		m->result = ACCOUNTS_MISSING;
	} else {
		fill(m, &l->account, l->groups);
	}
}

void lookup_find(struct slice name, struct lookup *l, struct accounts_answer *m)
{
	char text[USER_NAME_MAX + 1];
	*m = (struct accounts_answer){.result = ACCOUNTS_MISSING};
	if (user_name_valid(name) && slice_copy(name, text, sizeof(text)))
		look_up(text, l, m);
}

void lookup_send(const struct accounts_answer *m, int fd)
{
	struct buffer octets;
	buffer_init(&octets, LOOKUP_ANSWER_MAX);
	if (codec_encode(&accounts_answer_record, m, &octets)) {
		struct slice s = buffer_slice(&octets);
		(void)!send(fd, s.ptr, s.len, MSG_NOSIGNAL); /* without an answer it is trouble */
	}
	buffer_free(&octets);
}

void lookup_child(struct slice name, int fd)
{
	static struct lookup l;
	struct accounts_answer m = {.result = ACCOUNTS_TROUBLE};
	alarm(LOOKUP_LIFE_SECONDS);
	if (user_keep_capabilities(0, &l.e)) /* what PAM may need is nothing for it */
		lookup_find(name, &l, &m);
	else
		m.text = slice_str(l.e.text);
	lookup_send(&m, fd);
}
