/*
 * The same walk that a delivery takes (router, local), so that mail is fetched from where it was
 * put. When the settings change on the way, while a password is computed or the machine is asked
 * who its user is, the numbers mean others' statements, and the login is to be done again.
 */
#include "daemons/accounts/mailbox.h"

#include <openssl/rand.h>

#include "common/base/memory.h"
#include "common/mail/mailbox_path.h"
#include "daemons/accounts/machine.h"
#include "daemons/accounts/shelf.h"

struct walk {
	struct login_name name;
	size_t statement; /* that is asked now, in its domain */
	mailbox_done *done;
	void *arg;
};

static struct channel *maildrop; /* NULL: none now */

static void end(struct walk *w, enum mailbox_result result, const uint8_t *ticket, const char *text)
{
	mailbox_done *done = w->done;
	void *arg = w->arg;

	memory_free(w);
	done(arg, result, ticket, text);
}

static void send_grant(struct walk *w, struct maildrop_grant *m)
{
	uint8_t ticket[MAILDROP_TICKET_SIZE];

	if (RAND_bytes(ticket, sizeof(ticket)) != 1)
		fatal("OpenSSL has no random octets");
	m->ticket = slice_make(ticket, sizeof(ticket));
	m->user = slice_str(w->name.address);
	bool sent = maildrop != NULL && channel_send(maildrop, MAILDROP_GRANT, m);
	m->ticket = SLICE_EMPTY;
	if (!sent)
		end(w, MAILBOX_TROUBLE, NULL, "the daemon maildrop is not there now");
	else
		end(w, MAILBOX_GRANTED, ticket, "");
}

/* A Maildir of the owner of all mailboxes. */
static void grant_virtual(struct walk *w, const struct ours_deliver *d)
{
	char path[MAILBOX_PATH_SIZE];
	const char *fault =
	    mailbox_path_expand(d->path, slice_str(w->name.user), slice_str(w->name.domain), path);
	struct maildrop_grant m = {
	    .kind = SLICE("maildir"), .owner = d->owner, .base = d->base, .path = slice_str(path)};

	if (fault != NULL)
		end(w, MAILBOX_NONE, NULL, fault);
	else
		send_grant(w, &m);
}

static void grant_system(struct walk *w, const struct ours_deliver *d,
			 const struct accounts_answer *a)
{
	char path[MAILBOX_PATH_SIZE] = "";
	struct slice base, rest;
	const char *fault = mailbox_path_split(d->path, &base, &rest);
	struct maildrop_grant m = {.uid = a->uid, .gid = a->gid, .groups = a->groups};

	if (fault == NULL)
		fault = mailbox_path_expand(rest, slice_str(w->name.user),
					    slice_str(w->name.domain), path);
	m.kind = slice_equal(d->kind, SLICE("system-mbox")) ? SLICE("mbox") : SLICE("maildir");
	m.base = base.len > 0 ? base : a->home;
	m.path = slice_str(path);
	if (fault != NULL)
		end(w, MAILBOX_NONE, NULL, fault);
	else if (m.base.len == 0 || m.base.ptr[0] != '/')
		end(w, MAILBOX_NONE, NULL, "the user has no home directory");
	else
		send_grant(w, &m);
}

static void grant(struct walk *w, const struct accounts_answer *a)
{
	const struct ours_deliver *d = ours_deliver(w->name.number, w->statement);

	if (slice_equal(d->kind, SLICE("maildir")))
		grant_virtual(w, d);
	else if (slice_starts(d->kind, SLICE("system-")) && a != NULL && a->uid != 0)
		grant_system(w, d, a);
	else
		end(w, MAILBOX_NONE, NULL, "mail of this user is not delivered here");
}

static void ask(struct walk *w);

static bool changed(struct walk *w)
{
	if (ours_current(&w->name))
		return false;
	end(w, MAILBOX_TROUBLE, NULL, "the configuration has changed meanwhile");
	return true;
}

static void known(void *arg, const struct accounts_answer *a)
{
	struct walk *w = arg;
	char text[400];

	if (changed(w))
		return;
	if (a->result == ACCOUNTS_KNOWN) {
		grant(w, a);
	} else if (a->result == ACCOUNTS_MISSING) {
		w->statement++;
		ask(w);
	} else { /* S55 */
		if (!slice_copy(slice_sub(a->text, 0, sizeof(text) - 1), text, sizeof(text)))
			text[0] = '\0';
		end(w, MAILBOX_TROUBLE, NULL, text);
	}
}

static void ask(struct walk *w)
{
	const struct ours_deliver *d = ours_deliver(w->name.number, w->statement);
	struct slice user = slice_str(w->name.user);

	if (d == NULL)
		end(w, MAILBOX_NONE, NULL, "no deliver statement knows the user");
	else if (slice_equal(d->users, SLICE("any")))
		grant(w, NULL);
	else if (slice_equal(d->users, MACHINE_USERS))
		machine_ask(user, known, w);
	else
		shelf_ask(d->users, user, slice_str(w->name.domain), known, w);
}

void mailbox_grant(const struct login_name *name, mailbox_done *done, void *arg)
{
	struct walk *w = memory_zero(1, sizeof(*w));

	w->name = *name;
	w->done = done;
	w->arg = arg;
	if (!changed(w))
		ask(w);
}

const struct route mailbox_routes[] = {{0, 0, NULL}};

void mailbox_up(struct channel *c, unsigned instance)
{
	(void)instance;
	maildrop = c;
}

void mailbox_down(struct channel *c)
{
	if (maildrop == c)
		maildrop = NULL;
}
