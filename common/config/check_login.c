/*
 * check_login: listeners that need a certificate or passwords have them; certificates and keys are
 * pairs; passwords and senders are tables that can be read.
 */
#include "common/config/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/os/disk.h"

enum { SOCKET_PATH_MAX = 107 }; /* octets: unix(7) */

static const struct node *block(const struct check *k, const char *name)
{
	return node_find(&k->c->nodes, name);
}

static unsigned count(const struct node *in, const char *name)
{
	const struct node *n;
	unsigned found = 0;
	if (in)
		TAILQ_FOREACH (n, &in->block, link)
			found += node_is(n, name);
	return found;
}

static void check_pairs(struct check *k)
{
	const struct node *tls = block(k, "tls");
	if (tls && count(tls, "certificate") != count(tls, "key"))
		check_error(k, tls,
			    "tls: %u certificates and %u keys; each certificate has its key",
			    count(tls, "certificate"), count(tls, "key"));
	else if (tls && count(tls, "certificate") == 0)
		check_error(k, tls, "tls: there is no certificate");
}

/* PAM takes the file `other` where there is none: that is seldom meant. */
static void check_pam(struct check *k, const struct node *n)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	char path[SPEC_MAX];
	struct stat st;
	struct slice service = n->texts[1];
	for (size_t i = 0; i < service.len; i++) {
		if (strchr(letters, service.ptr[i]))
			continue;
		check_error(k, n, "passwords pam: `%.*s` is no name of a file in /etc/pam.d",
			    SLICE_FMT(service));
		return;
	}
	snprintf(path, sizeof(path), "/etc/pam.d/%.*s", SLICE_FMT(service));
	if (disk_stat_at(AT_FDCWD, path, &st) != 0)
		check_warning(k, n, "there is no %s; PAM goes by /etc/pam.d/other", path);
}

static void check_source(struct check *k, const struct node *n)
{
	if (slice_equal(n->texts[0], SLICE("pam")))
		check_pam(k, n);
	else if (!slice_equal(n->texts[0], SLICE("dovecot")))
		check_tables(k, n, TABLE_USERS);
	else if (n->texts[1].len - strlen("unix:") > SOCKET_PATH_MAX)
		check_error(k, n, "the path of Dovecot's socket has more than %d octets",
			    SOCKET_PATH_MAX);
}

static void check_passwords(struct check *k)
{
	const struct node *auth = block(k, "auth"), *n;
	if (!auth)
		return;
	if (count(auth, "passwords") == 0)
		check_error(k, auth, "auth: there are no passwords; add `passwords file:users`");
	TAILQ_FOREACH (n, &auth->block, link)
		if (node_is(n, "passwords"))
			check_source(k, n);
}

static void check_senders(struct check *k)
{
	const struct node *submission = block(k, "submission"), *n;
	if (!submission)
		return;
	TAILQ_FOREACH (n, &submission->block, link) {
		if (node_is(n, "senders"))
			check_tables(k, n, TABLE_PLAIN);
		else if (node_is(n, "new-recipients") && n->number >> 32)
			check_error(k, n, "new-recipients are counted in a day: NUMBER/d");
	}
}

static void check_listener(struct check *k, const struct node *n)
{
	struct slice kind = n->texts[1];
	bool tls = count(block(k, "tls"), "certificate") > 0;
	if (slice_equal(kind, SLICE("smtp")))
		return;
	if (!tls)
		check_error(k, n,
			    "`listen %s %s` needs a certificate: passwords are taken under TLS "
			    "alone; add `tls { certificate FILE; key FILE }`",
			    n->texts[0].ptr, kind.ptr);
	if (!block(k, "auth"))
		check_error(k, n, "`listen %s %s` needs passwords: add `auth { passwords TABLE }`",
			    n->texts[0].ptr, kind.ptr);
}

void check_login(struct check *k)
{
	const struct node *n;
	check_pairs(k);
	check_passwords(k);
	check_senders(k);
	TAILQ_FOREACH (n, &k->c->nodes, link)
		if (n->schema->type == TYPE_LISTEN)
			check_listener(k, n);
}
