/*
 * sessions: the daemon's life. A child process runs it for real, with its fork server and children
 * that are other users; the test is master, accounts and pop3d.
 */
#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

#include "common/base/bytes.h"
#include "common/config/settings.h"
#include "common/os/loop.h"
#include "common/os/user.h"
#include "daemons/maildrop/bases.h"
#include "daemons/maildrop/sessions.h"
#include "daemons/maildrop/tickets.h"
#include "tests/unit/maildrop/box.h"
#include "tests/unit/service/begun.h"

enum { WAIT_SECONDS = 30, OWNER = 60001, GROUP = 60999, DAEMON = 65534, ENTRIES_MAX = 20000 };

static const struct record *const settings[] = {&settings_server_record, NULL};

static void take_setting(const struct record *record, const void *value)
{
	(void)record, (void)value;
}

static void warm(void)
{
	bases_warm();
	sessions_warm();
}

static const struct service_link links[] = {
    {"accounts", &maildrop_dialogue, sessions_accounts_routes, sessions_accounts_up,
     sessions_accounts_down},
    {"pop3d", &maildrop_dialogue, sessions_pop3d_routes, sessions_pop3d_up, sessions_pop3d_down},
    {NULL, NULL, NULL, NULL, NULL},
};
static const struct service maildrop = {
    .name = "maildrop",
    .links = links,
    .settings = settings,
    .settings_begin = bases_settings_begin,
    .setting = take_setting,
    .settings_end = bases_settings_end,
    .descriptor = bases_descriptor,
    .warm = warm,
    .start = sessions_start,
    .drain = sessions_drain,
};

static struct channel *accounts, *pop3d;

/* What the last question got, and what its session says. */
static struct {
	bool opened;
	char text[201];
	struct channel *channel;
	size_t count; /* entries */
	uint64_t sizes[ENTRIES_MAX];
	char uid[MAILDROP_UIDL_MAX + 1]; /* the last one */
	uint32_t state, messages;
	char part[MAILDROP_PART_MAX + 1];
	bool heard, last, failed;
	uint32_t deleted, undeleted;
	bool finished, closed;
} seen;

static const struct route no_routes[] = {{0, 0, NULL}};

static void on_session_close(struct channel *c)
{
	if (c == seen.channel)
		seen.closed = true;
}

static void on_listed(struct channel *c, const void *record)
{
	const struct maildrop_listed *m = record;
	(void)c;
	ck_assert_uint_eq(m->entries.len % MAILDROP_LIST_SIZE, 0);
	for (size_t at = 0; at < m->entries.len; at += MAILDROP_LIST_SIZE) {
		const char *entry = m->entries.ptr + at;
		ck_assert_uint_lt(seen.count, ENTRIES_MAX);
		seen.sizes[seen.count++] = get_u64(entry);
		ck_assert(slice_copy(slice_make(entry + 9, (uint8_t)entry[8]), seen.uid,
				     sizeof(seen.uid)));
	}
}

static void on_state(struct channel *c, const void *record)
{
	const struct maildrop_state *m = record;
	(void)c;
	seen.state = m->state;
	seen.messages = m->messages;
	slice_copy(m->text, seen.text, sizeof(seen.text));
}

static void on_part(struct channel *c, const void *record)
{
	const struct maildrop_part *m = record;
	(void)c;
	memcpy(seen.part, m->octets.ptr, m->octets.len);
	seen.part[m->octets.len] = '\0';
	seen.last = m->last;
	seen.failed = m->failed;
	seen.heard = true;
}

static void on_deleted(struct channel *c, const void *record)
{
	const struct maildrop_deleted *m = record;
	(void)c;
	seen.deleted = m->deleted;
	seen.undeleted = m->failed;
	seen.finished = true;
}

static const struct route session_routes[] = {
    {MAILDROP_LISTED, ROUTE_ALWAYS, on_listed},
    {MAILDROP_STATE, ROUTE_ALWAYS, on_state},
    {MAILDROP_PART, ROUTE_ALWAYS, on_part},
    {MAILDROP_DELETED, ROUTE_ALWAYS, on_deleted},
    {0, 0, NULL},
};

static void on_opened(struct channel *c, const void *record)
{
	const struct maildrop_opened *m = record;
	(void)c;
	seen.opened = true;
	ck_assert(slice_copy(m->text, seen.text, sizeof(seen.text)));
	ck_assert_int_eq(m->fd >= 0, m->text.len == 0);
	if (m->fd >= 0)
		seen.channel = channel_open(m->fd, &maildrop_session_dialogue, session_routes,
					    on_session_close, NULL);
}

static const struct route pop3d_routes[] = {
    {MAILDROP_OPENED, ROUTE_ALWAYS, on_opened},
    {0, 0, NULL},
};

/* The loop */

static bool (*awaited)(void);

static void check(void *arg)
{
	(void)arg;
	if (awaited())
		loop_stop();
}

static void late(void *arg)
{
	(void)arg;
	ck_abort_msg("it did not come about");
}

static void look_again(void *arg)
{
	struct loop_timer *timer = arg;
	loop_timer_start(timer, 10000, look_again, timer);
}

static void run_until(bool (*condition)(void))
{
	struct loop_turn turn = {0};
	struct loop_timer timer = {0}, often = {0};
	awaited = condition;
	loop_turn_add(&turn, check, NULL);
	loop_timer_start(&timer, WAIT_SECONDS * UINT64_C(1000000), late, NULL);
	look_again(&often);
	loop_run();
	loop_timer_stop(&often);
	loop_timer_stop(&timer);
	loop_turn_remove(&turn);
}

static bool is_answered(void)
{
	return seen.opened;
}

static bool has_state(void)
{
	return seen.state != 0 || seen.closed;
}

static bool has_part(void)
{
	return seen.heard || seen.closed;
}

static bool is_finished(void)
{
	return seen.finished || seen.closed;
}

static bool is_closed(void)
{
	return seen.closed;
}

/* The daemon */

static void send_settings(void)
{
	struct master_settings_begin begin = {1};
	struct master_settings_end end = {1};
	struct settings_server server = {.hostname = SLICE("mx.example")};
	channel_send(master, MASTER_SETTINGS_BEGIN, &begin);
	send_setting(&settings_server_record, &server);
	channel_send(master, MASTER_SETTINGS_END, &end);
}

/* As the master does. */
static void send_base(const char *name)
{
	char path[2 * BOX_PATH_SIZE];
	struct master_descriptor m = {.kind = SLICE("base")};
	snprintf(path, sizeof(path), "%s%s%s", box_path, *name ? "/" : "", name);
	m.name = slice_str(path);
	m.fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(m.fd, 0);
	ck_assert(channel_send(master, MASTER_DESCRIPTOR, &m));
	close(m.fd);
}

static void reload(const char *base)
{
	struct master_go go = {1};
	send_settings();
	if (base)
		send_base(base);
	ready = false;
	channel_send(master, MASTER_GO, &go);
	run_until(is_ready);
}

static void own(const char *name)
{
	if (user_is_root())
		ck_assert_int_eq(fchownat(box_dir, name, OWNER, OWNER, 0), 0);
}

static void write_mail(const char *name, const char *text)
{
	box_write(name, text);
	own(name);
}

static void make_maildir(void)
{
	static const char *const parts[] = {"m", "m/new", "m/cur", "m/tmp"};
	for (size_t i = 0; i < 4; i++) {
		box_mkdir(parts[i]);
		own(parts[i]);
	}
	write_mail("m/new/1.M1P1.h,S=2,W=3", "a\n");
	write_mail("m/new/2.M1P1.h", "b\nb\n");
}

static void setup(void)
{
	struct master_go go = {1};
	box_setup();
	make_maildir();
	memset(&seen, 0, sizeof(seen));
	begin_daemon(&maildrop);
	box_mkdir("empty");
	send_place("maildrop", DAEMON, openat(box_dir, "empty", O_RDONLY | O_DIRECTORY));
	send_settings();
	send_base("");
	accounts = link_peer("accounts", &maildrop_dialogue, no_routes);
	pop3d = link_peer("pop3d", &maildrop_dialogue, pop3d_routes);
	channel_send(master, MASTER_GO, &go);
	run_until(is_ready);
}

static void teardown(void)
{
	channel_free(&seen.channel);
	end_daemon();
	channel_free(&accounts);
	channel_free(&pop3d);
	box_teardown();
}

/* Grants and sessions */

static char ticket[MAILDROP_TICKET_SIZE];

static struct maildrop_grant grant_for(const char *kind, const char *path)
{
	static char groups[4];
	put_u32(groups, GROUP);
	memset(ticket, 7, sizeof(ticket));
	return (struct maildrop_grant){.ticket = slice_make(ticket, sizeof(ticket)),
				       .user = SLICE("bob@example.org"),
				       .kind = slice_str(kind),
				       .uid = user_is_root() ? OWNER : getuid(),
				       .gid = user_is_root() ? OWNER : getgid(),
				       .groups = slice_make(groups, sizeof(groups)),
				       .base = slice_str(box_path),
				       .path = slice_str(path)};
}

static void grant(const struct maildrop_grant *g)
{
	ck_assert(channel_send(accounts, MAILDROP_GRANT, g));
}

static void ask(void)
{
	struct maildrop_open m = {.request = 5, .ticket = slice_make(ticket, sizeof(ticket))};
	channel_free(&seen.channel);
	memset(&seen, 0, sizeof(seen));
	ck_assert(channel_send(pop3d, MAILDROP_OPEN, &m));
	run_until(is_answered);
}

static void open_box(const struct maildrop_grant *g)
{
	grant(g);
	ask();
	if (seen.channel)
		run_until(has_state);
}

static void open_maildir(void)
{
	struct maildrop_grant g = grant_for("maildir", "m");
	open_box(&g);
	ck_assert_msg(seen.state == MAILDROP_READY, "%s", seen.text);
}

static void read_part(uint32_t number, uint64_t from, uint32_t most)
{
	struct maildrop_read m = {.number = number, .from = from, .most = most};
	seen.heard = false;
	ck_assert(channel_send(seen.channel, MAILDROP_READ, &m));
	run_until(has_part);
}

static void send_delete(uint32_t number, bool all)
{
	char octets[4];
	struct maildrop_delete m = {.numbers = slice_make(octets, number ? 4 : 0), .all = all};
	put_u32(octets, number);
	ck_assert(channel_send(seen.channel, MAILDROP_DELETE, &m));
}

START_TEST(a_session_lists_reads_and_removes)
{
	open_maildir();
	ck_assert_uint_eq(seen.messages, 2);
	ck_assert_uint_eq(seen.count, 2);
	ck_assert_uint_eq(seen.sizes[0], 3);
	ck_assert_uint_eq(seen.sizes[1], 6);
	ck_assert_str_eq(seen.uid, "2.M1P1.h");
	read_part(2, 0, 3);
	ck_assert_str_eq(seen.part, "b\nb");
	ck_assert(!seen.last && !seen.failed);
	read_part(2, 3, 3);
	ck_assert_str_eq(seen.part, "\n");
	ck_assert(seen.last);
	send_delete(2, false);
	send_delete(0, true);
	run_until(is_finished);
	ck_assert_uint_eq(seen.deleted, 1);
	ck_assert_uint_eq(seen.undeleted, 0);
	run_until(is_closed);
	ck_assert(box_has("m/new/1.M1P1.h,S=2,W=3") && !box_has("m/new/2.M1P1.h"));
}
END_TEST

START_TEST(a_ticket_opens_once)
{
	open_maildir();
	ask();
	ck_assert_ptr_null(seen.channel);
	ck_assert_str_ne(seen.text, "");
}
END_TEST

/* Two channels have no order between them. */
START_TEST(a_ticket_may_be_asked_for_before_its_grant_is_read)
{
	struct maildrop_grant g = grant_for("maildir", "m");
	struct maildrop_open m = {.request = 5, .ticket = slice_make(ticket, sizeof(ticket))};
	ck_assert(channel_send(pop3d, MAILDROP_OPEN, &m));
	ck_assert(channel_flush(pop3d, 1000000));
	usleep(50000);
	grant(&g);
	run_until(is_answered);
	run_until(has_state);
	ck_assert_uint_eq(seen.state, MAILDROP_READY);
	ask(); /* once */
	ck_assert_ptr_null(seen.channel);
}
END_TEST

START_TEST(a_ticket_that_nobody_granted_opens_nothing)
{
	memset(ticket, 1, sizeof(ticket));
	ask();
	ck_assert_ptr_null(seen.channel);
}
END_TEST

START_TEST(a_second_session_of_the_mailbox_is_locked_out_until_the_first_has_gone)
{
	struct maildrop_grant g = grant_for("maildir", "m");
	open_maildir();
	struct channel *first = seen.channel;
	seen.channel = NULL;
	open_box(&g);
	ck_assert_uint_eq(seen.state, MAILDROP_LOCKED);
	channel_free(&first);
	do
		open_box(&g);
	while (seen.state == MAILDROP_LOCKED);
	ck_assert_uint_eq(seen.state, MAILDROP_READY);
}
END_TEST

static const struct {
	uint32_t number;
	bool reads;
} lies[] = {{0, true}, {3, true}, {UINT32_MAX, true}, {3, false}, {UINT32_MAX, false}};

START_TEST(a_lying_pop3d_is_cut_off_and_nothing_is_removed)
{
	open_maildir();
	send_delete(1, false);
	if (lies[_i].reads) {
		read_part(lies[_i].number, 0, 100);
		ck_assert(!seen.heard);
	} else {
		send_delete(lies[_i].number, true);
		run_until(is_closed);
	}
	ck_assert(box_has("m/new/1.M1P1.h,S=2,W=3") && box_has("m/new/2.M1P1.h"));
}
END_TEST

START_TEST(a_position_beyond_the_end_is_the_end)
{
	open_maildir();
	read_part(2, UINT64_C(1) << 62, 100);
	ck_assert_str_eq(seen.part, "");
	ck_assert(seen.last && !seen.failed);
}
END_TEST

START_TEST(a_channel_that_closes_before_the_last_word_removes_nothing)
{
	struct maildrop_grant g = grant_for("maildir", "m");
	open_maildir();
	send_delete(1, false);
	send_delete(2, false);
	channel_flush(seen.channel, 1000000);
	do
		open_box(&g);
	while (seen.state == MAILDROP_LOCKED);
	ck_assert_uint_eq(seen.messages, 2);
}
END_TEST

/* The process whose parent is that one; 0: none, or not one alone. */
static pid_t child_of(pid_t parent)
{
	DIR *d = opendir("/proc");
	pid_t found = 0;
	unsigned count = 0;
	for (struct dirent *e; (e = readdir(d));) {
		char path[300], line[400] = "", state;
		int number = atoi(e->d_name), up = 0;
		snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
		FILE *f = number > 0 ? fopen(path, "r") : NULL;
		if (!f)
			continue;
		if (fgets(line, sizeof(line), f) && strrchr(line, ')') &&
		    sscanf(strrchr(line, ')') + 1, " %c %d", &state, &up) == 2 && up == parent &&
		    state != 'Z') {
			found = number;
			count++;
		}
		fclose(f);
	}
	closedir(d);
	return count == 1 ? found : 0;
}

START_TEST(a_child_that_its_owner_kills_removes_nothing)
{
	open_maildir();
	send_delete(1, false);
	channel_flush(seen.channel, 1000000);
	ck_assert_int_eq(kill(child_of(child_of(pid)), SIGKILL), 0);
	run_until(is_closed);
	ck_assert(!seen.finished);
	ck_assert(box_has("m/new/1.M1P1.h,S=2,W=3"));
}
END_TEST

START_TEST(a_session_goes_on_when_the_daemon_has_died)
{
	open_maildir();
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	read_part(1, 0, 100);
	ck_assert_str_eq(seen.part, "a\n");
	send_delete(1, true);
	run_until(is_finished);
	ck_assert_uint_eq(seen.deleted, 1);
}
END_TEST

static bool daemon_has_gone(void)
{
	return !channel_alive(master);
}

START_TEST(the_daemon_ends_when_its_fork_server_has_gone)
{
	ck_assert_int_eq(kill(child_of(pid), SIGKILL), 0);
	run_until(daemon_has_gone);
}
END_TEST

/* Those that a user has stopped count against him alone. */
START_TEST(a_user_has_few_sessions_at_once)
{
	struct maildrop_grant g = grant_for("maildir", "none");
	struct channel *kept[SESSIONS_OF_USER_MOST];
	for (int i = 0; i < SESSIONS_OF_USER_MOST; i++) {
		open_box(&g);
		ck_assert_uint_eq(seen.state, MAILDROP_READY);
		kept[i] = seen.channel;
		seen.channel = NULL;
	}
	open_box(&g);
	ck_assert_ptr_null(seen.channel);
	g.user = SLICE("alice@example.org");
	open_box(&g);
	ck_assert_uint_eq(seen.state, MAILDROP_READY);
	for (int i = 0; i < SESSIONS_OF_USER_MOST; i++)
		channel_free(&kept[i]);
}
END_TEST

static void no_kind(struct maildrop_grant *g)
{
	g->kind = SLICE("mh");
}

static void leads_out(struct maildrop_grant *g)
{
	g->path = SLICE("../../etc");
}

static void no_base(struct maildrop_grant *g)
{
	g->base = SLICE("/no/such/directory");
}

static void relative_base(struct maildrop_grant *g)
{
	g->base = SLICE("etc");
}

static void is_root(struct maildrop_grant *g)
{
	g->uid = g->gid = 0;
	g->owner = SLICE("root");
}

static void is_nobody_known(struct maildrop_grant *g)
{
	g->owner = SLICE("no-such-user");
}

static void is_nobody(struct maildrop_grant *g)
{
	g->uid = g->gid = 0;
}

static void is_another(struct maildrop_grant *g)
{
	g->uid = g->gid = OWNER + 1;
}

static const struct {
	void (*change)(struct maildrop_grant *g);
	bool root_only;
} refusals[] = {
    {no_kind, false}, {leads_out, false},      {no_base, false},  {relative_base, false},
    {is_root, true},  {is_nobody_known, true}, {is_nobody, true}, {is_another, false},
};

START_TEST(S52_what_can_not_be_opened_is_trouble)
{
	struct maildrop_grant g = grant_for("maildir", "m");
	if (refusals[_i].root_only && !user_is_root())
		return;
	refusals[_i].change(&g);
	open_box(&g);
	ck_assert_uint_eq(seen.state, MAILDROP_TROUBLE);
	ck_assert_str_ne(seen.text, "");
	ck_assert_uint_eq(seen.count, 0);
}
END_TEST

/* Virtual mailboxes */

/* below/base/m with one message; only root may enter below, nobody when we are not root. */
static void make_hidden(void)
{
	static const char *const parts[] = {
	    "below",	       "below/base", "below/base/m", "below/base/m/new", "below/base/m/cur",
	    "below/base/m/tmp"};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		box_mkdir(parts[i]);
		if (i > 0)
			own(parts[i]);
	}
	write_mail("below/base/m/new/1.M1P1.h", "hidden\n");
}

static void hide(bool hidden)
{
	ck_assert_int_eq(fchmodat(box_dir, "below", hidden ? 0 : 0700, 0), 0);
}

static struct maildrop_grant virtual_grant(const char *base, const char *path)
{
	static char whole[2 * BOX_PATH_SIZE], owner[64];
	struct maildrop_grant g = grant_for("maildir", path);
	snprintf(whole, sizeof(whole), "%s/%s", box_path, base);
	snprintf(owner, sizeof(owner), "%s", user_is_root() ? "mail" : "");
	g.uid = g.gid = 0;
	g.groups = SLICE_EMPTY;
	g.owner = slice_str(owner);
	g.base = slice_str(whole);
	return g;
}

static void give_to_mail(const char *name)
{
	uid_t uid;
	gid_t gid;
	struct error e;
	if (!user_is_root())
		return;
	ck_assert(user_find("mail", &uid, &gid, &e));
	ck_assert_int_eq(fchownat(box_dir, name, uid, gid, 0), 0);
}

static void open_hidden(void)
{
	static const char *const parts[] = {"below/base",	"below/base/m",
					    "below/base/m/new", "below/base/m/cur",
					    "below/base/m/tmp", "below/base/m/new/1.M1P1.h"};
	struct maildrop_grant g = virtual_grant("below/base", "m");
	make_hidden();
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		give_to_mail(parts[i]);
	ck_assert_int_eq(fchmodat(box_dir, "below/base", 0700, 0), 0);
	reload("below/base");
	hide(true);
	open_box(&g);
	hide(false);
}

static bool has_open(pid_t of, const char *name)
{
	char path[64], link[64 + NAME_MAX + 2], target[2 * BOX_PATH_SIZE];
	bool found = false;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)of);
	DIR *d = opendir(path);
	ck_assert_ptr_nonnull(d);
	for (struct dirent *e; (e = readdir(d));) {
		snprintf(link, sizeof(link), "%s/%s", path, e->d_name);
		ssize_t n = readlink(link, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		found |= n > 0 && slice_ends_fold(slice_str(target), slice_str(name));
	}
	closedir(d);
	return found;
}

START_TEST(a_virtual_mailbox_lies_below_a_folder_that_its_owner_may_not_enter)
{
	open_hidden();
	ck_assert_msg(seen.state == MAILDROP_READY, "%s", seen.text);
	ck_assert_uint_eq(seen.messages, 1);
	read_part(1, 0, 100);
	ck_assert_str_eq(seen.part, "hidden\n");
	if (user_is_root()) { /* else its /proc is closed to us too */
		pid_t child = child_of(child_of(pid));
		ck_assert(has_open(child, "/below/base/m"));
		ck_assert(!has_open(child, "/below/base"));
	}
	send_delete(1, true);
	run_until(is_finished);
	ck_assert_uint_eq(seen.deleted, 1);
}
END_TEST

START_TEST(a_session_goes_on_when_a_reload_changes_the_directories)
{
	struct maildrop_grant g = virtual_grant("below/base", "m");
	open_hidden();
	reload(NULL);
	read_part(1, 0, 100);
	ck_assert_str_eq(seen.part, "hidden\n");
	struct channel *first = seen.channel;
	seen.channel = NULL;
	open_box(&g); /* of the old place */
	ck_assert_ptr_null(seen.channel);
	ck_assert_str_ne(seen.text, "");
	seen.channel = first;
	send_delete(1, true);
	run_until(is_finished);
	ck_assert_uint_eq(seen.deleted, 1);
}
END_TEST

START_TEST(a_directory_that_was_removed_is_trouble_and_no_empty_mailbox)
{
	struct maildrop_grant g = virtual_grant("gone", "m");
	box_mkdir("gone");
	give_to_mail("gone");
	reload("gone");
	open_box(&g);
	ck_assert_uint_eq(seen.state, MAILDROP_READY); /* and empty: nothing was delivered yet */
	ck_assert_uint_eq(seen.messages, 0);
	ck_assert_int_eq(unlinkat(box_dir, "gone", AT_REMOVEDIR), 0);
	open_box(&g);
	ck_assert_uint_eq(seen.state, MAILDROP_TROUBLE);
	box_mkdir("gone");
	give_to_mail("gone");
	reload("gone");
	open_box(&g);
	ck_assert_uint_eq(seen.state, MAILDROP_READY);
}
END_TEST

START_TEST(a_virtual_mailbox_is_never_outside_of_its_directory)
{
	struct maildrop_grant g = virtual_grant("below/base", "../../m");
	open_hidden();
	open_box(&g);
	ck_assert_uint_eq(seen.state, MAILDROP_TROUBLE);
	g = virtual_grant("m", "new"); /* which the master has not opened */
	open_box(&g);
	ck_assert_ptr_null(seen.channel);
}
END_TEST

static void number_in(pid_t of, const char *name, char value[128])
{
	char path[64], line[512];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)of);
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	value[0] = '\0';
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0)
			snprintf(value, 128, "%.120s", line + strlen(name));
	fclose(f);
}

static const struct {
	const char *name, *value;
} rights[] = {
    {"Uid:", "\t60001\t60001\t60001\t60001\n"},
    {"Gid:", "\t60001\t60001\t60001\t60001\n"},
    {"Groups:", "\t60999 \n"},
    {"NoNewPrivs:", "\t1\n"},
    {"Seccomp:", "\t2\n"},
    {"CapPrm:", "\t0000000000000000\n"},
    {"CapEff:", "\t0000000000000000\n"},
};

START_TEST(S52_a_child_is_the_owner_and_nothing_else)
{
	char value[128];
	if (!user_is_root())
		return;
	open_maildir();
	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		number_in(child_of(child_of(pid)), rights[i].name, value);
		ck_assert_str_eq(value, rights[i].value);
	}
	number_in(pid, "Uid:", value);
	ck_assert_str_eq(value, "\t65534\t65534\t65534\t65534\n");
	number_in(pid, "CapPrm:", value);
	ck_assert_str_eq(value, "\t0000000000000000\n");
	number_in(child_of(pid), "CapPrm:", value);
	ck_assert_str_eq(value, "\t00000000000000e0\n"); /* SETUID SETGID KILL */
}
END_TEST

START_TEST(an_owner_may_be_named)
{
	struct maildrop_grant g = grant_for("maildir", "m");
	if (!user_is_root())
		return;
	g.uid = g.gid = 0;
	g.groups = SLICE_EMPTY;
	g.owner = SLICE("mail");
	ck_assert_int_eq(chmod(box_path, 0755), 0);
	for (const char *const *p = (const char *const[]){"m", "m/new", "m/cur", NULL}; *p; p++)
		ck_assert_int_eq(fchmodat(box_dir, *p, 0777, 0), 0);
	open_box(&g);
	/* its lock is the owner's; the messages are another's and can't be read, but for their
	 * size */
	ck_assert_msg(seen.state == MAILDROP_READY, "%s", seen.text);
	ck_assert_uint_eq(seen.messages, 1);
	read_part(1, 0, 10);
	ck_assert(seen.failed);
}
END_TEST

/* As in /var/mail: the directory's group makes files there, and nothing else is in it but, the
 * second time, what a session left that died while it wrote. */
START_TEST(S51_an_mbox_in_the_spool_is_locked_and_rewritten)
{
	struct maildrop_grant g = grant_for("mbox", "bob");
	char spool[BOX_PATH_SIZE];
	gid_t mail;
	struct error e;
	struct stat st;
	snprintf(spool, sizeof(spool), "%s/spool", box_path);
	box_mkdir("spool");
	write_mail("spool/bob", "From a\nS: 1\n\none\n\nFrom b\nS: 2\n\ntwo\n\n");
	if (_i == 1)
		write_mail("spool/.bob.pop3.new", "From a\n");
	if (user_is_root()) {
		ck_assert(user_find_group("mail", &mail, &e));
		ck_assert_int_eq(chown(spool, 0, mail), 0);
		ck_assert_int_eq(chmod(spool, 02775), 0);
		ck_assert_int_eq(fchownat(box_dir, "spool/bob", OWNER, mail, 0), 0);
		ck_assert_int_eq(fchmodat(box_dir, "spool/bob", 0660, 0), 0);
	}
	g.base = slice_str(spool);
	open_box(&g);
	ck_assert_msg(seen.state == MAILDROP_READY, "%s", seen.text);
	ck_assert_uint_eq(seen.messages, 2);
	send_delete(1, true);
	run_until(is_finished);
	ck_assert(!box_has("spool/.bob.pop3.lock") && !box_has("spool/bob.lock"));
	ck_assert_uint_eq(seen.deleted, 1);
	ck_assert(!box_has("spool/.bob.pop3.new"));
	ck_assert_str_eq(box_read("spool/bob"), "From b\nS: 2\n\ntwo\n\n");
	ck_assert_int_eq(fstatat(box_dir, "spool/bob", &st, 0), 0);
	if (user_is_root()) {
		ck_assert_uint_eq(st.st_mode & 07777, 0660);
		ck_assert_uint_eq(st.st_gid, mail);
		ck_assert_uint_eq(st.st_uid, OWNER);
	}
	run_until(is_closed);
}
END_TEST

START_TEST(ten_thousand_messages_are_listed)
{
	enum { MANY = 10000 };
	char name[64];
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "m/cur/%d.M1P1.h,S=2,W=3:2,S", 1000 + i);
		write_mail(name, "x\n");
	}
	open_maildir();
	ck_assert_uint_eq(seen.messages, MANY + 2);
	ck_assert_uint_eq(seen.count, MANY + 2);
	ck_assert_str_eq(seen.uid, "10999.M1P1.h");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sessions");
	TCase *tc = tcase_create("sessions");
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_session_lists_reads_and_removes);
	tcase_add_test(tc, a_ticket_opens_once);
	tcase_add_test(tc, a_ticket_may_be_asked_for_before_its_grant_is_read);
	tcase_add_test(tc, a_ticket_that_nobody_granted_opens_nothing);
	tcase_add_test(tc, a_second_session_of_the_mailbox_is_locked_out_until_the_first_has_gone);
	tcase_add_loop_test(tc, a_lying_pop3d_is_cut_off_and_nothing_is_removed, 0,
			    sizeof(lies) / sizeof(lies[0]));
	tcase_add_test(tc, a_position_beyond_the_end_is_the_end);
	tcase_add_test(tc, a_channel_that_closes_before_the_last_word_removes_nothing);
	tcase_add_test(tc, a_child_that_its_owner_kills_removes_nothing);
	tcase_add_test(tc, a_session_goes_on_when_the_daemon_has_died);
	tcase_add_test(tc, the_daemon_ends_when_its_fork_server_has_gone);
	tcase_add_test(tc, a_user_has_few_sessions_at_once);
	tcase_add_loop_test(tc, S52_what_can_not_be_opened_is_trouble, 0,
			    sizeof(refusals) / sizeof(refusals[0]));
	tcase_add_test(tc, a_virtual_mailbox_lies_below_a_folder_that_its_owner_may_not_enter);
	tcase_add_test(tc, a_session_goes_on_when_a_reload_changes_the_directories);
	tcase_add_test(tc, a_directory_that_was_removed_is_trouble_and_no_empty_mailbox);
	tcase_add_test(tc, a_virtual_mailbox_is_never_outside_of_its_directory);
	tcase_add_test(tc, S52_a_child_is_the_owner_and_nothing_else);
	tcase_add_test(tc, an_owner_may_be_named);
	tcase_add_loop_test(tc, S51_an_mbox_in_the_spool_is_locked_and_rewritten, 0, 2);
	tcase_add_test(tc, ten_thousand_messages_are_listed);
	suite_add_tcase(s, tc);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
