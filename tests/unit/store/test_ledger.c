/* The ledger: what is read back is what was, wherever a crash cuts it; the chain gets shorter
 * again; a file that was never joined is not believed; a failure is followed by a whole new
 * statement. */
#include <errno.h>
#include <time.h>

#include "tests/unit/store/ledger_rig.h"

enum { STEPS = 1500 };

struct moment {
	uint64_t digest;
	struct index_counts counts;
	uint32_t sequence, end;
};

static struct moment now_of(struct rig *r)
{
	struct moment m = {.digest = index_digest(ledger_index(r->ledger)),
			   .counts = *index_counts(ledger_index(r->ledger))};
	struct ledger_part *parts;
	size_t n = ledger_parts(r->ledger, &parts);
	m.sequence = parts[n - 1].header.sequence;
	m.end = parts[n - 1].end;
	memory_free(parts);
	return m;
}

static void same(const struct moment *a, const struct moment *b, unsigned seed, int step)
{
	ck_assert_msg(a->counts.messages == b->counts.messages &&
			  a->counts.recipients == b->counts.recipients && a->digest == b->digest,
		      "seed %u step %d: %zu/%zu messages, %zu/%zu recipients, digest %llx/%llx",
		      seed, step, a->counts.messages, b->counts.messages, a->counts.recipients,
		      b->counts.recipients, (unsigned long long)a->digest,
		      (unsigned long long)b->digest);
}

/* Lets the loop run until the helper and the ledger have nothing to do. */
static struct loop_timer settle_timer;
static struct rig *settling;

static void settle_look(void *arg)
{
	(void)arg;
	if (helper_pending(settling->helper) == 0 &&
	    ledger_synced(settling->ledger) == ledger_position(settling->ledger))
		loop_stop();
	else
		loop_timer_start(&settle_timer, 1000, settle_look, NULL);
}

static void settle_nothing(void *arg)
{
	(void)arg;
}

static void settle(struct rig *r)
{
	struct ledger_wait soon = {0};
	settling = r;
	ledger_when_synced(r->ledger, &soon, ledger_position(r->ledger), true, settle_nothing,
			   NULL);
	loop_timer_start(&settle_timer, 0, settle_look, NULL);
	loop_run();
	ledger_wait_cancel(r->ledger, &soon);
}

/* Every octet becomes another one. */
static void tear(int fd, uint32_t from, uint32_t length)
{
	char torn[4096];
	uint32_t n = length < sizeof(torn) ? length : sizeof(torn);
	ck_assert_int_eq(pread(fd, torn, n, from), n);
	for (uint32_t i = 0; i < n; i++)
		torn[i] ^= 0x5a;
	ck_assert_int_eq(pwrite(fd, torn, n, from), n);
}

/* Opens a copy of the directory, cut: the last `cut_back` octets are something else. */
static struct moment reopened(struct rig *r, uint32_t cut_back, unsigned seed)
{
	struct rig copy;
	struct ledger_part *parts;
	rig_copy(r, &copy);
	size_t n = ledger_parts(r->ledger, &parts);
	if (cut_back > 0) {
		DIR *d = opendir(copy.path);
		struct dirent *f;
		while ((f = readdir(d))) {
			char head[LEDGER_HEADER_SIZE];
			struct ledger_header h;
			int fd = openat(copy.dirfd, f->d_name, O_RDWR);
			if (fd >= 0 && pread(fd, head, sizeof(head), 0) == sizeof(head) &&
			    ledger_header_decode(head, &h) &&
			    h.sequence == parts[n - 1].header.sequence)
				tear(fd, parts[n - 1].end - cut_back, cut_back);
			if (fd >= 0)
				close(fd);
		}
		closedir(d);
	}
	memory_free(parts);
	struct error e = {0};
	ck_assert_msg(rig_open(&copy, false, &e), "seed %u: %s", seed, e.text);
	struct moment m = now_of(&copy);
	rig_drop_copy(&copy);
	return m;
}

static void live(unsigned seed)
{
	struct rig r;
	rig_start(&r, RIG_FILE, seed);
	struct moment before = now_of(&r);
	for (int step = 0; step < STEPS; step++) {
		unsigned batch = 1 + rig_random(&r, 6);
		for (unsigned i = 0; i < batch; i++)
			rig_step(&r);
		ck_assert(ledger_flush(r.ledger));
		struct moment at = now_of(&r);
		if (step % 7 == 0) {
			struct moment again = reopened(&r, 0, seed);
			same(&at, &again, seed, step);
		}
		/* One frame since: a cut in it leaves what was before. */
		if (step % 11 == 0 && at.sequence == before.sequence && at.end > before.end) {
			uint32_t frame = at.end - before.end;
			struct moment again = reopened(&r, 1 + rig_random(&r, frame), seed);
			same(&before, &again, seed, step);
		}
		if (rig_random(&r, 20) == 0)
			settle(&r);
		before = now_of(&r);
	}
	settle(&r);
	struct moment at = now_of(&r);
	/* And as the same spool again, in place. */
	ledger_close(&r.ledger);
	struct error e;
	ck_assert_msg(rig_open(&r, false, &e), "%s", e.text);
	struct moment again = now_of(&r);
	same(&at, &again, seed, STEPS);
	ck_assert_uint_lt(ledger_chain(r.ledger), 12);
	rig_stop(&r);
}

START_TEST(what_is_read_back_is_what_was)
{
	unsigned seed = (unsigned)time(NULL) * 31u + (unsigned)_i;
	printf("seed %u\n", seed);
	live(seed);
}
END_TEST

START_TEST(a_chain_is_restated_and_its_slots_are_used_again)
{
	struct rig r;
	rig_start(&r, RIG_FILE, 5);
	for (int i = 0; i < 20000; i++) {
		rig_step(&r);
		if (i % 50 == 0)
			settle(&r);
	}
	settle(&r);
	struct ledger_part *parts;
	size_t n = ledger_parts(r.ledger, &parts);
	ck_assert_uint_gt(parts[n - 1].header.sequence, 20);
	memory_free(parts);
	ck_assert_uint_lt(ledger_octets(r.ledger), 20 * RIG_FILE);
	rig_stop(&r);
}
END_TEST

START_TEST(a_missing_ledger_is_not_made_anew_over_mail)
{
	struct rig r = {.file_size = RIG_FILE};
	struct error e;
	rig_path(&r);
	r.helper = helper_new();
	ck_assert(!rig_open(&r, false, &e));
	ck_assert_int_eq(e.code, ENOENT);
	helper_free(&r.helper);
	close(r.dirfd);
	rig_remove(r.path);
}
END_TEST

/* Calls for each file of the directory that is part of a ledger. */
static void damage(struct rig *r, uint32_t sequence, off_t at, size_t len)
{
	char head[LEDGER_HEADER_SIZE], junk[4096], name[16];
	memset(junk, 0xa5, sizeof(junk)); /* a line may end with zeros */
	for (unsigned slot = 1; slot < 64; slot++) {
		snprintf(name, sizeof(name), "%08u", slot);
		int fd = openat(r->dirfd, name, O_RDWR);
		struct ledger_header h;
		if (fd < 0)
			continue;
		if (pread(fd, head, sizeof(head), 0) == sizeof(head) &&
		    ledger_header_decode(head, &h) && h.sequence == sequence)
			ck_assert_int_eq(pwrite(fd, junk, len, at), (ssize_t)len);
		close(fd);
	}
}

static uint32_t fill_files(struct rig *r, size_t files)
{
	while (ledger_chain(r->ledger) < files) {
		rig_step(r);
		ledger_flush(r->ledger);
		helper_drain(r->helper);
	}
	return now_of(r).sequence;
}

START_TEST(a_file_does_not_follow_on_one_that_lost_its_end)
{
	struct rig r, copy;
	struct error e = {0};
	rig_start(&r, RIG_FILE, 9);
	fill_files(&r, 1);
	while (now_of(&r).end < RIG_FILE - 4000) {
		rig_step(&r);
		ledger_flush(r.ledger);
	}
	struct moment full = now_of(&r);
	uint32_t second = fill_files(&r, 2);
	ck_assert_uint_eq(second, full.sequence + 1);
	rig_copy(&r, &copy);
	damage(&copy, full.sequence, (off_t)full.end - 8, 8);
	ck_assert_msg(rig_open(&copy, false, &e), "%s", e.text);
	/* The second file counts for nothing; all is stated anew before a delivery. */
	ck_assert_uint_le(index_counts(ledger_index(copy.ledger))->messages,
			  full.counts.messages + 1);
	ck_assert(!ledger_safe(copy.ledger));
	uint64_t digest = index_digest(ledger_index(copy.ledger));
	settle(&copy);
	ck_assert(ledger_safe(copy.ledger));
	ck_assert_uint_ne(index_digest(ledger_index(copy.ledger)), digest); /* other places */
	struct moment at = now_of(&copy);
	ledger_close(&copy.ledger);
	ck_assert_msg(rig_open(&copy, false, &e), "%s", e.text);
	struct moment again = now_of(&copy);
	same(&at, &again, 9, 0);
	rig_drop_copy(&copy);
	rig_stop(&r);
}
END_TEST

START_TEST(damage_in_what_was_synced_stops_the_start)
{
	struct rig r, copy;
	struct error e = {0};
	rig_start(&r, RIG_FILE, 10);
	while (now_of(&r).end < RIG_FILE / 2)
		rig_step(&r), ledger_flush(r.ledger);
	settle(&r);
	uint32_t second = fill_files(&r, 2);
	rig_copy(&r, &copy);
	damage(&copy, second - 1, RIG_FILE / 4, 64);
	ck_assert(!rig_open(&copy, false, &e));
	ck_assert_int_eq(e.code, EBADMSG);
	close(copy.dirfd);
	rig_remove(copy.path);
	rig_stop(&r);
}
END_TEST

/* What a sync covered before a later frame was written can't be a torn end; what came after can. */
START_TEST(damage_in_the_last_file_stops_the_start_when_a_later_frame_proves_it)
{
	struct rig r, copy;
	struct error e = {0};
	rig_start(&r, RIG_FILE, 11);
	while (now_of(&r).end < RIG_FILE / 4)
		rig_step(&r), ledger_flush(r.ledger);
	settle(&r);
	uint32_t durable = now_of(&r).end, sequence = now_of(&r).sequence;
	while (now_of(&r).end < RIG_FILE / 2)
		rig_step(&r), ledger_flush(r.ledger);
	ck_assert_uint_eq(now_of(&r).sequence, sequence);
	for (uint32_t at = LEDGER_HEADER_SIZE; at < RIG_FILE / 2; at += RIG_FILE / 50) {
		rig_copy(&r, &copy);
		damage(&copy, sequence, at, 200);
		bool opened = rig_open(&copy, false, &e);
		ck_assert_msg(opened == (at >= durable), "damage at %u of %u", at, durable);
		if (opened) {
			rig_drop_copy(&copy);
			continue;
		}
		ck_assert_int_eq(e.code, EBADMSG);
		close(copy.dirfd);
		rig_remove(copy.path);
	}
	rig_stop(&r);
}
END_TEST

static int waited;

static void wait_done(void *arg)
{
	(void)arg;
	waited++;
}

START_TEST(a_waiter_is_called_when_its_lines_are_durable)
{
	struct rig r;
	struct ledger_wait first = {0}, second = {0}, third = {0};
	rig_start(&r, RIG_FILE, 11);
	waited = 0;
	rig_step(&r);
	ledger_when_synced(r.ledger, &first, ledger_position(r.ledger), true, wait_done, NULL);
	rig_step(&r);
	ledger_when_synced(r.ledger, &second, ledger_position(r.ledger), false, wait_done, NULL);
	ledger_when_synced(r.ledger, &third, ledger_position(r.ledger), false, wait_done, NULL);
	ledger_wait_cancel(r.ledger, &third);
	ck_assert_int_eq(waited, 0);
	settle(&r);
	ck_assert_int_eq(waited, 2);
	rig_stop(&r);
}
END_TEST

/* Makes every write to the last file fail from now on. */
static void break_last_file(struct rig *r)
{
	struct ledger_part *parts;
	size_t n = ledger_parts(r->ledger, &parts);
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", parts[n - 1].fd);
	int same_file = open(path, O_RDONLY);
	ck_assert_int_ge(dup2(same_file, parts[n - 1].fd), 0);
	close(same_file);
	memory_free(parts);
}

static void stop_loop(void *arg)
{
	(void)arg;
	loop_stop();
}

static void one_turn(void)
{
	static struct loop_timer timer;
	loop_timer_start(&timer, 0, stop_loop, NULL);
	loop_run();
}

START_TEST(a_failed_write_is_followed_by_a_whole_statement)
{
	for (unsigned seed = 1; seed <= 20; seed++) {
		struct rig r, copy;
		struct error e = {0};
		rig_start(&r, RIG_FILE, seed);
		for (int i = 0; i < 300; i++) {
			rig_step(&r);
			if (i % 10 == 0)
				settle(&r);
		}
		struct moment before;
		do { /* the first may go to a new file */
			settle(&r);
			before = now_of(&r);
			break_last_file(&r);
			rig_step(&r);
			rig_arrive(&r, 0);
			rig_line(&r, (struct line){.kind = LINE_TIME, .time = {.queue = 1}});
		} while (ledger_flush(r.ledger));
		ck_assert(!ledger_safe(r.ledger));
		for (int i = 0; i < 50; i++) /* life goes on, in memory alone */
			rig_step(&r);
		/* A crash now: nothing of it is believed, all before is. */
		rig_copy(&r, &copy);
		ck_assert_msg(rig_open(&copy, false, &e), "%s", e.text);
		rig_drop_copy(&copy);
		while (!ledger_safe(r.ledger)) { /* and at each moment of the snapshot */
			one_turn();
			if (ledger_safe(r.ledger))
				break;
			struct moment there = reopened(&r, 0, seed);
			/* With its END on disk, even before the sync, it counts whole. */
			if (there.digest != index_digest(ledger_index(r.ledger)))
				same(&before, &there, seed, 2);
		}
		ck_assert(ledger_flush(r.ledger));
		struct moment at = now_of(&r);
		struct moment again = reopened(&r, 0, seed);
		same(&at, &again, seed, 0);
		for (int i = 0; i < 200; i++) {
			rig_step(&r);
			if (i % 10 == 0)
				settle(&r);
		}
		ck_assert(ledger_flush(r.ledger));
		at = now_of(&r);
		again = reopened(&r, 0, seed);
		same(&at, &again, seed, 1);
		rig_stop(&r);
	}
}
END_TEST

/* A snapshot that was begun and not ended: as if it were not there. */
START_TEST(a_snapshot_without_its_end_is_ignored)
{
	struct rig r, copy;
	struct error e = {0};
	rig_start(&r, RIG_FILE, 3);
	for (int i = 0; i < 200; i++)
		rig_step(&r);
	ck_assert(ledger_flush(r.ledger));
	struct moment before = now_of(&r);
	rig_line(&r, (struct line){.kind = LINE_SNAPSHOT_BEGIN});
	rig_line(&r, (struct line){.kind = LINE_RESERVED, .reserved = {.numbers = 5}});
	ledger_flush(r.ledger);
	rig_copy(&r, &copy);
	ck_assert_msg(rig_open(&copy, false, &e), "%s", e.text);
	ck_assert(!ledger_safe(copy.ledger));
	struct moment again = now_of(&copy);
	same(&before, &again, 3, 0);
	settle(&copy);
	ck_assert(ledger_safe(copy.ledger));
	ck_assert_uint_eq(now_of(&copy).counts.messages, before.counts.messages);
	rig_drop_copy(&copy);
	rig_stop(&r);
}
END_TEST

/* A message whose only recipient failed, and the notification about it: their lines are written
 * together, where the file has `left` octets left. */
static void tell_where_the_file_ends(struct rig *r, uint32_t left)
{
	struct line_result failed = {.id = 1, .status = RECIPIENT_FAILED};
	struct line filler = {.kind = LINE_SUSPECT, .message = {.id = 99}};
	struct line told = {.kind = LINE_TOLD, .message = {.id = 1}};
	struct line l = {.kind = LINE_STATE};
	rig_start(r, RIG_FILE, 1);
	rig_line(r, (struct line){.kind = LINE_LEASED, .segment = {.segment = 1, .lease = 1}});
	for (uint32_t i = 0; i < 2; i++) {
		l.state = (struct line_state){.id = 1 + i,
					      .lease = 1,
					      .segment = 1,
					      .offset = 64,
					      .length = 512,
					      .ordinal = i,
					      .received = 1,
					      .count = 1};
		if (i == 0) {
			rig_line(r, l);
			index_load_fresh(ledger_index(r->ledger),
					 index_get(ledger_index(r->ledger), 1), NULL);
			rig_line(r, (struct line){.kind = LINE_RESULT, .result = failed});
		}
	}
	ledger_flush(r->ledger);
	settle(r);
	while (now_of(r).end + LEDGER_FRAME_SIZE + left + 2048 < RIG_FILE) {
		for (int i = 0; i < 10; i++)
			rig_line(r, filler);
		ledger_flush(r->ledger);
	}
	/* The rest is in the frame that is under way. */
	for (uint32_t at = now_of(r).end + LEDGER_FRAME_SIZE; at + left + 32 <= RIG_FILE; at += 32)
		rig_line(r, filler);
	ledger_together(r->ledger, 512);
	rig_line(r, told);
	rig_line(r, l);
}

/* Both or none: one of the two is alive, whatever the crash leaves. */
static void one_of_both(struct rig *r, const char *where, uint32_t left, uint32_t at)
{
	struct error e = {0};
	ck_assert_msg(rig_open(r, false, &e), "%s", e.text);
	bool parent = index_get(ledger_index(r->ledger), 1);
	bool notification = index_get(ledger_index(r->ledger), 2);
	ck_assert_msg(parent != notification, "%s, %u left, cut at %u: parent %d, notification %d",
		      where, left, at, parent, notification);
	rig_drop_copy(r);
}

/* A copy whose file of that sequence is torn from `at` on. */
static void torn_copy(struct rig *r, uint32_t sequence, uint32_t at, uint32_t end, struct rig *copy)
{
	char head[LEDGER_HEADER_SIZE], name[16];
	rig_copy(r, copy);
	for (unsigned slot = 1; slot < 8; slot++) {
		struct ledger_header h;
		snprintf(name, sizeof(name), "%08u", slot);
		int fd = openat(copy->dirfd, name, O_RDWR);
		if (fd >= 0 && pread(fd, head, sizeof(head), 0) == sizeof(head) &&
		    ledger_header_decode(head, &h) && h.sequence == sequence)
			tear(fd, at, end - at);
		if (fd >= 0)
			close(fd);
	}
}

START_TEST(lines_that_belong_together_survive_together)
{
	static const uint32_t lefts[] = {1024, 600, 512, 448, 256, 160, 128, 96, 64, 32, 0};
	for (size_t i = 0; i < sizeof(lefts) / sizeof(lefts[0]); i++) {
		struct rig r, copy;
		tell_where_the_file_ends(&r, lefts[i]);
		struct moment before = now_of(&r);
		rig_copy(&r, &copy); /* not written yet */
		one_of_both(&copy, "before", lefts[i], 0);
		ck_assert(ledger_flush(r.ledger));
		struct moment after = now_of(&r);
		ck_assert_uint_le(after.sequence, before.sequence + 1);
		/* In the last file the two lines are the last. */
		uint32_t from = after.end - 256 > LEDGER_HEADER_SIZE ? after.end - 256 : 0;
		for (uint32_t at = from; at <= after.end; at += at + 40 < after.end ? 24 : 1) {
			torn_copy(&r, after.sequence, at, after.end, &copy);
			one_of_both(&copy, "torn", lefts[i], at);
		}
		rig_stop(&r);
	}
}
END_TEST

/* Lines as they were before there were relays, REACHED and BOUNCED, and entries for several. */
START_TEST(old_lines_are_read_as_they_were_meant)
{
	static const uint8_t statuses[] = {
	    RECIPIENT_PENDING,	 RECIPIENT_ATTEMPT,  RECIPIENT_DEFERRED, RECIPIENT_FAILED,
	    RECIPIENT_DELIVERED, RECIPIENT_EXPANDED, RECIPIENT_DELETED};
	for (uint8_t i = 0; i < sizeof(statuses); i++) {
		char octets[8 + 40 + 8] = {LINE_RESULT, 0, 0, 0, 40 + 3};
		struct line l;
		octets[8] = 9;		  /* id */
		octets[8 + 20] = (char)i; /* status */
		octets[8 + 22] = 3;	  /* length of the text */
		memcpy(octets + 8 + 40, "why", 3);
		struct slice raw = slice_make(octets, sizeof(octets));
		ck_assert(line_decode(&raw, &l));
		ck_assert_uint_eq(l.result.status, statuses[i]);
		ck_assert(slice_equal(l.result.reply.text, SLICE("why")));
		ck_assert_uint_eq(l.result.reply.relay.len, 0);
		struct line_recipient r;
		char old[32 + 3] = {[14] = (char)i, [24] = 3, [32] = 'w', [33] = 'h', [34] = 'y'};
		struct slice list = slice_make(old, sizeof(old));
		ck_assert(line_recipient_next(&list, &r));
		ck_assert_uint_eq(r.status, statuses[i]);
		ck_assert(slice_equal(r.reply.text, SLICE("why")));
		ck_assert_uint_eq(r.reply.relay.len, 0);
		ck_assert_uint_eq(r.alike, 0);
	}
	/* TOLD said nothing but the id: all of them. */
	char told[8 + 24] = {LINE_TOLD, 0, 0, 0, 24, [8] = 9};
	struct slice raw = slice_make(told, sizeof(told));
	struct line l;
	ck_assert(line_decode(&raw, &l));
	ck_assert_uint_eq(l.message.next, 0);
}
END_TEST

START_TEST(recipients_that_are_alike_stand_in_one_entry)
{
	enum { MANY = 3000 };
	struct index *ix = index_new(0, NULL);
	struct line l = {.kind = LINE_LEASED, .segment = {.segment = 1, .lease = 1}};
	ck_assert(index_apply(ix, &l, SLICE("x"), (struct place){1, 1}, 1));
	l = (struct line){
	    .kind = LINE_STATE,
	    .state = {
		.id = 7, .lease = 1, .segment = 1, .length = 64, .received = MANY, .count = MANY}};
	ck_assert(index_apply(ix, &l, SLICE("x"), (struct place){1, 1}, 1));
	struct entry *e = index_get(ix, 7);
	index_load_fresh(ix, e, NULL);
	char said[64];
	for (uint32_t i = 0; i < MANY; i++) {
		/* a run of deferred ones, some delivered with words of their own, one that is
		 * untouched */
		bool done = i >= 2000 && i < 2500;
		struct line r = {
		    .kind = LINE_RESULT,
		    .result = {.id = 7,
			       .recipient = i,
			       .status = done ? RECIPIENT_DELIVERED : RECIPIENT_DEFERRED,
			       .next = done ? 0 : 99,
			       .reply = {.code = done ? 250 : 451, .text = SLICE("busy")}}};
		snprintf(said, sizeof(said), "queued as %u", i);
		if (done)
			r.result.reply.text = slice_str(said);
		if (i != 1000)
			ck_assert(index_apply(ix, &r, SLICE("x"), (struct place){1, 1}, 1));
	}
	ck_assert(index_describe(ix, e, SLICE_EMPTY, &l.state));
	ck_assert_uint_lt(l.state.recipients.len,
			  4 * 64); /* 0-999, 1001-1999, 2000-2499, 2500-2999 */
	char *octets = memory_get(line_bound(&l));
	struct slice raw = slice_make(octets, line_encode(&l, octets));
	ck_assert(index_apply(ix, &l, raw, (struct place){1, 1}, 1));
	index_unload(ix, e);
	ck_assert(index_load(ix, e, raw));
	ck_assert_uint_eq(e->alive, 2500);
	for (uint32_t i = 0; i < MANY; i++) {
		const struct recipient_state *s = &e->state->recipients[i];
		bool done = i >= 2000 && i < 2500;
		ck_assert_uint_eq(s->status, i == 1000 ? RECIPIENT_PENDING
					     : done    ? RECIPIENT_DELIVERED
						       : RECIPIENT_DEFERRED);
		ck_assert_uint_eq(s->next, done || i == 1000 ? 0 : 99);
		ck_assert(
		    slice_equal(s->reply.text, done || i == 1000 ? SLICE_EMPTY : SLICE("busy")));
	}
	memory_free(octets);
	index_free(&ix);
}
END_TEST

static void apply(struct index *ix, const struct line *l)
{
	ck_assert(index_apply(ix, l, SLICE("x"), (struct place){1, 1}, 1));
}

/* The room of a line is for the entries, not for all who share one. */
START_TEST(what_a_hundred_thousand_were_told_is_kept_whole)
{
	struct index *ix = index_new(0, NULL);
	char text[REPLY_TEXT_MAX], relay[REPLY_RELAY_MAX];
	memset(text, 't', sizeof(text));
	memset(relay, 'r', sizeof(relay));
	apply(ix, &(struct line){.kind = LINE_LEASED, .segment = {.segment = 1, .lease = 1}});
	struct line l = {.kind = LINE_STATE,
			 .state = {.id = 7,
				   .lease = 1,
				   .segment = 1,
				   .length = 64,
				   .received = RECIPIENTS_RECEIVED_MAX,
				   .count = RECIPIENTS_RECEIVED_MAX}};
	apply(ix, &l);
	struct entry *e = index_get(ix, 7);
	index_load_fresh(ix, e, NULL);
	for (uint32_t i = 0; i < RECIPIENTS_RECEIVED_MAX; i++)
		apply(ix, &(struct line){.kind = LINE_RESULT,
					 .result = {.id = 7,
						    .recipient = i,
						    .status = RECIPIENT_DEFERRED,
						    .next = 99,
						    .reply = {.code = 451,
							      .text = {text, sizeof(text)},
							      .relay = {relay, sizeof(relay)}}}});
	ck_assert(index_describe(ix, e, SLICE_EMPTY, &l.state));
	struct slice list = l.state.recipients;
	struct line_recipient r;
	ck_assert(line_recipient_next(&list, &r));
	ck_assert_uint_eq(r.alike, RECIPIENTS_RECEIVED_MAX - 1);
	ck_assert_uint_eq(r.reply.text.len, sizeof(text));
	ck_assert_uint_eq(r.reply.relay.len, sizeof(relay));
	index_free(&ix);
}
END_TEST

/* As the ledger keeps it: what must not be is refused. */
START_TEST(entries_that_stand_for_more_than_there_are_are_refused)
{
	static const struct {
		uint32_t number, alike, received, count;
		bool right;
	} cases[] = {{0, 9, 10, 10, true},
		     {0, 10, 10, 10, false},
		     {5, 5, 10, 10, false},
		     {0, UINT32_MAX, 10, 10, false}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buffer list;
		struct line l = {.kind = LINE_STATE}, m;
		struct line_recipient r = {.number = cases[i].number,
					   .alike = cases[i].alike,
					   .status = RECIPIENT_DEFERRED};
		char octets[1024];
		buffer_init(&list, 1024);
		ck_assert(line_recipient_add(&list, &r, 0));
		l.state = (struct line_state){.id = 7,
					      .lease = 1,
					      .segment = 1,
					      .received = cases[i].received,
					      .count = cases[i].count,
					      .recipients = buffer_slice(&list)};
		struct slice raw = slice_make(octets, line_encode(&l, octets));
		ck_assert_int_eq(line_decode(&raw, &m), cases[i].right);
		buffer_free(&list);
	}
}
END_TEST

START_TEST(who_said_it_is_kept_with_what_was_said)
{
	char text[REPLY_TEXT_MAX + 9], relay[REPLY_RELAY_MAX + 9], octets[1024];
	memset(text, 't', sizeof(text));
	memset(relay, 'r', sizeof(relay));
	struct line l = {.kind = LINE_RESULT, .result = {.id = 1, .status = RECIPIENT_REACHED}}, m;
	l.result.reply = (struct reply){
	    .code = 250, .text = {text, sizeof(text)}, .relay = {relay, sizeof(relay)}};
	ck_assert_uint_le(line_bound(&l), sizeof(octets));
	struct slice raw = slice_make(octets, line_encode(&l, octets));
	ck_assert(line_decode(&raw, &m));
	ck_assert_uint_eq(m.result.status, RECIPIENT_REACHED);
	ck_assert_uint_eq(m.result.reply.text.len, REPLY_TEXT_MAX);
	ck_assert_uint_eq(m.result.reply.relay.len, REPLY_RELAY_MAX);
	ck_assert_mem_eq(m.result.reply.relay.ptr, relay, REPLY_RELAY_MAX);
	struct line_recipient r = {.status = RECIPIENT_BOUNCED, .reply = l.result.reply}, s;
	struct buffer out;
	buffer_init(&out, 4096);
	static const struct {
		size_t most, text, relay;
	} cases[] = {{500, 400, 100}, {300, 200, 100}, {200, 100, 100}, {199, 100, 99}, {0, 0, 0}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buffer_reset(&out);
		ck_assert(line_recipient_add(&out, &r, cases[i].most));
		struct slice list = buffer_slice(&out);
		ck_assert(line_recipient_next(&list, &s));
		ck_assert_uint_eq(s.status, RECIPIENT_BOUNCED);
		ck_assert_uint_eq(s.reply.text.len, cases[i].text);
		ck_assert_uint_eq(s.reply.relay.len, cases[i].relay);
	}
	buffer_free(&out);
}
END_TEST

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct line arrival(uint64_t id, uint32_t ordinal)
{
	struct line l = {.kind = LINE_STATE};
	l.state = (struct line_state){.id = id,
				      .lease = 1,
				      .segment = 1,
				      .offset = 64,
				      .length = 512,
				      .ordinal = ordinal,
				      .arrived = 1000000,
				      .received = 1,
				      .count = 1};
	return l;
}

static size_t needed_files(struct rig *r)
{
	struct ledger_part *parts;
	size_t n = ledger_parts(r->ledger, &parts);
	memory_free(parts);
	return n;
}

/* Together they are more than a frame may have. */
START_TEST(a_long_line_behind_a_long_head_is_read_back)
{
	enum { SEGMENTS = 30000, MANY = 11500, LENGTH = 1000 };
	struct rig r;
	struct line_recipient *added = memory_zero(MANY, sizeof(*added));
	static char address[LENGTH];
	memset(address, 'a', sizeof(address));
	rig_start(&r, LEDGER_FILE_SIZE, 1);
	for (uint32_t i = 1; i <= SEGMENTS; i++)
		rig_line(&r,
			 (struct line){.kind = LINE_LEASED, .segment = {.segment = i, .lease = i}});
	rig_line(&r, arrival(1, 0));
	struct entry *e = index_get(ledger_index(r.ledger), 1);
	index_load_fresh(ledger_index(r.ledger), e, NULL);
	for (size_t i = 0; i < MANY; i++)
		added[i].address = slice_make(address, LENGTH);
	struct line l = {.kind = LINE_ADDED};
	ck_assert(index_describe_added(ledger_index(r.ledger), e, 0, added, MANY, &l.added));
	rig_line(&r, l);
	settle(&r);
	ck_assert_uint_eq(ledger_chain(r.ledger), 1);
	rig_state(&r, e); /* goes to the next file */
	settle(&r);
	ck_assert_uint_eq(ledger_chain(r.ledger), 2);
	struct moment at = now_of(&r), again = reopened(&r, 0, 1);
	ck_assert_uint_eq(at.counts.recipients, MANY);
	same(&at, &again, 1, 0);
	memory_free(added);
	rig_stop(&r);
}
END_TEST

/* What is in memory alone has no line whose size is known: no files are made ready for it. */
START_TEST(a_snapshot_waits_for_files_when_states_have_grown)
{
	enum { FILE_SIZE = 64 * 1024, MESSAGES = 20, MANY = 45, LENGTH = 1000, TURNS = 200 };
	struct rig r;
	struct line_recipient added[MANY] = {0};
	static char address[LENGTH];
	memset(address, 'a', sizeof(address));
	for (size_t i = 0; i < MANY; i++)
		added[i].address = slice_make(address, LENGTH);
	rig_start(&r, FILE_SIZE, 1);
	rig_line(&r, (struct line){.kind = LINE_LEASED, .segment = {.segment = 1, .lease = 1}});
	for (uint32_t i = 1; i <= MESSAGES; i++) {
		struct line l = {.kind = LINE_ADDED};
		rig_line(&r, arrival(i, i - 1));
		struct entry *e = index_get(ledger_index(r.ledger), i);
		index_load_fresh(ledger_index(r.ledger), e, NULL);
		ck_assert(
		    index_describe_added(ledger_index(r.ledger), e, 0, added, MANY, &l.added));
		rig_line(&r, l);
		settle(&r);
	}
	break_last_file(&r);
	rig_line(&r, (struct line){.kind = LINE_TIME, .time = {.queue = 1}});
	ck_assert(!ledger_flush(r.ledger));
	for (int i = 0; i < TURNS && !ledger_safe(r.ledger); i++) {
		one_turn();
		helper_drain(r.helper);
	}
	ck_assert(ledger_safe(r.ledger));
	struct moment at = now_of(&r), again = reopened(&r, 0, 1);
	ck_assert_uint_eq(at.counts.recipients, MESSAGES * MANY);
	same(&at, &again, 1, 0);
	rig_stop(&r);
}
END_TEST

/* Whatever waited has ended: no walk through the index, no file by file. */
START_TEST(files_in_which_nothing_lives_are_left_behind_together)
{
	enum { MESSAGES = 3000, SURVIVOR = 1500 };
	struct rig r;
	rig_start(&r, RIG_FILE, 1);
	rig_line(&r, (struct line){.kind = LINE_LEASED, .segment = {.segment = 1, .lease = 1}});
	for (uint32_t i = 1; i <= MESSAGES; i++) {
		rig_line(&r, arrival(i, i - 1));
		if (i % 100 == 0)
			ledger_flush(r.ledger), helper_drain(r.helper);
	}
	settle(&r);
	ck_assert_uint_gt(needed_files(&r), 10);
	for (uint32_t i = 1; i <= MESSAGES; i++) {
		if (i != SURVIVOR)
			rig_line(&r, (struct line){.kind = LINE_ENDED, .message = {.id = i}});
		if (i % 100 == 0)
			ledger_flush(r.ledger), helper_drain(r.helper);
	}
	/* What is before the survivor, then the survivor, then all else. */
	for (int syncs = 0; syncs < 6; syncs++) {
		rig_line(&r, (struct line){.kind = LINE_TIME, .time = {.queue = 1}});
		settle(&r);
	}
	ck_assert_uint_le(needed_files(&r), LEDGER_CHAIN_LONG);
	struct moment at = now_of(&r), again = reopened(&r, 0, 1);
	ck_assert_uint_eq(at.counts.messages, 1);
	same(&at, &again, 1, 0);
	rig_stop(&r);
}
END_TEST

/* Printed, not judged: machines differ. */
START_TEST(a_message_that_is_delivered_at_once_costs_little)
{
	enum { MESSAGES = 200000, TURN = 100 };
	struct rig r;
	rig_start(&r, LEDGER_FILE_SIZE, 1);
	rig_line(&r, (struct line){.kind = LINE_LEASED, .segment = {.segment = 1, .lease = 1}});
	double begin = seconds();
	uint64_t id = 1;
	for (uint32_t i = 0; i < MESSAGES; i += TURN) {
		for (uint32_t k = 0; k < TURN; k++) {
			struct line l = arrival(id + k, i + k);
			rig_line(&r, l);
			index_load_fresh(ledger_index(r.ledger),
					 index_get(ledger_index(r.ledger), id + k), l.state.digest);
		}
		for (uint32_t k = 0; k < TURN; k++) {
			rig_line(&r,
				 (struct line){.kind = LINE_ATTEMPT, .attempt = {id + k, 0, 1}});
			rig_line(&r, (struct line){.kind = LINE_RESULT,
						   .result = {.id = id + k,
							      .status = RECIPIENT_DELIVERED,
							      .ends = true}});
		}
		id += TURN;
		ledger_flush(r.ledger);
		helper_drain(r.helper);
	}
	printf("%.2f us a message in the ledger\n", (seconds() - begin) * 1e6 / MESSAGES);
	settle(&r);
	rig_stop(&r);
}
END_TEST

START_TEST(a_million_messages_wait_in_little_memory)
{
	enum { MESSAGES = 1000000 };
	struct rig r;
	struct error e;
	rig_start(&r, LEDGER_FILE_SIZE, 1);
	rig_line(&r, (struct line){.kind = LINE_LEASED, .segment = {.segment = 1, .lease = 1}});
	for (uint32_t i = 0; i < MESSAGES; i++) {
		rig_line(&r, arrival(i + 1, i));
		if (i % 1000 == 0)
			ledger_flush(r.ledger), helper_drain(r.helper);
	}
	settle(&r);
	struct moment at = now_of(&r);
	ck_assert_uint_eq(at.counts.messages, MESSAGES);
	double octets = (double)index_octets(ledger_index(r.ledger)) / MESSAGES;
	ck_assert(octets < 90); /* 72 and 16 of the rig's own */
	ledger_close(&r.ledger);
	double begin = seconds();
	ck_assert_msg(rig_open(&r, false, &e), "%s", e.text);
	printf("%.1f octets a stub, %.2f s of replay for %d messages\n", octets, seconds() - begin,
	       MESSAGES);
	struct moment again = now_of(&r);
	same(&at, &again, 1, 0);
	rig_stop(&r);
}
END_TEST

START_TEST(memory_of_many_messages_goes_with_the_last_of_them)
{
	enum { MESSAGES = 200000 };
	struct rig r;
	rig_start(&r, LEDGER_FILE_SIZE, 1);
	rig_line(&r, (struct line){.kind = LINE_LEASED, .segment = {.segment = 1, .lease = 1}});
	for (int round = 0; round < 2; round++) {
		uint32_t first = (uint32_t)round * MESSAGES;
		for (uint32_t i = 0; i < MESSAGES; i++)
			rig_line(&r, arrival(first + i + 1, first + i));
		ck_assert_uint_ge(index_octets(ledger_index(r.ledger)), MESSAGES * 72);
		for (uint32_t i = 0; i < MESSAGES; i++)
			rig_line(&r, (struct line){.kind = LINE_ENDED,
						   .message = {.id = first + i + 1}});
		ck_assert_uint_eq(index_octets(ledger_index(r.ledger)), 0);
		settle(&r);
	}
	rig_line(&r, arrival(2 * MESSAGES + 1, 2 * MESSAGES));
	settle(&r);
	struct moment at = now_of(&r), again = reopened(&r, 0, 1);
	ck_assert_uint_eq(at.counts.messages, 1);
	same(&at, &again, 1, 0);
	rig_stop(&r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("ledger");
	TCase *t = tcase_create("ledger");
	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, what_is_read_back_is_what_was, 0, 4);
	tcase_add_test(t, a_chain_is_restated_and_its_slots_are_used_again);
	tcase_add_test(t, a_missing_ledger_is_not_made_anew_over_mail);
	tcase_add_test(t, a_file_does_not_follow_on_one_that_lost_its_end);
	tcase_add_test(t, damage_in_what_was_synced_stops_the_start);
	tcase_add_test(t, damage_in_the_last_file_stops_the_start_when_a_later_frame_proves_it);
	tcase_add_test(t, a_waiter_is_called_when_its_lines_are_durable);
	tcase_add_test(t, a_failed_write_is_followed_by_a_whole_statement);
	tcase_add_test(t, a_snapshot_without_its_end_is_ignored);
	tcase_add_test(t, a_snapshot_waits_for_files_when_states_have_grown);
	tcase_add_test(t, lines_that_belong_together_survive_together);
	tcase_add_test(t, old_lines_are_read_as_they_were_meant);
	tcase_add_test(t, recipients_that_are_alike_stand_in_one_entry);
	tcase_add_test(t, entries_that_stand_for_more_than_there_are_are_refused);
	tcase_add_test(t, what_a_hundred_thousand_were_told_is_kept_whole);
	tcase_add_test(t, a_long_line_behind_a_long_head_is_read_back);
	tcase_add_test(t, who_said_it_is_kept_with_what_was_said);
	tcase_add_test(t, files_in_which_nothing_lives_are_left_behind_together);
	tcase_add_test(t, a_message_that_is_delivered_at_once_costs_little);
	tcase_add_test(t, a_million_messages_wait_in_little_memory);
	tcase_add_test(t, memory_of_many_messages_goes_with_the_last_of_them);
	suite_add_tcase(s, t);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
