/*
 * Octets become lines, lines become verbs: which verb may be said when, and what is said to a line
 * that is none.
 */
#include "daemons/smtpd/smtpd.h"

struct verb_row {
	void (*run)(struct session *s, struct slice argument);
	bool junk; /* counts against COMMAND_JUNK_MAX while no mail comes */
	bool last; /* of a pipelined group (RFC 2920 3.1): nothing may follow before its reply */
	bool bare; /* may be said before TLS where users log in (S9) */
};

static void verb_helo(struct session *s, struct slice argument)
{
	verb_hello(s, argument, false);
}

static void verb_ehlo(struct session *s, struct slice argument)
{
	verb_hello(s, argument, true);
}

/* clang-format off */
static const struct verb_row verbs[VERB_COUNT] = {
    /*                                  junk   last   bare */
    [VERB_HELO]     = {verb_helo,       true,  true,  true},
    [VERB_EHLO]     = {verb_ehlo,       true,  true,  true},
    [VERB_STARTTLS] = {verb_starttls,   false, true,  true},
    [VERB_AUTH]     = {verb_auth,       false, true,  true}, /* and gets its own refusal */
    [VERB_MAIL]     = {verb_mail,       false, false, false},
    [VERB_RCPT]     = {verb_rcpt,       false, false, false},
    [VERB_DATA]     = {verb_data,       false, true,  false},
    [VERB_BDAT]     = {verb_bdat,       false, false, false},
    [VERB_RSET]     = {verb_rset,       true,  false, false},
    [VERB_NOOP]     = {verb_noop,       true,  true,  true},
    [VERB_VRFY]     = {verb_vrfy,       true,  true,  false},
    [VERB_HELP]     = {verb_help,       true,  false, true},
    [VERB_QUIT]     = {verb_quit,       false, false, true},
};
/* clang-format on */

static const struct refusal too_long = {500, "5.5.2", "Line too long"};
static const struct refusal login_too_long = {500, "5.5.6", "Authentication line is too long"};

/* Did the client send on before it could know the reply to a command that ends a group? */
static bool pipelines_wrongly(struct session *s, const struct verb_row *row, size_t used)
{
	bool more = stream_input(s->stream).len > used;

	/* RFC 2920 3.1; a client that said HELO was not told of PIPELINING at all (S11). */
	return more && !s->local && (row->last || (s->helo != NULL && !s->esmtp));
}

/* Counts for the log; from here on replies are to this verb. */
static void verb_begins(struct session *s, enum verb verb)
{
	s->verb = verb;
	s->refused = false;
	s->counts[verb].all++;
	s->after = verb_name(verb);
}

/* Browsers that were led here by a page. */
static bool is_web(struct slice word)
{
	return slice_equal_fold(word, SLICE("GET")) || slice_equal_fold(word, SLICE("POST")) ||
	       slice_equal_fold(word, SLICE("CONNECT"));
}

static void run_unknown(struct session *s, struct slice word)
{
	if (is_web(word)) {
		session_reply(s, 554, "5.5.1", "This is no web server");
		session_close(s, "refused");
		return;
	}
	session_reply(s, 500, "5.5.2", "Command not known");
}

/* S9. Where BDAT is refused nobody knows what follows it, as in refuse_line(). */
static void refuse_bare(struct session *s, enum verb verb)
{
	session_reply(s, 530, "5.7.0", "Must issue a STARTTLS command first");
	if (verb == VERB_BDAT)
		session_close(s, "refused");
}

static void run_verb(struct session *s, const struct command *command, size_t used)
{
	const struct verb_row *row = &verbs[command->verb];

	if (pipelines_wrongly(s, row, used)) {
		session_log_refusal(s, verb_name(command->verb), 554, "5.5.0",
				    SLICE("improper pipelining"), SLICE_EMPTY);
		session_reply(s, 554, "5.5.0", "Improper command pipelining");
		session_close(s, "refused");
	} else if (row->junk && ++s->junk > COMMAND_JUNK_MAX) {
		s->how = "errors";
		session_reply(s, 421, "4.7.0", "%s too many commands without mail",
			      smtpd_settings()->hostname);
	} else if (s->kind->login && !s->secure && !row->bare) {
		refuse_bare(s, command->verb);
	} else if (server_draining() && s->transaction == NULL && command->verb != VERB_QUIT) {
		s->how = "stopped";
		session_reply(s, 421, "4.3.2", "%s is shutting down", smtpd_settings()->hostname);
	} else
		row->run(s, command->argument);
}

/* Is that line one of AUTH, which may hold a password? */
static bool is_login(const struct session *s, struct slice line)
{
	return s->phase == PHASE_LOGIN || slice_starts_fold(line, slice_str(verb_name(VERB_AUTH)));
}

/* A line that is no command. One that begins as BDAT does may have a chunk behind it, and nobody
 * knows how long it is: as for any BDAT that can't be read, the connection ends (S5). */
static void refuse_line(struct session *s, struct slice line, const struct refusal *why)
{
	static const struct refusal lost = {521, "5.5.4", "Bad BDAT line; closing the connection"};

	if (!slice_starts_fold(line, slice_str(verb_name(VERB_BDAT)))) {
		verb_begins(s, VERB_UNKNOWN);
		session_refuse(s, why);
		return;
	}
	verb_begins(s, VERB_BDAT);
	session_log_refusal(s, "BDAT", lost.code, lost.enhanced, slice_str(why->text), SLICE_EMPTY);
	session_refuse(s, &lost);
	session_close(s, "refused");
}

static void run_command(struct session *s, struct slice text, size_t used)
{
	struct command command;
	struct refusal why;

	stream_deadline(s->stream, smtpd_settings()->limits.idle);
	if (!command_parse(text, &command, &why)) {
		refuse_line(s, text, &why);
		return;
	}
	if (text.len + 2 > LINE_COMMAND_MAX && command.verb != VERB_AUTH) {
		refuse_line(s, text, &too_long);
		return;
	}
	verb_begins(s, command.verb);
	if (verbs[command.verb].run == NULL)
		run_unknown(s, command.word);
	else
		run_verb(s, &command, used);
}

/* A whole line, with which `used` octets of the input are done. */
static void run_line(struct session *s, struct slice line, size_t used)
{
	bool secret = is_login(s, line);

	if (s->phase == PHASE_LOGIN)
		login_line(s, line);
	else
		run_command(s, line, used);
	if (secret)
		stream_wipe(s->stream, used);
	else
		stream_consume(s->stream, used);
}

static void refuse_fault(struct session *s, struct slice line, size_t used, enum line_result fault)
{
	static const struct refusal bare = {550, "5.5.2", "A bare LF or CR ends no line"};
	const struct refusal *why = fault == LINE_TOO_LONG ? &too_long : &bare;
	bool login = is_login(s, line);

	if (fault == LINE_TOO_LONG && login)
		why = &login_too_long;
	if (s->phase == PHASE_LOGIN)
		login_broken(s, why);
	else
		refuse_line(s, line, why);
	stream_wipe(s->stream, used);
}

bool command_take(struct session *s)
{
	struct slice line;
	size_t used = 0;
	enum line_result result = line_next(&s->lines, stream_input(s->stream), &line, &used);

	if (result == LINE_MORE)
		stream_consume(s->stream, used);
	else if (result == LINE_COMPLETE)
		run_line(s, line, used);
	else
		refuse_fault(s, line, used, result);
	return result != LINE_MORE || used > 0;
}
