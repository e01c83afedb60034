/*
 * From the options to the server's yes: the configuration says who we are and where the server
 * listens, the system who calls.
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include <bsd/stdlib.h>

#include "commands/sendmail/sendmail.h"
#include "common/config/config.h"
#include "common/mail/header.h"
#include "common/os/clock.h"

struct run {
	const struct options *options;
	struct config *config;
	struct slice origin, host;
	struct recipients recipients;
	struct buffer read, message;
	char sender[ADDRESS_SIZE];
	char caller[ADDRESS_SIZE]; /* the user who calls */
	char full_name[256];
};

/* The first address the server listens on, as a client of the same machine reaches it. */
struct search {
	struct net_address found;
	bool done;
};

static void look_at_listen(void *arg, const struct record *record, const void *value)
{
	const struct settings_listen *l = value;
	struct search *s = arg;
	struct net_address a;
	static const uint8_t any[16];
	(void)record;
	if (s->done || !slice_equal(l->kind, SLICE("smtp")) || !net_address_parse(l->address, &a))
		return;
	if (a.family != NET_ANY && a.family != NET_IPV4 && a.family != NET_IPV6)
		return;
	if (a.family == NET_ANY || (a.family == NET_IPV4 && memcmp(a.bytes, any, 4) == 0)) {
		a.family = NET_IPV4;
		memcpy(a.bytes, (uint8_t[]){127, 0, 0, 1}, 4);
	} else if (a.family == NET_IPV6 && memcmp(a.bytes, any, 16) == 0) {
		a.bytes[15] = 1;
	}
	s->found = a;
	s->done = true;
}

static bool find_server(const struct config *config, struct net_address *to, struct error *e)
{
	struct search s = {.done = false};
	config_each(config, &settings_listen_record, look_at_listen, &s);
	*to = s.found;
	return s.done || error_set(e, EX_UNAVAILABLE, "%s has no `listen ADDRESS:PORT smtp`",
				   config_path(config));
}

/* Up to the first comma of the comment field, as finger(1) does. */
static bool find_caller(struct run *r, struct error *e)
{
	const struct passwd *user = getpwuid(getuid());
	struct slice name, rest, gecos;
	char number[32];
	snprintf(number, sizeof(number), "uid%u", (unsigned)getuid());
	gecos = slice_str(user ? user->pw_gecos : "");
	slice_split(gecos, ',', &name, &rest);
	if (r->options->full_name)
		name = slice_str(r->options->full_name);
	slice_copy(name, r->full_name, sizeof(r->full_name));
	return address_complete(slice_str(user ? user->pw_name : number), r->origin, r->caller, e);
}

static bool find_sender(struct run *r, struct error *e)
{
	struct slice s = slice_str(r->options->sender);
	if (!r->options->sender)
		return slice_copy(slice_str(r->caller), r->sender, sizeof(r->sender));
	if (s.len >= 2 && s.ptr[0] == '<' && s.ptr[s.len - 1] == '>')
		s = slice_sub(s, 1, s.len - 2);
	if (s.len == 0)
		return true; /* the null sender */
	return address_complete(s, r->origin, r->sender, e) || error_prefix(e, "-f");
}

static bool find_recipients(struct run *r, struct error *e)
{
	for (int i = 0; i < r->options->recipient_count; i++)
		if (!recipients_add_list(&r->recipients, slice_str(r->options->recipients[i]), e))
			return false;
	if (r->options->from_header &&
	    !message_recipients(buffer_slice(&r->read), &r->recipients, e))
		return false;
	return r->recipients.count > 0 || error_set(e, EX_DATAERR, "no recipient is named");
}

static bool make_message(struct run *r, struct error *e)
{
	uint64_t now = clock_wall_us();
	struct author author = {
	    .address = slice_str(r->sender[0] ? r->sender : r->caller),
	    .full_name = slice_str(r->full_name),
	    .host = r->host,
	    .seconds = (int64_t)(now / CLOCK_SECOND),
	    .offset = clock_offset_minutes(now) * 60,
	};
	arc4random_buf(&author.unique, sizeof(author.unique));
	return message_complete(buffer_slice(&r->read), &author, &r->message, e);
}

static bool hand_over(struct run *r, struct error *e)
{
	struct submission s = {.host = r->host,
			       .sender = slice_str(r->sender),
			       .recipients = &r->recipients,
			       .content = buffer_slice(&r->message)};
	struct net_address to;
	bool good;
	int fd;
	if (!find_server(r->config, &to, e))
		return false;
	fd = submit_connect(&to, e);
	if (fd < 0)
		return false;
	good = submit_talk(fd, &s, e);
	close(fd);
	return good;
}

static bool run_all(struct run *r, struct error *e)
{
	uint64_t most;
	if (!config_load(r->options->config_path, &r->config, e)) {
		e->code = EX_UNAVAILABLE;
		return error_prefix(e, "not configured");
	}
	r->origin = slice_str(config_string(r->config, "origin"));
	r->host = slice_str(config_string(r->config, "hostname"));
	most = config_number(r->config, "limits.message-size");
	recipients_init(&r->recipients, r->origin, config_number(r->config, "limits.recipients"));
	buffer_init(&r->read, most);
	buffer_init(&r->message, most + HEADER_LIMIT);
	return find_caller(r, e) && find_sender(r, e) &&
	       message_read(STDIN_FILENO, r->options->dot_ends, &r->read, e) &&
	       find_recipients(r, e) && make_message(r, e) && hand_over(r, e);
}

/* Nothing that steers a terminal comes out, whatever a server says. */
static void complain(struct slice text)
{
	fputs("sendmail: ", stderr);
	for (size_t i = 0; i < text.len; i++)
		fputc(text.ptr[i] >= ' ' && text.ptr[i] < 0x7f ? text.ptr[i] : '?', stderr);
	fputc('\n', stderr);
}

int sendmail_run(const struct options *o)
{
	struct run r = {.options = o};
	struct error e = {0};
	bool good = run_all(&r, &e);
	if (!good)
		complain(slice_str(e.text));
	if (r.config) {
		recipients_free(&r.recipients);
		buffer_free(&r.read);
		buffer_free(&r.message);
	}
	config_free(&r.config);
	return good ? EX_OK : e.code;
}
