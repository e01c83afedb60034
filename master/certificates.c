/*
 * A file that several statements name is opened once for each use. What daemons get is the newest
 * content that may be given: a file that turns bad is not given to one that is started anew either.
 */
#include "master/certificates.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sysexits.h>
#include <bsd/sys/queue.h>

#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/disk.h"
#include "master/watched.h"

enum { CERTIFICATE_FILE_MAX = 1024 * 1024 }; /* octets that are looked through */

static const char certificate_detail[] = "certificate", key_detail[] = "key";

struct certificate_file {
	TAILQ_ENTRY(certificate_file) next;
	const char *detail;
	struct watched file;
	int given; /* a descriptor of what daemons get; -1: none */
};

struct certificates {
	TAILQ_HEAD(, certificate_file) files;
	struct error *e; /* while it is opened: the first failure */
	bool good;
};

/* NULL: it may be given. A certificate's file with the key would hand that to all that speak TLS.
 * Room for all of it at once: growing would leave pieces of a key behind. */
static const char *unfit(const char *detail, int fd)
{
	static const char mark[] = "PRIVATE KEY-----";
	struct buffer text;
	size_t room;
	const char *why = NULL;
	if (detail != certificate_detail)
		return NULL;
	buffer_init(&text, CERTIFICATE_FILE_MAX);
	(void)buffer_reserve(&text, CERTIFICATE_FILE_MAX, &room);
	if (disk_read_whole(fd, CERTIFICATE_FILE_MAX, &text) < 0)
		why = strerror(errno);
	else if (memmem(text.data, text.len, mark, sizeof(mark) - 1))
		why = "the file holds a private key too; keep the key in a file of its own";
	explicit_bzero(text.data, text.size);
	buffer_free(&text);
	return why;
}

static void give_up(struct certificate_file *f)
{
	if (f->given >= 0)
		disk_close(f->given);
	f->given = -1;
}

/* NULL, or why it may not be given; what was given before still is. */
static const char *take(struct certificate_file *f)
{
	const char *why = unfit(f->detail, f->file.fd);
	int fd = why ? -1 : fcntl(f->file.fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return why ? why : strerror(errno);
	give_up(f);
	f->given = fd;
	return NULL;
}

static struct certificate_file *find(struct certificates *c, const char *path, const char *detail)
{
	struct certificate_file *f;
	TAILQ_FOREACH (f, &c->files, next)
		if (f->detail == detail && strcmp(f->file.path, path) == 0)
			return f;
	return NULL;
}

static void add(struct certificates *c, const char *path, const char *detail)
{
	struct certificate_file *f;
	const char *why;
	if (!c->good || find(c, path, detail))
		return;
	f = memory_zero(1, sizeof(*f));
	f->detail = detail;
	f->given = -1;
	watched_init(&f->file, path);
	TAILQ_INSERT_TAIL(&c->files, f, next);
	if (!watched_open(&f->file))
		c->good = error_set(c->e, EX_NOINPUT, "%s %s: %s", detail, path,
				    errno == EINVAL ? "is not a regular file" : strerror(errno));
	else if ((why = take(f)))
		c->good = error_set(c->e, EX_CONFIG, "%s %s: %s", detail, path, why);
}

static void add_pair(void *arg, const struct record *record, const void *value)
{
	const struct settings_certificate *pair = value;
	(void)record;
	add(arg, pair->certificate.ptr, certificate_detail);
	add(arg, pair->key.ptr, key_detail);
}

bool certificates_open(const struct config *config, struct certificates **result, struct error *e)
{
	struct certificates *c = memory_zero(1, sizeof(*c));
	TAILQ_INIT(&c->files);
	c->e = e;
	c->good = true;
	config_each(config, &settings_certificate_record, add_pair, c);
	c->e = NULL;
	if (!c->good) {
		certificates_free(&c);
		return false;
	}
	*result = c;
	return true;
}

void certificates_free(struct certificates **c)
{
	struct certificate_file *f;
	if (!*c)
		return;
	while ((f = TAILQ_FIRST(&(*c)->files))) {
		TAILQ_REMOVE(&(*c)->files, f, next);
		give_up(f);
		watched_free(&f->file);
		memory_free(f);
	}
	memory_free(*c);
	*c = NULL;
}

/* An old descriptor leads to new content where the file was written over. */
void certificates_each(const struct certificates *c, certificates_call *call, void *arg)
{
	struct certificate_file *f;
	TAILQ_FOREACH (f, &c->files, next)
		if (!unfit(f->detail, f->given))
			call(arg, f->file.path, f->detail, f->given);
}

void certificates_look(struct certificates *c, certificates_call *call, void *arg)
{
	struct certificate_file *f;
	const char *why;
	TAILQ_FOREACH (f, &c->files, next) {
		if (!watched_look(&f->file, f->detail))
			continue;
		if ((why = take(f)))
			log_error("%s %s: %s; the old one stays in use", f->detail, f->file.path,
				  why);
		else
			call(arg, f->file.path, f->detail, f->given);
	}
}
