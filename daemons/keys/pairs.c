/*
 * A file counts for each pair that names it. Its faults are told when it is read; that a pair does
 * not fit is told only when it has not come right after a while, since a change of two files is
 * seen one file at a time.
 */
#include "daemons/keys/pairs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>
#include <bsd/sys/queue.h>

#include "common/base/buffer.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/config/settings.h"
#include "common/os/clock.h"
#include "common/os/disk.h"
#include "common/os/loop.h"
#include "daemons/keys/ring.h"

enum { SECONDS_A_DAY = 86400, FAULT_MAX = 300, TROUBLE_SIZE = ERROR_TEXT_SIZE };

/* The newest content of one of the files. */
struct newest {
	char *path;
	bool good;
	char fault[FAULT_MAX + 1]; /* why not; empty: it has not come yet */
};

struct pair {
	TAILQ_ENTRY(pair) next;
	bool listed, coming; /* in the set in use, in the next one */
	struct newest certificate, key;
	struct paper fresh; /* of the newest certificate, when that is good */
	unsigned char key_name[TLS_KEY_NAME_SIZE]; /* of the newest key, when that is good */
	struct paper paper;			   /* in use */
	bool in_use;
	struct loop_timer fit;
	uint64_t warned; /* when its end was told last; 0: never */
};

static TAILQ_HEAD(pair_list, pair) pairs = TAILQ_HEAD_INITIALIZER(pairs);
static unsigned coming_count;
static struct loop_timer ending;
static bool started;

/* Trouble */

static bool fits(const struct pair *p)
{
	return p->certificate.good && p->key.good &&
	       memcmp(p->fresh.key, p->key_name, TLS_KEY_NAME_SIZE) == 0;
}

static void trouble_of(const struct pair *p, char text[TROUBLE_SIZE])
{
	const struct newest *bad = !p->certificate.good ? &p->certificate
				   : !p->key.good	? &p->key
							: NULL;
	if (fits(p))
		text[0] = '\0';
	else if (!bad)
		snprintf(text, TROUBLE_SIZE, "the key is not the certificate's");
	else
		snprintf(text, TROUBLE_SIZE, "%s: %s",
			 bad == &p->key ? "the key" : "the certificate",
			 bad->fault[0] ? bad->fault : "it could not be opened");
}

static const char *consequence(const struct pair *p)
{
	return p->in_use ? "the old pair stays in use" : "it is not used";
}

static void on_unfit(void *arg)
{
	struct pair *p = arg;
	char trouble[TROUBLE_SIZE];
	trouble_of(p, trouble);
	if (p->certificate.good && p->key.good)
		log_error("certificate %s, key %s: %s; %s", p->certificate.path, p->key.path,
			  trouble, consequence(p));
}

/* The end */

static void warn_of_end(struct pair *p)
{
	uint64_t now = clock_wall_us() / CLOCK_SECOND, boot = loop_now();
	uint64_t soon = now + (uint64_t)PAIRS_SOON_DAYS * SECONDS_A_DAY;
	if (!p->in_use || p->paper.until > soon ||
	    (p->warned > 0 && boot - p->warned < PAIRS_DAY_US))
		return;
	p->warned = boot;
	if (p->paper.until <= now) {
		log_error("certificate %s (%s) has ended: clients refuse it", p->certificate.path,
			  p->paper.names);
		return;
	}
	uint64_t days = (p->paper.until - now + SECONDS_A_DAY - 1) / SECONDS_A_DAY;
	log_warning("certificate %s (%s) ends within %" PRIu64 " day%s", p->certificate.path,
		    p->paper.names, days, days == 1 ? "" : "s");
}

static void look_for_ends(void *arg)
{
	struct pair *p;
	(void)arg;
	TAILQ_FOREACH (p, &pairs, next)
		warn_of_end(p);
	loop_timer_start(&ending, PAIRS_ENDING_US, look_for_ends, NULL);
}

void pairs_start(void)
{
	started = true;
	look_for_ends(NULL);
}

/* Taking over */

static void name_keys(void)
{
	const struct pair *p;
	ring_naming();
	TAILQ_FOREACH (p, &pairs, next) {
		if (p->in_use)
			ring_name(p->paper.key);
		if (p->key.good)
			ring_name(p->key_name);
	}
	ring_named();
}

static void take_over(struct pair *p)
{
	loop_timer_stop(&p->fit);
	if (!fits(p)) {
		loop_timer_start(&p->fit, PAIRS_FIT_US, on_unfit, p);
		return;
	}
	p->paper = p->fresh;
	p->in_use = true;
	p->warned = 0;
	log_info("certificate %s: %s, %s", p->certificate.path, p->paper.names, p->paper.kind);
	if (started)
		warn_of_end(p);
}

static void set_fault(struct newest *n, const char *what, const char *fault, const struct pair *p)
{
	n->good = false;
	slice_copy(slice_sub(slice_str(fault), 0, FAULT_MAX), n->fault, sizeof(n->fault));
	log_error("%s %s: %s; %s", what, n->path, fault, consequence(p));
}

/* Files */

/* Room for all of it at once: growing would leave pieces of a key behind. */
static bool read_file(int fd, size_t most, struct buffer *b, struct error *e)
{
	size_t room;
	int code;
	buffer_init(b, most);
	(void)buffer_reserve(b, most, &room);
	code = disk_read_whole(fd, most, b);
	if (code < 0)
		return error_set(e, errno, "%s", strerror(errno));
	return true;
}

static void wipe(struct buffer *b)
{
	if (b->data)
		explicit_bzero(b->data, b->size);
	buffer_free(b);
}

static void paper_take(struct paper *paper, const struct tls_certificate *c)
{
	size_t len = 0, count = tls_certificate_names(c);
	*paper = (struct paper){.from = tls_certificate_from(c), .until = tls_certificate_until(c)};
	memcpy(paper->key, tls_certificate_key(c), sizeof(paper->key));
	slice_copy(slice_str(tls_certificate_kind(c)), paper->kind, sizeof(paper->kind));
	for (size_t i = 0; i < count; i++) {
		struct slice name = tls_certificate_name(c, i);
		if (len + 1 + name.len > PAIRS_NAMES_MAX)
			break;
		len += (size_t)snprintf(paper->names + len, sizeof(paper->names) - len, "%s%.*s",
					len ? " " : "", SLICE_FMT(name));
	}
}

static void certificate_came(const struct service_descriptor *d)
{
	struct error e = {0};
	struct paper paper;
	struct tls_certificate *c = NULL;
	struct buffer pem;
	struct pair *p;
	bool good = read_file(d->fd, TLS_PEM_MAX, &pem, &e) &&
		    (c = tls_certificate_read(buffer_slice(&pem), &e));
	if (good)
		paper_take(&paper, c);
	tls_certificate_free(&c);
	buffer_free(&pem);
	TAILQ_FOREACH (p, &pairs, next) {
		if (!slice_equal(d->name, slice_str(p->certificate.path)))
			continue;
		p->certificate.good = good;
		if (good)
			p->fresh = paper;
		else
			set_fault(&p->certificate, "certificate", e.text, p);
		take_over(p);
	}
}

static void key_came(const struct service_descriptor *d)
{
	unsigned char name[TLS_KEY_NAME_SIZE];
	struct error e = {0};
	struct tls_private *key = NULL;
	struct buffer pem;
	struct pair *p;
	if (read_file(d->fd, TLS_PRIVATE_FILE_MAX, &pem, &e))
		key = tls_private_read(buffer_slice(&pem), &e);
	wipe(&pem);
	if (key) {
		memcpy(name, tls_private_name(key), sizeof(name));
		ring_add(key);
		if (!ring_find(slice_make(name, sizeof(name))))
			error_set(&e, 0, "there are %d keys, and no room for more", RING_MAX);
	}
	TAILQ_FOREACH (p, &pairs, next) {
		if (!slice_equal(d->name, slice_str(p->key.path)))
			continue;
		p->key.good = e.text[0] == '\0';
		if (p->key.good)
			memcpy(p->key_name, name, sizeof(name));
		else
			set_fault(&p->key, "key", e.text, p);
		take_over(p);
	}
}

void pairs_descriptor(const struct service_descriptor *d)
{
	bool file = slice_equal(d->kind, SLICE("file"));
	if (file && slice_equal(d->detail, SLICE("certificate")))
		certificate_came(d);
	else if (file && slice_equal(d->detail, SLICE("key")))
		key_came(d);
	else
		log_error("keys has no use for %.*s", SLICE_FMT(d->name));
	close(d->fd);
	name_keys();
}

/* Settings */

void pairs_settings_begin(void)
{
	struct pair *p;
	coming_count = 0;
	TAILQ_FOREACH (p, &pairs, next)
		p->coming = false;
}

static struct pair *find(const struct settings_certificate *s)
{
	struct pair *p;
	TAILQ_FOREACH (p, &pairs, next)
		if (slice_equal(s->certificate, slice_str(p->certificate.path)) &&
		    slice_equal(s->key, slice_str(p->key.path)))
			return p;
	return NULL;
}

void pairs_setting(const struct record *record, const void *value)
{
	const struct settings_certificate *s = value;
	struct pair *p = find(s);
	(void)record;
	if (p && p->coming)
		return;
	if (coming_count == PAIRS_MAX) {
		log_error("certificate %.*s: more than %d are not used", SLICE_FMT(s->certificate),
			  PAIRS_MAX);
		return;
	}
	coming_count++;
	if (!p) {
		p = memory_zero(1, sizeof(*p));
		p->certificate.path = memory_string(s->certificate);
		p->key.path = memory_string(s->key);
		TAILQ_INSERT_TAIL(&pairs, p, next);
	}
	p->coming = true;
}

static void pair_free(struct pair *p)
{
	TAILQ_REMOVE(&pairs, p, next);
	loop_timer_stop(&p->fit);
	memory_free(p->certificate.path);
	memory_free(p->key.path);
	memory_free(p);
}

/* At a reload the files come before this. */
void pairs_settings_end(void)
{
	struct pair *p, *following;
	for (p = TAILQ_FIRST(&pairs); p; p = following) {
		following = TAILQ_NEXT(p, next);
		p->listed = p->coming;
		if (!p->listed)
			pair_free(p);
	}
	name_keys();
}

void pairs_each(void (*call)(void *arg, const struct pair_facts *facts), void *arg)
{
	char trouble[TROUBLE_SIZE];
	const struct pair *p;
	TAILQ_FOREACH (p, &pairs, next) {
		if (!p->listed)
			continue;
		trouble_of(p, trouble);
		call(arg, &(struct pair_facts){
			      .certificate = slice_str(p->certificate.path),
			      .key = slice_str(p->key.path),
			      .trouble = slice_str(trouble),
			      .paper = p->in_use	     ? &p->paper
				       : p->certificate.good ? &p->fresh
							     : NULL,
			  });
	}
}

void pairs_free(void)
{
	struct pair *p;
	loop_timer_stop(&ending);
	started = false;
	while ((p = TAILQ_FIRST(&pairs)))
		pair_free(p);
}
