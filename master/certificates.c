/*
 * A file that several statements name is opened once for each use.
 */
#include "master/certificates.h"

#include <errno.h>
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
};

struct certificates {
	TAILQ_HEAD(, certificate_file) files;
	struct error *e; /* while it is opened: the first failure */
	bool good;
};

/* A file with both would hand the key to whoever gets the certificate. */
static bool holds_key(int fd)
{
	static const char mark[] = "PRIVATE KEY-----";
	struct buffer text;
	bool found;
	buffer_init(&text, CERTIFICATE_FILE_MAX);
	found = disk_read_whole(fd, CERTIFICATE_FILE_MAX, &text) == 0 &&
		memmem(text.data, text.len, mark, sizeof(mark) - 1) != NULL;
	buffer_free(&text);
	return found;
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
	if (!c->good || find(c, path, detail))
		return;
	f = memory_zero(1, sizeof(*f));
	f->detail = detail;
	watched_init(&f->file, path);
	TAILQ_INSERT_TAIL(&c->files, f, next);
	if (!watched_open(&f->file))
		c->good = error_set(c->e, EX_NOINPUT, "%s %s: %s", detail, path,
				    errno == EINVAL ? "is not a regular file" : strerror(errno));
	else if (detail == certificate_detail && holds_key(f->file.fd))
		c->good = error_set(c->e, EX_CONFIG,
				    "certificate %s: the file holds a private key too; keep the "
				    "key in a file of its own",
				    path);
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
		watched_free(&f->file);
		memory_free(f);
	}
	memory_free(*c);
	*c = NULL;
}

void certificates_each(const struct certificates *c, certificates_call *call, void *arg)
{
	struct certificate_file *f;
	TAILQ_FOREACH (f, &c->files, next)
		call(arg, f->file.path, f->detail, f->file.fd);
}

void certificates_look(struct certificates *c, certificates_call *call, void *arg)
{
	struct certificate_file *f;
	TAILQ_FOREACH (f, &c->files, next) {
		if (!watched_look(&f->file, f->detail))
			continue;
		if (f->detail == certificate_detail && holds_key(f->file.fd))
			log_error("certificate %s: the file holds a private key too; the old "
				  "certificate stays in use",
				  f->file.path);
		else
			call(arg, f->file.path, f->detail, f->file.fd);
	}
}
