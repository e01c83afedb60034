/*
 * What is logged of a session, one event a line, with the names that smtpd's have (daemons/log):
 *
 *	connected, refused, secured, unsecured, login, login-failed, disconnected
 *	maildrop	opened: how many messages
 *	no-maildrop	it could not be opened, and why
 *	not-removed	what is deleted could not all be removed
 */
#include "common/service/secure.h"
#include "daemons/pop3d/pop3d.h"

static void begin(struct log_line *line, const struct session *s, enum log_level level,
		  const char *event)
{
	log_start(line, level, 0, event);
	log_pair(line, "client", slice_str(s->address));
	log_pair(line, "listener", slice_str(listener_kind(s->listener)));
}

void session_log_begin(const struct session *s)
{
	struct log_line line;
	begin(&line, s, LOG_LEVEL_INFO, "connected");
	log_end(&line);
}

void session_log_end(const struct session *s)
{
	struct log_line line;
	begin(&line, s, LOG_LEVEL_INFO, "disconnected");
	log_pair(&line, "how", slice_str(s->how));
	log_pair(&line, "after", slice_str(s->after));
	if (s->user) {
		log_pair(&line, "user", slice_str(s->user));
		log_number(&line, "retrieved", s->retrieved);
		log_number(&line, "octets", s->sent);
		log_number(&line, "removed", s->removed);
		log_number(&line, "left", s->box.count - s->removed);
	}
	log_number(&line, "commands", s->commands);
	log_end(&line);
}

void session_log_secured(const struct session *s)
{
	struct log_line line;
	begin(&line, s, LOG_LEVEL_INFO, "secured");
	secure_log(s->stream, &line);
	log_end(&line);
}

void session_log_unsecured(const struct session *s, const char *why)
{
	struct log_line line;
	begin(&line, s, LOG_LEVEL_INFO, "unsecured");
	log_pair(&line, "text", slice_str(why));
	log_end(&line);
}

void session_log_login(const struct session *s)
{
	struct log_line line;
	begin(&line, s, LOG_LEVEL_INFO, "login");
	log_pair(&line, "mechanism", slice_str(s->mechanism));
	log_pair(&line, "user", slice_str(s->user));
	log_end(&line);
}

void session_log_login_failed(const struct session *s, const char *result, struct slice text,
			      struct slice user)
{
	struct log_line line;
	begin(&line, s, LOG_LEVEL_WARNING, "login-failed");
	log_pair(&line, "mechanism", slice_str(s->mechanism));
	log_pair(&line, "result", slice_str(result));
	log_pair(&line, "text", text);
	log_pair(&line, "user", user);
	log_end(&line);
}

void session_log_box(const struct session *s, const char *event, struct slice text)
{
	struct log_line line;
	begin(&line, s, LOG_LEVEL_INFO, event);
	log_pair(&line, "user", slice_str(s->user));
	log_number(&line, "messages", s->box.count);
	if (text.len > 0)
		log_pair(&line, "text", text);
	log_end(&line);
}

void session_log_refused(const struct session *s, const char *why)
{
	struct log_line line;
	begin(&line, s, LOG_LEVEL_INFO, "refused");
	log_pair(&line, "step", SLICE("connect"));
	log_pair(&line, "reply", slice_str(why));
	log_end(&line);
}
