/*
 * What is open, and what the table of services says about who gets it. A reload opens everything
 * that is new before it changes anything, so that it can still be refused as a whole.
 */
#include "master/house.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "common/os/user.h"
#include "master/certificates.h"
#include "master/dns_files.h"
#include "master/listeners.h"
#include "master/mailboxes.h"
#include "master/output.h"
#include "master/settings.h"
#include "master/sockets.h"
#include "master/tables.h"

enum { RENEW_LIMIT_US = 30000000 }; /* for a daemon that must be started anew to see a change */

/* What a configuration opens. */
struct stock {
	struct settings *settings;
	struct tables *tables;
	struct dns_files *dns;
	struct certificates *certificates;
	struct mailboxes *mailboxes;
	int output; /* -1: none */
	char target[KIND_MAX + 1];
};

static struct stock stock = {.output = -1};
static struct settings *fixed; /* as at the start: listeners, paths, numbers of processes */
static struct identity nobody; /* whom local runs as when nothing is delivered */
static uint64_t generation = 1;
static bool one_uid;
static int state_fds[ROLES]; /* 0: not open */

static void stock_free(struct stock *s)
{
	if (s->settings != fixed)
		settings_free(&s->settings);
	tables_free(&s->tables);
	dns_files_free(&s->dns);
	certificates_free(&s->certificates);
	mailboxes_free(&s->mailboxes);
	if (s->output >= 0)
		disk_close(s->output);
	*s = (struct stock){.output = -1};
}

/* All but the settings, which are there. */
static bool stock_open(struct stock *s, struct error *e)
{
	const struct config *config = settings_config(s->settings);
	return tables_open(config, &s->tables, e) && dns_files_open(config, &s->dns, e) &&
	       certificates_open(config, &s->certificates, e) &&
	       mailboxes_open(config, one_uid, &nobody, &s->mailboxes, e) &&
	       output_open(config, &s->output, s->target, e);
}

static void set_owner(void)
{
	struct process *p;
	TAILQ_FOREACH (p, processes(), next) {
		if (services[p->role].as_owner)
			p->as = mailboxes_owner(stock.mailboxes);
	}
}

/* The spool is the queue's, the drop directory pickup's; the group of both is that of sendmail. */
static bool open_spool(const char *path, struct error *e)
{
	struct identity queue = process_find(SLICE("queue"), 0)->as;
	struct identity pickup = process_find(SLICE("pickup"), 0)->as;
	if (one_uid)
		return place_spool(path, NULL, NULL, e);
	if (!user_find_group("stagepost-drop", &queue.gid, e)) {
		e->code = EX_CONFIG;
		return error_prefix(e, "make the system users as INSTALL says");
	}
	pickup.gid = queue.gid;
	return place_spool(path, &queue, &pickup, e);
}

/* Of those that are there, or will be. */
static bool open_states(const unsigned counts[ROLES], struct error *e)
{
	const char *path = config_string(settings_config(fixed), "state");
	for (unsigned role = 0; role < ROLES; role++) {
		struct identity as;
		if (!(services[role].gifts & GIFT_STATE) || counts[role] == 0 ||
		    state_fds[role] > 0)
			continue;
		if (!one_uid && !process_user((enum role_id)role, &as, e))
			return false;
		if (!place_state(path, services[role].name, one_uid ? NULL : &as, &state_fds[role],
				 e))
			return false;
	}
	return true;
}

static bool open_places(struct error *e)
{
	const struct config *config = settings_config(fixed);
	nobody = process_find(SLICE("local"), 0)->as;
	return open_spool(config_string(config, "spool"), e) &&
	       place_run(config_string(config, "run"), e) && listeners_open(fixed, e) &&
	       stock_open(&stock, e);
}

static void error_take_all(struct error *e, const struct buffer *remarks)
{
	struct slice all = slice_trim(buffer_slice(remarks));
	if (all.len > 0)
		error_set(e, e->code, "%.*s", SLICE_FMT(all));
}

/* Which of enum need a configuration has. */
static void see_deliver(void *arg, const struct record *record, const void *value)
{
	const struct settings_deliver *d = value;
	bool *needs = arg;
	(void)record;
	if (slice_equal(d->users, SLICE("system")) || slice_starts(d->kind, SLICE("system-")))
		needs[NEED_SYSTEM] = true;
}

static void see_passwords(void *arg, const struct record *record, const void *value)
{
	const struct settings_passwords *p = value;
	bool *needs = arg;
	(void)record;
	needs[NEED_LOGIN] = true;
	if (slice_equal(p->kind, SLICE("pam")))
		needs[NEED_SYSTEM] = true;
}

static void see_certificate(void *arg, const struct record *record, const void *value)
{
	bool *needs = arg;
	(void)record, (void)value;
	needs[NEED_TLS] = true;
}

static void see_listen(void *arg, const struct record *record, const void *value)
{
	const struct settings_listen *l = value;
	bool *needs = arg;
	(void)record;
	if (slice_starts(l->kind, SLICE("pop3")))
		needs[NEED_POP3] = true;
}

static bool count_processes(const struct config *config, unsigned counts[ROLES], struct error *e)
{
	bool needs[NEED_POP3 + 1] = {[NEED_ALWAYS] = true};
	config_each(config, &settings_deliver_record, see_deliver, needs);
	config_each(config, &settings_passwords_record, see_passwords, needs);
	config_each(config, &settings_certificate_record, see_certificate, needs);
	config_each(config, &settings_listen_record, see_listen, needs);
	for (unsigned role = 0; role < ROLES; role++) {
		const struct service_row *row = &services[role];
		counts[role] = needs[row->need] ? row->count : 0;
		if (!row->count_key)
			continue;
		uint64_t count = config_number(config, row->count_key);
		if (count == 0 || count > PROCESSES_MAX)
			return error_set(e, EX_CONFIG, "%s: from 1 to %d", row->count_key,
					 PROCESSES_MAX);
		counts[role] = (unsigned)count;
	}
	return true;
}

bool house_open(const char *config_path, const struct process_events *events, struct error *e)
{
	unsigned counts[ROLES];
	struct buffer remarks;
	bool good;
	buffer_init(&remarks, SETTINGS_REMARKS_MAX);
	one_uid = !user_is_root();
	good = settings_load(config_path, &fixed, &remarks, e);
	if (!good)
		error_take_all(e, &remarks);
	stock.settings = fixed;
	good = good && count_processes(settings_config(fixed), counts, e) &&
	       processes_make(counts, one_uid, events, e) && open_places(e) &&
	       open_states(counts, e);
	if (good) {
		set_owner();
		settings_log_remarks(&remarks);
	}
	buffer_free(&remarks);
	return good;
}

uint64_t house_generation(void)
{
	return generation;
}

bool house_one_uid(void)
{
	return one_uid;
}

/* Giving */

static void give_listener(void *arg, const char *address, const char *kind, int fd)
{
	struct process *p = arg;
	struct slice kinds = slice_str(services[p->role].listens), one;
	while ((one = slice_word(&kinds)).len > 0)
		if (slice_equal(one, slice_str(kind)))
			process_send_fd(p, "listener", address, kind, fd);
}

static void give_mailbox(void *arg, const char *base, int fd)
{
	process_send_fd(arg, "directory", base, "", fd);
}

/* Whoever hands it on can list nothing by it. */
static void give_base(void *arg, const char *base, int fd)
{
	int place = disk_open(fd, ".", O_PATH | O_DIRECTORY, 0);
	if (place < 0) {
		log_error("directory %s: %s; its mailboxes can't be fetched", base,
			  strerror(errno));
		return;
	}
	process_send_fd(arg, "base", base, "", place);
	disk_close(place);
}

static void give_table(void *arg, enum table_use use, const char *spec, int fd)
{
	struct process *p = arg;
	unsigned gift = use == TABLE_USERS ? GIFT_USERS : GIFT_ALIASES;
	if (p->channel && (services[p->role].gifts & gift))
		process_send_fd(p, "file", spec, "", fd);
}

static void give_table_to_all(void *arg, enum table_use use, const char *spec, int fd)
{
	struct process *p;
	(void)arg;
	TAILQ_FOREACH (p, processes(), next) {
		give_table(p, use, spec, fd);
	}
}

static void give_dns_file(void *arg, const char *path, const char *detail, int fd)
{
	struct process *p = arg;
	if (p->channel && (services[p->role].gifts & GIFT_DNS))
		process_send_fd(p, "file", path, detail, fd);
}

static void give_dns_file_to_all(void *arg, const char *path, const char *detail, int fd)
{
	struct process *p;
	(void)arg;
	TAILQ_FOREACH (p, processes(), next) {
		give_dns_file(p, path, detail, fd);
	}
}

static void give_certificate(void *arg, const char *path, const char *detail, int fd)
{
	struct process *p = arg;
	unsigned gift = strcmp(detail, "key") == 0 ? GIFT_KEYS : GIFT_CERTIFICATES;
	if (p->channel && (services[p->role].gifts & gift))
		process_send_fd(p, "file", path, detail, fd);
}

static void give_certificate_to_all(void *arg, const char *path, const char *detail, int fd)
{
	struct process *p;
	(void)arg;
	TAILQ_FOREACH (p, processes(), next) {
		give_certificate(p, path, detail, fd);
	}
}

static void give_output(struct process *p)
{
	process_send_fd(p, "output", stock.target, "", stock.output);
}

static void give_log_ends(struct process *p)
{
	struct process *q;
	process_send_fd(p, "log", "master", "", process_master_log());
	TAILQ_FOREACH (q, processes(), next) {
		process_send_fd(p, "log", services[q->role].name, "", q->log_reader);
	}
}

/* The one that is open stays when the new one can't be had. */
static void reopen_output(void)
{
	struct error e = {0};
	char target[KIND_MAX + 1];
	int fd;
	if (!output_open(settings_config(stock.settings), &fd, target, &e)) {
		log_error("%s; the log goes where it went before", e.text);
		return;
	}
	disk_close(stock.output);
	stock.output = fd;
	memcpy(stock.target, target, sizeof(target));
}

void house_equip(struct process *p)
{
	struct master_begin begin = {.role = slice_str(services[p->role].name),
				     .instance = p->instance,
				     .one_uid = one_uid,
				     .uid = p->as.uid,
				     .gid = p->as.gid};
	unsigned gifts = services[p->role].gifts;
	process_send(p, MASTER_BEGIN, &begin);
	if (!settings_send(stock.settings, generation, p->channel))
		process_kill(p);
	process_send_fd(p, "empty", "", "", place_empty_fd());
	if (gifts & GIFT_LOG_ENDS) {
		if (p->starts > 1)
			reopen_output(); /* the system's logger may be a new one */
		give_output(p);
		give_log_ends(p);
	}
	if (services[p->role].listens)
		listeners_each(give_listener, p);
	if (gifts & GIFT_SUBMIT)
		process_send_fd(p, "listener", "unix:submit", "local", place_submit_fd());
	if (gifts & GIFT_CONTROL)
		process_send_fd(p, "listener", "control", "control", place_control_fd());
	if (gifts & GIFT_SPOOL)
		process_send_fd(p, "directory", "spool", "", place_spool_fd());
	if (gifts & GIFT_DROP)
		process_send_fd(p, "directory", "drop", "", place_drop_fd());
	if (gifts & GIFT_STATE)
		process_send_fd(p, "directory", "state", "", state_fds[p->role]);
	if (gifts & GIFT_MAILBOXES)
		mailboxes_each(stock.mailboxes, give_mailbox, p);
	if (gifts & GIFT_BASES)
		mailboxes_each(stock.mailboxes, give_base, p);
	tables_each(stock.tables, give_table, p);
	dns_files_each(stock.dns, give_dns_file, p);
	certificates_each(stock.certificates, give_certificate, p);
}

void house_want(struct process *p, const struct master_want *m)
{
	sockets_want(settings_config(stock.settings), p, m->name);
}

/* Changing */

static void tell_new(struct process *p, bool renew)
{
	if (!p->channel || p->state == PROCESS_DRAINING)
		return;
	if (renew && (services[p->role].gifts & GIFT_MAILBOXES)) {
		process_drain(p, RENEW_LIMIT_US, true); /* its sandbox is of the old places */
		return;
	}
	if (!settings_send(stock.settings, generation, p->channel))
		process_kill(p);
	if (services[p->role].gifts & GIFT_LOG_ENDS)
		give_output(p);
	if (services[p->role].gifts & GIFT_BASES)
		mailboxes_each(stock.mailboxes, give_base, p);
	tables_each(stock.tables, give_table, p);
	dns_files_each(stock.dns, give_dns_file, p);
	certificates_each(stock.certificates, give_certificate, p);
	process_go(p, generation);
}

/* Those for the machine's users, when the configuration names them for the first time. Of roles
 * whose number the file says there are as many as at the start, and will be. */
static bool add_processes(const struct config *config, struct error *e)
{
	unsigned counts[ROLES];
	if (!count_processes(config, counts, e))
		return false;
	for (unsigned role = 0; role < ROLES; role++)
		if (services[role].count_key)
			counts[role] = 0;
	return open_states(counts, e) && processes_add(counts, one_uid, e);
}

static void start_added(void)
{
	struct process *p, *log = process_find(slice_str(services[ROLE_LOG].name), 0);
	TAILQ_FOREACH (p, processes(), next) {
		if (p->starts > 0)
			continue;
		if (log && log->channel)
			process_send_fd(log, "log", services[p->role].name, "", p->log_reader);
		process_start(p);
		if (p->channel)
			process_go(p, generation);
	}
}

bool house_reload(struct buffer *remarks, struct error *e)
{
	struct stock fresh = {.output = -1}, old = stock;
	struct process *p;
	bool renew;
	const char *path = config_path(settings_config(stock.settings));
	if (!settings_load(path, &fresh.settings, remarks, e)) {
		error_take_all(e, remarks);
		return false;
	}
	settings_keep_fixed(fresh.settings, fixed, remarks);
	if (!stock_open(&fresh, e) || !add_processes(settings_config(fresh.settings), e)) {
		stock_free(&fresh);
		return false;
	}
	renew = !mailboxes_same(old.mailboxes, fresh.mailboxes);
	stock = fresh;
	generation++;
	set_owner();
	TAILQ_FOREACH (p, processes(), next) {
		tell_new(p, renew);
	}
	start_added();
	stock_free(&old);
	return true;
}

void house_look_at_tables(void)
{
	tables_look(stock.tables, give_table_to_all, NULL);
	dns_files_look(stock.dns, give_dns_file_to_all, NULL);
	certificates_look(stock.certificates, give_certificate_to_all, NULL);
}

void house_reopen_log(void)
{
	struct process *p;
	reopen_output();
	TAILQ_FOREACH (p, processes(), next) {
		if (p->channel && (services[p->role].gifts & GIFT_LOG_ENDS))
			give_output(p);
	}
}
