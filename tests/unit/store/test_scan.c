/* scan: segments built batch by batch over old octets, then cut, torn and damaged at every place.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/memory.h"
#include "queue/store/format.h"
#include "queue/store/scan.h"

enum { SIZE = 256 * 1024, SECTOR = 512, RECORDS_MAX = 200, DAMAGES_MAX = 50 };

static const uint8_t nonce[NONCE_SIZE] = "this lease's own";
static const uint8_t old_nonce[NONCE_SIZE] = "the former lease";
static const uint64_t LEASE = 42, OLD_LEASE = 41;

/* A segment as a writer makes it; where each batch and record lies. */
struct image {
	char *octets;
	uint64_t lease;
	const uint8_t *nonce;
	uint64_t end, sequence;
	uint32_t records, batches;
	uint64_t batch_at[RECORDS_MAX], record_at[RECORDS_MAX];
	uint32_t batch_of[RECORDS_MAX], record_length[RECORDS_MAX];
	uint64_t batch_records_end[RECORDS_MAX];
	uint8_t digest[RECORDS_MAX][DIGEST_SIZE];
};

static struct image image, old;

static void image_begin(struct image *i, uint64_t lease, const uint8_t *with, const char *over)
{
	*i = (struct image){.octets = memory_zero(1, SIZE), .lease = lease, .nonce = with};
	if (over)
		memcpy(i->octets, over, SIZE);
}

static void add_batch(struct image *i, const struct slice *bodies, uint32_t count)
{
	struct buffer b;
	buffer_init(&b, SIZE);
	i->batch_at[i->batches] = i->end;
	for (uint32_t n = 0; n < count; n++) {
		struct stored_recipient to = {.address = SLICE("bob@trial.example")};
		struct stored_message m = {.id = i->lease * 1000 + i->records + 1,
					   .recipients = &to,
					   .recipient_count = 1,
					   .header = i->lease == LEASE ? SLICE("Subject: new\r\n")
								       : SLICE("Subject: old\r\n"),
					   .body = bodies[n]};
		uint32_t r = i->records++;
		i->record_at[r] = i->end + BATCH_HEADER_SIZE + b.len;
		i->batch_of[r] = i->batches;
		size_t at = b.len;
		ck_assert(record_encode(&m, &b));
		record_seal(b.data + at, r, record_mark(i->lease, i->nonce));
		i->record_length[r] = (uint32_t)(b.len - at);
		record_digest(slice_from(buffer_slice(&b), at), i->digest[r]);
	}
	struct batch_head h = {.lease = i->lease,
			       .sequence = i->sequence++,
			       .offset = i->end,
			       .octets = (uint32_t)b.len,
			       .records = count,
			       .ordinal = i->records - count};
	memcpy(h.nonce, i->nonce, NONCE_SIZE);
	uint64_t length = batch_align(BATCH_HEADER_SIZE + b.len);
	ck_assert_uint_le(i->end + length, SIZE);
	memset(i->octets + i->end, 0, length);
	batch_head_encode(&h, (uint8_t *)i->octets + i->end);
	memcpy(i->octets + i->end + BATCH_HEADER_SIZE, b.data, b.len);
	i->batch_records_end[i->batches] = i->end + BATCH_HEADER_SIZE + b.len;
	i->batches++;
	i->end += length;
	buffer_free(&b);
}

/* The default: batches of 1, 2, ... records, of 10 to 3,000 octets. */
static void add_batches(struct image *i, uint32_t batches)
{
	char text[3000];
	memset(text, i->lease == LEASE ? 'x' : 'o', sizeof(text));
	for (uint32_t b = 0; b < batches; b++) {
		struct slice bodies[8];
		uint32_t count = b % 7 + 1;
		for (uint32_t n = 0; n < count; n++)
			bodies[n] = slice_make(text, (b * 977 + n * 331) % sizeof(text) + 10);
		add_batch(i, bodies, count);
	}
}

struct found {
	uint32_t ordinals[RECORDS_MAX], count;
	uint64_t damage_at[DAMAGES_MAX], damage_length[DAMAGES_MAX];
	uint32_t damages;
	struct scan_result result;
};

static void on_record(void *arg, const struct writer_entry *e)
{
	struct found *f = arg;
	ck_assert_uint_lt(e->ordinal, image.records);
	ck_assert_uint_eq(e->id, LEASE * 1000 + e->ordinal + 1);
	ck_assert_uint_eq(e->offset, image.record_at[e->ordinal]);
	ck_assert_uint_eq(e->length, image.record_length[e->ordinal]);
	ck_assert_uint_eq(e->recipients, 1);
	ck_assert_uint_eq(e->file, 0);
	ck_assert_mem_eq(e->digest, image.digest[e->ordinal], DIGEST_SIZE);
	if (f->count)
		ck_assert_uint_gt(e->ordinal, f->ordinals[f->count - 1]);
	f->ordinals[f->count++] = e->ordinal;
}

static void on_damage(void *arg, uint64_t offset, uint64_t length)
{
	struct found *f = arg;
	ck_assert_uint_lt(f->damages, DAMAGES_MAX);
	ck_assert_uint_le(offset + length, SIZE);
	f->damage_at[f->damages] = offset;
	f->damage_length[f->damages++] = length;
}

static struct found scan(const char *octets, uint32_t known)
{
	struct found f = {.count = 0};
	static int fd = -1;
	if (fd < 0)
		fd = memfd_create("segment", MFD_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, octets, SIZE, 0), SIZE);
	struct scan_request request = {.fd = fd, .lease = LEASE, .size = SIZE, .known = known};
	memcpy(request.nonce, nonce, NONCE_SIZE);
	struct scan_calls calls = {.record = on_record, .damage = on_damage, .arg = &f};
	struct error error;
	ck_assert_msg(scan_segment(&request, &calls, &f.result, &error), "%s", error.text);
	ck_assert_uint_eq(f.result.damaged, f.damages);
	return f;
}

/* Records 0 to count, but not those of [without, without_end). */
static void assert_found(const struct found *f, uint32_t count, uint32_t without,
			 uint32_t without_end)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < count; i++)
		if (i < without || i >= without_end)
			ck_assert_uint_eq(f->ordinals[n++], i);
	ck_assert_uint_eq(f->count, n);
}

static void setup(void)
{
	image_begin(&old, OLD_LEASE, old_nonce, NULL);
	add_batches(&old, 12);
	image_begin(&image, LEASE, nonce, old.octets);
}

static void teardown(void)
{
	memory_free(image.octets);
	memory_free(old.octets);
}

START_TEST(all_batches_are_found_over_old_octets)
{
	add_batches(&image, 7);
	struct found f = scan(image.octets, 0);
	assert_found(&f, image.records, 0, 0);
	ck_assert_uint_eq(f.damages, 0);
	ck_assert_uint_eq(f.result.records, image.records);
	ck_assert_uint_eq(f.result.end, image.end);
}
END_TEST

START_TEST(nothing_is_found_before_the_first_batch)
{
	struct found f = scan(image.octets, 0);
	ck_assert_uint_eq(f.count + f.damages + f.result.records, 0);
	ck_assert_uint_eq(f.result.end, 0);
}
END_TEST

START_TEST(known_records_are_not_told_again)
{
	add_batches(&image, 5);
	for (uint32_t known = 0; known <= image.records; known++) {
		struct found f = scan(image.octets, known);
		ck_assert_uint_eq(f.count, image.records - known);
		ck_assert_uint_eq(f.damages, 0);
		ck_assert_uint_eq(f.result.records, image.records);
		if (f.count)
			ck_assert_uint_eq(f.ordinals[0], known);
	}
}
END_TEST

START_TEST(a_cut_at_any_sector_leaves_the_whole_batches_before_it)
{
	add_batches(&image, 7);
	char *cut = memory_get(SIZE);
	for (uint64_t at = 0; at <= image.end; at += SECTOR) {
		memcpy(cut, image.octets, SIZE);
		memcpy(cut + at, old.octets + at, SIZE - at);
		uint32_t records = 0;
		uint64_t end = 0;
		for (uint32_t b = 0; b < image.batches; b++)
			if (image.batch_records_end[b] <= at)
				end = b + 1 < image.batches ? image.batch_at[b + 1] : image.end;
		while (records < image.records && image.record_at[records] < end)
			records++;
		struct found f = scan(cut, 0);
		assert_found(&f, records, 0, 0);
		ck_assert_uint_eq(f.damages, 0);
		ck_assert_uint_eq(f.result.records, records);
		ck_assert_uint_eq(f.result.end, end);
	}
	memory_free(cut);
}
END_TEST

/* The sectors of the write under way may reach the disk in any order. */
START_TEST(a_last_batch_that_misses_any_sectors_is_a_torn_tail)
{
	add_batches(&image, 5);
	uint64_t from = image.batch_at[4];
	uint32_t before = 0, sectors = (uint32_t)((image.batch_records_end[4] - from) / SECTOR);
	while (image.batch_of[before] < 4)
		before++;
	char *torn = memory_get(SIZE);
	srandom(2);
	for (uint32_t round = 0; round < 300; round++) {
		memcpy(torn, image.octets, SIZE);
		/* at first each sector alone, then many */
		for (uint32_t i = 0; i <= sectors; i++)
			if (round <= sectors ? i == round
					     : random() % 3 == 0 || i == round % sectors)
				memcpy(torn + from + i * SECTOR, old.octets + from + i * SECTOR,
				       SECTOR);
		struct found f = scan(torn, 0);
		assert_found(&f, before, 0, 0);
		ck_assert_uint_eq(f.damages, 0);
		ck_assert_uint_eq(f.result.end, from);
	}
	memory_free(torn);
}
END_TEST

START_TEST(a_broken_record_is_damage_and_the_others_are_saved)
{
	add_batches(&image, 7);
	for (uint32_t r = 0; r < image.records; r++) {
		if (image.batch_of[r] == image.batches - 1)
			break; /* the last batch could be torn */
		char *octet = image.octets + image.record_at[r] + image.record_length[r] / 2;
		*octet ^= 1;
		struct found f = scan(image.octets, 0);
		assert_found(&f, image.records, r, r + 1);
		ck_assert_uint_eq(f.damages, 1);
		ck_assert_uint_eq(f.damage_at[0], image.record_at[r]);
		ck_assert_uint_eq(f.damage_length[0], image.record_length[r]);
		ck_assert_uint_eq(f.result.end, image.end);
		ck_assert_uint_eq(f.result.records, image.records);
		*octet ^= 1;
	}
}
END_TEST

START_TEST(a_record_without_its_header_takes_the_rest_of_its_batch_along)
{
	add_batches(&image, 7);
	uint32_t r = 0, next = 0;
	while (image.batch_of[r] < 4)
		r++;
	while (image.batch_of[next] < 5)
		next++;
	r++;
	memset(image.octets + image.record_at[r], 0, RECORD_HEADER_SIZE);
	struct found f = scan(image.octets, 0);
	assert_found(&f, image.records, r, next);
	ck_assert_uint_eq(f.damages, 1);
	ck_assert_uint_eq(f.damage_at[0], image.record_at[r]);
	ck_assert_uint_eq(f.damage_at[0] + f.damage_length[0], image.batch_at[5]);
}
END_TEST

START_TEST(a_broken_batch_header_is_damage_when_a_good_batch_lies_behind)
{
	add_batches(&image, 7);
	for (uint32_t b = 0; b + 1 < image.batches; b++) {
		uint32_t first = 0, next = 0;
		while (image.batch_of[first] < b)
			first++;
		while (image.batch_of[next] < b + 1)
			next++;
		for (uint64_t i = 0; i < BATCH_HEADER_SIZE; i += 7) {
			image.octets[image.batch_at[b] + i] ^= 4;
			struct found f = scan(image.octets, 0);
			assert_found(&f, image.records, first, next);
			ck_assert_uint_eq(f.damages, 1);
			ck_assert_uint_eq(f.damage_at[0], image.batch_at[b]);
			ck_assert_uint_eq(f.damage_length[0],
					  image.batch_at[b + 1] - image.batch_at[b]);
			image.octets[image.batch_at[b] + i] ^= 4;
		}
	}
}
END_TEST

START_TEST(a_broken_last_batch_is_damage_when_the_ledger_knows_a_record_of_it)
{
	add_batches(&image, 4);
	uint32_t last = image.records - 1, first = last;
	while (image.batch_of[first - 1] == image.batches - 1)
		first--;
	char *octet = image.octets + image.record_at[last - 1] + 20;
	*octet ^= 1;
	struct found f = scan(image.octets, first); /* none known: torn */
	ck_assert_uint_eq(f.damages, 0);
	ck_assert_uint_eq(f.count, 0);
	ck_assert_uint_eq(f.result.records, first);
	f = scan(image.octets, first + 1);
	ck_assert_uint_eq(f.damages, 1);
	ck_assert_uint_eq(f.damage_at[0], image.record_at[last - 1]);
	ck_assert_uint_eq(f.result.records, image.records);
	ck_assert_uint_eq(f.ordinals[f.count - 1], last);
	*octet ^= 1;
	image.octets[image.batch_at[image.batches - 1] + 9] ^= 1; /* its header */
	f = scan(image.octets, image.records);
	ck_assert_uint_eq(f.damages, 1);
	ck_assert_uint_eq(f.damage_at[0], image.batch_at[image.batches - 1]);
	ck_assert_uint_eq(f.count, 0);
}
END_TEST

/* Where the body of a first batch of one message lies. */
static uint64_t body_place(const char *body, size_t len)
{
	struct slice s = slice_make(body, len);
	add_batch(&image, &s, 1);
	const char *at = memmem(image.octets, SIZE, body, len);
	ck_assert_ptr_nonnull(at);
	uint64_t place = (uint64_t)(at - image.octets);
	teardown();
	setup();
	return place;
}

/* Puts a batch of one record at each place of the body that comes to lie on a boundary. */
static void forge(char *body, size_t len, uint64_t place, const uint8_t *with, uint64_t away,
		  uint64_t sequence)
{
	struct image forged;
	struct slice text = SLICE("forged");
	image_begin(&forged, LEASE, with, NULL);
	add_batch(&forged, &text, 1);
	for (uint64_t to = batch_align(place); to + 4096 <= place + len; to += 4096) {
		struct batch_head h;
		char *at = body + (to - place);
		memcpy(at, forged.octets, 4096);
		ck_assert(batch_head_decode(at, &h));
		h.offset = to + away;
		h.sequence = sequence;
		h.ordinal = 1;
		batch_head_encode(&h, (uint8_t *)at);
		record_seal(at + BATCH_HEADER_SIZE, 1, record_mark(LEASE, with));
	}
	memory_free(forged.octets);
}

/* What a stranger could send: batches with their records as content, so placed that they lie on
 * batch boundaries. */
START_TEST(content_that_holds_batches_is_never_believed)
{
	static const struct {
		const char *what;
		const uint8_t *nonce;
		uint64_t away, sequence;
	} cases[] = {
	    {"another nonce", old_nonce, 0, 1},
	    {"another nonce, a later sequence", old_nonce, 0, 2},
	    {"the true nonce, copied to another place", nonce, 4096, 1},
	    {"the true nonce, copied to another place, later", nonce, 4096, 2},
	};
	static char body[CONTENT_INLINE_MAX - 100];
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		memset(body, 'm', sizeof(body));
		uint64_t place = body_place(body, sizeof(body));
		forge(body, sizeof(body), place, cases[c].nonce, cases[c].away, cases[c].sequence);
		struct slice s = slice_make(body, sizeof(body));
		add_batch(&image, &s, 1);
		struct batch_head h;
		ck_assert(batch_head_decode(image.octets + 4096, &h)); /* they do lie there */
		struct found f = scan(image.octets, 0);
		assert_found(&f, 1, 0, 0);
		ck_assert_uint_eq(f.damages, 0);
		/* the batch that carries them is torn: they are still nothing but content */
		image.octets[0] ^= 1;
		f = scan(image.octets, 0);
		ck_assert_msg(f.count == 0 && f.damages == 0, "%s", cases[c].what);
		teardown();
		setup();
	}
}
END_TEST

/* A record with a right CRC and the right ordinal, as content, behind a broken record. */
START_TEST(content_that_holds_records_is_not_found_when_its_record_is_broken)
{
	struct stored_recipient to = {.address = SLICE("victim@trial.example")};
	struct stored_message m = {.id = 9, .recipients = &to, .recipient_count = 1};
	struct buffer b;
	buffer_init(&b, SIZE);
	for (uint32_t i = 0; i < 100; i++) {
		size_t at = b.len;
		ck_assert(record_encode(&m, &b));
		record_seal(b.data + at, i % 3, record_mark(LEASE, old_nonce));
	}
	struct slice bodies[2] = {buffer_slice(&b), SLICE("innocent")};
	add_batch(&image, bodies, 2);
	add_batch(&image, bodies + 1, 1);
	for (uint64_t i = 0; i < RECORD_HEADER_SIZE; i++) {
		image.octets[image.record_at[0] + i] ^= 8;
		struct found f = scan(image.octets, 0); /* on_record() knows the true ones */
		ck_assert_uint_ge(f.count, 1);
		ck_assert_uint_eq(f.damages, 1);
		image.octets[image.record_at[0] + i] ^= 8;
	}
	buffer_free(&b);
}
END_TEST

START_TEST(a_segment_that_was_cut_off_is_damaged_and_read_as_far_as_it_goes)
{
	add_batches(&image, 3);
	int fd = memfd_create("short", MFD_CLOEXEC);
	ck_assert_int_eq(pwrite(fd, image.octets, image.end, 0), (ssize_t)image.end);
	struct found f = {.count = 0};
	struct scan_request request = {.fd = fd, .lease = LEASE, .size = SIZE};
	memcpy(request.nonce, nonce, NONCE_SIZE);
	struct scan_calls calls = {.record = on_record, .damage = on_damage, .arg = &f};
	struct error error;
	ck_assert(scan_segment(&request, &calls, &f.result, &error));
	assert_found(&f, image.records, 0, 0);
	ck_assert_uint_eq(f.result.damaged, 1);
	ck_assert_uint_eq(f.damage_at[0], image.end);
	ck_assert_uint_eq(f.damage_length[0], SIZE - image.end);
	close(fd);
	ck_assert(!scan_segment(&request, &calls, &f.result, &error));
	ck_assert_int_eq(error.code, EBADF);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scan");
	TCase *c = tcase_create("scan");
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 120);
	tcase_add_test(c, all_batches_are_found_over_old_octets);
	tcase_add_test(c, nothing_is_found_before_the_first_batch);
	tcase_add_test(c, known_records_are_not_told_again);
	tcase_add_test(c, a_cut_at_any_sector_leaves_the_whole_batches_before_it);
	tcase_add_test(c, a_last_batch_that_misses_any_sectors_is_a_torn_tail);
	tcase_add_test(c, a_broken_record_is_damage_and_the_others_are_saved);
	tcase_add_test(c, a_record_without_its_header_takes_the_rest_of_its_batch_along);
	tcase_add_test(c, a_broken_batch_header_is_damage_when_a_good_batch_lies_behind);
	tcase_add_test(c, a_broken_last_batch_is_damage_when_the_ledger_knows_a_record_of_it);
	tcase_add_test(c, content_that_holds_batches_is_never_believed);
	tcase_add_test(c, content_that_holds_records_is_not_found_when_its_record_is_broken);
	tcase_add_test(c, a_segment_that_was_cut_off_is_damaged_and_read_as_far_as_it_goes);
	suite_add_tcase(s, c);
	SRunner *sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
