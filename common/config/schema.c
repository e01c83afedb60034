/*
 * schema: the table of directives, in the manual's order, and how to find one. Only what works
 * stands here.
 */
#include <stdio.h>

#include "common/config/schema.h"
#include "common/config/settings.h"
#include "common/os/clock.h"

#define KIB    UINT64_C(1024)
#define GIB    (KIB * KIB * KIB)
#define SECOND CLOCK_SECOND
#define DAY    (24 * 3600 * SECOND)
#define YEAR   (366 * DAY)

/* The commonest shapes: a record's member gives record, field and limit. */
#define SERVER(member)	    .record = &settings_server_record, .field = member
#define LIMIT(member)	    .in = PLACE_LIMITS, .record = &settings_limits_record, .field = member
#define MINUTE_RATE(member) LIMIT(member), .type = TYPE_NUMBER, .fallback = "0", .most = 100000000
#define RETRY(member)                                                                            \
	.in = PLACE_RETRY, .type = TYPE_TIME, .record = &settings_retry_record, .field = member, \
	.most = YEAR

#define TIMEOUT(member)                                                               \
	.in = PLACE_TIMEOUTS, .type = TYPE_TIME, .record = &settings_timeouts_record, \
	.field = member, .least = SECOND, .most = DAY

const struct schema schema[] = {
    {"hostname", PLACE_TOP, .type = TYPE_WORD, .machine = MACHINE_HOSTNAME,
     .most = HOST_NAME_MAX_OCTETS, SERVER("hostname"),
     .help = "The full name of this server, as it greets and signs trace fields."},
    {"origin", PLACE_TOP, .type = TYPE_WORD, .machine = MACHINE_MAILNAME,
     .most = HOST_NAME_MAX_OCTETS, SERVER("origin"),
     .help = "The domain that completes names without one."},
    {"postmaster", PLACE_TOP, .type = TYPE_WORD, .fallback = "", .most = ADDRESS_MAX_OCTETS,
     SERVER("postmaster"),
     .help = "The address that gets mail for postmaster of a domain which has neither an alias nor "
	     "a user of that name."},
    {"spool", PLACE_TOP, .type = TYPE_PATH, .fallback = "/var/spool/stagepost", .most = SPEC_MAX,
     .help = "The directory of the queue; on a local disk, of one server only."},
    {"run", PLACE_TOP, .type = TYPE_PATH, .fallback = "/run/stagepost", .most = SPEC_MAX,
     .help = "The directory of the control socket."},
    {"state", PLACE_TOP, .type = TYPE_PATH, .fallback = "/var/lib/stagepost", .most = SPEC_MAX,
     .help =
	 "The directory of what is kept beside the queue: what users have sent, who is blocked."},
    {"log", PLACE_TOP, .type = TYPE_LOG, .fallback = "syslog text", .most = SPEC_MAX,
     .help =
	 "Where log lines go: to syslog, to standard error, or to a file; and their form: text, "
	 "the lines that tools for Postfix read, or a JSON object a line."},
    {"log-name", PLACE_TOP, .type = TYPE_WORD, .fallback = "stagepost", .most = KIND_MAX,
     .record = &settings_log_record, .field = "name",
     .help = "The word before the role in each log line."},
    {"trust", PLACE_TOP, .type = TYPE_NETWORKS, .list = true, .fallback = "",
     .help =
	 "Networks whose clients may send to everybody, each an address with /BITS or an address "
	 "alone. 127.0.0.1 is like any other; sendmail needs no trust."},
    {"addresses", PLACE_TOP, .type = TYPE_HOSTS, .list = true, .fallback = "",
     .help = "Addresses that lead to this server though no interface has them, as behind a NAT: a "
	     "host with such an address is never a next hop."},
    {"listen", PLACE_TOP, .opens = PLACE_LISTEN, .type = TYPE_LISTEN, .list = true,
     .choices = "smtp submission submissions pop3 pop3s", .most = SPEC_MAX,
     .help =
	 "An address and port to serve; *:25 is every address of both families.\n"
	 "smtp is where other servers bring mail; submission (port 587) and submissions (465, TLS "
	 "from the first octet) are where users send theirs, with a password; pop3 (110) and "
	 "pop3s (995, TLS from the first octet) are where they fetch it."},
    {"tls", PLACE_TOP, .opens = PLACE_TLS, .help = "Certificates and how TLS is spoken."},
    {"auth", PLACE_TOP, .opens = PLACE_AUTH, .help = "Who may log in, and how."},
    {"submission", PLACE_TOP, .opens = PLACE_SUBMISSION,
     .help = "What a user who has logged in may send."},
    {"aliases", PLACE_TOP | PLACE_DOMAIN, .type = TYPE_TABLES, .list = true, .most = SPEC_MAX,
     .help = "Alias tables, asked in the order in which they stand: at the top for names without a "
	     "domain, in a domain for its addresses."},
    {"domain", PLACE_TOP, .opens = PLACE_DOMAIN, .type = TYPE_DOMAINS, .list = true,
     .most = HOST_NAME_MAX_OCTETS,
     .help = "Domains whose mail is ours, all with what stands in the block."},
    {"outbound", PLACE_TOP, .opens = PLACE_OUTBOUND, .type = TYPE_OUTBOUND, .list = true,
     .most = SPEC_MAX,
     .help =
	 "The way of mail that is not for our domains; the first statement that fits takes it, "
	 "and what none takes goes by MX.\n"
	 "A pattern of senders (from) or recipients (to) is an address, a domain, .domain for all "
	 "that is below it, or a table of these."},
    {"resolver", PLACE_TOP, .opens = PLACE_RESOLVER, .help = "How the DNS is asked."},
    {"retry", PLACE_TOP, .opens = PLACE_RETRY, .help = "When deferred mail is tried again."},
    {"timeouts", PLACE_TOP, .opens = PLACE_TIMEOUTS,
     .help = "How long another server may take, as RFC 5321 4.5.3.2 wants it."},
    {"limits", PLACE_TOP, .opens = PLACE_LIMITS, .help = "How much of everything is accepted."},
    {"processes", PLACE_TOP, .opens = PLACE_PROCESSES,
     .help = "How many processes of a kind there are."},
    {"bare-newline", PLACE_TOP, .type = TYPE_CHOICE, .fallback = "refuse", .choices = "refuse",
     .help = "What to do with a line that ends in LF without CR."},

    {"bare-newline", PLACE_LISTEN, .type = TYPE_CHOICE, .choices = "refuse normalize",
     .help = "The same for this listener; normalize takes such an LF for the end of a line, for "
	     "devices that know no better, on a network that no stranger reaches."},

    {"deliver", PLACE_DOMAIN, .opens = PLACE_DELIVER, .type = TYPE_DELIVER, .list = true,
     .choices = "maildir system", .most = SPEC_MAX,
     .help =
	 "Mailboxes of the domain's users; the first deliver or relay that knows the user takes "
	 "the mail.\nIn the path %d is the domain, %n the local part, %u the address.\n"
	 "With system they belong to the users of this machine, and ~/ is the user's home; "
	 "without a path they are ~/Maildir or /var/mail/%n."},
    {"relay", PLACE_DOMAIN, .opens = PLACE_RELAY, .type = TYPE_NEXT_HOPS, .list = true,
     .choices = "mx", .most = NEXT_HOP_MAX,
     .help =
	 "Servers that take the mail of the domain's users, tried in this order; mx is those of "
	 "the domain's MX hosts that come before this server."},
    {"routes", PLACE_DOMAIN, .type = TYPE_TABLES, .list = true, .most = SPEC_MAX,
     .help = "Tables that send single addresses of the domain elsewhere, asked in the order in "
	     "which they stand, behind the aliases and before the users."},

    {"users", PLACE_DOMAIN | PLACE_DELIVER | PLACE_RELAY, .type = TYPE_USERS, .most = SPEC_MAX,
     .help =
	 "The table of users; any takes every name, system is the users of this machine (for "
	 "deliver system alone).\nIn a domain it holds for each deliver and relay that does not "
	 "say it itself."},
    {"owner", PLACE_DELIVER, .type = TYPE_WORD, .most = KIND_MAX,
     .help = "The system user that owns the mailboxes; needed when the server is started by root, "
	     "but not with system."},

    {"via", PLACE_OUTBOUND, .type = TYPE_NEXT_HOPS, .most = NEXT_HOP_MAX,
     .help = "Servers that take this mail, tried in this order; without it the MX hosts of the "
	     "recipient's domain do."},

    {"server", PLACE_RESOLVER, .type = TYPE_SERVERS, .list = true, .most = SERVERS_MAX,
     .help = "DNS servers to ask, in this order; without it those of /etc/resolv.conf.\n"
	     "The port is 53 where none is given."},
    {"anchor", PLACE_RESOLVER, .type = TYPE_PATH, .most = SPEC_MAX,
     .help = "The file with the DNSSEC trust anchor; without it nothing is validated."},
    {"insecure", PLACE_RESOLVER, .type = TYPE_DOMAINS, .list = true, .most = HOST_NAME_MAX_OCTETS,
     .help = "Domains that are not validated, as those that only our own DNS servers know."},
    {"peer-names", PLACE_RESOLVER, .type = TYPE_CHOICE, .fallback = "no", .choices = "yes no",
     .record = &settings_resolver_record, .field = "peer_names",
     .help = "Whether clients are looked up by their address, for the trace fields and the log."},

    {"first", RETRY("first"), .fallback = "5m", .least = SECOND,
     .help = "The wait after the first failure; each further wait is longer."},
    {"longest", RETRY("longest"), .fallback = "1h", .least = SECOND,
     .help = "The longest wait between two attempts."},
    {"give-up", RETRY("give_up"), .fallback = "5d", .least = SECOND,
     .help = "The age at which a failed attempt is the last."},
    {"give-up-bounces", RETRY("give_up_bounces"), .fallback = "2d", .least = SECOND,
     .help =
	 "The same for bounces and other mail with an empty sender; never longer than give-up."},

    {"connect", TIMEOUT("connect"), .fallback = "30s",
     .help = "Until the connection is there; then the next address is tried."},
    {"greeting", TIMEOUT("greeting"), .fallback = "5m", .help = "For the greeting."},
    {"hello", TIMEOUT("hello"), .fallback = "5m", .help = "For the reply to EHLO or HELO."},
    {"starttls", TIMEOUT("starttls"), .fallback = "2m",
     .help = "For the reply to STARTTLS, and again for the handshake behind it."},
    {"mail", TIMEOUT("mail"), .fallback = "5m", .help = "For the reply to MAIL."},
    {"rcpt", TIMEOUT("rcpt"), .fallback = "5m", .help = "For the reply to each RCPT."},
    {"data", TIMEOUT("data"), .fallback = "2m", .help = "For the reply to DATA."},
    {"block", TIMEOUT("block"), .fallback = "3m",
     .help = "Until the server has taken a block of the content that was sent, or has answered "
	     "a chunk."},
    {"dot", TIMEOUT("dot"), .fallback = "10m",
     .help = "For the reply to the end of the content. Less makes it likelier that a message is "
	     "sent twice."},
    {"reset", TIMEOUT("reset"), .fallback = "1m", .help = "For the reply to RSET."},

    {"message-size", LIMIT("message_size"), .type = TYPE_SIZE, .fallback = "50M", .least = KIB,
     .most = 4 * GIB, .help = "The largest message."},
    {"recipients", LIMIT("recipients"), .type = TYPE_NUMBER, .fallback = "1000", .least = 1,
     .most = 100000, .help = "Recipients of one transaction."},
    {"connections", LIMIT("connections"), .type = TYPE_NUMBER, .fallback = "10000", .least = 1,
     .most = 100000, .help = "Connections at once."},
    {"per-client", LIMIT("per_client"), .type = TYPE_NUMBER, .fallback = "50", .least = 1,
     .most = 100000, .help = "Connections at once of one client address (IPv6: of one /64)."},
    {"errors", LIMIT("errors"), .type = TYPE_NUMBER, .fallback = "20", .least = 1, .most = 10000,
     .help = "Refused commands of a session, after which it is closed."},
    {"unknown-recipients", LIMIT("unknown_recipients"), .type = TYPE_NUMBER, .fallback = "10",
     .least = 1, .most = 10000,
     .help = "Unknown recipients of a session, after which it is closed."},
    {"idle", LIMIT("idle"), .type = TYPE_TIME, .fallback = "5m", .least = SECOND, .most = DAY,
     .help = "How long a client may be silent."},
    {"min-rate", LIMIT("min_rate"), .type = TYPE_NUMBER, .fallback = "500", .most = 1000000,
     .help = "Octets a second that a client must send at least while it sends a message; 0 is no "
	     "such limit."},
    {"client-connections", MINUTE_RATE("client_connections"),
     .help = "New connections of one client in a minute; 0 is no such limit."},
    {"client-messages", MINUTE_RATE("client_messages"),
     .help = "Messages of one client in a minute; 0 is no such limit."},
    {"client-recipients", MINUTE_RATE("client_recipients"),
     .help = "Recipients of one client in a minute; 0 is no such limit."},
    {"queue-messages", LIMIT("queue_messages"), .type = TYPE_NUMBER, .fallback = "2000000",
     .least = 1, .most = 100000000,
     .help = "Messages in the queue, above which new mail is put off; each that waits takes "
	     "about 200 octets of memory."},
    {"spool-size", LIMIT("spool_size"), .type = TYPE_SIZE, .fallback = "0", .most = KIB * KIB * GIB,
     .help = "The most that the queue may use; 0 is all that the disk has."},
    {"spool-free", LIMIT("spool_free"), .type = TYPE_SIZE, .fallback = "64M",
     .most = KIB * KIB * GIB,
     .help = "What stays free on the queue's disk; below it new mail is put off."},

    {"certificate", PLACE_TLS, .type = TYPE_PATH, .list = true, .most = SPEC_MAX,
     .help = "A file with a certificate and those between it and the root, PEM.\n"
	     "Of several the client gets the one for the name that it asks for, else the first.\n"
	     "A changed file is taken over without a reload."},
    {"key", PLACE_TLS, .type = TYPE_PATH, .list = true, .most = SPEC_MAX,
     .help = "The file with the private key of the certificate in the same place of the list, PEM "
	     "without a passphrase; readable by root alone."},
    {"minimum", PLACE_TLS, .type = TYPE_CHOICE, .fallback = "1.2", .choices = "1.2 1.3",
     .help = "The oldest version of TLS that is spoken."},

    {"passwords", PLACE_AUTH, .type = TYPE_PASSWORDS, .list = true, .most = SPEC_MAX,
     .help = "Where passwords are: tables in the format of users, PAM for the users of this "
	     "machine, or Dovecot's socket for authentication; asked in the order in which they "
	     "stand, and the first that knows the user decides."},
    {"mechanisms", PLACE_AUTH, .type = TYPE_CHOICES,
     .choices = "plain login scram-sha-256 scram-sha-256-plus",
     .help =
	 "SASL mechanisms that are offered, under TLS alone; without it plain and login, and "
	 "scram-sha-256 where all passwords are kept so that it works.\n"
	 "scram-sha-256-plus, which binds the login to the TLS session, is offered only when it is "
	 "named: some programs, as mutt 2.2, choose it and then can't."},
    {"ban-after", PLACE_AUTH, .type = TYPE_NUMBER, .fallback = "10", .least = 1, .most = 1000000,
     .record = &settings_auth_record, .field = "ban_after",
     .help =
	 "Failed logins of one client (IPv6: of one /64) after which it is banned; of one "
	 "account, after which those who have never logged in with it where they are now "
	 "share six times as many tries in a ban's time; and sixteen times as many of a network "
	 "(/24, IPv6: /48), after which those of it that have never logged in are banned."},
    {"ban", PLACE_AUTH, .type = TYPE_TIME, .fallback = "1h", .least = SECOND, .most = YEAR,
     .record = &settings_auth_record, .field = "ban",
     .help = "How long a ban lasts, and in what time the failures are counted."},

    {"senders", PLACE_SUBMISSION, .type = TYPE_TABLES, .list = true, .most = SPEC_MAX,
     .help = "Tables that let users send as further addresses: ADDRESS or @DOMAIN, then the users "
	     "who may."},
    {"messages", PLACE_SUBMISSION, .type = TYPE_RATES,
     .help = "Messages of one user in an hour, in a day; what is over it is held."},
    {"recipients", PLACE_SUBMISSION, .type = TYPE_RATES,
     .help = "Recipients of one user in an hour, in a day; what is over it is held."},
    {"new-recipients", PLACE_SUBMISSION, .type = TYPE_RATES,
     .help = "Recipients in a day to whom the user has never written before; what is over it is "
	     "held."},
    {"hide-client", PLACE_SUBMISSION, .type = TYPE_CHOICE, .fallback = "no", .choices = "yes no",
     .record = &settings_submission_record, .field = "hide_client",
     .help = "Whether the address of a user's machine is left out of the trace fields."},

    {"smtpd", PLACE_PROCESSES, .type = TYPE_NUMBER, .fallback = "1", .least = 1, .most = 64,
     .help = "Processes that receive mail by SMTP."},
    {"submission", PLACE_PROCESSES, .type = TYPE_NUMBER, .fallback = "1", .least = 1, .most = 64,
     .help = "Processes to which users send their mail."},
};

const size_t schema_count = sizeof(schema) / sizeof(schema[0]);
_Static_assert(sizeof(schema) / sizeof(schema[0]) <= SCHEMA_MAX, "raise SCHEMA_MAX");

const struct schema *schema_find(enum schema_place place, struct slice name)
{
	for (size_t i = 0; i < schema_count; i++)
		if ((schema[i].in & place) && slice_equal(name, slice_str(schema[i].name)))
			return &schema[i];
	return NULL;
}

const struct schema *schema_opener(enum schema_place place)
{
	for (size_t i = 0; i < schema_count; i++)
		if (schema[i].opens == place && place != PLACE_NONE)
			return &schema[i];
	return NULL;
}

const struct schema *schema_by_key(struct slice key)
{
	struct slice block, name;
	if (!slice_split(key, '.', &block, &name))
		return schema_find(PLACE_TOP, key);
	const struct schema *opener = schema_find(PLACE_TOP, block);
	if (!opener || opener->opens == PLACE_NONE || opener->list)
		return NULL;
	return schema_find(opener->opens, name);
}

void schema_key(const struct schema *s, char *key, size_t size)
{
	const struct schema *opener = s->in & PLACE_TOP ? NULL : schema_opener(s->in);
	snprintf(key, size, "%s%s%s", opener ? opener->name : "", opener ? "." : "", s->name);
}

static const struct schema *nearest_in(unsigned places, struct slice name)
{
	const struct schema *best = NULL;
	unsigned limit = edit_tolerance(name.len);
	for (size_t i = 0; i < schema_count; i++) {
		if (!(schema[i].in & places))
			continue;
		unsigned distance = edit_distance(name, slice_str(schema[i].name), limit);
		if (distance <= limit) {
			best = &schema[i];
			if (distance == 0)
				break;
			limit = distance - 1;
		}
	}
	return best;
}

const struct schema *schema_nearest(enum schema_place place, struct slice name,
				    enum schema_place *elsewhere)
{
	*elsewhere = PLACE_NONE;
	for (size_t i = 0; i < schema_count; i++) {
		if (slice_equal_fold(name, slice_str(schema[i].name)) && !(schema[i].in & place)) {
			*elsewhere = schema[i].in & -schema[i].in; /* of several, the outermost */
			return &schema[i];
		}
	}
	return nearest_in(place, name);
}

bool schema_nearest_key(struct slice key, char *nearest, size_t size)
{
	unsigned limit = edit_tolerance(key.len);
	bool found = false;
	for (size_t i = 0; i < schema_count; i++) {
		char text[128];
		schema_key(&schema[i], text, sizeof(text));
		if (schema_by_key(slice_str(text)) != &schema[i])
			continue;
		unsigned distance = edit_distance(key, slice_str(text), limit);
		bool same_name = !found && slice_equal_fold(key, slice_str(schema[i].name));
		if (distance > limit && !same_name)
			continue;
		found = slice_copy(slice_str(text), nearest, size);
		if (distance == 0)
			break;
		limit = distance <= limit ? distance - 1 : limit;
	}
	return found;
}
