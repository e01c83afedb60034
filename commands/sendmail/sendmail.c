/*
 * From the options to the server's yes: the configuration says who we are and where the server's
 * socket for programs is, the system who calls.
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>
#include <bsd/stdlib.h>

#include "commands/sendmail/sendmail.h"
#include "common/base/encode.h"
#include "common/config/config.h"
#include "common/mail/header.h"
#include "common/os/clock.h"

#define SPARE_USUAL (UINT64_C(64) << 20) /* as limits { spool-free } without a word of it */

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
	return mailbox_text(slice_str(user ? user->pw_name : number), r->origin, r->caller, e);
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
	return mailbox_text(s, r->origin, r->sender, e) || error_prefix(e, "-f");
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

/* Addresses that are not ASCII, or a header (RFC 6531, RFC 6532). */
static bool needs_utf8(const struct run *r)
{
	struct slice header, body;
	if (!ascii_only(slice_str(r->sender)) || !ascii_only(buffer_slice(&r->recipients.texts)))
		return true;
	header_split(buffer_slice(&r->message), &header, &body);
	return !ascii_only(header) && utf8_valid(header);
}

/* Nothing that steers a terminal comes out, whatever a server says. */
static void complain(struct slice text)
{
	fputs("sendmail: ", stderr);
	for (size_t i = 0; i < text.len; i++)
		fputc(text.ptr[i] >= ' ' && text.ptr[i] < 0x7f ? text.ptr[i] : '?', stderr);
	fputc('\n', stderr);
}

static bool neither(struct error *e, const struct error *why)
{
	struct error first = *e;
	return error_set(e, why->code, "%.190s; %.190s", first.text, why->text);
}

/* What stays free on the spool's disk. Whoever names a file by -C can write what he likes in it, so
 * the right to the drop directory goes with no less than the machine's own file says, or, where
 * there is none, than the usual. */
static uint64_t spare_octets(const struct run *r)
{
	uint64_t spare = config_number(r->config, "limits.spool-free"), own = SPARE_USUAL;
	struct config *config = NULL;
	struct error ignored;
	if (!privilege_there() || strcmp(r->options->config_path, default_config) == 0)
		return spare;
	if (config_load(default_config, &config, &ignored))
		own = config_number(config, "limits.spool-free");
	config_free(&config);
	return spare > own ? spare : own;
}

/* What the server does not take now is kept for it. So is what it refuses in part, or when the
 * author is to hear of it by mail: pickup sends it to whom it can, and tells the author of the
 * others. */
static bool keep_for_server(const struct run *r, const struct submission *s, bool some,
			    struct error *e)
{
	struct error why = {0};
	bool later = e->code == EX_TEMPFAIL;
	if (!later && !some && !r->options->mails_errors)
		return false;
	if (!keep_message(s, config_string(r->config, "spool"), spare_octets(r), &why))
		return later ? neither(e, &why) : false;
	if (!later && !r->options->mails_errors) {
		complain(slice_str(e->text));
		complain(SLICE("the others get it, and the sender is told of this one by mail"));
	}
	return true;
}

static bool hand_over(struct run *r, struct error *e)
{
	struct submission s = {.host = r->host,
			       .sender = slice_str(r->sender),
			       .recipients = &r->recipients,
			       .content = buffer_slice(&r->message),
			       .utf8 = needs_utf8(r),
			       .notify = r->options->notify,
			       .ret = r->options->ret,
			       .envid = r->options->envid};
	bool good = false, some = false;
	int fd = submit_connect(config_string(r->config, "run"), e);
	if (fd >= 0) {
		good = submit_talk(fd, &s, &some, e);
		close(fd);
	}
	return good || keep_for_server(r, &s, some, e);
}

/* SMTP as the program speaks it itself. */
static bool talk_through(struct run *r, struct error *e)
{
	int fd = submit_connect(config_string(r->config, "run"), e);
	bool good = fd >= 0 && bridge_run(fd, e);
	if (fd < 0) /* RFC 5321 3.1: a client that hears this keeps its mail */
		printf("421 4.3.2 %s no mail server is running here, try later\r\n",
		       config_string(r->config, "hostname"));
	else
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
	if (r->options->mode == MODE_SMTP)
		return talk_through(r, e);
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

int sendmail_run(const struct options *o)
{
	struct run r = {.options = o};
	struct error e = {0};
	bool good = false;
	if (o->mode == MODE_MESSAGE || o->mode == MODE_SMTP) {
		good = run_all(&r, &e);
	} else {
		privilege_end();
		others_run(o, &e);
	}
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
