/*
 * check_pairs: the files of certificates and keys, read as the daemons will read them. Only
 * commands ask this, never the master: no key is to be in the memory of a process that lives on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sysexits.h>

#include "common/base/buffer.h"
#include "common/config/check.h"
#include "common/net/tls_private.h"
#include "common/os/clock.h"
#include "common/os/disk.h"

enum { SECONDS_A_DAY = 86400, SOON_DAYS = 14, PERMISSION_OTHERS = S_IRWXO };

struct file {
	struct buffer text;
	struct stat st;
};

static void fault(struct check *k, const struct node *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void fault(struct check *k, const struct node *n, const char *format, ...)
{
	char place[CONFIG_PLACE_SIZE], text[TEXT_WORD_MAX + ERROR_TEXT_SIZE];
	va_list ap;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	node_place(k->c, n, place);
	k->bad_table = true;
	k->report(k->arg, CONFIG_ERROR, place, text);
}

/* Room for all of it at once: growing would leave pieces of a key behind. */
static int read_whole(int fd, size_t most, struct buffer *text)
{
	size_t room;
	(void)buffer_reserve(text, most, &room);
	return disk_read_whole(fd, most, text);
}

static bool file_read(struct check *k, const struct node *n, size_t most, struct file *f)
{
	const char *path = n->texts[0].ptr;
	int fd = disk_open(AT_FDCWD, path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0), code = errno;
	bool good = fd >= 0 && disk_stat(fd, &f->st) == 0 && S_ISREG(f->st.st_mode);
	buffer_init(&f->text, most);
	if (fd < 0 && code == EACCES)
		check_warning(k, n, "%s: you may not read it, so it is not checked", path);
	else if (fd < 0)
		fault(k, n, "%s: %s", path, strerror(code));
	else if (!good)
		fault(k, n, "%s: it is no ordinary file", path);
	else if (read_whole(fd, most, &f->text) < 0) {
		fault(k, n, "%s: %s", path, strerror(errno));
		good = false;
	}
	if (fd >= 0)
		disk_close(fd);
	return good;
}

static void file_wipe(struct file *f)
{
	if (f->text.data)
		explicit_bzero(f->text.data, f->text.size);
	buffer_free(&f->text);
}

static void check_time(struct check *k, const struct node *n, const struct tls_certificate *c)
{
	const char *path = n->texts[0].ptr;
	uint64_t now = clock_wall_us() / CLOCK_SECOND, until = tls_certificate_until(c);
	if (tls_certificate_from(c) > now)
		check_warning(k, n, "%s: the certificate is not valid yet", path);
	if (until <= now)
		check_warning(k, n, "%s: the certificate has ended; clients refuse it", path);
	else if (until - now <= (uint64_t)SOON_DAYS * SECONDS_A_DAY)
		check_warning(k, n, "%s: the certificate ends within %u days", path,
			      (unsigned)((until - now + SECONDS_A_DAY - 1) / SECONDS_A_DAY));
}

static struct tls_certificate *check_certificate(struct check *k, const struct node *n)
{
	struct file f;
	struct error e = {0};
	struct tls_certificate *c = NULL;
	if (file_read(k, n, TLS_PEM_MAX, &f)) {
		c = tls_certificate_read(buffer_slice(&f.text), &e);
		if (!c)
			fault(k, n, "%s: %s", n->texts[0].ptr, e.text);
	}
	file_wipe(&f);
	if (!c)
		return NULL;
	check_time(k, n, c);
	if (tls_certificate_names(c) == 0)
		check_warning(k, n, "%s: the certificate is for no host name", n->texts[0].ptr);
	size_t at = tls_certificate_disorder(c);
	if (at > 0)
		check_warning(
		    k, n,
		    "%s: certificate %zu is not issued by the one behind it; the server's "
		    "own comes first, then each that has issued the one before",
		    n->texts[0].ptr, at);
	return c;
}

static struct tls_private *check_key(struct check *k, const struct node *n)
{
	struct file f;
	struct error e = {0};
	struct tls_private *key = NULL;
	if (file_read(k, n, TLS_PRIVATE_FILE_MAX, &f)) {
		key = tls_private_read(buffer_slice(&f.text), &e);
		if (!key)
			fault(k, n, "%s: %s", n->texts[0].ptr, e.text);
		if (f.st.st_mode & PERMISSION_OTHERS)
			check_warning(k, n,
				      "%s: everybody on this machine may read the key or "
				      "change it; chmod o= %s",
				      n->texts[0].ptr, n->texts[0].ptr);
	}
	file_wipe(&f);
	return key;
}

static void check_pair(struct check *k, const struct node *certificate, const struct node *key)
{
	struct tls_certificate *c = check_certificate(k, certificate);
	struct tls_private *p = check_key(k, key);
	if (c && p && memcmp(tls_certificate_key(c), tls_private_name(p), TLS_KEY_NAME_SIZE) != 0)
		fault(k, key, "%s: the key is not that of the certificate %s", key->texts[0].ptr,
		      certificate->texts[0].ptr);
	tls_certificate_free(&c);
	tls_private_free(&p);
}

static const struct node *next_named(const struct node *n, const char *name)
{
	while (n && !node_is(n, name))
		n = TAILQ_NEXT(n, link);
	return n;
}

int config_check_pairs(const struct config *config, config_report_call *report, void *arg)
{
	struct check k = {.c = config, .report = report, .arg = arg};
	const struct node *tls = node_find(&config->nodes, "tls"), *certificate, *key;
	certificate = tls ? next_named(TAILQ_FIRST(&tls->block), "certificate") : NULL;
	key = tls ? next_named(TAILQ_FIRST(&tls->block), "key") : NULL;
	while (certificate && key) {
		check_pair(&k, certificate, key);
		certificate = next_named(TAILQ_NEXT(certificate, link), "certificate");
		key = next_named(TAILQ_NEXT(key, link), "key");
	}
	return k.bad_table ? EX_DATAERR : 0;
}
