/*
 * writer_world: a writer with a manager made of memory: segments and large files are memfds, all
 * that the writer says is kept in order. For the tests of the writer; each is a process of its own.
 */
#ifndef TESTS_UNIT_STORE_WRITER_WORLD_H
#define TESTS_UNIT_STORE_WRITER_WORLD_H

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <bsd/stdlib.h>

#include "common/base/memory.h"
#include "common/os/disk.h"
#include "common/os/loop.h"
#include "queue/store/content.h"
#include "queue/store/scan.h"
#include "queue/store/writer.h"

enum { WORLD_LEASES = 200, WORLD_FILES = 400, WORLD_EVENTS = 20000 };

enum event_kind { DONE, NOTICE, SEALED, FAILED, ABANDONED };

struct event {
	enum event_kind kind;
	uint64_t number; /* lease, file, or the message's number */
	uint32_t records;
	uint64_t end;
	int err;
};

static struct world {
	struct writer *w;
	bool give_leases, give_files; /* at once when they are wanted */
	uint64_t segment_size;
	int next_lease_fd; /* given instead of a memfd, when not -1 */
	int next_file_fd;
	uint32_t incarnation;
	unsigned leases_wanted, fresh_wanted, files_wanted;
	struct world_lease {
		struct writer_lease is;
		int fd; /* our copy; -1 none */
	} leases[WORLD_LEASES];
	unsigned lease_count;
	struct world_file {
		uint64_t number;
		uint8_t nonce[NONCE_SIZE];
		int fd;
	} files[WORLD_FILES];
	unsigned file_count;
	struct event events[WORLD_EVENTS];
	unsigned event_count;
	unsigned done, done_well, notices, told; /* told: entries of all notices */
	unsigned expected;			 /* the loop stops at so many done() */
	void (*at_done)(uint64_t number);
} world;

static void event(enum event_kind kind, uint64_t number, uint32_t records, uint64_t end, int err)
{
	ck_assert_uint_lt(world.event_count, WORLD_EVENTS);
	world.events[world.event_count++] = (struct event){kind, number, records, end, err};
}

static void give_lease(void)
{
	ck_assert_uint_lt(world.lease_count, WORLD_LEASES);
	struct world_lease *l = &world.leases[world.lease_count++];
	int fd = world.next_lease_fd;
	world.next_lease_fd = -1;
	l->fd = -1;
	if (fd < 0) {
		fd = memfd_create("segment", MFD_CLOEXEC);
		ck_assert_int_eq(ftruncate(fd, (off_t)world.segment_size), 0);
		l->fd = dup(fd);
	}
	l->is = (struct writer_lease){.number = 100 + world.lease_count,
				      .segment = world.lease_count,
				      .size = world.segment_size,
				      .spool = 3,
				      .incarnation = world.incarnation};
	arc4random_buf(l->is.nonce, NONCE_SIZE);
	writer_take_lease(world.w, &l->is, fd);
}

static void give_file(void)
{
	ck_assert_uint_lt(world.file_count, WORLD_FILES);
	struct world_file *f = &world.files[world.file_count++];
	int fd = world.next_file_fd;
	world.next_file_fd = -1;
	if (fd < 0)
		fd = memfd_create("large", MFD_CLOEXEC);
	f->number = 500 + world.file_count;
	f->fd = dup(fd);
	arc4random_buf(f->nonce, NONCE_SIZE);
	writer_take_file(world.w, f->number, f->nonce, fd);
}

static void on_want_lease(void *arg, bool fresh)
{
	(void)arg;
	world.leases_wanted++;
	world.fresh_wanted += fresh;
	if (fresh)
		world.incarnation++;
	if (world.give_leases)
		give_lease();
}

static void on_want_file(void *arg)
{
	(void)arg;
	world.files_wanted++;
	if (world.give_files)
		give_file();
}

static void on_notice(void *arg, uint64_t lease, const struct writer_entry *entries, size_t count)
{
	(void)arg;
	ck_assert_uint_gt(count, 0);
	for (size_t i = 1; i < count; i++)
		ck_assert_uint_eq(entries[i].ordinal, entries[i - 1].ordinal + 1);
	world.notices++;
	world.told += (unsigned)count;
	event(NOTICE, lease, (uint32_t)count, entries[0].ordinal, 0);
}

static void on_sealed(void *arg, uint64_t lease, uint32_t records, uint64_t end)
{
	(void)arg;
	event(SEALED, lease, records, end, 0);
}

static void on_failed(void *arg, uint64_t lease, uint32_t records, uint64_t end, int err)
{
	(void)arg;
	event(FAILED, lease, records, end, err);
}

static void on_abandoned(void *arg, uint64_t file)
{
	(void)arg;
	event(ABANDONED, file, 0, 0, 0);
}

static void world_begin(void)
{
	static const struct writer_hooks hooks = {.want_lease = on_want_lease,
						  .want_file = on_want_file,
						  .notice = on_notice,
						  .sealed = on_sealed,
						  .failed = on_failed,
						  .abandoned = on_abandoned};
	world = (struct world){.give_leases = true,
			       .give_files = true,
			       .segment_size = 1 << 20,
			       .next_lease_fd = -1,
			       .next_file_fd = -1,
			       .incarnation = 1};
	world.w = writer_new(&hooks);
}

static void world_end(void)
{
	writer_free(&world.w);
	ck_assert_ptr_null(world.w);
	for (unsigned i = 0; i < world.lease_count; i++)
		if (world.leases[i].fd >= 0)
			close(world.leases[i].fd);
	for (unsigned i = 0; i < world.file_count; i++)
		close(world.files[i].fd);
}

static void on_done(void *arg, int err)
{
	uint64_t number = (uint64_t)(uintptr_t)arg;
	event(DONE, number, 0, 0, err);
	world.done++;
	world.done_well += err == 0;
	if (world.at_done)
		world.at_done(number);
	if (world.done >= world.expected)
		loop_stop();
}

/* Runs the loop until so many commits are answered in all. */
static void run_until_done(unsigned expected)
{
	world.expected = expected;
	while (world.done < expected)
		loop_run(); /* a resume() may stop it too early */
}

/* The next manager gives new incarnations. */
static void lose_manager(void)
{
	writer_lost(world.w);
	world.incarnation++;
}

static void hand_in(struct draft **d, uint64_t number, struct slice header)
{
	struct stored_recipient to = {.address = SLICE("bob@trial.example")};
	struct stored_message m = {.recipients = &to,
				   .recipient_count = 1,
				   .reverse_path = SLICE("alice@trial.example"),
				   .header = header};
	draft_commit(d, &m, on_done, (void *)(uintptr_t)number);
	ck_assert_ptr_null(*d);
}

/* One message whose body is its number, then text. */
static uint64_t commit_message(uint64_t number, struct slice text)
{
	uint64_t id = writer_draw_id(world.w);
	struct draft *d = draft_new(world.w, id ? id : number);
	ck_assert_int_eq(draft_body(d, slice_make(&number, sizeof(number)), NULL, NULL), DRAFT_OK);
	ck_assert_int_eq(draft_body(d, text, NULL, NULL), DRAFT_OK);
	hand_in(&d, number, SLICE("Subject: test\r\n"));
	return id;
}

/* What a scan of one of our leases finds. */
struct scanned {
	const struct world_lease *lease;
	struct scan_result result;
	uint32_t count;
	uint32_t damages;
	void (*message)(const struct stored_message *m);
};

static void scanned_record(void *arg, const struct writer_entry *e)
{
	struct scanned *s = arg;
	struct arena arena;
	struct stored_message m;
	struct error error;
	uint8_t digest[DIGEST_SIZE];
	char *octets = memory_get(e->length);
	ck_assert_int_eq(pread(s->lease->fd, octets, e->length, (off_t)e->offset), e->length);
	struct slice record = slice_make(octets, e->length);
	arena_init(&arena, 1 << 20);
	ck_assert_msg(record_decode(record, &arena, &m, &error), "%s", error.text);
	record_digest(record, digest);
	ck_assert_mem_eq(digest, e->digest, DIGEST_SIZE);
	ck_assert_uint_eq(m.ordinal, s->count);
	ck_assert_uint_eq(m.file.number, e->file);
	s->count++;
	if (s->message)
		s->message(&m);
	arena_free(&arena);
	memory_free(octets);
}

static void scanned_damage(void *arg, uint64_t offset, uint64_t length)
{
	(void)offset, (void)length;
	((struct scanned *)arg)->damages++;
}

static struct scanned scan_lease(unsigned n, void (*message)(const struct stored_message *m))
{
	struct scanned s = {.lease = &world.leases[n], .message = message};
	struct scan_calls calls = {.record = scanned_record, .damage = scanned_damage, .arg = &s};
	struct scan_request request = {
	    .fd = s.lease->fd, .lease = s.lease->is.number, .size = s.lease->is.size};
	struct error error;
	memcpy(request.nonce, s.lease->is.nonce, NONCE_SIZE);
	ck_assert(scan_segment(&request, &calls, &s.result, &error));
	ck_assert_uint_eq(s.damages, 0);
	ck_assert_uint_eq(s.result.records, s.count);
	return s;
}

static int run_suite(Suite *s)
{
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}

#endif
