/*
 * check_domain: the domains: who exists in them, their mailboxes and who owns these, and whether
 * each deliver and relay can get any mail.
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>

#include "common/config/check.h"
#include "common/mail/address.h"
#include "common/os/disk.h"
#include "common/os/user.h"

static bool may_write(const struct stat *st, uid_t uid, gid_t gid)
{
	if (st->st_uid == uid)
		return st->st_mode & S_IWUSR;
	if (st->st_gid == gid)
		return st->st_mode & S_IWGRP;
	return st->st_mode & S_IWOTH;
}

/* A folder that is there must let the owner of the mailboxes make one; false: it is not there. */
static bool check_room(struct check *k, const struct node *owner, const char *folder, uid_t uid,
		       gid_t gid)
{
	struct stat st;
	if (disk_stat_at(AT_FDCWD, folder, &st) != 0 || !S_ISDIR(st.st_mode))
		return false;
	if (!may_write(&st, uid, gid))
		check_warning(k, owner, "%s may not make mailboxes in %s", owner->texts[0].ptr,
			      folder);
	return true;
}

/* Mailboxes are made in the base, or with %d behind it in the folder of the domain; that too is
 * made in the base where it is not there. */
static void check_rooms(struct check *k, const struct node *domain, const struct node *owner,
			struct slice base, struct slice rest, uid_t uid, gid_t gid)
{
	char folder[TEXT_WORD_MAX + HOST_NAME_MAX_OCTETS + 2];
	bool all = slice_starts(rest, SLICE("%d/"));
	for (size_t i = 0; all && i < domain->text_count; i++) {
		snprintf(folder, sizeof(folder), "%.*s/%.*s", SLICE_FMT(base),
			 SLICE_FMT(slice_sub(domain->texts[i], 0, HOST_NAME_MAX_OCTETS)));
		all = check_room(k, owner, folder, uid, gid);
	}
	if (!all && slice_copy(base, folder, sizeof(folder)))
		check_room(k, owner, folder, uid, gid);
}

static void check_owner(struct check *k, const struct node *domain, const struct node *deliver,
			struct slice base, struct slice rest)
{
	const struct node *owner = node_find(&deliver->block, "owner");
	struct error e;
	uid_t uid;
	gid_t gid;
	if (!user_is_root())
		return; /* everything runs in the one uid */
	if (!owner)
		check_error(k, deliver, "deliver needs the mailboxes' owner: owner USER");
	else if (!user_find(owner->texts[0].ptr, &uid, &gid, &e))
		check_error(k, owner, "%s", e.text);
	else if (uid == 0)
		check_error(k, owner, "mailboxes may not belong to root");
	else if (base.len > 0)
		check_rooms(k, domain, owner, base, rest, uid, gid);
}

/* The master makes it for its owner; a slip of the pen should be seen all the same. */
static void check_mailboxes(struct check *k, const struct node *n, struct slice base)
{
	struct stat st;
	char name[TEXT_WORD_MAX + 1];
	if (slice_copy(base, name, sizeof(name)) && disk_stat_at(AT_FDCWD, name, &st) < 0 &&
	    errno == ENOENT)
		check_warning(k, n, "directory %s is not there; it is made at the start", name);
	else
		check_directory(k, n, base);
}

static void check_virtual(struct check *k, const struct node *domain, const struct node *n)
{
	struct slice base, rest;
	const char *fault = template_split(n->texts[1], &base, &rest);
	if (fault)
		check_error(k, n, "`deliver maildir %.*s`: %s",
			    SLICE_FMT(slice_sub(n->texts[1], 0, 80)), fault);
	else
		check_mailboxes(k, n, base);
	check_owner(k, domain, n, fault ? SLICE("") : base, rest);
}

static void check_system(struct check *k, const struct node *n)
{
	const struct node *owner = node_find(&n->block, "owner");
	const char *fault = template_system_fault(n->texts[2]);
	if (fault)
		check_error(k, n, "`deliver system %s %.*s`: %s", n->texts[1].ptr,
			    SLICE_FMT(slice_sub(n->texts[2], 0, 80)), fault);
	if (owner)
		check_error(k, owner, "with system each mailbox belongs to its user: no owner");
	if (!user_is_root())
		check_warning(k, n,
			      "only a server that is started by root delivers to the users "
			      "of this machine");
}

static void check_users(struct check *k, const struct node *domain, const struct node *n)
{
	const struct node *users = node_users(domain, n);
	bool deliver = node_is(n, "deliver");
	bool system = deliver && slice_equal(n->texts[0], SLICE("system"));
	if (!users) {
		check_error(k, n, "%s must say who exists: %s", n->schema->name,
			    system ? "users system" : "users TABLE or users any");
		return;
	}
	if (system != slice_equal(users->texts[0], SLICE("system"))) {
		check_error(k, users,
			    system ? "deliver system needs `users system`"
				   : "`users system` is for deliver system alone");
		return;
	}
	if (users_is_table(users->texts[0]))
		check_table(k, users, users->texts[0], TABLE_USERS);
}

/* The first that knows the user takes the mail: who knows nobody new gets none. */
static void check_reached(struct check *k, const struct node *domain, const struct node *n)
{
	const struct node *before, *users = node_users(domain, n);
	TAILQ_FOREACH (before, &domain->block, link) {
		const struct node *known = NULL;
		if (before == n)
			return;
		if (node_is(before, "deliver") || node_is(before, "relay"))
			known = node_users(domain, before);
		if (!known || !users ||
		    (!slice_equal(known->texts[0], SLICE("any")) &&
		     !slice_equal(known->texts[0], users->texts[0])))
			continue;
		check_error(
		    k, n, "this %s never gets mail: the %s at line %u takes all of its users",
		    n->schema->name, before->schema->name, before->statement->name.place.line);
		return;
	}
}

static void check_names(struct check *k, const struct node *n)
{
	for (size_t i = 0; i < n->text_count; i++) {
		if (!address_domain_valid(n->texts[i], true))
			check_error(k, n, "`%.*s` is no domain name",
				    SLICE_FMT(slice_sub(n->texts[i], 0, 80)));
		const struct node *first = map_put(k->domains, n->texts[i], (void *)n);
		if (first)
			check_error(k, n, "domain %s is there twice; first at %s:%u",
				    n->texts[i].ptr, first->statement->name.place.file,
				    first->statement->name.place.line);
	}
}

void check_domain(struct check *k, const struct node *n)
{
	const struct node *inside;
	check_names(k, n);
	if (!node_find(&n->block, "deliver") && !node_find(&n->block, "relay"))
		check_error(k, n, "domain %s has neither deliver nor relay", n->texts[0].ptr);
	TAILQ_FOREACH (inside, &n->block, link) {
		bool deliver = node_is(inside, "deliver"), relay = node_is(inside, "relay");
		if (deliver && slice_equal(inside->texts[0], SLICE("system")))
			check_system(k, inside);
		else if (deliver)
			check_virtual(k, n, inside);
		else if (relay)
			check_next_hops(k, inside);
		else if (node_is(inside, "aliases"))
			check_tables(k, inside, TABLE_ALIASES);
		else if (node_is(inside, "routes"))
			check_tables(k, inside, TABLE_ROUTES);
		if (deliver || relay) {
			check_users(k, n, inside);
			check_reached(k, n, inside);
		}
	}
}
