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

const struct node *check_value(const struct check *k, const char *key)
{
	return k->c->by_key[schema_by_key(slice_str(key)) - schema];
}

static void check_host_name(struct check *k, const char *key)
{
	const struct node *n = check_value(k, key);
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
	const struct node *postmaster = check_value(k, "postmaster"),
			  *name = check_value(k, "log-name");
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

void check_directory(struct check *k, const struct node *n, struct slice path)
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
	const struct node *spool = check_value(k, "spool"), *run = check_value(k, "run");
	const struct node *log = check_value(k, "log");
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
	const struct node *recipients = check_value(k, "limits.recipients");
	const struct node *size = check_value(k, "limits.message-size");
	const struct node *first = check_value(k, "retry.first"),
			  *longest = check_value(k, "retry.longest");
	const struct node *give_up = check_value(k, "retry.give-up");
	const struct node *bounces = check_value(k, "retry.give-up-bounces");
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
	if (bounces->statement && bounces->number > give_up->number)
		check_error(k, bounces, "retry: give-up-bounces is longer than give-up");
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

static bool has_alias(struct check *k, const struct node_list *list, struct slice key)
{
	const struct node *n;
	TAILQ_FOREACH (n, list, link)
		for (size_t i = 0; node_is(n, "aliases") && i < n->text_count; i++)
			if (check_has_entry(k, n->texts[i], TABLE_ALIASES, key))
				return true;
	return false;
}

/* Is there an alias or a user of that name in the domain? */
static bool has_name(struct check *k, const struct node *domain, struct slice key)
{
	const struct node *n;
	TAILQ_FOREACH (n, &domain->block, link) {
		const struct node *users = NULL;
		if (node_is(n, "deliver") || node_is(n, "relay"))
			users = node_users(domain, n);
		if (users && (!users_is_table(users->texts[0]) ||
			      check_has_entry(k, users->texts[0], TABLE_USERS, key)))
			return true;
	}
	return has_alias(k, &domain->block, key);
}

/* S52: nothing is delivered as root, so its mail needs another reader. */
static void check_root(struct check *k, const struct node *domain)
{
	char key[HOST_NAME_MAX_OCTETS + sizeof("root@")];
	int len = snprintf(key, sizeof(key), "root@%s", domain->texts[0].ptr);
	const struct node *n;
	TAILQ_FOREACH (n, &domain->block, link) {
		const struct node *users = node_is(n, "deliver") ? node_users(domain, n) : NULL;
		if (!users || !slice_equal(users->texts[0], SLICE("system")))
			continue;
		if (!has_alias(k, &k->c->nodes, SLICE("root")) &&
		    !has_alias(k, &domain->block, slice_make(key, (size_t)len)))
			check_warning(
			    k, users,
			    "mail for root is refused: nothing is delivered to that user; "
			    "add an alias for root");
		return;
	}
}

/* RFC 5321 4.5.1: mail for postmaster of each of our domains must be accepted. */
static void check_postmaster(struct check *k)
{
	const struct node *n;
	if (check_value(k, "postmaster")->texts[0].len > 0 ||
	    has_alias(k, &k->c->nodes, SLICE("postmaster")))
		return;
	TAILQ_FOREACH (n, &k->c->nodes, link) {
		for (size_t i = 0; n->schema->type == TYPE_DOMAINS && i < n->text_count; i++) {
			char key[HOST_NAME_MAX_OCTETS + sizeof("postmaster@")];
			int len = snprintf(key, sizeof(key), "postmaster@%s", n->texts[i].ptr);
			if (!has_name(k, n, slice_make(key, (size_t)len)))
				check_warning(
				    k, n,
				    "nobody reads %s: add `postmaster ADDRESS`, an alias or "
				    "a user",
				    key);
		}
	}
}

static bool serves_system_users(const struct node *domain)
{
	const struct node *n;
	TAILQ_FOREACH (n, &domain->block, link) {
		const struct node *users = node_is(n, "deliver") ? node_users(domain, n) : NULL;
		if (users && slice_equal(users->texts[0], SLICE("system")))
			return true;
	}
	return false;
}

/* cron writes to root: an alias at the top, else an address in the domain of origin. Where that is
 * another server's it goes there. */
static void check_cron(struct check *k)
{
	const struct node *origin = check_value(k, "origin");
	struct slice name = origin->texts[0];
	const struct node *domain = map_get(k->domains, name);
	char key[HOST_NAME_MAX_OCTETS + sizeof("root@")];
	if (has_alias(k, &k->c->nodes, SLICE("root")))
		return;
	if (!domain && !slice_equal_fold(name, check_value(k, "hostname")->texts[0]))
		return;
	int len = snprintf(key, sizeof(key), "root@%.*s",
			   SLICE_FMT(slice_sub(name, 0, HOST_NAME_MAX_OCTETS)));
	struct slice root = slice_make(key, (size_t)len);
	if (domain && (serves_system_users(domain) || has_name(k, domain, root) ||
		       has_alias(k, &domain->block, slice_from(root, strlen("root")))))
		return; /* for system users check_root() has said it */
	check_warning(k, origin, "nobody reads %s, to whom cron writes: add an alias%s for root",
		      key, domain ? "" : " at the top");
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
			check_tables(k, n, TABLE_ALIASES);
			break;
		case TYPE_DOMAINS:
			check_domain(k, n);
			check_root(k, n);
			break;
		case TYPE_OUTBOUND:
			check_outbound(k, n);
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
	};
	for (size_t use = 0; use < TABLE_USE_COUNT; use++)
		k.tables[use] = map_new();
	check_server(&k);
	check_paths(&k);
	check_numbers(&k);
	check_statements(&k);
	if (map_count(k.listeners) == 0)
		check_error(&k, NULL,
			    "there is no listen: a server that only sends mail is not "
			    "supported yet; add `listen *:25 smtp`");
	if (map_count(k.domains) == 0 && !k.last_outbound)
		check_error(&k, NULL,
			    "there is neither a domain nor an outbound: add `domain NAME { deliver "
			    "... }`, or `outbound` to send mail only");
	check_login(&k);
	check_resolver(&k);
	check_postmaster(&k);
	check_cron(&k);
	check_free(&k);
	return k.bad_config ? EX_CONFIG : k.bad_table ? EX_DATAERR : 0;
}
