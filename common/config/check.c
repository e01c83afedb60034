/*
 * check: everything that the grammar can't tell, from the file's order of statements. All faults
 * are reported, not the first alone.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

#include "common/config/check.h"
#include "common/mail/address.h"
#include "common/os/disk.h"
#include "common/os/user.h"

void node_place(const struct config *c, const struct node *n, char place[CONFIG_PLACE_SIZE])
{
	if (!n || !n->statement) {
		slice_copy(slice_str(c->path), place, CONFIG_PLACE_SIZE);
		return;
	}
	struct text_place at = n->statement->name.place;
	snprintf(place, CONFIG_PLACE_SIZE, "%s:%u:%u", at.file, at.line, at.column);
}

static void report(struct check *k, enum config_severity severity, const struct node *n,
		   const char *format, va_list ap)
{
	char place[CONFIG_PLACE_SIZE], text[ERROR_TEXT_SIZE];
	node_place(k->c, n, place);
	vsnprintf(text, sizeof(text), format, ap);
	k->report(k->arg, severity, place, text);
}

void check_error(struct check *k, const struct node *n, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	report(k, CONFIG_ERROR, n, format, ap);
	va_end(ap);
	k->bad_config = true;
}

void check_warning(struct check *k, const struct node *n, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	report(k, CONFIG_WARNING, n, format, ap);
	va_end(ap);
}

/* The node with the value of a key, given or by default. */
static const struct node *value_of(const struct check *k, const char *key)
{
	return k->c->by_key[schema_by_key(slice_str(key)) - schema];
}

static void check_host_name(struct check *k, const char *key)
{
	const struct node *n = value_of(k, key);
	struct slice name = n->texts[0];
	if (!address_domain_valid(name, false))
		check_error(k, n, "`%s %.*s`: that is no domain name", key,
			    SLICE_FMT(slice_sub(name, 0, 80)));
	else if (slice_find(name, '.') == name.len)
		check_warning(k, n,
			      "`%s %.*s`: a full name has a dot; other servers refuse this one",
			      key, SLICE_FMT(name));
}

static void check_server(struct check *k)
{
	const struct node *postmaster = value_of(k, "postmaster"), *name = value_of(k, "log-name");
	struct address a;
	check_host_name(k, "hostname");
	check_host_name(k, "origin");
	if (postmaster->texts[0].len > 0 &&
	    address_parse(postmaster->texts[0], ADDRESS_UTF8 | ADDRESS_DOMAINLESS, &a) !=
		ADDRESS_FINE)
		check_error(k, postmaster, "`postmaster %.*s`: that is no mail address",
			    SLICE_FMT(slice_sub(postmaster->texts[0], 0, 80)));
	for (size_t i = 0; i < name->texts[0].len; i++)
		if ((unsigned char)name->texts[0].ptr[i] <= ' ' ||
		    strchr("/[]:", name->texts[0].ptr[i]))
			check_error(k, name, "log-name may not hold blanks or any of / [ ] :");
	if (name->texts[0].len == 0)
		check_error(k, name, "log-name is empty");
}

static void check_directory(struct check *k, const struct node *n, struct slice path)
{
	struct stat st;
	char name[TEXT_WORD_MAX + 1];
	if (!slice_copy(path, name, sizeof(name)))
		return;
	int fd = disk_open(AT_FDCWD, name, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
	if (fd >= 0)
		disk_close(fd);
	else if (errno != EACCES || disk_stat_at(AT_FDCWD, name, &st) != 0)
		check_error(k, n, "directory %s: %s", name, strerror(errno));
}

static void check_paths(struct check *k)
{
	const struct node *spool = value_of(k, "spool"), *run = value_of(k, "run");
	const struct node *log = value_of(k, "log");
	struct slice file = log->texts[1];
	if (slice_equal(spool->texts[0], run->texts[0]))
		check_error(k, run, "spool and run are the same directory");
	size_t slash = slice_find_last(file, '/');
	if (file.len > 0)
		check_directory(k, log, slash > 0 ? slice_sub(file, 0, slash) : SLICE("/"));
}

static void check_numbers(struct check *k)
{
	enum { RECIPIENTS_LEAST = 100, SIZE_LEAST = 64 * 1024 };
	const struct node *recipients = value_of(k, "limits.recipients");
	const struct node *size = value_of(k, "limits.message-size");
	const struct node *first = value_of(k, "retry.first"),
			  *longest = value_of(k, "retry.longest");
	const struct node *give_up = value_of(k, "retry.give-up");
	if (recipients->number < RECIPIENTS_LEAST) /* RFC 5321 4.5.3.1.8 */
		check_warning(k, recipients, "recipients: servers must take at least %d",
			      RECIPIENTS_LEAST);
	if (size->number < SIZE_LEAST) /* RFC 5321 4.5.3.1.7 */
		check_warning(k, size, "message-size: servers must take at least 64K");
	if (longest->number < first->number)
		check_error(k, longest->statement ? longest : first,
			    "retry: longest is shorter than first");
	if (give_up->number < first->number)
		check_error(k, give_up->statement ? give_up : first,
			    "retry: give-up comes before the first retry");
}

static void check_trust(struct check *k, const struct node *n)
{
	for (size_t i = 0; i < n->text_count; i++)
		if (slice_ends_fold(n->texts[i], SLICE("/0")))
			check_warning(k, n, "trust %s trusts everybody", n->texts[i].ptr);
}

static void check_listen(struct check *k, const struct node *n)
{
	const char *fault = listen_fault(n->texts[0]);
	if (fault)
		check_error(k, n, "`listen %.*s`: %s", SLICE_FMT(slice_sub(n->texts[0], 0, 80)),
			    fault);
	const struct node *first = map_put(k->listeners, n->texts[0], (void *)n);
	if (first)
		check_error(k, n, "`listen %s` is there twice; first at line %u", n->texts[0].ptr,
			    first->statement->name.place.line);
}

static void check_owner(struct check *k, const struct node *deliver)
{
	const struct node *owner = node_find(&deliver->block, "owner");
	struct error e;
	uid_t uid;
	if (!user_is_root())
		return; /* everything runs in the one uid */
	if (!owner)
		check_error(k, deliver, "deliver needs the mailboxes' owner: owner USER");
	else if (!user_find(owner->texts[0].ptr, &uid, NULL, &e))
		check_error(k, owner, "%s", e.text);
	else if (uid == 0)
		check_error(k, owner, "mailboxes may not belong to root");
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

static void check_deliver(struct check *k, const struct node *n)
{
	const struct node *users = node_find(&n->block, "users");
	struct slice base, rest;
	const char *fault = template_split(n->texts[1], &base, &rest);
	if (fault)
		check_error(k, n, "`deliver maildir %.*s`: %s",
			    SLICE_FMT(slice_sub(n->texts[1], 0, 80)), fault);
	else
		check_mailboxes(k, n, base);
	if (!users)
		check_error(k, n, "deliver must say who exists: users TABLE or users any");
	else if (!slice_equal(users->texts[0], SLICE("any")))
		check_table(k, users, users->texts[0], TABLE_USERS);
	check_owner(k, n);
}

static void check_aliases(struct check *k, const struct node *n)
{
	for (size_t i = 0; i < n->text_count; i++)
		check_table(k, n, n->texts[i], TABLE_ALIASES);
}

static void check_domain(struct check *k, const struct node *n)
{
	const struct node *inside;
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
	if (!node_find(&n->block, "deliver"))
		check_error(k, n, "domain %s has no deliver", n->texts[0].ptr);
	TAILQ_FOREACH (inside, &n->block, link) {
		if (inside->schema->type == TYPE_DELIVER)
			check_deliver(k, inside);
		else
			check_aliases(k, inside);
	}
}

/* Is there an entry for the key in an alias table or a users table of this list? */
static bool list_has(struct check *k, const struct node_list *list, struct slice key)
{
	const struct node *n;
	TAILQ_FOREACH (n, list, link) {
		const struct node *users = NULL;
		if (n->schema->type == TYPE_DELIVER)
			users = node_find(&n->block, "users");
		if (users && (slice_equal(users->texts[0], SLICE("any")) ||
			      check_has_entry(k, users->texts[0], TABLE_USERS, key)))
			return true;
		for (size_t i = 0; n->schema->type == TYPE_TABLES && i < n->text_count; i++)
			if (check_has_entry(k, n->texts[i], TABLE_ALIASES, key))
				return true;
	}
	return false;
}

/* RFC 5321 4.5.1: mail for postmaster of each of our domains must be accepted. */
static void check_postmaster(struct check *k)
{
	const struct node *n;
	if (value_of(k, "postmaster")->texts[0].len > 0 ||
	    list_has(k, &k->c->nodes, SLICE("postmaster")))
		return;
	TAILQ_FOREACH (n, &k->c->nodes, link) {
		for (size_t i = 0; n->schema->type == TYPE_DOMAINS && i < n->text_count; i++) {
			char key[HOST_NAME_MAX_OCTETS + sizeof("postmaster@")];
			int len = snprintf(key, sizeof(key), "postmaster@%s", n->texts[i].ptr);
			if (!list_has(k, &n->block, slice_make(key, (size_t)len)))
				check_warning(
				    k, n,
				    "nobody reads %s: add `postmaster ADDRESS`, an alias or "
				    "a user",
				    key);
		}
	}
}

static void check_statements(struct check *k)
{
	const struct node *n;
	TAILQ_FOREACH (n, &k->c->nodes, link) {
		switch (n->schema->type) {
		case TYPE_NETWORKS:
			check_trust(k, n);
			break;
		case TYPE_LISTEN:
			check_listen(k, n);
			break;
		case TYPE_TABLES:
			check_aliases(k, n);
			break;
		case TYPE_DOMAINS:
			check_domain(k, n);
			break;
		default:
			break;
		}
	}
}

int config_check(const struct config *config, config_report_call *call, void *arg)
{
	struct check k = {
	    .c = config,
	    .report = call,
	    .arg = arg,
	    .domains = map_new(),
	    .listeners = map_new(),
	    .tables = {[TABLE_ALIASES] = map_new(), [TABLE_USERS] = map_new()},
	};
	check_server(&k);
	check_paths(&k);
	check_numbers(&k);
	check_statements(&k);
	if (map_count(k.listeners) == 0)
		check_error(&k, NULL,
			    "there is no listen: a server that only sends mail is not "
			    "supported yet; add `listen *:25 smtp`");
	if (map_count(k.domains) == 0)
		check_error(&k, NULL,
			    "there is no domain: a server that only sends mail is not "
			    "supported yet; add `domain NAME { deliver ... }`");
	check_postmaster(&k);
	check_free(&k);
	return k.bad_config ? EX_CONFIG : k.bad_table ? EX_DATAERR : 0;
}
