/*
 * Our events in Postfix's words. One table says which event becomes what; what is not in it keeps
 * our own words behind the queue id, and warnings and errors are said as Postfix says its own.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "daemons/log/event.h"
#include "daemons/log/format.h"
#include "daemons/log/style.h"

struct output {
	const struct event *e;
	struct slice role;
	style_line *line;
	void *arg;
	bool full;
};

static void __attribute__((format(printf, 3, 4)))
put(struct output *o, const char *role, const char *format, ...)
{
	struct buffer b;
	va_list ap;
	buffer_init(&b, FORMAT_LINE_MAX);
	va_start(ap, format);
	buffer_vprintf(&b, format, ap);
	va_end(ap);
	if (!o->full)
		o->full = !o->line(o->arg, role ? slice_str(role) : o->role, buffer_slice(&b));
	buffer_free(&b);
}

static struct slice get(const struct output *o, const char *key)
{
	struct slice value = event_value(o->e, key);
	return value.ptr ? value : SLICE("");
}

/* "mx.example.org[192.0.2.1]"; a local user's is as if his mail came from this machine. */
struct client {
	struct slice name, address;
};

static struct client client_of(const struct output *o)
{
	struct client c = {get(o, "name"), get(o, "client")};
	if (c.name.len == 0)
		c.name = event_value(o->e, "uid").ptr ? SLICE("localhost") : SLICE("unknown");
	if (event_value(o->e, "uid").ptr)
		c.address = SLICE("127.0.0.1");
	return c;
}

#define CLIENT_FMT  "%.*s[%.*s]"
#define CLIENT(c)   SLICE_FMT((c).name), SLICE_FMT((c).address)
#define ID_FMT	    "%.*s: "
#define ID(o)	    SLICE_FMT((o)->e->id)
#define VALUE(o, k) SLICE_FMT(get(o, k))

static void connected(struct output *o)
{
	struct client c = client_of(o);
	put(o, NULL, "connect from " CLIENT_FMT, CLIENT(c));
}

/* Counts of verbs as we log them are as Postfix has them: ehlo=1 rcpt=0/1 commands=2/3. */
static void disconnected(struct output *o)
{
	static const struct slice ours[] = {{"client", 6},   {"name", 4},  {"uid", 3},
					    {"how", 3},	     {"after", 5}, {"content", 7},
					    {"messages", 8}, {"cut", 3},   {"listener", 8},
					    {"user", 4},     {"text", 4}};
	struct client c = client_of(o);
	struct slice how = get(o, "how"), content = get(o, "content");
	const char *what = slice_equal(how, SLICE("closed")) || slice_equal(how, SLICE("broken"))
			       ? "lost connection"
			   : slice_equal(how, SLICE("late")) || slice_equal(how, SLICE("slow"))
			       ? "timeout"
			   : slice_equal(how, SLICE("errors")) ? "too many errors"
							       : NULL;
	struct buffer counts;
	if (what && content.len > 0)
		put(o, NULL, "%s after %.*s (%.*s bytes) from " CLIENT_FMT, what, VALUE(o, "after"),
		    SLICE_FMT(content), CLIENT(c));
	else if (what)
		put(o, NULL, "%s after %.*s from " CLIENT_FMT, what, VALUE(o, "after"), CLIENT(c));
	buffer_init(&counts, FORMAT_LINE_MAX);
	for (size_t i = 0; i < o->e->count; i++) {
		bool is_count = true;
		for (size_t k = 0; k < sizeof(ours) / sizeof(ours[0]); k++)
			is_count = is_count && !slice_equal(o->e->pairs[i].key, ours[k]);
		if (is_count)
			buffer_printf(&counts, " %.*s=%.*s", SLICE_FMT(o->e->pairs[i].key),
				      SLICE_FMT(o->e->pairs[i].value));
	}
	put(o, NULL, "disconnect from " CLIENT_FMT "%.*s", CLIENT(c),
	    SLICE_FMT(buffer_slice(&counts)));
	buffer_free(&counts);
}

/* One event of ours is what three of Postfix's processes say. */
static void accepted(struct output *o)
{
	struct client c = client_of(o);
	struct slice uid = event_value(o->e, "uid");
	if (uid.ptr)
		put(o, "pickup", ID_FMT "uid=%.*s from=<%.*s>", ID(o), SLICE_FMT(uid),
		    VALUE(o, "from"));
	else if (event_value(o->e, "user").ptr)
		put(o, NULL, ID_FMT "client=" CLIENT_FMT ", sasl_method=%.*s, sasl_username=%.*s",
		    ID(o), CLIENT(c), VALUE(o, "mechanism"), VALUE(o, "user"));
	else
		put(o, NULL, ID_FMT "client=" CLIENT_FMT, ID(o), CLIENT(c));
	put(o, "cleanup", ID_FMT "message-id=%.*s", ID(o), VALUE(o, "message-id"));
	put(o, "qmgr", ID_FMT "from=<%.*s>, size=%.*s, nrcpt=%.*s (queue active)", ID(o),
	    VALUE(o, "from"), VALUE(o, "size"), VALUE(o, "recipients"));
}

/* Until a recipient is accepted Postfix has no queue id; it names the step by its verb. */
static void refused(struct output *o)
{
	static const struct {
		const char *ours, *theirs;
		bool queued;
	} steps[] = {{"connect", "CONNECT", false}, {"HELO", "HELO", false},
		     {"EHLO", "EHLO", false},	    {"MAIL", "MAIL", false},
		     {"RCPT", "RCPT", false},	    {"DATA", "DATA", true},
		     {"BDAT", "BDAT", true},	    {"END", "END-OF-MESSAGE", true}};
	struct slice step = get(o, "step"), id = SLICE("NOQUEUE");
	struct client c = client_of(o);
	struct buffer rest;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (!slice_equal_fold(step, slice_str(steps[i].ours)))
			continue;
		step = slice_str(steps[i].theirs);
		if (steps[i].queued && !slice_equal(o->e->id, SLICE("-")))
			id = o->e->id;
		break;
	}
	buffer_init(&rest, FORMAT_LINE_MAX);
	if (event_value(o->e, "from").ptr)
		buffer_printf(&rest, " from=<%.*s>", VALUE(o, "from"));
	if (event_value(o->e, "to").ptr)
		buffer_printf(&rest, " to=<%.*s>", VALUE(o, "to"));
	if (event_value(o->e, "proto").ptr)
		buffer_printf(&rest, " proto=%.*s", VALUE(o, "proto"));
	if (event_value(o->e, "helo").ptr)
		buffer_printf(&rest, " helo=<%.*s>", VALUE(o, "helo"));
	if (event_value(o->e, "user").ptr)
		buffer_printf(&rest, " sasl_username=<%.*s>", VALUE(o, "user"));
	put(o, NULL, ID_FMT "reject: %.*s from " CLIENT_FMT ": %.*s;%.*s", SLICE_FMT(id),
	    SLICE_FMT(step), CLIENT(c), VALUE(o, "reply"), SLICE_FMT(buffer_slice(&rest)));
	buffer_free(&rest);
}

/* fail2ban knows the names of SASL's mechanisms, and none of POP3's USER and PASS. It ignores what
 * is the server's own trouble by the words that Postfix has for it. */
static void login_failed(struct output *o)
{
	struct client c = client_of(o);
	struct slice mechanism = get(o, "mechanism");
	bool trouble = slice_equal(get(o, "result"), SLICE("trouble"));
	if (slice_equal(mechanism, SLICE("USER")))
		mechanism = SLICE("LOGIN");
	put(o, NULL, "warning: " CLIENT_FMT ": SASL %.*s authentication failed: %s%.*s%s%.*s",
	    CLIENT(c), SLICE_FMT(mechanism),
	    trouble ? "Connection lost to authentication server: " : "", VALUE(o, "text"),
	    event_value(o->e, "user").ptr ? ", sasl_username=" : "", VALUE(o, "user"));
}

static void secured(struct output *o)
{
	struct client c = client_of(o);
	put(o, NULL,
	    "Anonymous TLS connection established from " CLIENT_FMT
	    ": %.*s with cipher %.*s (%.*s/%.*s bits)",
	    CLIENT(c), VALUE(o, "version"), VALUE(o, "cipher"), VALUE(o, "bits"), VALUE(o, "bits"));
}

static void unsecured(struct output *o)
{
	struct client c = client_of(o);
	put(o, NULL, "SSL_accept error from " CLIENT_FMT ": %.*s", CLIENT(c), VALUE(o, "text"));
}

static double seconds_of(const struct output *o, const char *key)
{
	char text[32];
	return slice_copy(get(o, key), text, sizeof(text)) ? strtod(text, NULL) : 0.0;
}

static void delivery(struct output *o, const char *status)
{
	double all = seconds_of(o, "delay"), setup = seconds_of(o, "setup"),
	       transfer = seconds_of(o, "transfer"), waited = all - setup - transfer;
	struct slice original = get(o, "orig-to"), relay = get(o, "relay"), reply = get(o, "reply");
	bool local = slice_equal(relay, SLICE("local"));
	char orig[FORMAT_LINE_MAX] = "";
	if (original.len > 0)
		snprintf(orig, sizeof(orig), " orig_to=<%.*s>,", SLICE_FMT(original));
	put(o, local ? "local" : "smtp",
	    ID_FMT
	    "to=<%.*s>,%s relay=%.*s, delay=%.2f, delays=%.2f/0/%.2f/%.2f, dsn=%.*s, status=%s "
	    "(%.*s)",
	    ID(o), VALUE(o, "to"), orig, SLICE_FMT(relay), all, waited > 0 ? waited : 0.0, setup,
	    transfer, VALUE(o, "dsn"), status, SLICE_FMT(reply));
}

static void delivered(struct output *o)
{
	delivery(o, "sent");
}

static void deferred(struct output *o)
{
	delivery(o, "deferred");
}

static void failed(struct output *o)
{
	delivery(o, "bounced");
}

static void removed(struct output *o)
{
	put(o, "qmgr", ID_FMT "removed", ID(o));
}

static void bounced(struct output *o)
{
	struct slice kind = get(o, "kind");
	const char *what = slice_equal(kind, SLICE("postmaster")) ? "postmaster non-delivery"
			   : slice_equal(kind, SLICE("success"))  ? "sender delivery status"
								  : "sender non-delivery";
	put(o, "bounce", ID_FMT "%s notification: %.*s", ID(o), what, VALUE(o, "dsn-id"));
}

static const struct {
	const char *event;
	void (*write)(struct output *o);
} table[] = {
    {"connected", connected}, {"disconnected", disconnected}, {"accepted", accepted},
    {"refused", refused},     {"delivered", delivered},	      {"deferred", deferred},
    {"failed", failed},	      {"bounced", bounced},	      {"removed", removed},
    {"secured", secured},     {"unsecured", unsecured},	      {"login-failed", login_failed},
};

/* What Postfix has no words for. A sentence of ours is a sentence there too. */
static void other(struct output *o, const struct log_entry *entry)
{
	const char *prefix = entry->level == LOG_LEVEL_WARNING ? "warning: "
			     : entry->level == LOG_LEVEL_ERROR ? "error: "
							       : "";
	struct slice text = event_value(o->e, "text"), rest;
	if (text.ptr && o->e->count == 1) {
		put(o, NULL, "%s%.*s", prefix, SLICE_FMT(text));
		return;
	}
	slice_split(entry->text, ' ', &text, &rest); /* QID */
	if (slice_equal(o->e->id, SLICE("-")))
		put(o, NULL, "%s%.*s", prefix, SLICE_FMT(rest));
	else
		put(o, NULL, ID_FMT "%s%.*s", ID(o), prefix, SLICE_FMT(rest));
}

/* Postfix's smtpd has a name for each of its ports in Debian's master.cf, which pflogsumm knows.
 * What programs of this machine submit is as if it came to port 25. */
static struct slice role_of(const struct event *e, struct slice role)
{
	if (!slice_equal(role, SLICE("submission")))
		return role;
	if (event_value(e, "uid").ptr)
		return SLICE("smtpd");
	return slice_equal(event_value(e, "listener"), SLICE("submissions"))
		   ? SLICE("smtps/smtpd")
		   : SLICE("submission/smtpd");
}

bool postfix_write(const struct log_entry *entry, struct slice role, style_line *line, void *arg)
{
	struct event e;
	struct output o = {.e = &e, .role = role, .line = line, .arg = arg};
	if (!event_read(entry->text, &e))
		return line(arg, role, entry->text);
	o.role = role_of(&e, role);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (event_is(&e, table[i].event)) {
			table[i].write(&o);
			return !o.full;
		}
	}
	other(&o, entry);
	return !o.full;
}
