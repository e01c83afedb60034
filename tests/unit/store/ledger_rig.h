/* ledger_rig: a ledger in a directory of its own, random life on it, copies of it as a crash at
 * that moment would leave it. */
#ifndef TESTS_UNIT_STORE_LEDGER_RIG_H
#define TESTS_UNIT_STORE_LEDGER_RIG_H

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/os/loop.h"
#include "queue/store/ledger.h"

enum { RIG_FILE = 32 * 1024, RIG_MESSAGES = 60, RIG_SEGMENTS = 8 };

struct rig {
	char path[64];
	int dirfd;
	uint32_t file_size;
	struct helper *helper;
	struct ledger *ledger;
	unsigned seed;
	uint64_t next_id, next_lease;
	uint64_t ids[RIG_MESSAGES];
};

static inline void rig_path(struct rig *r)
{
	/* Crashes are copies here, so memory is as good as a disk, and faster. */
	snprintf(r->path, sizeof(r->path), "%s/stagepost-ledger-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(r->path));
	r->dirfd = open(r->path, O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(r->dirfd, 0);
}

static inline bool rig_open(struct rig *r, bool may_create, struct error *e)
{
	struct ledger_setup setup = {.dirfd = r->dirfd,
				     .file_size = r->file_size,
				     .spool = 77,
				     .helper = r->helper,
				     .extra = 16};
	r->ledger = ledger_open(&setup, may_create, e);
	return r->ledger;
}

static inline void rig_start(struct rig *r, uint32_t file_size, unsigned seed)
{
	memset(r, 0, sizeof(*r));
	rig_path(r);
	r->file_size = file_size;
	r->seed = seed;
	r->next_id = 1;
	r->next_lease = 1;
	r->helper = helper_new();
	struct error e;
	ck_assert_msg(rig_open(r, true, &e), "%s", e.text);
}

static inline void rig_remove(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *f;
	while (d && (f = readdir(d)))
		if (f->d_name[0] != '.')
			unlinkat(dirfd(d), f->d_name, 0);
	if (d)
		closedir(d);
	rmdir(path);
}

static inline void rig_stop(struct rig *r)
{
	ledger_close(&r->ledger);
	helper_free(&r->helper);
	close(r->dirfd);
	rig_remove(r->path);
}

static inline void rig_copy(const struct rig *from, struct rig *to)
{
	*to = *from;
	rig_path(to);
	DIR *d = opendir(from->path);
	struct dirent *f;
	char *data = malloc(1 << 20);
	while ((f = readdir(d))) {
		if (f->d_name[0] == '.')
			continue;
		int in = openat(from->dirfd, f->d_name, O_RDONLY);
		int out = openat(to->dirfd, f->d_name, O_WRONLY | O_CREAT, 0600);
		ssize_t n;
		while ((n = read(in, data, 1 << 20)) > 0)
			ck_assert_int_eq(write(out, data, (size_t)n), n);
		close(in);
		close(out);
	}
	free(data);
	closedir(d);
}

/* Closes without writing: as a crash. The copy's files only. */
static inline void rig_drop_copy(struct rig *r)
{
	ledger_close(&r->ledger);
	close(r->dirfd);
	rig_remove(r->path);
}

static inline unsigned rig_random(struct rig *r, unsigned below)
{
	return (unsigned)rand_r(&r->seed) % below;
}

static inline void rig_line(struct rig *r, struct line line)
{
	ledger_write(r->ledger, &line);
}

/* A segment that is leased, so that messages can lie there. */
static inline struct segment_entry *rig_segment(struct rig *r)
{
	uint32_t number = 1 + rig_random(r, RIG_SEGMENTS);
	struct segment_entry *e = index_segment(ledger_index(r->ledger), number);
	if (!e) {
		struct line l = {.kind = LINE_LEASED,
				 .segment = {.segment = number, .lease = r->next_lease++}};
		l.segment.nonce[0] = (uint8_t)number;
		rig_line(r, l);
		return index_segment(ledger_index(r->ledger), number);
	}
	if (e->line.state == SEGMENT_SEALED) {
		if (e->live > 0)
			return NULL;
		rig_line(r, (struct line){.kind = LINE_FREE,
					  .segment = {.segment = number, .lease = e->line.lease}});
		return NULL;
	}
	return e;
}

static inline void rig_arrive(struct rig *r, size_t at)
{
	struct segment_entry *s = rig_segment(r);
	if (!s)
		return;
	struct line l = {.kind = LINE_STATE};
	l.state = (struct line_state){.id = r->next_id,
				      .lease = s->line.lease,
				      .segment = s->line.segment,
				      .offset = s->line.known * 4096 % (1 << 24),
				      .length = 1024,
				      .ordinal = s->line.known,
				      .arrived = r->next_id * 1000000,
				      .received = 1 + rig_random(r, 3)};
	l.state.count = l.state.received;
	memset(l.state.digest, (int)r->next_id, DIGEST_SIZE);
	rig_line(r, l);
	r->ids[at] = r->next_id++;
	struct entry *e = index_get(ledger_index(r->ledger), r->ids[at]);
	index_load_fresh(ledger_index(r->ledger), e, l.state.digest);
}

static inline void rig_state(struct rig *r, struct entry *e)
{
	struct line l = {.kind = LINE_STATE};
	ck_assert(index_describe(ledger_index(r->ledger), e, SLICE_EMPTY, &l.state));
	l.state.next = rig_random(r, 1000000);
	rig_line(r, l);
}

static inline void rig_loaded(void *arg, struct entry *e, int err)
{
	(void)arg;
	(void)e;
	ck_assert_int_eq(err, 0);
}

/* A delta of a message whose state is loaded. */
static inline void rig_delta(struct rig *r, struct entry *e)
{
	uint32_t recipient = rig_random(r, e->count);
	struct line l = {.kind = LINE_ATTEMPT};
	if (rig_random(r, 2)) {
		l.attempt = (struct line_attempt){e->id, recipient, (uint16_t)(e->attempts + 1)};
	} else {
		static char text[200];
		static const uint8_t statuses[] = {RECIPIENT_DEFERRED,	RECIPIENT_DEFERRED,
						   RECIPIENT_FAILED,	RECIPIENT_REACHED,
						   RECIPIENT_DELIVERED, RECIPIENT_BOUNCED};
		memset(text, 'x', sizeof(text));
		l.kind = LINE_RESULT;
		l.result = (struct line_result){.id = e->id,
						.recipient = recipient,
						.status = statuses[rig_random(r, sizeof(statuses))],
						.next = 5,
						.reply = {.code = 450,
							  .text = {text, rig_random(r, 200)},
							  .relay = {text, rig_random(r, 120)}}};
	}
	rig_line(r, l);
}

/* A recipient that is alive becomes some others. */
static inline void rig_add(struct rig *r, struct entry *e)
{
	static const struct line_recipient added[] = {
	    {.address = SLICE("a@list.example"), .original = SLICE("list@x")},
	    {.address = SLICE("b@list.example"), .original = SLICE("list@x")},
	    {.address = SLICE("c@list.example"), .original = SLICE("other")}};
	uint32_t recipient = rig_random(r, e->count);
	struct line l = {.kind = LINE_ADDED};
	if (e->count > 50 || recipient_ended(e->state->recipients[recipient].status))
		return;
	ck_assert(index_describe_added(ledger_index(r->ledger), e, recipient, added,
				       1 + rig_random(r, 3), &l.added));
	rig_line(r, l);
}

/* One step of a random life. */
static inline void rig_step(struct rig *r)
{
	size_t at = rig_random(r, RIG_MESSAGES);
	struct index *ix = ledger_index(r->ledger);
	struct entry *e = r->ids[at] ? index_get(ix, r->ids[at]) : NULL;
	if (!e) {
		rig_arrive(r, at);
		return;
	}
	struct line l = {.kind = LINE_DISPOSITION,
			 .message = {.id = e->id,
				     .disposition = (uint8_t)rig_random(r, DISPOSITIONS),
				     .next = rig_random(r, 100)}};
	switch (rig_random(r, 10)) {
	case 0:
		rig_line(r, l);
		return;
	case 1:
		l.kind = rig_random(r, 2) ? LINE_ENDED : LINE_SUSPECT;
		l.message.deaths = 2;
		rig_line(r, l);
		return;
	case 2: /* to rest */
		if (e->state) {
			rig_state(r, e);
			if (e->place.file)
				index_unload(ix, e);
		}
		return;
	case 3: { /* its segment is sealed */
		struct segment_entry *s = index_segment(ix, e->segment);
		if (s->line.state == SEGMENT_LEASED && rig_random(r, 4) == 0)
			rig_line(r, (struct line){.kind = LINE_SEALED,
						  .segment = {.segment = e->segment,
							      .lease = s->line.lease,
							      .records = s->line.known,
							      .end = 8192}});
		return;
	}
	case 4: /* its sender is told */
		if (e->state) {
			l.kind = LINE_TOLD;
			l.message.next = rig_random(r, 3); /* 0: all */
			rig_line(r, l);
		}
		return;
	case 5:
		if (e->state)
			rig_add(r, e);
		return;
	default:
		if (!e->state && ledger_load(r->ledger, e, rig_loaded, NULL) == 0)
			helper_drain(r->helper);
		rig_delta(r, e);
	}
}

#endif
