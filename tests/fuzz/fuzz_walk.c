/*
 * walk: one recipient through alias, route and sender tables that are the input's. Whatever they
 * say, and whenever accounts answers: the walk ends once, with deliveries that are canonical
 * addresses and no more of them than its limit.
 *
 * The input: {flags, octet for accounts, recipient LF sender LF login LF}, then the text of the
 * aliases up to a \1, of the routes up to a \1, of the senders.
 */
#include "common/base/memory.h"
#include "common/mail/address.h"
#include "daemons/router/walk.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LATE_MAX = 64 };

static struct book *book;
static struct walk *walk;
static unsigned done, deliveries;
static bool slow;
static uint8_t users;
static struct {
	users_done *done;
	void *arg;
	enum accounts_result result;
} late;

static void lookup(struct slice table, struct slice user, struct slice domain, users_done *call,
		   void *arg)
{
	unsigned sum = users;
	must(table.len > 0 && user.len > 0 && user.len <= WALK_USER_MAX && domain.len > 0);
	for (size_t i = 0; i < user.len; i++)
		sum += (unsigned char)user.ptr[i];
	enum accounts_result result = sum % 8 == 7   ? ACCOUNTS_TROUBLE
				      : sum % 2 == 0 ? ACCOUNTS_KNOWN
						     : ACCOUNTS_MISSING;
	if (!slow) {
		call(arg, result, SLICE("it is broken"));
		return;
	}
	must(!late.done);
	late.done = call;
	late.arg = arg;
	late.result = result;
}

static void on_step(void *arg, const struct walk_step *s)
{
	(void)arg;
	must(s->depth <= WALK_DEPTH_MAX + 1 && s->what);
}

static void on_delivery(void *arg, const struct walk_delivery *d)
{
	struct address a;
	(void)arg;
	must(done == 0 && ++deliveries <= WALK_RESULTS_MAX);
	must(address_parse(d->address, ADDRESS_UTF8 | ADDRESS_DOMAINLESS, &a) == ADDRESS_FINE);
	must((d->transport == WALK_SMTP) == (d->next_hop.len > 0));
	if (d->transport == WALK_LOCAL || d->transport == WALK_SYSTEM)
		must(d->user.len > 0 && d->user.len <= WALK_USER_MAX);
}

static void on_done(void *arg, const struct walk_result *r)
{
	(void)arg;
	must(++done == 1);
	must(r->code == 0 || (r->code >= 400 && r->code <= 599 && r->text[0] != '\0'));
	must(r->code == 0 || deliveries == 0);
	for (const char *c = r->text; *c; c++)
		must(*c != '\r' && *c != '\n');
	walk_free(&walk);
}

static void build_book(void)
{
	static const char *const specs[] = {"file:/users", "any", "system"};
	struct settings_server s = {.hostname = SLICE("mx.example.org"),
				    .origin = SLICE("example.org"),
				    .postmaster = SLICE("root@example.com")};
	struct settings_aliases a = {.table = SLICE("file:/aliases")};
	struct settings_routes r = {.domain = 1, .table = SLICE("file:/routes")};
	struct settings_senders senders = {.table = SLICE("file:/senders")};
	struct settings_outbound o = {.number = 1,
				      .direction = SLICE("to"),
				      .pattern = SLICE(".via.example"),
				      .via = SLICE("[relay.example]:25")};
	static const char *const names[] = {"example.org", "example.com", "xn--bcher-kva.example"};
	book = book_new();
	book_setting(book, &settings_server_record, &s);
	for (uint32_t i = 0; i < 3; i++) {
		struct settings_domain d = {.number = i + 1, .name = slice_str(names[i])};
		struct settings_deliver v = {.number = 10 * i + 10,
					     .domain = i + 1,
					     .kind =
						 i == 2 ? SLICE("system-mbox") : SLICE("maildir"),
					     .users = slice_str(specs[i])};
		book_setting(book, &settings_domain_record, &d);
		book_setting(book, &settings_deliver_record, &v);
		a.domain = i;
		book_setting(book, &settings_aliases_record, &a);
	}
	book_setting(book, &settings_routes_record, &r);
	book_setting(book, &settings_senders_record, &senders);
	book_setting(book, &settings_outbound_record, &o);
}

/* False: it does not load, and the table says no. */
static void load(const char *spec, enum table_use use, struct slice text)
{
	struct shelf_table *t = shelf_take(slice_str(spec), use);
	struct error e = {0};
	if (!table_load_text(t->table, text, NULL, NULL, &e))
		(void)table_load_text(t->table, SLICE_EMPTY, NULL, NULL, &e);
	shelf_release(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make(data, size), recipient, sender, login, aliases, routes;
	struct address a;
	if (!book)
		build_book();
	if (size < 2)
		return 0;
	in = slice_from(in, 2);
	users = data[1];
	slow = data[0] & 64;
	slice_split(in, '\n', &recipient, &in);
	slice_split(in, '\n', &sender, &in);
	slice_split(in, '\n', &login, &in);
	slice_split(in, '\1', &aliases, &in);
	slice_split(in, '\1', &routes, &in);
	/* who asks gives canonical addresses */
	char recipient_text[ADDRESS_SIZE], sender_text[ADDRESS_SIZE], login_text[ADDRESS_SIZE];
	struct {
		struct slice *s;
		char *text;
	} all[] = {{&recipient, recipient_text}, {&sender, sender_text}, {&login, login_text}};
	for (size_t i = 0; i < 3; i++) {
		if (address_parse(*all[i].s, ADDRESS_UTF8 | ADDRESS_DOMAINLESS, &a) == ADDRESS_FINE)
			*all[i].s = address_text(&a, all[i].text);
		else if (i == 0)
			return 0;
		else
			*all[i].s = SLICE_EMPTY;
	}
	load("file:/aliases", TABLE_ALIASES, aliases);
	load("file:/routes", TABLE_ROUTES, routes);
	load("file:/senders", TABLE_ALIASES, in);
	struct walk_question q = {.kind = data[0] & 3,
				  .recipient = recipient,
				  .sender = sender,
				  .login = login,
				  .expanded = data[0] & 4,
				  .trusted = data[0] & 8};
	static const struct walk_hooks hooks = {on_step, on_delivery, on_done};
	done = deliveries = 0;
	walk = walk_new(book, &q, &hooks, lookup, NULL);
	walk_start(walk);
	for (unsigned n = 0; late.done && !(data[0] & 128 && n > 3); n++) {
		users_done *call = late.done;
		late.done = NULL;
		call(late.arg, late.result, SLICE("it is broken"));
	}
	if (late.done) { /* given up while it waits */
		users_done *call = late.done;
		walk_free(&walk);
		late.done = NULL;
		call(late.arg, late.result, SLICE("too late"));
	} else {
		must(done == 1 && !walk);
	}
	must(walk_addresses() == 0);
	return 0;
}
